# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The state of the host in numbers, read from the kernel without ecbpf: what is attached, every
pin, every map's content. Two equal fingerprints are the same state; two that differ may mean the
same, as when rules were written to the generation that is not live. Ids of programs and maps are
numbered in the order in which they are met, so what is made anew has the same fingerprint: a
program is its instructions, its constants and its maps."""
import ctypes
import os
import platform
import re
import socket
import struct
import zlib

BPFFS = "/sys/fs/bpf"
NR_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
LOOKUP, GET_NEXT_KEY, OBJ_GET, OBJ_GET_INFO, LOOKUP_BATCH = 1, 4, 7, 15, 24
PROG_GET_FD_BY_ID, MAP_GET_FD_BY_ID = 13, 14
# Notes for the doctor and metrics: what was loaded last, how the last apply ended. Nothing depends
# on them
NOTES = "/ecbpf/loaded"
LAST_APPLY = "applied-"
HASH, ARRAY, ARRAY_OF_MAPS, HASH_OF_MAPS = 1, 2, 12, 13
NO_CONTENT = (3, 4, 5, 6, 27) # programs, events, values of each CPU, a ring
# What packets change
TRAFFIC = ("fastpath_shield", "fastpath_resets", "fastpath_flows", "fastpath_hop", "fastpath_tags",
           "fastpath_up", "fw_buckets", "filter_ptb", "sampler_stats", "sampling_state")
# In these, of each so many bytes: packets and bytes that were counted, when it was added
SOURCES = "filter_sources"
SOURCE_SIZE, SOURCE_COUNTS = 64, (*range(16), *range(24, 28))
GETLINK, GETQDISC, GETFILTER = 18, 38, 46
IFLA_XDP, IFLA_XDP_PROG_IDS, TCA_OPTIONS, TCA_BPF_ID = 43, (4, 5, 6, 7), 2, 11
libc = ctypes.CDLL(None, use_errno=True)


def bpf(cmd, attr):
    """bpf(2); Return: its result, the attributes after it"""
    attr = ctypes.create_string_buffer(attr, 128)
    return libc.syscall(NR_BPF, cmd, attr, 128), attr.raw


def dump(sock, kind, body):
    """The payloads of all answers to a netlink dump"""
    sock.send(struct.pack("=IHHII", 16 + len(body), kind, 0x301, 1, 0) + body)
    answers = []
    while True:
        data = sock.recv(1 << 17)
        while data:
            size, of_kind = struct.unpack_from("=IH", data)
            if of_kind in (2, 3): # error, done
                return answers
            answers.append(data[16:size])
            data = data[size + 3 & ~3:]


def attributes(data):
    """Kinds and payloads of netlink attributes"""
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3fff, data[4:size]
        data = data[max(size, 4) + 3 & ~3:]


def attribute(data, wanted):
    """The payload of a netlink attribute"""
    return next((payload for kind, payload in attributes(data) if kind == wanted), b"")


class Fingerprint:
    """Of this network namespace and its BPF file system, and of files below some directories"""

    def __init__(self, *directories):
        self.directories = directories
        self.buffers = [ctypes.create_string_buffer(1 << 24) for _ in range(2)]
        self.numbers, self.programs = {}, {}
        self.route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)

    def number(self, kind, ident):
        """Instead of an id"""
        return self.numbers.setdefault((kind, ident), len(self.numbers))

    def program(self, ident):
        """Of a program: number, tag, length, number of each map, constants"""
        if ident not in self.programs:
            fd = bpf(PROG_GET_FD_BY_ID, struct.pack("=III", ident, 0, 0))[0]
            if fd < 0:
                return "not readable"
            maps, out = (ctypes.c_uint32 * 64)(), ctypes.create_string_buffer(512)
            struct.pack_into("=IQ", out, 52, 64, ctypes.addressof(maps))
            bpf(OBJ_GET_INFO, struct.pack("=IIQ", fd, 512, ctypes.addressof(out)))
            os.close(fd)
            count, = struct.unpack_from("=I", out, 52)
            self.programs[ident] = out.raw[8:16] + out.raw[20:24], maps[:count], tuple(
                map(self.constants, maps[:count]))
        what, maps, constants = self.programs[ident]
        return (self.number("program", ident), what,
                tuple(self.number("map", one) for one in maps), constants)

    def constants(self, ident):
        """Content of a map of constants, which never change"""
        fd = bpf(MAP_GET_FD_BY_ID, struct.pack("=III", ident, 0, 0))[0]
        if fd < 0:
            return "not readable"
        try:
            info = self.info(fd)
            return self.content(fd, info) if info[5].endswith(".rodata") else None
        finally:
            os.close(fd)

    def info(self, fd):
        """Of a map: type, id, key size, value size, most entries, name; None if it is no map"""
        out = ctypes.create_string_buffer(512)
        if bpf(OBJ_GET_INFO, struct.pack("=IIQ", fd, 512, ctypes.addressof(out)))[0]:
            return None
        kind, ident, key, value, most = struct.unpack_from("=5I", out.raw)
        return kind, ident, key, value, most, out.raw[24:40].split(b"\0")[0].decode()

    def entries(self, fd, key, value):
        """Checksum of keys and values, one by one"""
        keys, values = self.buffers
        pairs = []
        at = 0
        while True:
            if bpf(GET_NEXT_KEY, struct.pack("=IIQQ", fd, 0, at and ctypes.addressof(keys),
                                             ctypes.addressof(keys)))[0]:
                return zlib.crc32(b"".join(sorted(pairs)))
            at = 1
            bpf(LOOKUP, struct.pack("=IIQQQ", fd, 0, ctypes.addressof(keys),
                                    ctypes.addressof(values), 0))
            pairs.append(ctypes.string_at(keys, key) + ctypes.string_at(values, value))

    def content(self, fd, info, of_sources=False):
        """Checksum of what is in a map"""
        kind, _, key, value, most, name = info
        if kind in NO_CONTENT or name.startswith(TRAFFIC):
            return 0
        keys, values = self.buffers
        values_size = (value + 7 & ~7) if kind not in (ARRAY, HASH) else value
        if kind != ARRAY and kind not in (ARRAY_OF_MAPS, HASH_OF_MAPS) or \
                max(values_size, key) * most > 1 << 24:
            return self.entries(fd, key, value)
        token = ctypes.create_string_buffer(64)
        result, attr = bpf(LOOKUP_BATCH, struct.pack(
            "=QQQQIIQQ", 0, ctypes.addressof(token), ctypes.addressof(keys),
            ctypes.addressof(values), most, fd, 0, 0))
        count, = struct.unpack_from("=I", attr, 32)
        if result and ctypes.get_errno() not in (0, 2): # none is left
            return self.entries(fd, key, value)
        size = count * value
        data = (ctypes.c_char * size).from_buffer(values) if size else b""
        if of_sources:
            data = bytearray(data)
            for at in SOURCE_COUNTS:
                data[at::SOURCE_SIZE] = bytes(len(range(at, size, SOURCE_SIZE)))
        checksum = zlib.crc32(data)
        if kind in (ARRAY_OF_MAPS, HASH_OF_MAPS):
            return tuple((at, self.inner(ident, name == SOURCES)) for at, ident in enumerate(
                struct.unpack(f"={count}I", ctypes.string_at(values, size))) if ident)
        return checksum

    def inner(self, ident, of_sources):
        """A map by its id"""
        fd = bpf(MAP_GET_FD_BY_ID, struct.pack("=III", ident, 0, 0))[0]
        if fd < 0:
            return "not readable"
        try:
            return self.number("map", ident), self.content(fd, self.info(fd), of_sources)
        finally:
            os.close(fd)

    def pin(self, path):
        """Id and content of what is pinned there"""
        name = ctypes.create_string_buffer(path.encode())
        fd = bpf(OBJ_GET, struct.pack("=QIIi", ctypes.addressof(name), 0, 0, 0))[0]
        if fd < 0:
            return path, "not readable"
        try:
            info = self.info(fd)
            out = os.readlink(f"/proc/self/fd/{fd}")
            if not out.endswith("bpf-map"):
                return path, out, info and (
                    self.program(info[1]) if out.endswith("bpf-prog") else
                    (info[0], self.number(out, info[1])))
            return path, (info[0], self.number("map", info[1]), *info[2:]), self.content(fd, info)
        finally:
            os.close(fd)

    def pins(self):
        """Of all pins"""
        return tuple(self.pin(os.path.join(top, name)) for top, _, names in sorted(os.walk(BPFFS))
                     if not top.endswith(NOTES) for name in sorted(names))

    @staticmethod
    def notes():
        """What was loaded last, which is no part of the fingerprint"""
        top = BPFFS + NOTES
        return tuple((name, os.readlink(os.path.join(top, name)))
                     for name in sorted(os.listdir(top))) if os.path.isdir(top) else ()

    def is_of_notes(self, directory):
        """Is nothing else in it?"""
        return directory == "/run/ecbpf" and all(name.startswith(LAST_APPLY)
                                                 for name in os.listdir(directory))

    def files(self):
        """Names and contents below the directories"""
        found = []
        for top, directories, names in (one for each in self.directories for one in os.walk(each)):
            directories[:] = sorted(name for name in directories if name != "netns")
            found += [(os.path.join(top, name), b"") for name in directories
                      if not self.is_of_notes(os.path.join(top, name))]
            for name in sorted(name for name in names if not name.startswith(LAST_APPLY)):
                path = os.path.join(top, name)
                if not os.path.isfile(path): # a socket
                    found.append((path, b""))
                    continue
                try:
                    with open(path, "rb") as file:
                        found.append((path, file.read()))
                except FileNotFoundError: # of a daemon that goes on: it has its name by now
                    pass
        return tuple(found)

    def filter(self, message):
        """A TC filter without the id of its program"""
        return message[:20], tuple(
            (kind, tuple((k, self.program(struct.unpack("=I", v)[0]))
                         if k == TCA_BPF_ID else (k, re.sub(rb":\[\d+\]", b"", v))
                         for k, v in attributes(value)))
            if kind == TCA_OPTIONS else (kind, value) for kind, value in attributes(message[20:]))

    def attached(self):
        """XDP programs of all interfaces, TC filters"""
        links = tuple((struct.unpack_from("=i", link, 4)[0], tuple(
            (kind, self.program(struct.unpack("=I", value)[0]))
            if kind in IFLA_XDP_PROG_IDS else (kind, value)
            for kind, value in attributes(attribute(link[16:], IFLA_XDP))))
                 for link in dump(self.route, GETLINK, struct.pack("=BxHiII", 0, 0, 0, 0, 0)))
        qdiscs = tuple(qdisc[:16] + attribute(qdisc[20:], 1)
                  for qdisc in dump(self.route, GETQDISC, bytes(20)))
        filters = tuple(
            tuple(map(self.filter, dump(self.route, GETFILTER,
                                        struct.pack("=BxxxiIII", 0, index, 0, parent, 0))))
            for index, _ in links for parent in (0xfffffff2, 0xfffffff3))
        return links, qdiscs, filters

    def __call__(self):
        self.numbers.clear()
        directories = tuple(top for top, _, _ in sorted(os.walk(BPFFS)) if not top.endswith(NOTES))
        return *self.attached(), directories, self.pins(), self.files()
