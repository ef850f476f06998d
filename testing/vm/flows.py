#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Flows through a director, and whether what arrives is what IPVS would have sent.

    flows.py send IFACE SENT DEST SEED FLOWS PACKETS PROTOS VIP4 VIP6 [TAG]
        packets of FLOWS connections of each of the PROTOS (tcp,udp) and each version, in turn, to
        the Ethernet address DEST, with a VLAN tag; what was sent is written to the file SENT
    flows.py capture IFACE FILE
        all IP packets that come in, until SIGTERM
    flows.py compare SENT SOURCE CONNECTIONS NAME=MAC=ADDRESS4=ADDRESS6=FILE...
        each packet sent has arrived once, at the server that CONNECTIONS (/proc/net/ip_vs_conn)
        says (-: nobody says), from the Ethernet address SOURCE, with one less TTL and all else as
        it was

No packet library: this is a second opinion on headers and checksums, and starts fast.
"""
import collections
import errno
import ipaddress
import random
import signal
import socket
import struct
import sys
import time

TCP, UDP = 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16
PACE_S = 0.0002


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return 0xffff - total


def ip4(source, dest, proto, payload, ttl, tos, ident):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(payload), ident, 0x4000, ttl, proto, 0,
                       source, dest)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(source, dest, proto, payload, ttl, tos, ident):
    return struct.pack("!IHBB16s16s", 6 << 28 | tos << 20 | ident, len(payload), proto, ttl, source,
                       dest) + payload


def transport(proto, source, dest, header, payload):
    data = header + payload
    pseudo = source + dest + struct.pack("!II", len(data), proto)
    value = checksum(pseudo + data)
    at = 16 if proto == TCP else 6
    return data[:at] + struct.pack("!H", value or (0xffff if proto == UDP else 0)) + data[at + 2:]


def packets(rng, version, proto, number, count, vip):
    """All packets of a connection, one after another"""
    source = (ipaddress.ip_address("198.51.100.77").packed if version == 4 else
              ipaddress.ip_address("2001:db8:1::77").packed)
    make = ip4 if version == 4 else ip6
    port, seq = 10000 + number, rng.randrange(1 << 32)
    flags = [0x02, 0x10] + [rng.choice((0x10, 0x18)) for _ in range(count)] + [0x11]
    for i, flag in enumerate(flags):
        size = rng.choice((0, 0, 1, rng.randrange(1400), 1400)) if 1 < i < len(flags) - 1 else 0
        payload = rng.randbytes(max(size, 12) if proto == UDP else size)
        if proto == TCP:
            header = struct.pack("!HHIIBBHHH", port, 80, seq, 1, 0x50, flag,
                                 rng.randrange(1, 65536), 0, 0)
            seq = (seq + len(payload) + (flag == 0x02)) & 0xffffffff
        else:
            header = struct.pack("!HHHH", port, 80, 8 + len(payload), 0)
        segment = transport(proto, source, vip, header, payload)
        yield make(source, vip, proto, segment, rng.randrange(2, 256), rng.randrange(256) & 0xfc,
                   rng.randrange(65536))


def put(sock, frame):
    """Send, as soon as there is room"""
    while True:
        try:
            return sock.send(frame)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            time.sleep(0.001)


def send(iface, sent, dest, seed, flows, count, protos, vip4, vip6, tag=None):
    rng = random.Random(int(seed))
    streams = []
    for number in range(int(flows)):
        for version, vip in ((4, vip4), (6, vip6)):
            for proto in [{"tcp": TCP, "udp": UDP}[name] for name in protos.split(",")]:
                streams.append(packets(rng, version, proto, number, int(count),
                                       ipaddress.ip_address(vip).packed))
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((iface, 0))
    eth = bytes.fromhex(dest.replace(":", "")) + out.getsockname()[4]
    if tag:
        eth += struct.pack("!HH", 0x8100, int(tag))
    with open(sent, "w", encoding="ascii") as file:
        while streams:
            left = []
            for stream in streams:
                packet = next(stream, None)
                if packet is None:
                    continue
                left.append(stream)
                put(out, eth + (b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet)
                file.write(packet.hex() + "\n")
                time.sleep(PACE_S)
            streams = left
            time.sleep(0.05)  # as a client waits for the server


def capture(iface, path):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    sock.bind((iface, 3))
    done = []
    signal.signal(signal.SIGTERM, lambda *_: done.append(1))
    sock.settimeout(0.2)
    print("ready", flush=True)
    with open(path, "w", encoding="ascii") as file:
        while not done:
            try:
                frame, address = sock.recvfrom(65536)
            except (TimeoutError, socket.timeout):
                continue
            if address[2] != socket.PACKET_OUTGOING and frame[12:14] in (b"\x08\0", b"\x86\xdd"):
                file.write(frame.hex() + "\n")


def flow_of(packet):
    """protocol, source, source port, destination, destination port"""
    if packet[0] >> 4 == 4:
        proto, source, dest, l4 = packet[9], packet[12:16], packet[16:20], packet[20:]
    else:
        proto, source, dest, l4 = packet[6], packet[8:24], packet[24:40], packet[40:]
    return (proto, source, *struct.unpack("!H", l4[:2]), dest, *struct.unpack("!H", l4[2:4]))


def forwarded(packet):
    """What leaves, of what came in"""
    if packet[0] >> 4 == 6:
        return packet[:7] + bytes([packet[7] - 1]) + packet[8:]
    head = packet[:8] + bytes([packet[8] - 1, packet[9], 0, 0]) + packet[12:20]
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + packet[20:]


def connections(path):
    """flow: address of the server"""
    found = {}
    with open(path, encoding="ascii") as file:
        next(file)
        for line in file:
            words = line.split()
            addrs = [bytes.fromhex(words[i]) if len(words[i]) == 8 else
                     ipaddress.ip_address(words[i]).packed for i in (1, 3, 5)]
            proto = {"TCP": TCP, "UDP": UDP}[words[0]]
            found[proto, addrs[0], int(words[2], 16), addrs[1], int(words[4], 16)] = addrs[2]
    return found


def compare(sent, source, conns, *servers):
    """Print a line for each kind of difference, and what was compared"""
    conns = None if conns == "-" else connections(conns)
    errors = collections.Counter()
    with open(sent, encoding="ascii") as file:
        due = collections.Counter(bytes.fromhex(line) for line in file)
    flows = {flow_of(packet) for packet in due}
    due = collections.Counter({forwarded(packet): n for packet, n in due.items()})
    total, arrived = sum(due.values()), collections.Counter()
    for server in servers:
        name, mac, addr4, addr6, path = server.split("=")
        here = {ipaddress.ip_address(addr).packed for addr in (addr4, addr6)}
        eth = bytes.fromhex(mac.replace(":", "") + source.replace(":", ""))
        with open(path, encoding="ascii") as file:
            for line in file:
                frame = bytes.fromhex(line)
                packet = frame[14:]
                if packet[0] >> 4 == 6 and packet[6] not in (TCP, UDP):
                    continue
                if flow_of(packet) not in flows:
                    continue
                arrived[packet] += 1
                if frame[:12] != eth:
                    errors["Ethernet addresses"] += 1
                if packet not in due:
                    errors["not what IPVS would have sent"] += 1
                if conns is not None and conns.get(flow_of(packet)) not in here:
                    errors[f"at {name}, where IPVS does not say"] += 1
    errors["lost"] = sum((due - arrived).values())
    errors["too many"] = sum((arrived - due).values())
    for what, count in errors.items():
        if count:
            print(f"{count} {what}")
    print(f"{total} packets of {len(flows)} flows")
    return any(errors.values())


if __name__ == "__main__":
    sys.exit({"send": send, "capture": capture, "compare": compare}[sys.argv[1]](*sys.argv[2:]))
