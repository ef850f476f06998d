#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""big_tcp.py INTERFACE SIZE: let TCP merge up to so many bytes, of IPv4 and IPv6 (BIG TCP).

iproute2 knows the limit of IPv4 since 6.3; this asks the kernel itself.
"""
import socket
import struct
import sys

RTM_NEWLINK, NLM_F_REQUEST_ACK, IFLA_GSO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE = 16, 5, 41, 63


def main(interface, size):
    """See above"""
    body = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(interface), 0, 0)
    for attribute in IFLA_GSO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE:
        body += struct.pack("=HHI", 8, attribute, int(size))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, NLM_F_REQUEST_ACK, 1, 0) + body)
        error, = struct.unpack_from("=i", sock.recv(4096), 16)
    if error:
        sys.exit(f"{interface}: error {-error}")


main(*sys.argv[1:])
