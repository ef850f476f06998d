#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Each verb with a failing system call, or too little of something: old or new, never between.

A verb is run once to learn which calls it makes (inject.c). Then it is run again for each call and
each error of that call, which inject answers in the place of the kernel; and with few descriptors,
little memory, disks that are full or read-only, a BPF file system that is read-only. After each
run:

  - exit status 0: the host is as after the run without a fault, and a verb that only reads printed
    the same, or warned; else the host is as before;
  - what is there can be read back (ecbpf-loader export), and packets that must be dropped are
    dropped, packets that must pass do pass;
  - the verb ended by itself within a minute, not by a signal, and said in a line why it failed.
    'watch' and 'sampler run' may go on instead: then the host is as declared, samples are
    published, within 30 s, and SIGINT ends it; with too little of something, it may wait for that
    and say so. A verb that was killed because its control group has no memory left may be run
    again.

Calls are named CALL, bpf() bpf.COMMAND, and counted from 1 by this name. What fails, unless
--all:

  - of calls that may change something beside the verb: of those to which the same way leads, as in
    a loop, the first one with all its errors, the middle and the last one with one of them in
    turn. A way is all return addresses on the stack;
  - of the others, which only ask: those with a step of their way, from one return address to the
    next, by which no failing call was reached yet, of this verb or one before it; the first and the
    last one to which this way leads, each with one error in turn. Who called, and who called that
    one, has met a failure from there by then. What follows the first change is looked at anew.

