# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Packet sockets (AF_PACKET)."""
import errno
import time


def put(sock, frame):
    """Send, as soon as there is room"""
    while True:
        try:
            return sock.send(frame)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            time.sleep(0.001)
