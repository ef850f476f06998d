#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""fw_send.py INTERFACE COUNT [UNTIL-FILE]: send packets, for tests of the firewall.

UDP from 192.0.2.1 to ports 53 and 80 by turns, COUNT of each; or, with UNTIL-FILE, until this file
is there. Prints how many of each were sent.
"""
import os
import socket
import struct
import sys

from raw_socket import put


def udp(port):
    """A frame"""
    payload = bytes(18)
    header = struct.pack("!HHHH", 1234, port, 8 + len(payload), 0) + payload
    packet = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(header), 1, 0x4000, 64, 17, 0,
                         bytes((192, 0, 2, 1)), bytes((198, 51, 100, 1))) + header
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + packet


def main():
    """See above"""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((sys.argv[1], 0))
    count, frames, sent = int(sys.argv[2]), (udp(53), udp(80)), 0
    until = sys.argv[3] if sys.argv[3:] else None
    while not os.path.exists(until) if until else sent < count:
        for _ in range(100 if until else 1):
            for frame in frames:
                put(sock, frame)
            sent += 1
    print(sent)


if __name__ == "__main__":
    main()