No call of the dynamic loader fails. Less and less shortage of descriptors or memory ends where it
was none to the verb four times. --sample N draws N of all runs, by --seed: for each verb alike,
then a call by name out of a fixed list, then which one of those that this verb made on this host:
the same ones on all hosts, but where a library or a kernel wants other calls. A violation prints
the command that shows it again.
"""
import argparse
import collections
import ctypes
import difflib
import errno
import glob
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

from fingerprint import Fingerprint

ASK = ("ENOMEM", "EPERM")
CHANGE = ("ENOMEM", "EPERM", "EAGAIN", "E2BIG")
DISK = ("ENOSPC", "EROFS")
ERRORS = {
    "bpf": CHANGE,
    "bpf.MAP_GET_NEXT_ID": ASK,
    "bpf.PROG_GET_NEXT_ID": ASK,
    "bpf.LINK_GET_NEXT_ID": ASK,
    "bpf.MAP_GET_FD_BY_ID": ASK,
    "bpf.PROG_GET_FD_BY_ID": ASK,
    "bpf.LINK_GET_FD_BY_ID": ASK,
    "bpf.BTF_GET_FD_BY_ID": ASK,
    "bpf.OBJ_GET": ASK,
    "bpf.OBJ_GET_INFO_BY_FD": ASK,
    "bpf.MAP_GET_NEXT_KEY": ASK,
    "bpf.MAP_LOOKUP_ELEM": ASK,
    "bpf.MAP_LOOKUP_BATCH": ASK,
    "openat": ("EMFILE", "EACCES"),
    "mmap": ("ENOMEM",),
    "socket": ("EMFILE",),
    "bind": ("ENOMEM",),
    "setsockopt": ("ENOBUFS",),
    "sendto": ("ENOBUFS",),
    "sendmsg": ("ENOBUFS",),
    "recvmsg": ("ENOBUFS",),
    "recvfrom": ("ENOBUFS",),
    "read": ("EIO",),
    "pread64": ("EIO",),
    "write": ("ENOSPC", "EIO"),
    "writev": ("ENOSPC",),
    "fsync": ("EIO",),
    "fdatasync": ("EIO",),
    "ftruncate": ("EIO",),
    "rename": DISK,
    "renameat2": DISK,
    "mkdir": DISK,
    "mkdirat": DISK,
    "unlink": ("EPERM", "EROFS"),
    "unlinkat": ("EPERM", "EROFS"),
    "rmdir": ("EPERM", "EROFS"),
    "symlink": DISK,
    "symlinkat": DISK,
    "link": DISK,
    "linkat": DISK,
    "chmod": ("EROFS",),
    "fchmod": ("EROFS",),
    "fchmodat": ("EROFS",),
    "chown": ("EROFS",),
    "fchown": ("EROFS",),
    "fchownat": ("EROFS",),
    "flock": ("ENOLCK",),
    "fcntl": ("EMFILE",),
    "dup3": ("EMFILE",),
    "ioctl": ("ENOMEM",),
    "setns": ("EPERM",),
    "unshare": ("ENOMEM",),
    "mount": ("EPERM",),
    "getdents64": ("ENOMEM",),
    "newfstatat": ("ENOMEM",),
    "statfs": ("ENOMEM",),
    "clone": ("EAGAIN",),
    "epoll_create1": ("EMFILE",),
    "timerfd_create": ("EMFILE",),
    "perf_event_open": ("EMFILE",),
}
# bpf() by its commands. A sample is drawn of these names, whatever calls this host makes
NAMES = tuple(sorted(ERRORS.keys() - {"bpf"} | {"bpf." + name for name in (
    "BTF_LOAD", "LINK_CREATE", "LINK_DETACH", "LINK_UPDATE", "MAP_CREATE", "MAP_DELETE_BATCH",
    "MAP_DELETE_ELEM", "MAP_FREEZE", "MAP_UPDATE_BATCH", "MAP_UPDATE_ELEM", "OBJ_GET", "OBJ_PIN",
    "PROG_ATTACH", "PROG_BIND_MAP", "PROG_DETACH", "PROG_LOAD", "PROG_QUERY", "PROG_TEST_RUN",
    "RAW_TRACEPOINT_OPEN")}))
# What there is too little of
SHORTAGES = {
    "nofile": [str(n) for n in range(3, 160)],
    "as": [f"{n}M" for n in list(range(8, 64, 2)) + list(range(64, 256, 16))],
    "cgroup": [f"{n}M" for n in range(1, 41)],
    "readonly": ["bpffs", "disk"],
    "full": ["disk"],
}
# Of these less than is enough is tried
GROWING = ("nofile", "as", "cgroup")
GROUPS = (("/sys/fs/cgroup", "cgroup.controllers", "memory.max"),
          ("/sys/fs/cgroup", "memory.limit_in_bytes", "memory.limit_in_bytes"))
PORTS = (53, 54, 80)
SOURCES = ("192.0.2.2", "198.51.100.1", "198.51.100.2")
WORK = tempfile.mkdtemp()
CHANGED = os.path.join(WORK, "changed")
HERE = os.path.dirname(os.path.abspath(__file__))
# File systems of this run alone, where verbs keep files, and one for files that they are told
DISKS = ("/var/lib", "/run", "/mnt")
CLONE_NEWNET = 0x40000000
NEVER = 99 # of a daemon that does not do what it is for
# Changes at runtime, which outlive a reboot; they stand behind this line of a state
KEPT, KEEPS = "/var/lib/ecbpf", "\nkept:\n"
# What a verb says whose change is made but could not be kept
LOST = ("will be lost at the next start", "changes at runtime are not kept")
# A daemon that could not do its work, and says why
PATIENT = "waiting for it"
# Of what it has replaced
LEFT = "~: cannot remove it"
# What the doctor finds where a kernel has less
ABSENT = ("frags-missing", "freplace-missing", "resize-refused")
# Of what is declared, which counts only when the log of changes is lost
DECLARED_NOTE = "cannot note the declared objects"
# Whose note of what is loaded, which status compares with, could not be made or removed
NOTED = ("this note of its programs", "the note of its programs")
# Then export does not take what is there for all that is to be there, and has no text to compare
LACKS = "is to run there, and is not attached, so the export would lack it"


def sh(command, check=True):
    """A command of the test itself, by the shell if it has to be"""
    argv = ["bash", "-c", command] if re.search("[;>|]", command) else shlex.split(command)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60,
                          stdin=subprocess.DEVNULL)
    if check and done.returncode:
        raise RuntimeError(f"{command}: {done.returncode}: {done.stderr.strip()}")
    return done


def write(name, text):
    """A file below WORK; its path"""
    path = os.path.join(WORK, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


RULES = write("rules", 'set bad { 198.51.100.7 }\n'
                       'ip from any to any udp dport 53 drop name "dns"\n'
                       'count ip from @bad to any udp name "bad"\n')
RULES2 = write("rules2", 'set bad { 198.51.100.7 }\n'
                         'ip from any to any udp dport {53, 54} drop name "dns"\n')
SET = write("set", "198.51.100.9\n203.0.113.0/24\n")
LIST = write("list", "198.51.100.1\n203.0.113.0/24\n")
LIST2 = write("list2", "198.51.100.1\n198.51.100.2\n")
CONF = write("ecbpf.conf", f"""[interfaces]
ingress = s0
[chain]
stages = filter,fw,fastpath,sampler
fused = yes
[filter]
frags = drop
[fw]
rules = {RULES2}
[sampler]
rate = 1000
""")

CONF2 = write("two.conf", open(CONF, encoding="ascii").read().replace("= s0", "= s0 s1"))
CAPTURE = os.path.join(WORK, "capture")
with open(CAPTURE, "wb") as capture: # a frame without content
    capture.write(struct.pack("=IHHiIIIIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1, 0, 0, 60, 60) +
                  bytes(60))

BLOCKED = write("blocked", "198.51.100.1\n")
BEFORE = f"""[interfaces]
ingress = s0
[chain]
stages = filter,fw,sampler
fused = yes
[filter]
drop = {BLOCKED}
allow =
vip =
[fw]
rules = {RULES}
[sampler]
rate = 1000
"""
FASTPATH = """[fastpath]
flows = 1000
exclude = 203.0.113.5
"""

# What a verb begins with: commands. The fast path costs the verifier half a second
EMPTY = ()
THREE = ("ecbpf-loader apply --allow-empty " + write("three.conf", BEFORE),)
EACH = ("ecbpf-loader apply --allow-empty " +
        write("each.conf", BEFORE.replace("rate = 1000", "rate = 1")),)
TWO = ("ecbpf-loader apply --allow-empty " +
       write("two-before.conf", BEFORE.replace("= s0", "= s0 s1")
             .replace("fw,sampler", "fw,fastpath,sampler") + FASTPATH),)
FULL = ("ecbpf-loader apply --allow-empty " +
        write("full.conf", BEFORE.replace("fw,sampler", "fw,fastpath,sampler") + FASTPATH),)
STALE = ("ip address flush to 203.0.113.99 dev s0", *THREE,
         "ip address add 203.0.113.99/32 dev s0")
# Both slots of the firewall have maps, which the next change writes over
SLOTS = (*THREE, "ecbpf-fw rule add 'ip from any to any udp dport 55 drop name \"y\"'",
         "ecbpf-fw rule delete y")
WAITS = (*SLOTS, f"ecbpf-fw apply -f {RULES2} --confirm 1h")
# Verbs that change something: what they begin with, the command
CHANGES = {
    "filter-load": (EMPTY, "ecbpf-filter load --fused s0"),
    "fw-load": (EMPTY, f"ecbpf-fw load --fused -f {RULES2} s0"),
    "fastpath-load": (EMPTY, "ecbpf-fastpath load --fused -i s0 --flows 1000"),
    "sampler-load": (EMPTY, "ecbpf-sampler load --fused --rate 1000 s0"),
    "loader-load": (EMPTY, "ecbpf-loader load --fused pass,count s0"),
    "loader-apply": (EMPTY, f"ecbpf-loader apply {CONF}"),
    "filter-unload": (THREE, "ecbpf-filter unload"),
    "fw-unload": (THREE, "ecbpf-fw unload"),
    "fastpath-unload": (FULL, "ecbpf-fastpath unload"),
    "sampler-unload": (THREE, "ecbpf-sampler unload s0"),
    "loader-unload": (FULL, "ecbpf-loader unload --all s0"),
    "loader-apply-full": (FULL, f"ecbpf-loader apply {CONF}"),
    "loader-apply-stop": (FULL, f"ecbpf-loader apply --stop {CONF}"),
    "fw-load-two": (EMPTY, f"ecbpf-fw load --fused -f {RULES2} s0,s1"),
    "fastpath-load-two": (EMPTY, "ecbpf-fastpath load --fused -i s0,s1 --flows 1000"),
    "loader-apply-two": (EMPTY, f"ecbpf-loader apply {CONF2}"),
    "loader-apply-less": (TWO, f"ecbpf-loader apply {CONF}"),
    "loader-apply-stop-two": (TWO, f"ecbpf-loader apply --stop {CONF2}"),
    "loader-unload-two": (TWO, "ecbpf-loader unload --all s0,s1"),
    "fastpath-unload-two": (TWO, "ecbpf-fastpath unload"),
    "loader-replace": (("ecbpf-loader load --fused pass,count s0",),
                       "ecbpf-loader replace s0 ecbpf_fused --fused pass"),
    "loader-refresh": (STALE, "ecbpf-loader refresh"),
    "loader-clean": (THREE, "ecbpf-loader clean s0"),
    "loader-clean-all": (("ecbpf-loader load --fused pass s0", "ecbpf-loader unload --all s0"),
                         "ecbpf-loader clean --all"),
    "loader-export": (THREE, "ecbpf-loader export -d /mnt"),
    "loader-export-again": ((*THREE, "ecbpf-loader export -d /mnt",
                             "ecbpf-filter drop add 198.51.100.2"), "ecbpf-loader export -d /mnt"),
    "loader-metrics-file": (THREE, "ecbpf-loader metrics -o /mnt/metrics s0"),
    "fw-apply": (SLOTS, f"ecbpf-fw apply -f {RULES2}"),
    "fw-apply-confirm": (SLOTS, f"ecbpf-fw apply -f {RULES2} --confirm 1h"),
    "fw-confirm": (WAITS, "ecbpf-fw confirm"),
    "fw-undo": (WAITS, "ecbpf-fw undo"),
    "fw-panic": (THREE, "ecbpf-fw panic drop"),
    "fw-set-setting": (THREE, "ecbpf-fw set malformed=pass"),
    "fw-rule-add": (SLOTS, "ecbpf-fw rule add 'ip from any to any udp dport 54 drop name \"x\"'"),
    "fw-rule-insert": (THREE, "ecbpf-fw rule insert 1 'ip from any to any udp dport 54 drop'"),
    "fw-rule-delete": (SLOTS, "ecbpf-fw rule delete dns"),
    "fw-rule-replace": (THREE, "ecbpf-fw rule replace dns 'ip from any to any udp dport 54 drop'"),
    "fw-set-create": (THREE, "ecbpf-fw set create other"),
    "fw-set-destroy": (SLOTS + ("ecbpf-fw set create other",), "ecbpf-fw set destroy other"),
    "fw-set-add": (THREE, "ecbpf-fw set add bad 198.51.100.8"),
    "fw-set-delete": (THREE, "ecbpf-fw set delete bad 198.51.100.7"),
    "fw-set-replace": (THREE, f"ecbpf-fw set replace bad -f {SET}"),
    "fw-set-flush": (THREE, "ecbpf-fw set flush bad"),
    "filter-set": (THREE, "ecbpf-filter set frags=drop"),
    "filter-drop-add": (THREE, "ecbpf-filter drop add 198.51.100.2"),
    "filter-drop-delete": (THREE, "ecbpf-filter drop delete 198.51.100.1"),
    "filter-drop-import": (THREE, f"ecbpf-filter drop import --replace -f {LIST2}"),
    "filter-drop-flush": (THREE, "ecbpf-filter drop flush"),
    "filter-allow-add": (THREE, "ecbpf-filter allow add 198.51.100.1"),
    "filter-vip-add": (THREE, "ecbpf-filter vip add 203.0.113.80"),
    "filter-refresh": (STALE, "ecbpf-filter refresh"),
    "fastpath-set": (FULL, "ecbpf-fastpath set lease=5000"),
    "fastpath-exclude-add": (FULL, "ecbpf-fastpath exclude add 203.0.113.6"),
    "fastpath-exclude-delete": (FULL, "ecbpf-fastpath exclude delete 203.0.113.5"),
    "fastpath-refresh": (FULL + ("tc filter del dev s0 egress",), "ecbpf-fastpath refresh"),
    "fastpath-flush": (FULL, "ecbpf-fastpath flush --all"),
    "sampler-set": (THREE, "ecbpf-sampler set --rate 500"),
    "sampler-keygen": (EMPTY, "ecbpf-sampler keygen /mnt/key"),
    "pcap-write": (EMPTY, "ecbpf-pcap -w /mnt/samples -e ipc:///run/none --duration 1"),
}
# What these would remove is not there
UNSEEN = ("loader-clean", "fastpath-flush")
# Verbs that change nothing. Status 0 means that they printed all
READS = {
    "loader-status": (THREE, "ecbpf-loader status"),
    "loader-status-json": (THREE, "ecbpf-loader status -j"),
    "loader-metrics": (THREE, "ecbpf-loader metrics s0"),
    "loader-doctor": (FULL, "ecbpf-loader doctor -j"),
    "loader-print": (THREE, "ecbpf-loader export"),
    "loader-apply-check": (EMPTY, f"ecbpf-loader apply -c {CONF}"),
    "loader-apply-check-full": (FULL, f"ecbpf-loader apply -c {CONF}"),
    "fw-status": (THREE, "ecbpf-fw status"),
    "fw-stats": (THREE, "ecbpf-fw stats -j"),
    "fw-check": (EMPTY, f"ecbpf-fw check -f {RULES2}"),
    "fw-apply-check": (THREE, f"ecbpf-fw apply -c -f {RULES2}"),
    "fw-rule-list": (THREE, "ecbpf-fw rule list"),
    "fw-set-list": (THREE, "ecbpf-fw set list"),
    "fw-set-list-one": (THREE, "ecbpf-fw set list bad"),
    "filter-status": (THREE, "ecbpf-filter status"),
    "filter-drop-list": (THREE, "ecbpf-filter drop list"),
    "filter-vip-list": (THREE, "ecbpf-filter vip list"),
    "fastpath-status": (FULL, "ecbpf-fastpath status"),
    "fastpath-flows": (FULL, "ecbpf-fastpath flows"),
    "fastpath-exclude-list": (FULL, "ecbpf-fastpath exclude list"),
    "fastpath-check": (FULL, "ecbpf-fastpath check"),
    "sampler-status": (THREE, "ecbpf-sampler status"),
    "loader-stages": (EMPTY, "ecbpf-loader stages"),
    "fw-test": (EMPTY, f"ecbpf-fw test -f {RULES2} -r {CAPTURE}"),
    "fastpath-stats": (FULL, "ecbpf-fastpath stats 1 1"),
    "fastpath-explain": (FULL, "ecbpf-fastpath explain tcp 198.51.100.2:400 192.0.2.1:80"),
    "pcap-print": (EMPTY, "ecbpf-pcap --print -e ipc:///run/none --duration 1"),
}
# Processes that stay: what they begin with, the command, commands that bring about what it is for.
# They end with an error, or go on, and the host is like that within DECLARED seconds; SIGINT ends
# them. The sampler has to publish as well
DAEMONS = {
    "loader-watch": (EMPTY, f"ecbpf-loader watch {CONF}", (f"ecbpf-loader apply {CONF}",)),
    "sampler-run": (EACH, "ecbpf-sampler run --bind ipc:///run/samples", EACH),
}
DECLARED = 30
# What libzmq says when it gets no thread, or no descriptor for one: it has no other answer
BUS = ("sampler-run", "pcap-write", "pcap-print")
ABORT = re.compile(r"\(src/\w+\.cpp:\d+\)")
VERBS = {**CHANGES, **READS, **DAEMONS}
# Calls of a daemon are never the same twice; others take seconds a run
NOT_SAMPLED = (*DAEMONS, "fastpath-load-two", "fastpath-unload-two", "loader-apply-less",
               "loader-apply-stop-two", "loader-unload-two", "pcap-write", "pcap-print",
               "fastpath-stats")
SAMPLED = tuple(name for name in VERBS if name not in NOT_SAMPLED)


class Probe:
    """Frames from the other end of s0's cable: which of them arrive behind XDP?"""

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net", encoding="ascii") as ours, \
                open("/run/netns/peer", encoding="ascii") as peer:
            assert not libc.setns(peer.fileno(), CLONE_NEWNET)
            self.out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.out.bind(("p0", 0))
            assert not libc.setns(ours.fileno(), CLONE_NEWNET)
        self.inp = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.inp.bind(("s0", 3))
        self.inp.settimeout(2)
        self.number = 0

    def frame(self, source, port, number):
        """UDP from this source to this port; the payload says which one it is"""
        payload = struct.pack("!QHH", 0xecb0fecb0f, number, port) + socket.inet_aton(source)
        udp = struct.pack("!HHHH", 4000, port, 8 + len(payload), 0) + payload
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                           socket.inet_aton(source), socket.inet_aton("192.0.2.1"))
        total = sum(struct.unpack("!10H", head))
        total = (total & 0xffff) + (total >> 16)
        head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + head[12:]
        return b"\xff" * 6 + b"\2\0\0\0\0\2\x08\0" + head + udp

    def passed(self):
        """The (source, port) of those that arrive; the last one is no IP, which always does"""
        for _ in range(10): # a machine may be busy for as long
            arrived = self.pass_once()
            if arrived is not None:
                return arrived
        return {"nothing arrives"}

    def pass_once(self):
        """Likewise; None: the last one is not there within two seconds"""
        self.number = (self.number + 1) & 0xffff
        last = b"\xff" * 6 + b"\2\0\0\0\0\2\x88\xb5" + struct.pack("!QH", 0xecb0fecb0f, self.number)
        for source in SOURCES:
            for port in PORTS:
                self.out.send(self.frame(source, port, self.number))
        self.out.send(last.ljust(60, b"\0"))
        arrived = set()
        while True:
            try:
                data = self.inp.recv(256)
            except socket.timeout:
                return None
            if data[:len(last)] == last:
                return arrived
            at = data.find(struct.pack("!QH", 0xecb0fecb0f, self.number))
            if at > 0:
                port, = struct.unpack_from("!H", data, at + 10)
                arrived.add(f"{socket.inet_ntoa(data[at + 12:at + 16])}:{port}")


