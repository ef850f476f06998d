#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""All kinds of changes under traffic: rules, sets, lists, settings, stages, interfaces that flap,
daemons that are killed, in a random order by --seed.

Frames arrive on s0 all the time, half of them such that a rule, a set or a list has to drop, which
is there from the first packet to the last, whatever else changes. Then:

  - no sanitizer reports anything, in no verb and no daemon;
  - none of the frames to be dropped arrives behind XDP;
  - the filter gave as many verdicts as frames were sent, and the firewall as many as it passed;
  - verbs succeed, daemons end when they are told to;
  - at the end, when all is unloaded, no program, map, link or pin of it is left.
"""
import argparse
import collections
import ctypes
import glob
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from fingerprint import BPFFS, MAP_GET_FD_BY_ID, PROG_GET_FD_BY_ID, Fingerprint, bpf

LINK_GET_FD_BY_ID = 30
CLONE_NEWNET = 0x40000000
SO_ATTACH_FILTER = 26
GUARDED, FREE = 4053, 4000 # source ports of frames that are dropped, and of others
BATCH, PAUSE = 32, 0.02 # frames, seconds: at most 1,600 a second
WORK = tempfile.mkdtemp(prefix="soak")
GUARD = ('set bad { 198.51.100.99 }\nset other { 203.0.113.7 }\n'
         'ip from any to any udp dport 53 drop name "guard"\n'
         'ip from @bad to any udp drop name "bad"\n')
MORE = 'ip from any to any udp dport {} drop name "more"\n'


def file(name, text):
    """A file below WORK; its path"""
    path = os.path.join(WORK, name)
    with open(path, "w", encoding="ascii") as out:
        out.write(text)
    return path


RULES = [file(f"rules{n}", GUARD + "".join(MORE.format(2000 + i).replace("more", f"more{i}")
                                           for i in range(n))) for n in (0, 3, 40)]
LISTED = file("list", "198.51.100.66\n203.0.113.0/24\n")
MEMBERS = file("members", "198.51.100.99\n198.51.100.0/27\n")


def conf(name, stages, ifaces, rules):
    """A configuration"""
    return file(name, f"[interfaces]\ningress = {ifaces}\n[chain]\nstages = {stages}\nfused = yes\n"
                      f"[filter]\ndrop = {LISTED}\n[fw]\nrules = {rules}\n"
                      + ("[sampler]\nrate = 10\n" if "sampler" in stages else ""))


KEPT = conf("kept.conf", "filter,fw,sampler", "s0 s1", RULES[0])
APPLIED = [conf("more.conf", "filter,fw,sampler", "s0 s1", RULES[1]),
           conf("fewer.conf", "filter,fw", "s0 s1", RULES[0]), KEPT]


def frame(source, sport, dport):
    """UDP to an address that is not ours, so that nobody answers"""
    udp = struct.pack("!HHHH", sport, dport, 26, 0) + bytes(18)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 46, 1, 0, 64, 17, 0, socket.inet_aton(source),
                       socket.inet_aton("203.0.113.200"))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + head[12:]
    return b"\xff" * 6 + b"\2\0\0\0\0\2\x08\0" + head + udp


FRAMES = [frame("192.0.2.2", GUARDED, 53), frame("198.51.100.99", GUARDED, 1000),
          frame("198.51.100.66", GUARDED, 1000)] + \
         [frame("192.0.2.2", FREE, 60000 + i) for i in range(3)]


def packet_socket(iface, netns=None):
    """On an interface, perhaps of another namespace"""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net", encoding="ascii") as ours:
        if netns:
            with open(f"/run/netns/{netns}", encoding="ascii") as other:
                assert not libc.setns(other.fileno(), CLONE_NEWNET)
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        assert not libc.setns(ours.fileno(), CLONE_NEWNET)
    if iface:
        if netns:
            with open("/proc/self/ns/net", encoding="ascii") as ours, \
                    open(f"/run/netns/{netns}", encoding="ascii") as other:
                assert not libc.setns(other.fileno(), CLONE_NEWNET)
                sock.bind((iface, 0))
                assert not libc.setns(ours.fileno(), CLONE_NEWNET)
        else:
            sock.bind((iface, 3))
    return sock


def guard_socket():
    """What arrives on s0 although it is to be dropped: by its source port, so that no queue of
    other frames can hide it"""
    sock = packet_socket("s0")
    code = b"".join(struct.pack("HBBI", *one) for one in
                    ((0x28, 0, 0, 34), (0x15, 0, 1, GUARDED), (6, 0, 0, 65535), (6, 0, 0, 0)))
    buffer = ctypes.create_string_buffer(code)
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                    struct.pack("HxxxxxxQ", 4, ctypes.addressof(buffer)))
    sock.setblocking(False)
    return sock


class Sender:
    """A process that sends until it is told to stop"""

    def __init__(self, most):
        self.read, write = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(write)
            return
        sock = packet_socket("p0", "peer")
        stop = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        sent = 0
        while not stop and sent < most:
            for i in range(BATCH):
                sock.send(FRAMES[(sent + i) % len(FRAMES)])
            sent += BATCH
            time.sleep(PAUSE)
        os.write(write, str(sent).encode())
        os._exit(0)

    def stop(self):
        """How many were sent"""
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        return int(os.read(self.read, 32))


class Soak:
    """The changes and what came of them"""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.ids = set()
        self.fingerprint = Fingerprint()
        self.done, self.problems = collections.Counter(), []
        self.sets = {"bad": set(), "other": set()}
        self.listed, self.rules = set(), 0
        self.loaded = False
        self.watch = self.sampler = None
        self.changes = [self.apply_rules, self.apply, self.rule, self.set_one, self.set_replace,
                        self.list_one, self.list_import, self.settings, self.stage, self.flap,
                        self.detach, self.kill_watch, self.kill_sampler, self.ask]

    def run(self, *argv, name=None, or_says=()):
        """A verb, which is to succeed, or to say one of these; its output"""
        name = name or " ".join(argv[:3])
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120,
                                  stdin=subprocess.DEVNULL, errors="replace")
        except subprocess.TimeoutExpired:
            self.problems.append(f"{name}: does not end")
            return ""
        self.done[" ".join(argv[:2])] += 1
        if done.returncode and not any(words in done.stderr for words in or_says):
            self.problems.append(f"{' '.join(argv)}: status {done.returncode}: "
                                 f"{done.stderr.strip()[:300]}")
        return done.stdout

    def daemon(self, *argv):
        """A process that stays"""
        with open(os.path.join(WORK, "log-" + argv[1]), "ab") as log:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    # --- changes ----------------------------------------------------------------------------------

    def apply_rules(self):
        """All rules at once"""
        self.run("ecbpf-fw", "apply", "-f", self.dice.choice(RULES))
        self.rules = 0
        self.sets = {"bad": set(), "other": set()}

    def apply(self):
        """A configuration: other stages, other rules"""
        self.run("ecbpf-loader", "apply", "--reset-runtime", self.dice.choice(APPLIED))
        self.rules, self.listed = 0, set()
        self.sets = {"bad": set(), "other": set()}
        self.loaded = False # s2 is not listed

    def rule(self):
        """One more, another one, one less"""
        if not self.rules:
            self.run("ecbpf-fw", "rule", "add",
                     'ip from any to any udp dport 3000 drop name "soak"')
            self.rules = 1
        elif self.dice.random() < 0.5:
            port = self.dice.randrange(3000, 4000)
            self.run("ecbpf-fw", "rule", "replace", "soak",
                     f'ip from any to any udp dport {port} drop name "soak"')
        else:
            self.run("ecbpf-fw", "rule", "delete", "soak")
            self.rules = 0

    def set_one(self):
        """A member of a set comes or goes; not the one that is guarded"""
        name = self.dice.choice(("bad", "other"))
        members = self.sets[name]
        if members and self.dice.random() < 0.5:
            one = members.pop()
            self.run("ecbpf-fw", "set", "delete", name, one)
        else:
            one = f"203.0.113.{self.dice.randrange(10, 250)}"
            if one not in members:
                self.run("ecbpf-fw", "set", "add", name, one)
                members.add(one)

    def set_replace(self):
        """All members of a set"""
        self.run("ecbpf-fw", "set", "replace", "bad", "-f", MEMBERS)
        self.sets["bad"] = set()

    def list_one(self):
        """A prefix of the filter's list comes or goes"""
        if self.listed and self.dice.random() < 0.5:
            self.run("ecbpf-filter", "drop", "delete", self.listed.pop())
        else:
            one = f"10.{self.dice.randrange(256)}.{self.dice.randrange(256)}.0/24"
            if one not in self.listed:
                self.run("ecbpf-filter", "drop", "add", one)
                self.listed.add(one)

    def list_import(self):
        """The whole list"""
        self.run("ecbpf-filter", "drop", "import", "--replace", "-f", LISTED)
        self.listed = set()

    def settings(self):
        """Of filter and sampler"""
        self.run("ecbpf-filter", "set", "frags=" + self.dice.choice(("drop", "pass")))

    def stage(self):
        """Load a program on s2, or unload it"""
        if self.loaded:
            self.run("ecbpf-loader", "unload", "--all", "s2")
        else:
            self.run("ecbpf-loader", "load", "--fused",
                     self.dice.choice(("pass,count", "filter,fw,count", "fw", "sampler")), "s2")
        self.loaded = not self.loaded

    def flap(self):
        """s1 goes down and up, or away and back"""
        if self.dice.random() < 0.5:
            self.run("ip", "link", "set", "s1", "down")
            self.run("ip", "link", "set", "s1", "up")
        else:
            self.run("ip", "link", "del", "s1")
            self.run("ip", "link", "add", "s1", "type", "veth", "peer", "name", "p1", "netns",
                     "peer")
            self.run("ip", "link", "set", "s1", "up", "arp", "off", "addrgenmode", "none")

    def detach(self):
        """Somebody else takes the program from s1; watch brings it back"""
        subprocess.run(["ip", "link", "set", "s1", "xdp", "off"], check=False, capture_output=True)
        self.done["ip xdp off"] += 1

    def kill_watch(self):
        """And start it again, or first"""
        if self.watch:
            self.end(self.watch, signal.SIGKILL if self.dice.random() < 0.7 else signal.SIGINT)
        self.watch = self.daemon("ecbpf-loader", "watch", KEPT)
        self.rules, self.listed = 0, set() # the file says what is there
        self.done["watch"] += 1
        self.settle()

    def settle(self):
        """Until watch has applied its file; what was changed at runtime is gone after that"""
        for _ in range(1200):
            state = subprocess.run(["ecbpf-loader", "watch", "--reload"], check=False,
                                   capture_output=True, text=True, timeout=120)
            if not state.returncode:
                break
            if self.watch.poll() is not None:
                self.problems.append(f"watch: ended with {self.watch.returncode}")
                break
            time.sleep(0.05)
        else:
            self.problems.append("watch: does not get ready: " + state.stderr.strip()[:200])
        self.run("ecbpf-loader", "apply", "--reset-runtime", KEPT)
        self.sets = {"bad": set(), "other": set()}
        self.loaded = False

    def kill_sampler(self):
        """Likewise"""
        if self.sampler:
            self.end(self.sampler,
                     signal.SIGKILL if self.dice.random() < 0.5 else signal.SIGTERM)
        self.sampler = self.daemon("ecbpf-sampler", "run", "--bind", f"ipc://{WORK}/samples")
        self.done["sampler"] += 1

    def ask(self):
        """Verbs that only read. Two chains are no configuration; programs are taken off, and a
        configuration is applied that is not the one that watch keeps: status says so"""
        self.run(*self.dice.choice((("ecbpf-loader", "status", "-j"), ("ecbpf-fw", "stats", "-j"),
                                    ("ecbpf-loader", "export"), ("ecbpf-filter", "status"),
                                    ("ecbpf-loader", "metrics"), ("ecbpf-fw", "rule", "list"))),
                 or_says=("have different chains", "somebody else took", "are declared in",
                          "is to run there, and is not attached"))

    def end(self, process, number):
        """A daemon"""
        process.send_signal(number)
        try:
            status = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = "it does not end"
        if status not in (0, -signal.SIGKILL, -number): # not ready for signals yet
            self.problems.append(f"{' '.join(process.args[:2])}: signal {number}: {status}")

    # --- what is there ----------------------------------------------------------------------------

    def remember(self):
        """Ids of what is there now"""
        self.fingerprint()
        self.ids |= set(self.fingerprint.numbers)

    def left(self):
        """What of all that was ever there is there still"""
        calls = {"map": MAP_GET_FD_BY_ID, "program": PROG_GET_FD_BY_ID}
        left = []
        for kind, ident in sorted(self.ids, key=str):
            fd = bpf(calls.get(kind, LINK_GET_FD_BY_ID), struct.pack("=III", ident, 0, 0))[0]
            if fd >= 0:
                os.close(fd)
                left.append(f"{kind} {ident}")
        return left + [os.path.join(top, name) for top, _, names in os.walk(BPFFS)
                       for name in names if not name.endswith(".debug")]

    def verdicts(self):
        """Of each stage on s0, in order: (name, passed, others)"""
        chains = json.loads(self.run("ecbpf-loader", "status", "-j", "s0") or "[]")
        result = []
        members = chains[0]["members"] if chains else []
        for stage in members[0]["stages"] if members else []:
            count = {name: of["packets"] for name, of in stage["actions"].items()}
            passed = count.pop("XDP_PASS")
            result.append((stage["stage"], passed, sum(count.values())))
        return result


