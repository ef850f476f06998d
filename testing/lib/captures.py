# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ethernet frames of capture files, as testing/fuzz/captures fetches them."""
import logging
import os

from scapy.error import Scapy_Exception
from scapy.utils import RawPcapReader

ETHERNET = 1
# options of pcapng that it does not know
logging.getLogger("scapy").setLevel(logging.ERROR)


def files(directory):
    """Paths of all files below it, in the same order on each machine"""
    return sorted(os.path.join(folder, name)
                  for folder, _, names in os.walk(directory) for name in names)


def frames(path, size_max=65535):
    """Frames of one file that were captured as a whole, with their number in it, from 1 on. Where
    the file is broken, as some are on purpose, it ends"""
    try:
        reader = RawPcapReader(path)
    except (Scapy_Exception, EOFError):
        return
    number = 0
    while True:
        try:
            frame, meta = next(reader)
        except (StopIteration, Scapy_Exception, EOFError, ValueError, IndexError, KeyError):
            break
        number += 1
        linktype = getattr(meta, "linktype", None) or getattr(reader, "linktype", None)
        if linktype == ETHERNET and len(frame) == meta.wirelen <= size_max:
            yield number, frame
    reader.close()
