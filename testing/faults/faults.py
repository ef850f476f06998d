#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Each verb with a failing system call, or too little of something: old or new, never between.

A verb is run once under strace to learn which calls it makes. Then it is run again for each call
and each error of that call, which strace puts in the place of the call ("inject"); and with few
descriptors, little memory, a BPF file system that is read-only. After each run:

  - exit status 0: the host is as after the run without a fault; else as before it;
  - what is there can be read back (ecbpf-loader export), and packets that must be dropped are
    dropped, packets that must pass do pass;
  - the verb ended by itself within a minute, not by a signal, and said in a line why it failed.

--sample N draws N of all these runs, by --seed. A violation prints the command that shows it again.
"""
import argparse
import ctypes
import glob
import os
import random
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

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
# What there is too little of: a command that runs the verb so, or does so before
SHORTAGES = {
    "nofile": [str(n) for n in range(3, 40)],
    "as": [f"{n}M" for n in list(range(8, 64, 2)) + list(range(64, 256, 16))],
    "cgroup": [f"{n}M" for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40)],
    "readonly": ["bpffs"],
}
CGROUPS = "/sys/fs/cgroup/memory"
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

BLOCKED = write("blocked", "198.51.100.1\n")
BEFORE = write("before.conf", f"""[interfaces]
ingress = s0
[chain]
stages = filter,fw,fastpath,sampler
fused = yes
[filter]
drop = {BLOCKED}
[fw]
rules = {RULES}
[fastpath]
flows = 1000
exclude = 203.0.113.5
[sampler]
rate = 1000
""")

# What a verb begins with: commands
EMPTY = ()
FULL = (f"ecbpf-loader apply {BEFORE}",)
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

    def __call__(self, commands, wanted=None):
        """Bring this about, with little effort if the state that it is to be is known"""
        if wanted and commands:
            for command in commands:
                sh(command, check=False)
            if self.state() == wanted:
                return wanted
        self.reset(commands)
        return self.state()

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
        for command in ("ecbpf-fw rule list", "ecbpf-filter vip list", "ecbpf-loader status",
                        "ecbpf-fastpath status", "ecbpf-sampler status"):
            out.append(f"{command}: {sh(command, check=False).returncode}")
        out.append("xdp: " + str("prog/xdp" in sh("ip link show s0").stdout))
        filters = sh("tc filter show dev s0 egress", check=False).stdout
        out.append(f"tc: {len(re.findall('direct-action', filters))}")
        out.append("pins: " + " ".join(sorted(
            os.path.relpath(os.path.join(top, name), "/sys/fs/bpf")
            for top, _, names in os.walk("/sys/fs/bpf") for name in names)))
        out.append("passed: " + " ".join(sorted(self.probe.passed())))
        return "\n".join(out)


def run(argv):
    """(exit status or None if it does not end, stderr)"""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stderr


def traced(command, *options):
    """Run it under strace; (exit status, stderr, trace)"""
    log = os.path.join(WORK, "trace")
    status, stderr = run(["strace", "-f", "-o", log, "-e", "signal=none", "-s", "60", *options,
                          *shlex.split(command)])
    with open(log, encoding="utf-8", errors="replace") as file:
        return status, stderr, file.read()


def short_of(command, kind, value):
    """Run it with too little of something; (exit status, stderr)"""
    argv = shlex.split(command)
    if kind == "nofile":
        return run(["prlimit", "--nofile=" + value, *argv])
    if kind == "as":
        return run(["prlimit", f"--as={int(value[:-1]) << 20}", *argv])
    if kind == "readonly":
        sh("mount -o remount,ro /sys/fs/bpf")
        try:
            return run(argv)
        finally:
            sh("mount -o remount,rw /sys/fs/bpf")
    group = os.path.join(CGROUPS, f"ecbpf-faults-{os.getpid()}")
    os.makedirs(group, exist_ok=True)
    try:
        sh(f"echo {int(value[:-1]) << 20} >{group}/memory.limit_in_bytes")
        return run(["bash", "-c", f"echo $$ >{group}/cgroup.procs; exec {command}"])
    finally:
        sh(f"rmdir {group}", check=False)


def faulty(command, kind, error, number):
    """Run it with this fault; (exit status, stderr)"""
    if kind in SHORTAGES:
        return short_of(command, kind, error)
    return traced(command, "--seccomp-bpf", "-e", "trace=" + kind, "-e",
                  f"inject={kind}:error={error}:when={number}")[:2]


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


def judge(kind, status, stderr, is_now, old, new):
    """What is wrong with it: a text, or nothing"""
    if status is None:
        return "does not end"
    if kind == "cgroup" and status in (-9, 137):
        return None if is_now in (old, new) else "killed for lack of memory, in between"
    if status == 127 and "shared libraries" in stderr or kind == "as" and status < 0:
        return None if is_now == old else "did not begin, but there is a change"
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


def plan_runs(host, args):
    """[(verb, kind, error, number)], {verb: (state before, state after)}, how many failed"""
    plan, states, olds, failed = [], {}, {}, 0
    verbs = args.verb or list(VERBS)
    part, parts = map(int, args.part.split("/"))
    for verb in verbs[part::parts]:
        before, command = VERBS[verb]
        old = olds[before] = host(before, olds.get(before))
        if args.at:
            status, stderr = run(shlex.split(command))
        else:
            status, stderr, trace = traced(command)
        new = host.state()
        if status:
            print(f"FAIL {verb}: without a fault: status {status}: {stderr.strip()}")
            failed += 1
            continue
        states[verb] = (old, new)
        if args.at:
            kind, error, number = (args.at + ":0").split(":")[:3]
            plan.append((verb, kind, error, int(number)))
            continue
        plan += [(verb, call, error, number) for call, number in calls_of(trace)
                 for error in ERRORS[call]]
        plan += [(verb, kind, value, 0) for kind, values in SHORTAGES.items() for value in values
                 if kind != "cgroup" or os.access(CGROUPS, os.W_OK) and
                 os.path.exists(CGROUPS + "/memory.limit_in_bytes")]
    return [one for one in plan if args.call in (None, one[1])], states, failed


def main():
    """See above"""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, metavar="N", help="draw N runs (default: all)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--seconds", type=int, default=1 << 30, help="begin no run after so many")
    parser.add_argument("--verb", action="append", choices=sorted(VERBS), help="default: all")
    parser.add_argument("--call", choices=sorted([*ERRORS, *SHORTAGES]),
                        help="this call, or shortage, only")
    parser.add_argument("--at", metavar="CALL:ERROR:N", help="this one fault only")
    parser.add_argument("--part", default="0/1", metavar="I/N", help="part I of N, from 0 on")
    parser.add_argument("--list", action="store_true", help="say how many runs there are")
    args = parser.parse_args()
    begin = time.monotonic()
    host = Host()
    plan, states, failed = plan_runs(host, args)
    total = len(plan)
    if args.sample:
        args.sample = -(-args.sample // int(args.part.split("/")[1]))
    if args.sample and args.sample < total:
        keep = set(random.Random(args.seed).sample(range(total), args.sample))
        plan = [one for at, one in enumerate(plan) if at in keep]
    print(f"{len(plan)} of {total} runs; seed {args.seed}", flush=True)
    if args.list:
        return 0
    passed = 0
    now = host.state()
    for at, (verb, kind, error, number) in enumerate(plan):
        if time.monotonic() - begin > args.seconds:
            print(f"stopped after {args.seconds} s: {at} of {len(plan)} runs")
            break
        before, command = VERBS[verb]
        old, new = states[verb]
        if now != old:
            now = host(before, old)
            if now != old:
                failed += 1
                print(f"FAIL {verb}: the state before is not what it was\n{now}\n--- {old}")
                states[verb] = old, new = now, new
        status, stderr = faulty(command, kind, error, number)
        now = host.state()
        problem = judge(kind, status, stderr, now, old, new)
        if problem:
            failed += 1
            print(f"FAIL {verb}: {kind} {error} {number}: {problem}\n      again:   "
                  f"testing/faults/run --verb {verb} --at {kind}:{error}:{number}", flush=True)
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return int(failed != 0 or not passed)


try:
    sys.exit(main())
finally:
    shutil.rmtree(WORK)
