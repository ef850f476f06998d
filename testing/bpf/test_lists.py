#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Stage filter: lists of sources, as ecbpf-filter writes them and the programs look them up.

    BUILD=DIR test_lists.py [TEST...]

$ECBPF_BUILD: where the project was built (default: build/test)
$ECBPF_PREFIXES: of the random ones, and how many addresses are tried (default: 3,000; 100,000 take
15 s)
$ECBPF_ANSWERS: how long lists are changed while answers are checked one by one, in milliseconds,
for each family (default: 1,500)
$ECBPF_KILLS: how many imports are killed (default: 30)

What an address is to match comes from Python's ipaddress and the model of test_trie.py.
"""
import bisect
import collections
import ipaddress
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "testing", "oracle"))
# pylint: disable=wrong-import-position
from packets import ETHER, IP, TCP, UDP, Dot1AD, Dot1Q, IPv6, Raw, from_source
from test_filter import PROGRAMS, Filter
from test_trie import WIDTH, Model, prefix_of, random_addresses, random_bits
from testrun import DROP, PASS, main

TOOL = os.path.join(os.environ.get("ECBPF_BUILD", os.path.join(TOP, "build", "test")), "root",
                    "sbin", "ecbpf-filter")
PINS = "/sys/fs/bpf/ecbpf"
DST4, DST6 = "198.51.100.1", "2001:db8:ffff::2"
TAGS = {"untagged": ETHER, "tagged": ETHER / Dot1Q(vlan=5),
        "qinq": ETHER / Dot1AD(vlan=7) / Dot1Q()}


def tool(*args, stdin=None, status=0):
    """Return: what it says. Addresses are random, and may be some of this host"""
    if args[:2] in (("drop", "add"), ("drop", "import")):
        args += ("--force",)
    done = subprocess.run([TOOL, *args], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != status:
        raise RuntimeError(f"{args}: status {done.returncode}: {done.stderr}")
    return done.stdout


def fresh():
    for which in ("drop", "allow"):
        tool(which, "flush")


def listed(which="drop"):
    return {entry["prefix"]: entry for entry in json.loads(tool(which, "list", "-j"))}


def packet(source, payload=None):
    payload = payload or UDP(sport=1, dport=2) / Raw(b"query")
    return (IPv6(src=source, dst=DST6) if ":" in source else IP(src=source, dst=DST4)) / payload


def is_dropped(programs, source):
    verdict, reason, _ = programs.judge(bytes(ETHER / packet(source)))
    want = "ip6-blocked" if ":" in source else "ip-blocked"
    if (verdict, reason) not in ((DROP, want), (PASS, None)):
        raise RuntimeError(f"{source}: {verdict}, {reason}")
    return verdict == DROP


def check(programs, blocked, passed):
    """What is wrong. Yields"""
    for source in blocked:
        if not is_dropped(programs, source):
            yield f"{source} passed"
    for source in passed:
        if is_dropped(programs, source):
            yield f"{source} is dropped"


def test_packets(report):
    """Every protocol, tags, extension headers, fragments, malformed packets"""
    fresh()
    tool("drop", "add", "192.0.2.0/24", "2001:db8:1::/48")
    cases = {**from_source("192.0.2.7"), **from_source("2001:db8:1::7")}
    for how in PROGRAMS:
        with Filter(how) as programs:
            for link_name, link in TAGS.items():
                why = []
                for name, one in cases.items():
                    frame = bytes(link / one)
                    want = (DROP, "ip6-blocked" if IPv6 in one else "ip-blocked", frame)
                    found = programs.judge(frame)
                    if found != want:
                        why.append(f"{name}: {found[:2]}")
                for one in (IP(src=DST4, dst="192.0.2.7") / TCP(dport=1),
                            IPv6(src=DST6, dst="2001:db8:1::7") / TCP(dport=1)):
                    if programs.judge(bytes(link / one))[:2] != (PASS, None):
                        why.append("its destination is listed")
                report.check(f"lists {how}, {link_name}: protocols", why)


def test_allow(report):
    """The allow list wins, whatever the lengths; checks hold nevertheless"""
    fresh()
    tool("drop", "add", "0.0.0.0/0", "::/0", "192.0.2.1")
    for how in PROGRAMS:
        with Filter(how) as programs:
            tool("allow", "flush")
            why = list(check(programs, ["192.0.2.1", "8.8.8.8", "2001:db8::1"], []))
            tool("allow", "add", "192.0.2.0/24", "2001:db8::/32")
            why += check(programs, ["192.0.3.1", "2001:db9::1"],
                         ["192.0.2.1", "192.0.2.255", "2001:db8::1"])
            frame = bytes(ETHER / IP(src="192.0.2.1", dst=DST4, flags="evil") / TCP())
            found = programs.judge(frame)[:2]
            if found != (DROP, "ip-reserved-bit"):
                why.append(f"check of an allowed source: {found}")
            if listed("allow")["192.0.2.0/24"]["packets"] != 3:
                why.append(f"allowed: {listed('allow')}")
            tool("allow", "delete", "192.0.2.0/24")
            why += check(programs, ["192.0.2.1"], ["2001:db8::1"])
            report.check(f"lists {how}: allow over drop", why)


def test_prefixes(report):
    """Random nested prefixes: the longest one counts the packet, as ipaddress says"""
    rng = random.Random(4)
    fresh()
    for family, bits in ((ipaddress.IPv4Network, 32), (ipaddress.IPv6Network, 128)):
        base = 0x0a000000 if bits == 32 else 0x20010db8 << 96
        nets = {family((base | rng.getrandbits(12) << (bits - 20),
                        rng.choice([9, 10, 12, 14, 16, 18, 20])) if bits == 32 else
                       (base | rng.getrandbits(16) << 80, rng.choice([32, 33, 36, 40, 44, 47, 48])),
                       strict=False) for _ in range(300)}
        tool("drop", "import", "-f", "-",
             stdin="".join(f"{net}\n" for net in list(nets)[:len(nets) // 2]))
        tool("drop", "add", *(str(net) for net in list(nets)[len(nets) // 2:]))
        want, why = {}, []
        with Filter("alone") as programs:
            for _ in range(1500):
                addr = base | (rng.getrandbits(13) << (bits - 20) if bits == 32 else
                               rng.getrandbits(17) << 80) | rng.getrandbits(8)
                addr = family(addr)[0]
                best = max((net for net in nets if addr in net), default=None,
                           key=lambda net: net.prefixlen)
                if is_dropped(programs, str(addr)) != bool(best):
                    why.append(f"{addr}: {best}")
                if best:
                    want[best] = want.get(best, 0) + 1
        found = {family(prefix): entry["packets"] for prefix, entry in listed().items()
                 if (":" in prefix) == (bits == 128) and entry["packets"]}
        if found != want:
            why.append(f"{len(found)} counters, {len(want)} wanted")
        report.check(f"lists: {len(nets)} prefixes of {bits} bits, counted one by one", why)
    top = json.loads(tool("drop", "top", "3", "-j"))
    best = sorted((entry["packets"] for entry in listed().values()), reverse=True)[:3]
    report.check("lists: top", [one["packets"] for one in top] != best and f"{top}, {best}")


FRAMES = {4: bytearray(bytes(ETHER / packet("192.0.2.1"))),
          6: bytearray(bytes(ETHER / packet("2001:db8::1")))}
SOURCE_AT = {4: 26, 6: 22}


def frame_from(family, bits):
    size = WIDTH[family] // 8
    FRAMES[family][SOURCE_AT[family]:SOURCE_AT[family] + size] = bits.to_bytes(size, "big")
    return bytes(FRAMES[family])


def text_of(prefix):
    family, bits, length = prefix
    return f"{ipaddress.IPv4Address(bits) if family == 4 else ipaddress.IPv6Address(bits)}/{length}"


def wrong_hits(programs, model, addresses):
    """What is wrong with verdicts, and with who has counted them"""
    by_value = {value: prefix for prefix, value in model.prefixes.items()}
    want, before = {}, listed()
    for family, bits in addresses:
        value = model.ask(family, bits)
        verdict, _ = programs.run(frame_from(family, bits))
        if verdict != (DROP if value else PASS):
            yield f"IPv{family} {bits:#x}: verdict {verdict}, {by_value.get(value)}"
        if value:
            want[by_value[value]] = want.get(by_value[value], 0) + 1
    found = {}
    for name, entry in listed().items():
        net = ipaddress.ip_network(name)
        count = entry["packets"] - before[name]["packets"]
        if count:
            found[net.version, int(net.network_address), net.prefixlen] = count
    for prefix in want.keys() | found.keys():
        if want.get(prefix) != found.get(prefix):
            yield f"{text_of(prefix)}: {found.get(prefix)} packets, not {want.get(prefix)}"


def test_many(report):
    """Random prefixes, crowded and alone: each packet is counted by the longest one"""
    count = int(os.environ.get("ECBPF_PREFIXES", "3000"))
    draw, model = random.Random(6), Model()
    fresh()
    while len(model.prefixes) < count:
        family = draw.choice((4, 6))
        width = WIDTH[family]
        # not so short that there is nothing beside them
        length = draw.choice((width, draw.randrange(width * 2 // 5, width + 1)))
        model.change(prefix_of(family, random_bits(draw, family), length),
                     draw.getrandbits(60) + 1)
    tool("drop", "import", "-f", "-", stdin="".join(f"{text_of(one)}\n" for one in model.prefixes))
    with Filter("alone") as programs:
        report.check(f"lists: {count} random prefixes and addresses",
                     list(wrong_hits(programs, model,
                                     random_addresses(draw, model.prefixes, count)))[:10])


def change_randomly(draw, model, fixed, count):
    """One command of the tool, of a kind; the model follows"""
    prefixes = [prefix_of(4, 10 << 24 | draw.getrandbits(24), draw.randrange(9, 33))
                for _ in range(count)]
    kind = draw.randrange(4)
    if kind == 0:
        tool("drop", "add", *map(text_of, prefixes))
    elif kind == 1:
        prefixes = draw.sample(sorted(set(model.prefixes) - {fixed}),
                               min(count, len(model.prefixes) - 1))
        if prefixes:
            tool("drop", "delete", *map(text_of, prefixes))
    else:
        prefixes.append(fixed)
        tool("drop", "import", "-f", "-", *(["--replace"] if kind == 2 else []),
             stdin="".join(f"{text_of(one)}\n" for one in prefixes))
        if kind == 2:
            for prefix in set(model.prefixes) - set(prefixes):
                model.change(prefix, 0)
    for prefix in prefixes:
        if kind == 1:
            model.change(prefix, 0)
        elif prefix not in model.prefixes:
            model.change(prefix, draw.getrandbits(60) + 1)


def test_concurrent(report):
    """A flood on all CPUs meanwhile: what lies in a prefix that stays is dropped, no more"""
    draw, model, fixed = random.Random(7), Model(), (4, 10 << 24, 8)
    fresh()
    tool("drop", "add", text_of(fixed))
    model.change(fixed, 1)
    for source, action, reason in ((10, DROP, "ip-blocked"), (11, PASS, None)):
        changes, result = 0, []
        with Filter("alone") as programs:
            flood = threading.Thread(target=lambda found=result, run=programs, first=source:
                                     found.append(run.flood(frame_from(4, first << 24), 3000,
                                                            offset=SOURCE_AT[4], mask=0xffffff00)))
            flood.start()
            while flood.is_alive():
                change_randomly(draw, model, fixed, draw.choice((1, 3, 300)))
                changes += 1
            flood.join()
            reasons, actions = programs.counters()
            runs = result[0][0]
            why = []
            if actions != {action: runs} or reasons != ({reason: runs} if reason else {}):
                why.append(f"{actions}, {reasons}, {runs} packets")
            if changes < 10 or runs < 10000:
                why.append(f"{changes} changes, {runs} packets: no race")
            report.check(f"lists: {runs} packets of {source}/8 while the list changes", why)
    with Filter("alone") as programs:
        why = set(listed()) ^ {str(ipaddress.ip_network(text_of(one))).replace("/32", "")
                               for one in model.prefixes}
        report.check("lists: and in the end", sorted(why)[:5] or list(wrong_hits(
            programs, model, [(4, 10 << 24 | draw.getrandbits(24)) for _ in range(1000)]))[:10])


class Changes:
    """Commands that change the lists, and between which times (ns) each of them was at work"""

    def __init__(self, draw, family):
        self.draw, self.family = draw, family
        self.lists = {"drop": Model(), "allow": Model()}
        self.times, self.starts, self.ends = [(0, 0)], [], []
        # few, so that each of them is tried every 50 us
        self.addresses = [random_bits(draw, family) for _ in range(8)]
        self.verdicts = []
        self.remember()

    def remember(self):
        drop, allow = self.lists["drop"], self.lists["allow"]
        self.verdicts.append([DROP if drop.ask(self.family, bits) and
                              not allow.ask(self.family, bits) else PASS
                              for bits in self.addresses])

    def prefix(self):
        """With an address in it that is tried, or beside it"""
        draw, width = self.draw, WIDTH[self.family]
        bits = draw.choice(self.addresses) ^ draw.randrange(2) << draw.randrange(width)
        return prefix_of(self.family, bits, draw.randrange(width // 5, width + 1))

    def one(self):
        """Each prefix changes the answer for an address in one direction only"""
        draw, which = self.draw, self.draw.choice(("drop", "drop", "allow"))
        model, count = self.lists[which], draw.choice((1, 10, 40))
        there = sorted(model.prefixes)
        if there and draw.randrange(len(there) + 8) < len(there):
            verb, prefixes = "delete", draw.sample(there, min(count, len(there)))
        else:
            verb, prefixes = "add", [self.prefix() for _ in range(count)]
        before = time.monotonic_ns()
        tool(which, verb, *map(text_of, prefixes))
        self.times.append((before, time.monotonic_ns()))
        for prefix in prefixes:
            model.change(prefix, int(verb == "add"))
        self.remember()

    def wrong(self, run):
        """Is a verdict that of no list that may have been there?"""
        start, took, number, verdict = run
        # the first change not over when the run began, the last one begun when it ended
        first = bisect.bisect_right(self.ends, start) - 1
        last = bisect.bisect_left(self.starts, start + took) - 1
        return all(verdict != self.verdicts[change][number] for change in range(first, last + 1))

    def check(self, runs):
        """Return: how many answers there were, how many changed with the list, what is wrong"""
        self.starts, self.ends = zip(*self.times)
        why, count, seen, changed = [], 0, {}, 0
        for run in runs:
            count += 1
            changed += seen.get(run[2], run[3]) != run[3]
            seen[run[2]] = run[3]
            if self.wrong(run):
                why.append(f"address {self.addresses[run[2]]:#x} at {run[0]}: verdict {run[3]}")
        return count, changed, why[:10]


def test_answers(report):
    """While another CPU adds and deletes: each single answer is that before the change at hand, or
    that after it"""
    milliseconds = int(os.environ.get("ECBPF_ANSWERS", "1500"))
    for family in (4, 6):
        fresh()
        changes, result = Changes(random.Random(family), family), []
        size = WIDTH[family] // 8
        values = [bits.to_bytes(size, "big") for bits in changes.addresses]
        total, changed, why = 0, 0, []
        with Filter("alone") as programs:
            for _ in range(20): # a busy machine may make few changes in that time
                thread = threading.Thread(target=lambda found=result, ask=programs.verdicts, args=(
                    bytes(FRAMES[family]), milliseconds, SOURCE_AT[family], values):
                                          found.append(ask(*args)))
                thread.start()
                while thread.is_alive():
                    changes.one()
                thread.join()
                more, changed_more, why_more = changes.check(result.pop())
                total, changed, why = total + more, changed + changed_more, why + why_more
                if changed >= 20:
                    break
            else:
                why.append("no race")
        report.check(f"lists: {total} answers, IPv{family}, {len(changes.times) - 1} changes "
                     f"meanwhile, {changed} answers changed", why)


def test_counters(report):
    """Packets and bytes; kept by changes and by an import"""
    fresh()
    tool("drop", "add", "192.0.2.1", "2001:db8:1::/64", "-t", "first")
    with Filter("alone") as programs:
        frames = [bytes(TAGS["qinq"] / packet("192.0.2.1")), bytes(ETHER / packet("2001:db8:1::9"))]
        for frame, times in zip(frames, (1000, 17)):
            programs.repeat(frame, times)
        tool("drop", "add", "192.0.2.1", "-t", "second")
        tool("drop", "import", "-f", "-", stdin="203.0.113.0/24\n192.0.2.1 third 1h ; why\n")
        found = listed()
        why = []
        for prefix, frame, times in (("192.0.2.1", frames[0], 1000),
                                     ("2001:db8:1::/64", frames[1], 17)):
            got = (found[prefix]["packets"], found[prefix]["bytes"])
            if got != (times, times * len(frame)):
                why.append(f"{prefix}: {got}, not {times} of {len(frame)} bytes")
        if (found["192.0.2.1"]["tag"], found["2001:db8:1::/64"]["tag"]) != ("third", "first"):
            why.append(f"tags {found}")
        report.check("lists: counters", why)


def test_counters_of_many(report):
    """More sources than a CPU has places to count in, on all CPUs; numbers that are used again"""
    fresh()
    sources = [f"10.{i >> 8}.{i & 255}.1" for i in range(300)]
    others = [f"172.16.{i >> 8}.{i & 255}" for i in range(1100)] # numbers are freed by the thousand
    frames = {source: bytes(ETHER / packet(source)) for source in sources}
    want = collections.Counter()
    with Filter("alone") as programs:
        for _ in range(2):
            tool("drop", "add", *sources)
            for cpu in os.sched_getaffinity(0):
                os.sched_setaffinity(programs.pid, {cpu})
                for i, source in enumerate(sources):
                    times = 1 + (i * 37 + cpu) % 150
                    programs.repeat(frames[source], times)
                    want[source] += times
            tool("drop", "add", *sources[:50], "-t", "updated")
            found = listed()
            report.check(f"lists: counters of {len(sources)} sources", [
                f"{source}: {found[source]['packets']} packets, not {want[source]}"
                for source in sources
                if (found[source]["packets"], found[source]["bytes"]) !=
                (want[source], want[source] * len(frames[source]))][:5])
            tool("drop", "add", *others)
            tool("drop", "delete", *sources[20:], *others)
            want = collections.Counter({source: want[source] for source in sources[:20]})


def test_counters_of_changes(report):
    """Packets that come while an entry gets another tag"""
    fresh()
    sent, done = 0, threading.Event()
    frame = bytes(ETHER / packet("192.0.2.1"))

    def change():
        for i in range(30):
            tool("drop", "add", "192.0.2.1", "-t", f"t{i}")
            tool("drop", "import", "--replace", "-f", "-", stdin=f"192.0.2.1 i{i}\n10.0.0.1 x\n")
        done.set()

    tool("drop", "add", "192.0.2.1")
    with Filter("alone") as programs:
        changes = threading.Thread(target=change)
        changes.start()
        while not done.is_set():
            programs.repeat(frame, 65)
            sent += 65
        changes.join()
        got = listed()["192.0.2.1"]
        report.check(f"lists: {sent} packets while tags change",
                     (got["packets"], got["bytes"]) != (sent, sent * len(frame)) and
                     f"{got['packets']} are counted")


def wrong_expiry(seconds):
    """What is wrong with entries that expire in that time; None: the machine is not that fast"""
    fresh()
    begun = time.time()
    tool("drop", "add", "192.0.2.0/24", "-e", f"{seconds}s")
    tool("drop", "add", "10.0.0.0/8", "-e", "1h")
    tool("drop", "add", "10.1.0.0/16", "-e", f"{seconds}s", "-t", "inner")
    tool("drop", "add", "10.1.1.0/24", "-e", f"{seconds - 1}s")
    tool("drop", "add", "2001:db8:1::/48", "-e", f"{seconds}s")
    ended = time.time()
    why, sources, gone = [], ("192.0.2.9", "2001:db8:1::9"), set()
    with Filter("alone") as programs:
        if time.time() > begun + seconds - 2:
            return None
        while time.time() < ended + seconds + 2:
            for source in sources:
                before = time.time()
                dropped, after = is_dropped(programs, source), time.time()
                if dropped and (source in gone or before > ended + seconds + 1.1) or \
                        not dropped and after < begun + seconds:
                    why.append(f"{source}: {'dropped' if dropped else 'passed'} "
                               f"{before - begun:.2f} s after")
                if not dropped:
                    gone.add(source)
            why += check(programs, ["10.1.1.1", "10.1.2.1"], [])
            time.sleep(.02)
    if gone != set(sources) or set(listed()) != {"10.0.0.0/8"}:
        why.append(f"{gone} expired, listed {set(listed())}")
    return why


def test_expiry(report):
    """Not before its time, and within the second after it, without any tool; then what it lay in
    holds"""
    for seconds in 4, 8, 16, 32:
        why = wrong_expiry(seconds)
        if why is not None:
            break
    report.check("lists: expiry", ["too slow a machine"] if why is None else why[:10])


def test_files(report):
    """What list prints is what import reads"""
    fresh()
    tool("drop", "import", "-f", "-", stdin="# a list\n; likewise\n\n192.0.2.1/24 scan # inline\n"
         "192.0.2.0/24\tscan\n 2001:db8::/32 - 2h ; inline\n::/0 everything\n10.0.0.1\n//\n")
    before = tool("drop", "list")
    tool("drop", "flush")
    tool("drop", "import", "--replace", "-f", "-", stdin=before)

    def rows(text):
        return [line.split("#")[0] for line in text.splitlines()]
    after = tool("drop", "list")
    report.check("lists: list, import, list",
                 (rows(before) != rows(after) or len(rows(after)) != 4) and f"{before}{after}")
    why = []
    for line in ("192.0.2.0/33", "192.0.2", "host", "192.0.2.1 tag 2x",
                 "1.2.3.4 a 2027-02-30T00:00:00Z",
                 "2001:db8::/129", "1.2.3.4 1.2.3.5/32"):
        done = subprocess.run([TOOL, "drop", "import", "-f", "-"], input=f"9.9.9.9\n{line}\n",
                              capture_output=True, text=True, check=False)
        if done.returncode != 1 or "standard input:2:" not in done.stderr or \
                done.stderr.count("\n") != 4:
            why.append(f"{line}: status {done.returncode}, {done.stderr}")
    if tool("drop", "list") != after:
        why.append("something of it is on the list")
    report.check("lists: files that are wrong", why)


def test_kill(report):
    """An import that is killed at any instant: the list is the old or the new one"""
    rng = random.Random(5)
    sets = [{str(ipaddress.IPv4Address(rng.getrandbits(32))) for _ in range(20000)}
            for _ in range(2)]
    texts = ["".join(f"{one}\n" for one in some) for some in sets]
    fresh()
    start = time.time()
    tool("drop", "import", "--replace", "-f", "-", stdin=texts[0])
    duration = time.time() - start
    why, seen, now = [], [0, 0], 0
    for _ in range(int(os.environ.get("ECBPF_KILLS", "30"))):
        with subprocess.Popen([TOOL, "drop", "import", "--replace", "--force", "-f", "-"],
                              text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            try:
                process.stdin.write(texts[1 - now])
                process.stdin.close()
            except BrokenPipeError:
                pass
            time.sleep(rng.random() * duration)
            process.send_signal(signal.SIGKILL)
        found = set(listed())
        if found not in sets:
            why.append(f"{len(found)} prefixes, neither list")
            break
        is_new = found == sets[1 - now]
        seen[is_new] += 1
        now ^= is_new
        with Filter("alone") as programs:
            some, other = (rng.sample(sorted(sets[n] - sets[1 - n]), 20) for n in (now, 1 - now))
            why += check(programs, [one for one in some if int(one.split(".")[0]) not in (0,)],
                         [one for one in other if 0 < int(one.split(".")[0]) < 224 and
                          int(one.split(".")[0]) != 127])
    if not seen[0] or not seen[1]:
        why.append(f"killed {seen[0]} times too early, {seen[1]} too late")
    report.check(f"lists: killed imports: {seen[0]} old, {seen[1]} new", why)


if __name__ == "__main__":
    if os.environ.get("ECBPF_LISTS") != str(os.getpid()):
        os.environ["ECBPF_LISTS"] = str(os.getpid())
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                              'mount -t bpf -o mode=0700 bpf /sys/fs/bpf && exec "$@"', "sh",
                              sys.executable, *sys.argv])
    os.environ["TESTRUN_PINS"] = PINS
    main([test_packets, test_allow, test_prefixes, test_many, test_concurrent, test_answers,
          test_counters, test_counters_of_many, test_counters_of_changes, test_expiry, test_files,
          test_kill])
