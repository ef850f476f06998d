#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Each verb with one failing system call: old or new, never between.

    faults.py [--sample N] [--seed N] [--verb NAME]... [--call NAME] [--list] [--keep-going N]

A verb is run once under strace to learn which calls it makes. Then it is run again for each call and
each error of that call, which strace puts in the place of the call ("inject"). After each run:

  - exit status 0: the host is as after the run without a fault; else as before it;
  - what is there can be read back (ecbpf-loader export), and packets that must be dropped are
    dropped, packets that must pass do pass;
  - the verb ended by itself within 20 s, not by a signal, and said in a line why it failed.

--sample N draws N of all these runs, by --seed. A violation prints the command that shows it again.
"""
import argparse
import ctypes
import glob
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

ERRORS = {
    "bpf": ("ENOMEM", "EPERM", "EAGAIN", "E2BIG"),
    "openat": ("EMFILE", "EACCES"),
    "mmap": ("ENOMEM",),
    "socket": ("EMFILE",),
    "sendto": ("ENOBUFS",),
    "sendmsg": ("ENOBUFS",),
    "recvmsg": ("ENOBUFS",),
    "recvfrom": ("ENOBUFS",),
    "read": ("EIO",),
    "write": ("ENOSPC",),
    "fsync": ("EIO",),
    "rename": ("EIO",),
    "mkdir": ("ENOSPC",),
    "mkdirat": ("ENOSPC",),
    "unlink": ("EPERM",),
    "unlinkat": ("EPERM",),
    "symlink": ("ENOSPC",),
    "flock": ("ENOLCK",),
    "fcntl": ("EMFILE",),
    "perf_event_open": ("EMFILE",),
}
PORTS = (53, 54, 80)
SOURCES = ("192.0.2.2", "198.51.100.1", "198.51.100.2")
WORK = tempfile.mkdtemp()
CLONE_NEWNET = 0x40000000


def sh(command, check=True):
    """A shell command of the test itself"""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False,
                          timeout=60, stdin=subprocess.DEVNULL)
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

# What a verb begins with: commands
EMPTY = ()
FULL = (
    "ecbpf-filter load --fused s0",
    "ecbpf-filter drop add 198.51.100.1",
    "ecbpf-fw load --fused s0",
    f"ecbpf-fw apply -f {RULES}",
    "ecbpf-fastpath load --fused -i s0 --flows 1000",
    "ecbpf-fastpath exclude add 203.0.113.5",
    "ecbpf-sampler load --fused --rate 1000 s0",
)
VERBS = {
    "filter-load": (EMPTY, "ecbpf-filter load --fused s0"),
    "fw-load": (EMPTY, f"ecbpf-fw load --fused -f {RULES2} s0"),
    "fastpath-load": (EMPTY, "ecbpf-fastpath load --fused -i s0 --flows 1000"),
    "sampler-load": (EMPTY, "ecbpf-sampler load --fused --rate 1000 s0"),
    "loader-load": (EMPTY, "ecbpf-loader load --fused pass,count s0"),
    "loader-apply": (EMPTY, f"ecbpf-loader apply {CONF}"),
    "filter-unload": (FULL, "ecbpf-filter unload"),
    "fw-unload": (FULL, "ecbpf-fw unload"),
    "fastpath-unload": (FULL, "ecbpf-fastpath unload"),
    "sampler-unload": (FULL, "ecbpf-sampler unload s0"),
    "loader-unload": (FULL, "ecbpf-loader unload --all s0"),
    "loader-apply-full": (FULL, f"ecbpf-loader apply {CONF}"),
    "loader-apply-stop": (FULL, f"ecbpf-loader apply --stop {CONF}"),
    "fw-apply": (FULL, f"ecbpf-fw apply -f {RULES2}"),
    "fw-rule-add": (FULL, "ecbpf-fw rule add 'ip from any to any udp dport 54 drop name \"x\"'"),
    "fw-rule-delete": (FULL, "ecbpf-fw rule delete dns"),
    "fw-rule-replace": (FULL, "ecbpf-fw rule replace dns 'ip from any to any udp dport 54 drop'"),
    "fw-set-create": (FULL, "ecbpf-fw set create other"),
    "fw-set-add": (FULL, "ecbpf-fw set add bad 198.51.100.8"),
    "fw-set-delete": (FULL, "ecbpf-fw set delete bad 198.51.100.7"),
    "fw-set-replace": (FULL, f"ecbpf-fw set replace bad -f {SET}"),
    "filter-set": (FULL, "ecbpf-filter set frags=drop"),
    "filter-drop-add": (FULL, "ecbpf-filter drop add 198.51.100.2"),
    "filter-drop-delete": (FULL, "ecbpf-filter drop delete 198.51.100.1"),
    "filter-drop-import": (FULL, f"ecbpf-filter drop import --replace -f {LIST2}"),
    "filter-allow-add": (FULL, "ecbpf-filter allow add 198.51.100.1"),
    "filter-vip-add": (FULL, "ecbpf-filter vip add 203.0.113.80"),
    "fastpath-set": (FULL, "ecbpf-fastpath set lease=5000"),
    "fastpath-exclude-add": (FULL, "ecbpf-fastpath exclude add 203.0.113.6"),
    "fastpath-exclude-delete": (FULL, "ecbpf-fastpath exclude delete 203.0.113.5"),
    "sampler-set": (FULL, "ecbpf-sampler set --rate 500"),
    "loader-clean": (FULL, "ecbpf-loader clean s0"),
}


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
                return {"nothing arrives"}
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

    def reset(self, commands):
        """Nothing is there, and then what these commands bring"""
        sh("ip link set s0 xdp off; ip link set s0 xdpgeneric off; tc qdisc del dev s0 clsact",
           check=False)
        for name in ("ecbpf", "xdp"):
            shutil.rmtree(os.path.join("/sys/fs/bpf", name), ignore_errors=True)
        for command in commands:
            sh(command)

    def state(self):
        """Text"""
        out = []
        directory = os.path.join(WORK, "export")
        shutil.rmtree(directory, ignore_errors=True)
        os.mkdir(directory)
        done = sh(f"ecbpf-loader export -d {directory}", check=False)
        out.append(f"export: {done.returncode} {done.stderr}\n{done.stdout}")
        for path in sorted(glob.glob(directory + "/*")):
            with open(path, encoding="utf-8") as file:
                out.append(f"{os.path.basename(path)}:\n{file.read()}")
        for command in ("ecbpf-fastpath exclude list", "ecbpf-fw rule list", "ecbpf-fw set list",
                        "ecbpf-filter vip list"):
            done = sh(command, check=False)
            out.append(f"{command}: {done.returncode}\n{done.stdout}")
        status = sh("ecbpf-loader status", check=False)
        out.append(f"status: {status.returncode}, xdp " +
                   str("prog/xdp" in sh("ip link show s0").stdout))
        filters = sh("tc filter show dev s0 egress", check=False).stdout
        out.append(f"tc: {len(re.findall('direct-action', filters))}")
        out.append("pins: " + " ".join(sorted(
            os.path.relpath(os.path.join(top, name), "/sys/fs/bpf")
            for top, _, names in os.walk("/sys/fs/bpf") for name in names)))
        out.append("passed: " + " ".join(sorted(self.probe.passed())))
        return "\n".join(out)


def traced(command, more=()):
    """Run it under strace; (exit status, stderr, trace)"""
    log = os.path.join(WORK, "trace")
    argv = ["strace", "-f", "-o", log, "-e", "signal=none", "-s", "60", *more, "bash", "-c",
            "exec " + command]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return None, "", ""
    with open(log, encoding="utf-8", errors="replace") as file:
        return done.returncode, done.stderr, file.read()


def calls_of(trace):
    """[(name, how many-th of this name)]: those of the program itself, but for its start"""
    seen, calls = {}, []
    lines = trace.splitlines()
    begin = 0
    for number, line in enumerate(lines):
        if "execve(" in line or re.search(r'openat\(.*\.so[."]', line):
            begin = len(lines)
        elif "munmap(" in line: # the loader gives back its cache, when all libraries are there
            begin = min(begin, number)
    for number, line in enumerate(lines):
        match = re.match(r"\d+ +(\w+)\((.*)", line)
        if not match or "resumed>" in line or match[1] not in ERRORS:
            continue
        seen[match[1]] = seen.get(match[1], 0) + 1
        if number < begin or match[1] == "write" and match[2][:2] in ("1,", "2,"):
            continue
        calls.append((match[1], seen[match[1]]))
    return calls


def judge(status, stderr, was, is_now, old, new):
    """What is wrong with it: a text, or nothing"""
    if status is None:
        return "does not end"
    if status < 0 or status > 100:
        return f"ended with status {status}: {stderr.strip()}"
    want, name = (new, "new") if status == 0 else (old, "old")
    if is_now != want:
        other = "it is the other one" if is_now in (old, new) else "it is neither"
        changed = [line for line in is_now.splitlines() if line not in want.splitlines()]
        missing = [line for line in want.splitlines() if line not in is_now.splitlines()]
        return (f"status {status}, but the state is not {name}; {other}"
                f"\n      there:   {changed[:6]}\n      missing: {missing[:6]}"
                f"\n      stderr:  {stderr.strip()[:300]}")
    if status and not stderr.strip():
        return f"status {status} without a word"
    return None


def main():
    """See above"""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, metavar="N", help="draw N runs (default: all)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--verb", action="append", choices=sorted(VERBS), help="default: all")
    parser.add_argument("--call", choices=sorted(ERRORS), help="this call only")
    parser.add_argument("--at", metavar="CALL:ERROR:N", help="this one fault only")
    parser.add_argument("--list", action="store_true", help="say how many runs there are")
    args = parser.parse_args()
    host = Host()
    plan, good, states = [], {}, {}
    for verb in args.verb or VERBS:
        before, command = VERBS[verb]
        host.reset(before)
        host.state()
        old = host.state()
        status, stderr, trace = traced(command)
        new = host.state()
        if status:
            print(f"FAIL {verb}: without a fault: status {status}: {stderr.strip()}")
            good[verb] = False
            continue
        good[verb] = True
        states[verb] = (old, new)
        plan += [(verb, call, error, number) for call, number in calls_of(trace)
                 for error in ERRORS[call] if args.call in (None, call)]
    if args.at:
        call, error, number = args.at.split(":")
        plan = [(verb, call, error, int(number)) for verb in args.verb]
    total = len(plan)
    if args.sample and args.sample < total:
        keep = set(random.Random(args.seed).sample(range(total), args.sample))
        plan = [one for at, one in enumerate(plan) if at in keep]
    print(f"{len(plan)} of {total} runs; seed {args.seed}", flush=True)
    if args.list:
        return 0
    passed = failed = 0
    at = None
    for verb, call, error, number in plan:
        before, command = VERBS[verb]
        old, new = states[verb]
        if at != (before, old):
            host.reset(before)
            host.state() # what reading makes is there from now on
        status, stderr, _ = traced(command, ("-e", f"inject={call}:error={error}:when={number}"))
        now = host.state()
        at = (before, now)
        problem = judge(status, stderr, old, now, old, new)
        if problem:
            failed += 1
            print(f"FAIL {verb}: {call} {error} {number}: {problem}\n      again:   "
                  f"testing/faults/run --verb {verb} --at {call}:{error}:{number}", flush=True)
        else:
            passed += 1
    for verb, is_good in good.items():
        failed += not is_good
        if is_good and not any(one[0] == verb for one in plan):
            continue
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return int(failed != 0 or not passed)


try:
    sys.exit(main())
finally:
    shutil.rmtree(WORK)