def reports():
    """What sanitizers say"""
    found = []
    for path in glob.glob(WORK + "/san.*"):
        with open(path, encoding="utf-8", errors="replace") as text:
            found.append(text.read()[:3000])
    return found


def main():
    """See above"""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="default: 60")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    os.environ["ASAN_OPTIONS"] = f"log_path={WORK}/san:exitcode=99"
    os.environ["UBSAN_OPTIONS"] = f"log_path={WORK}/san:print_stacktrace=1"
    print(f"seed {args.seed}", flush=True)
    results = []

    def check(name, problem):
        results.append(not problem)
        print(f"FAIL {name}: {problem}" if problem else f"PASS {name}", flush=True)

    soak = Soak(args.seed)
    soak.run("ecbpf-loader", "apply", KEPT)
    if soak.problems:
        print(f"FAIL apply: {soak.problems[0]}\n0 passed, 1 failed, 0 skipped")
        return 1
    guard, begin = guard_socket(), time.monotonic()
    sender = Sender(1600 * (args.seconds + 600))
    soak.kill_watch()
    soak.kill_sampler()
    while time.monotonic() - begin < args.seconds:
        soak.dice.choice(soak.changes)()
        soak.remember()
    sent = sender.stop()
    time.sleep(0.5)
    try:
        arrived = len(guard.recv(256)) > 0
    except BlockingIOError:
        arrived = False
    soak.end(soak.watch, signal.SIGINT)
    soak.end(soak.sampler, signal.SIGTERM)
    verdicts = soak.verdicts()
    print(f"{sent} frames, {sum(soak.done.values())} operations: " +
          ", ".join(f"{name} {count}" for name, count in sorted(soak.done.items())))
    print(f"verdicts: {verdicts}")
    for iface in ("s0", "s1", "s2") if soak.loaded else ("s0", "s1"):
        soak.run("ecbpf-loader", "unload", "--all", iface)
    soak.run("ecbpf-loader", "clean", "--all")
    for _ in range(400): # the kernel frees them when it has the time
        left = soak.left()
        if not left:
            break
        time.sleep(0.05)
    check("no frame arrives that is to be dropped", arrived and "at least one did")
    passed = sent
    for name, ok, others in verdicts[:2]: # the sampler comes and goes
        check(f"verdicts of {name}: of {passed} frames",
              ok + others != passed and f"{ok} passed, {others} others")
        passed = ok
    free = sum(i % len(FRAMES) >= 3 for i in range(sent))
    check("frames that none is to drop pass", passed != free and f"{passed} of {free}")
    check("verbs and daemons", "\n      ".join(soak.problems))
    check("no report of a sanitizer", "\n".join(reports()))
    check(f"nothing is left of {len(soak.ids)} maps, programs, links", ", ".join(left[:10]))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped")
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