class Host:
    """What is declared, attached and pinned, as a text"""

    def __init__(self):
        self.probe = Probe()
        self.fingerprint = Fingerprint(*DISKS)
        self.known = {}

    def __call__(self, commands, is_wanted=None):
        """Bring this about, with little effort if it can be told whether that was enough"""
        if is_wanted and commands:
            self.wipe()
            for command in commands:
                sh(command, check=False)
            state = self.state()
            if is_wanted(state):
                return state
        self.reset(commands)
        return self.state()

    def begin(self, commands):
        """Bring this about for a verb, whatever verb was there before"""
        self.reset(commands)
        return self.state()

    def wipe(self):
        """No files"""
        for path in (os.path.join(top, name) for top in DISKS for name in os.listdir(top)):
            if os.path.basename(path) != "netns":
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def reset(self, commands):
        """Nothing is there, and then what these commands bring"""
        sh("for i in s0 s1; do ip link set $i xdp off; ip link set $i xdpgeneric off;"
           "tc qdisc del dev $i clsact; done; ip address flush to 203.0.113.99 dev s0", check=False)
        for name in ("ecbpf", "xdp"):
            shutil.rmtree(os.path.join("/sys/fs/bpf", name), ignore_errors=True)
        self.wipe()
        for command in commands:
            sh(command)

    def key(self):
        """What the state depends on: the fingerprint, and the notes, which status tells of"""
        return self.fingerprint(), self.fingerprint.notes()

    def forget(self):
        """What was read may be wrong, as a tool may have failed to read it: read it again"""
        self.known.pop(self.key(), None)

    def state(self):
        """Text. What has the same fingerprint as before need not be read through ecbpf again"""
        key = self.key()
        if key not in self.known:
            self.known[key] = self.read(key[0])
        return "passed: " + " ".join(sorted(self.probe.passed())) + "\n" + self.known[key]

    @staticmethod
    def read(now):
        """The same by the tools, which can be compared with that of another time"""
        out = []
        with tempfile.TemporaryDirectory(dir=WORK) as directory:
            done = sh(f"ecbpf-loader export -d {directory}", check=False)
            out.append(f"export: {done.returncode} {done.stderr}\n{done.stdout}"
                       .replace(directory, ""))
            for path in sorted(glob.glob(directory + "/*")):
                with open(path, encoding="utf-8") as file:
                    out.append(f"{os.path.basename(path)}:\n{file.read()}")
        for command in ("ecbpf-fw rule list", "ecbpf-filter vip list", "ecbpf-loader status",
                        "ecbpf-fastpath status", "ecbpf-sampler status"):
            done = sh(command, check=False)
            out.append(f"{command}: {done.returncode} {plain(done.stderr.encode())}".rstrip())
        out += [line.split(":")[0] for line in sh("ecbpf-fw status", check=False).stdout.splitlines()
                if line.startswith(("waiting", "panic"))]
        # clsact stays, as it may be another's by now; without a filter it does nothing
        links, _, filters, directories, pins, files = now
        out.append("xdp: " + " ".join(f"{index}/{constants(xdp)}" for index, xdp in links
                                      if len(xdp) > 1))
        out.append(f"tc: {sum(map(len, filters))}")
        out.append("pins: " + " ".join(pin[0] for pin in pins))
        out.append("directories: " + " ".join(directories))
        out += [f"{pin[0]}: {pin[2]}" for pin in pins if pin[0].endswith("filter_addrs")]
        out += [f"file {path}: {len(data) if '/key' in path else plain(data)}"
                for path, data in files if not path.startswith(KEPT)]
        return "\n".join(out) + KEEPS + "\n".join(f"{path}: {plain(data)}" for path, data in files
                                                   if path.startswith(KEPT))


