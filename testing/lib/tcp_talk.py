#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Real TCP connections, that a test of rules can use to see whether they are cut.

    tcp_talk.py serve ADDR PORT [ADDR PORT]...
    tcp_talk.py talk ADDR PORT [ADDR PORT]...

serve echoes what it gets. talk opens a connection to each and prints its SSH_CONNECTION, then
"ready". After that it reads lines from standard input, "NUMBER SECONDS": connection NUMBER, from 0,
sends a byte; it prints "works" if an answer comes within SECONDS, else "cut".
"""
import select
import socket
import sys
import threading


def pairs(words):
    """[(ADDR, PORT), ...]"""
    return [(words[i], int(words[i + 1])) for i in range(0, len(words), 2)]


def echo(sock):
    """Until the other side closes"""
    try:
        while data := sock.recv(4096):
            sock.sendall(data)
    except OSError:
        pass
    sock.close()


def accept(listener):
    """For ever"""
    while True:
        threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()


def serve(addrs):
    """See above"""
    threads = []
    for addr in addrs:
        family = socket.AF_INET6 if ":" in addr[0] else socket.AF_INET
        listener = socket.create_server(addr, family=family, backlog=64)
        threads.append(threading.Thread(target=accept, args=(listener,)))
        threads[-1].start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()


def drain(sock, seconds):
    """Read all that comes; wait for the first of it. Return: did anything come?"""
    has_come = False
    while select.select([sock], [], [], 0 if has_come else seconds)[0]:
        if not sock.recv(4096):
            return False
        has_come = True
    return has_come


def talk(addrs):
    """See above"""
    socks = [socket.create_connection(addr, timeout=10) for addr in addrs]
    for sock in socks:
        client, server = sock.getsockname(), sock.getpeername()
        print(client[0], client[1], server[0], server[1])
    print("ready", flush=True)
    for line in sys.stdin:
        number, seconds = line.split()
        drain(socks[int(number)], 0)
        socks[int(number)].send(b"x")
        print("works" if drain(socks[int(number)], float(seconds)) else "cut", flush=True)


if __name__ == "__main__":
    {"serve": serve, "talk": talk}[sys.argv[1]](pairs(sys.argv[2:]))