def constants(xdp):
    """Of the programs attached there, as a number"""
    return zlib.crc32(repr([value[-1] for _, value in xdp if isinstance(value, tuple)]).encode())


def plain(data):
    """Content of a file without what is never the same twice: numbers"""
    return re.sub(r"[0-9]+", "0", data.decode(errors="replace"))


def run(argv):
    """(exit status or None if it does not end, stdout, stderr)"""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60,
                              stdin=subprocess.DEVNULL, errors="replace")
    except subprocess.TimeoutExpired:
        return None, "", ""
    return done.returncode, done.stdout, done.stderr


def stay(argv, is_there):
    """As run(), of a process that stays: until this is true, and a second more, then SIGINT"""
    with open(os.path.join(WORK, "said"), "w+", encoding="utf-8", errors="replace") as said, \
            subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said) as process:
        end, more = time.monotonic() + DECLARED, 0
        try:
            while process.poll() is None and time.monotonic() < end and more < 10:
                time.sleep(0.1)
                more = more + 1 if is_there() else 0
        except BaseException:
            process.kill() # else this would wait for it
            raise
        status = process.poll()
        if status is None and not more:
            status = NEVER
        if process.poll() is None:
            pid = process.pid
            if argv[0].endswith("/inject"):
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
                    pid = int((children.read().split() or [pid])[0])
            os.kill(pid, signal.SIGINT)
            try:
                status = status or process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                return None, "", ""
        said.seek(0)
        return status, "", said.read()


def start(argv, is_there):
    """As run(); a process that stays if there is a question"""
    return stay(argv, is_there) if is_there else run(argv)


def recorded(command, is_there=None):
    """Run it; (exit status, stdout, stderr, [(name of a call, may it change
    something, way to it)])"""
    log = os.path.join(WORK, "calls")
    argv = [os.path.join(WORK, "inject"), "-r", log, *shlex.split(command)]
    result = start(argv, is_there)
    with open(log, encoding="ascii") as file:
        return *result, [(name, changes == "1", tuple(way))
                         for name, changes, *way in map(str.split, file)]


def with_disks(kind, value, start):
    """Run it while file systems are read-only, or full"""
    places = ("/sys/fs/bpf",) if value == "bpffs" else DISKS
    if kind == "readonly":
        sh("".join(f"mount -n -o remount,ro {place};" for place in places))
    else:
        sh("".join(f"head -c 2M /dev/zero >{place}/filler;" for place in places), check=False)
    try:
        return start()
    finally:
        if kind == "readonly":
            sh("".join(f"mount -n -o remount,rw {place};" for place in places))
        else:
            sh("".join(f"rm -f {place}/filler;" for place in places))


def group_of(value):
    """A new control group with this much memory; None: this host has none"""
    for top, sign, limit in GROUPS:
        if not os.path.exists(os.path.join(top, sign)):
            continue
        if sign == "cgroup.controllers":
            sh(f"echo +memory >{top}/cgroup.subtree_control", check=False)
        group = f"{top}/ecbpf-faults-{os.getpid()}"
        os.makedirs(group, exist_ok=True)
        if not sh(f"echo {value} >{group}/{limit}", check=False).returncode:
            return group
        os.rmdir(group)
    return None


def short_of(command, kind, value, is_there):
    """Run it with too little of something; as run()"""
    argv = shlex.split(command)
    if kind == "nofile":
        return start(["prlimit", "--nofile=" + value, *argv], is_there)
    if kind == "as":
        return start(["prlimit", f"--as={int(value[:-1]) << 20}", *argv], is_there)
    if kind in ("readonly", "full"):
        return with_disks(kind, value, lambda: start(argv, is_there))
    group = group_of(int(value[:-1]) << 20)
    try:
        return start(["bash", "-c", f"echo $$ >{group}/cgroup.procs; exec {command}"], is_there)
    finally:
        sh(f"rmdir {group}", check=False)


def faulty(command, kind, error, number, is_there=None):
    """Run it with this fault; as run()"""
    if kind in SHORTAGES:
        return short_of(command, kind, error, is_there)
    fault = f"{kind}:{getattr(errno, error)}:{number}"
    argv = [os.path.join(WORK, "inject"), "-c", CHANGED, "-f", fault, *shlex.split(command)]
    return start(argv, is_there)


def errors_of(kind):
    """What a call may fail with"""
    return ERRORS.get(kind) or ERRORS[kind.split(".")[0]]


def comparable(state, verb=None):
    """A verb that fails may leave the directories where it wanted to lock, as somebody else may
    wait there by now. One that only reads has nothing to lock"""
    if verb in READS:
        return state
    return re.sub(r"(?m)^directories: .*",
                  lambda line: re.sub(r" \S+/(ecbpf|xdp)(?= |$)", "", line[0]), state)


def running(state):
    """The state without what is kept for the next start"""
    return re.sub(r"(?m)^\n?# (  |Changed at runtime).*\n", "", state.partition(KEEPS)[0])


def effect(state):
    """What packets meet. A stage that is off does nothing, whether it is gone or not"""
    return [re.sub(r"/\d+", "", line) for line in
            re.findall(r"(?m)^(?:passed|xdp|tc): .*", state)]


def without_status(state, is_exported):
    """The state without what a note is for"""
    if not is_exported:
        state = re.sub(r"(?ms)^export: .*?(?=^ecbpf-fw rule list:)", "", state)
    return re.sub(r"(?m)^ecbpf-loader status:.*\n(?:ecbpf-loader: .*\n)*", "", state)


def without_declared(state):
    """The state without the note of what is declared, and its directory if that is all in it"""
    return re.sub(r"(?s)\nfile /run/ecbpf(?:/declared-\d+)?: .*?(?=\nfile |\nkept:)", "", state)


def without_left(state):
    """The state without files that a verb said it has left"""
    return re.sub(r"(?s)\nfile \S+/\.ecbpf-\S+~: .*?(?=\nfile |\nkept:)", "", state)


def admitted(state, now, status, stderr):
    """The state without what a verb said that it could not do, beside what it is for"""
    if any(text in stderr for text in NOTED):
        state = without_status(state, LACKS not in now)
    if DECLARED_NOTE in stderr:
        state = without_declared(state)
    if LEFT in stderr:
        state = without_left(state)
    return running(state) if status == 0 and any(text in stderr for text in LOST) else state


def differences(there, wanted):
    """Lines that are there but should not be, and the reverse"""
    there, wanted = there.splitlines(), wanted.splitlines()
    lines = [line[:200] for line in difflib.ndiff(wanted, there) if line[0] in "+-"]
    return (f"\n      there:   {[line[2:] for line in lines if line[0] == '+'][:6]}"
            f"\n      missing: {[line[2:] for line in lines if line[0] == '-'][:6]}")


def published():
    """By the sampler's daemon; 0 if there is none"""
    status = json.loads(sh("ecbpf-sampler status -j", check=False).stdout or "{}")
    return status.get("daemon", False) and status["published"]


SEEN = set() # the steps of all ways to failing calls that only ask


class Verb:
    """One verb: what it changes, what it prints"""

    def __init__(self, host, name):
        self.host, self.name = host, name
        self.before, self.command = VERBS[name][:2]
        self.published = None # before
        self.old = self.text(host.begin(self.before))
        if name in DAEMONS:
            self.new = self.text(host(DAEMONS[name][2]))
            host.reset(self.before)
        self.status, self.output, self.stderr, self.ways = recorded(
            self.command, self.is_declared if name in DAEMONS else None)
        self.calls = collections.Counter(kind for kind, _, _ in self.ways)
        self.new = self.text(host.state())
        self.now = self.new
        self.broken, self.is_enough = None, False
        if self.status:
            self.broken = f"without a fault: status {self.status}: {self.stderr.strip()}"
        elif name in READS and self.new != self.old:
            self.broken = "it changes something" + differences(self.new, self.old)
        elif name in CHANGES and name not in UNSEEN and self.new == self.old:
            self.broken = "it changes nothing that is seen here"

    def is_declared(self):
        """Is the host as a daemon has to bring it about?"""
        if running(self.text(self.host.state())) != running(self.new):
            return False
        if self.name != "sampler-run":
            return True
        count = published() # state() has sent packets
        if self.published is None:
            self.published = count
        return count > self.published

    def text(self, state):
        """What is compared"""
        if self.name in DAEMONS: # files say what it is at
            state = re.sub(r"(?ms)^file .*", "", running(state))
            state = re.sub(r"(?m)^directories: .*\n?", "", state).rstrip()
        return comparable(state, self.name)

    def prepare(self):
        """The state before; a text if it is another one now"""
        if self.now == self.old:
            return None
        now = self.text(self.host(self.before, lambda state: self.text(state) == self.old))
        self.now = now
        if now == self.old:
            return None
        problem = "the state before is not what it was" + differences(now, self.old)
        self.old = now
        return problem

    def judge(self, kind, error, status, stdout, stderr):
        """What is wrong with it: a text, or nothing"""
        cause = os.strerror(getattr(errno, error, 0))
        if status == NEVER and kind in GROWING and PATIENT in stderr:
            return None # for what never comes
        if status == NEVER:
            return (f"it goes on, but the host is not as declared after {DECLARED} s"
                    f"{differences(self.now, self.new)}\n      stderr:  {stderr.strip()[:300]}")
        if self.name in DAEMONS and status == 1 and stderr.strip() and self.now == self.new:
            return None # what it has done stays, as if it was killed
        if status is None:
            return "does not end"
        if self.name in BUS and kind not in SHORTAGES and ABORT.search(stderr):
            return None
        killed = "shared libraries" in stderr or kind == "as" and (status < 0 or status > 128)
        if kind == "cgroup" and status in (-9, 137):
            return self.judge_killed()
        if killed:
            return None if self.now == self.old else "did not begin, but there is a change"
        if status < 0 or status > 100:
            return f"ended with status {status}: {stderr.strip()}"
        if self.name in CHANGES and status == 1 and "standard output:" in stderr and \
                self.now == self.new: # done, but what was done could not be printed
            return None
        want, name = (self.new, "new") if status == 0 else (self.old, "old")
        if admitted(self.now, self.now, status, stderr) == \
                admitted(want, self.now, status, stderr):
            want = self.now
        if self.now != want:
            other = "the other one" if self.now in (self.old, self.new) else "neither"
            return (f"status {status}, but the state is not {name}; it is {other}"
                    f"{differences(self.now, want)}\n      stderr:  {stderr.strip()[:300]}")
        if status and not (stderr + stdout).strip():
            return f"status {status} without a word"
        absent = [code for code in ABSENT if code in stdout and code not in self.output]
        if absent and error != "EPERM": # which is an answer of kernels without
            return f"a fault is told as what this kernel lacks: {' '.join(absent)}"
        if status == 0 and self.name in READS and cause not in stderr + stdout and \
                self.plain(stdout) != self.plain(self.output):
            return ("status 0 without a word, but the output is another one"
                    f"{differences(self.plain(stdout), self.plain(self.output))}")
        return None

    def judge_killed(self):
        """No verb can take back what it did before that: packets meet the old or the new, and it
        does the rest when it is run again"""
        if self.now in (self.old, self.new):
            return None
        # settings and rules are changed before chains: each by itself is the old one or the new one
        if any(line not in lines for line, *lines in
               zip(effect(self.now), effect(self.old), effect(self.new))):
            return "killed, in between" + differences(self.now, self.old)
        status, _, stderr = run(shlex.split(self.command))
        self.now = self.text(self.host.state())
        # a change that was logged, but not made, is in the log twice: it is the same one
        return None if running(self.now) == running(self.new) and \
            set(self.now.splitlines()) == set(self.new.splitlines()) else (
            f"killed, then run again: status {status}{differences(self.now, self.new)}\n"
            f"      stderr:  {stderr.strip()[:300]}")

    @staticmethod
    def plain(text):
        """Without numbers, which count packets and time, but not maps, and their columns"""
        text = re.sub(r"\(freplace: [^)]*\)", "", text) # why not, which is any error
        return re.sub(r"\b[0-9.]+(?! maps)", "0", re.sub(r"[ -]+", " ", text))

    def chosen(self):
        """Which calls stand for all, with which errors: (name, error, number)"""
        count, ways = collections.Counter(), {}
        turn, is_changed = collections.Counter(), False
        for kind, changes, way in self.ways:
            count[kind] += 1
            is_changed |= changes
            ways.setdefault((kind, way, changes, is_changed), []).append(count[kind])
        for (kind, way, changes, is_changed), numbers in ways.items():
            errors = errors_of(kind)
            steps = {(is_changed, *step) for step in ((kind, way[0]), *zip(way, way[1:]))}
            if changes:
                yield from ((kind, error, numbers[0]) for error in errors)
                numbers = {numbers[len(numbers) // 2], numbers[-1]} - {numbers[0]}
            elif steps <= SEEN:
                continue
            else:
                SEEN.update(steps)
                numbers = {numbers[0], numbers[-1]}
            for number in sorted(numbers):
                yield kind, errors[turn[kind] % len(errors)], number
                turn[kind] += 1

    def runs(self, is_all=False):
        """The plan: (kind, error, number)"""
        plan = sorted(((kind, error, number) for kind, count in self.calls.items()
                       for number in range(1, count + 1) for error in errors_of(kind))
                      if is_all else self.chosen())
        return plan + [(kind, value, 0) for kind, values in SHORTAGES.items() for value in values
                       if self.name not in DAEMONS or kind in GROWING] # disks are of this run, too

    def draw(self, count, seed):
        """A sample of them; a name of a call before the call, as some are made a thousand times"""
        dice = random.Random(f"{seed}/{self.name}")
        drawn = set()
        for _ in range(200 * count):
            is_short, name, error, at = (dice.random() for _ in range(4))
            is_short = is_short < 0.05 and self.name not in DAEMONS
            names = sorted(SHORTAGES) if is_short else NAMES
            kind = names[int(name * len(names))]
            errors = SHORTAGES.get(kind) or errors_of(kind)
            if is_short or self.calls[kind]:
                drawn.add((kind, errors[int(error * len(errors))],
                           self.calls[kind] and 1 + int(at * self.calls[kind])))
            if len(drawn) == count:
                break
        return sorted(drawn)

    def one(self, kind, error, number):
        """One run. (passed, failed)"""
        failed = 0
        problem = self.prepare() # the host is as in self.old now
        if problem:
            failed += 1
            print(f"FAIL {self.name}: {problem}", flush=True)
        self.is_enough, self.published = False, None
        status, stdout, stderr = faulty(self.command, kind, error, number,
                                        self.is_declared if self.name in DAEMONS else None)
        if status == 124: # other objects of the host are fewer now: no such call
            status = 0
        # without a call that may change something, the host is as before
        if kind in SHORTAGES or os.path.exists(CHANGED):
            self.now = self.text(self.host.state())
        if os.path.exists(CHANGED):
            os.unlink(CHANGED)
        problem = self.judge(kind, error, status, stdout, stderr)
        self.is_enough = status == 0 and stderr == self.stderr and not problem
        if not problem:
            return 1, failed
        self.host.forget()
        print(f"FAIL {self.name}: {kind} {error} {number}: {problem}\n      again:   "
              f"testing/faults/run --verb {self.name} --at {kind}:{error}:{number}", flush=True)
        return 0, failed + 1


def coverage(verb, done, seconds):
    """Of each kind: runs / calls of this kind"""
    runs = collections.Counter(kind.split(".")[0] for kind, _, _ in done)
    calls = collections.Counter()
    for kind, count in verb.calls.items():
        calls[kind.split(".")[0]] += count
    injected = collections.Counter(kind.split(".")[0] for kind, number in
                                   {(kind, number) for kind, _, number in done})
    parts = [f"{kind} {injected[kind]}/{count}" for kind, count in sorted(calls.items())]
    parts += [f"{kind} {runs[kind]}/{len(SHORTAGES[kind])}" for kind in SHORTAGES if runs[kind]]
    return f"{len(done)} runs in {seconds:.0f} s: {', '.join(parts)}"


def begun(args, name):
    """Another part has this verb"""
    if not args.claim:
        return False
    try:
        os.mkdir(os.path.join(args.claim, name))
    except FileExistsError:
        return True
    return False


def wanted_runs(verb, args, at):
    """Those runs of the verb that are to be made here"""
    part, parts = map(int, args.part.split("/"))
    if args.at:
        kind, error, number = (args.at + ":0").split(":")[:3]
        return [(kind, error, int(number))]
    if args.sample:
        names = args.verb or SAMPLED
        count = args.sample // len(names) + (at < args.sample % len(names))
        plan = verb.draw(count, args.seed)
    else:
        plan = [one for one in verb.runs(args.all)
                if args.call in (None, one[0], one[0].split(".")[0])]
    if group_of(1 << 30) is None:
        plan = [one for one in plan if one[0] != "cgroup"]
    return plan if args.claim else plan[part::parts]


def main():
    """See above"""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, metavar="N", help="draw N runs (default: all)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--seconds", type=int, default=1 << 30, help="begin no run after so many")
    parser.add_argument("--verb", action="append", choices=sorted(VERBS), help="default: all")
    parser.add_argument("--call", help="this call, such as bpf or bpf.MAP_CREATE, or this "
                        "shortage only: " + ", ".join(SHORTAGES))
    parser.add_argument("--at", metavar="CALL:ERROR:N", help="this one fault only")
    parser.add_argument("--part", default="0/1", metavar="I/N", help="part I of N, from 0 on")
    parser.add_argument("--claim", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help="calls that others stand for, too")
    parser.add_argument("--list", action="store_true", help="say how many runs there are")
    args = parser.parse_args()
    begin = time.monotonic()
    sh(f"cc -O2 -o {WORK}/inject {HERE}/inject.c")
    host = Host()
    passed = failed = total = 0
    print(f"seed {args.seed}", flush=True)
    for at, name in enumerate(args.verb or (SAMPLED if args.sample else VERBS)):
        if time.monotonic() - begin > args.seconds:
            print(f"stopped after {args.seconds} s, before {name}")
            break
        if begun(args, name):
            continue
        start = time.monotonic()
        verb = Verb(host, name)
        if verb.broken:
            print(f"FAIL {name}: {verb.broken}", flush=True)
            failed += 1
            continue
        plan = wanted_runs(verb, args, at)
        total += len(plan)
        if args.list:
            print(f"{name}: {len(plan)} runs")
            continue
        done, enough = [], collections.Counter()
        for one in plan:
            if time.monotonic() - begin > args.seconds:
                print(f"stopped after {args.seconds} s: {len(done)} of {len(plan)} runs")
                break
            if enough[one[0]] >= 4:
                continue
            good, bad = verb.one(*one)
            passed, failed = passed + good, failed + bad
            done.append(one)
            if one[0] in GROWING:
                enough[one[0]] = enough[one[0]] + 1 if verb.is_enough else 0
        print(f"{name}: {coverage(verb, done, time.monotonic() - start)}", flush=True)
    if args.list:
        print(f"{total} runs")
        return 0
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return int(failed != 0 or not passed)


try:
    sys.exit(main())
finally:
    shutil.rmtree(WORK)
