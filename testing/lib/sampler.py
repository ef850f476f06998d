#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""ecbpf-sampler and ecbpf-pcap on a veth pair, from frames sent to files read.

    ECBPF_BUILD=DIR sampler.py chained|fused MODE[,MODE] [TEST...]

In all modes of native and skb that are given, contents and verdicts; in the first one all else.

In network and mount namespaces of its own, with a bpffs: see netns/sampler.sh. Frames are
Scapy's, what is to be found in them is reference.py's opinion; the bus is read by pyzmq, with what
protoc makes of the installed packet_sample.proto; files by tshark, capinfos and tcpdump.
"""
import collections
import json
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "bpf"), os.path.join(HERE, "..", "oracle")]
# pylint: disable=wrong-import-position
import zmq
from packets import (ETHER, ICMP, IP, IP4, IP6, TCP, TCP_SYN, UDP, UDP_QUERY, Dot1AD, Dot1Q,
                     IPOption_Router_Alert, Raw, build, fragment, stacks)
from reference import REASONS, parse
from testrun import DROP, PASS, TX, Report

PREFIX = os.path.join(os.environ["ECBPF_BUILD"], "root")
WORK = tempfile.mkdtemp(prefix="ecbpf-sampler.")
os.chmod(WORK, 0o755)  # the daemon is another user
BUS = "ipc:///run/ecbpf/samples"
SNAP_MAX = 16384
KIND, MODES = sys.argv[1], sys.argv[2].split(",")
MODE = MODES[0]
SAMPLE = None  # class PacketSample
ACTIONS = {PASS: "XDP_PASS", DROP: "XDP_DROP", TX: "XDP_TX"}
COUNT = int(os.environ.get("ECBPF_COUNT", "20000"))  # packets, for what takes many
WAIT = 20 if COUNT >= 20000 else 90  # seconds, for what comes at once, but under emulation

os.environ["PATH"] = f"{PREFIX}/sbin:{PREFIX}/bin:/usr/sbin:/sbin:" + os.environ["PATH"]


def run(*argv, status=0, **more):
    """Return: what it prints; stderr as well, if it is not to succeed"""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, **more)
    if done.returncode != status:
        raise RuntimeError(f"{' '.join(argv)}: status {done.returncode}: {done.stderr}")
    return done.stdout if not status else done.stderr


def path(name):
    return os.path.join(WORK, name)


def load_proto():
    """The class that protoc makes of the installed file"""
    run("protoc", f"--proto_path={PREFIX}/share/ecbpf", f"--python_out={WORK}",
        "packet_sample.proto")
    sys.path.append(WORK)
    import packet_sample_pb2  # pylint: disable=import-outside-toplevel,import-error
    return packet_sample_pb2.PacketSample


# --- the interface


def veth():
    run("ip", "link", "add", "s0", "address", ETHER.dst, "type", "veth", "peer", "name", "s1")
    for name in ("s0", "s1"):
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w", encoding="ascii") as file:
            file.write("1")  # nothing but what is sent here
        run("ip", "link", "set", name, "mtu", "9018" if has_frags() else "3498", "arp", "off", "up")


def has_frags():
    return MODES == ["skb"] or tuple(map(int, os.uname().release.split(".")[:2])) >= (5, 18)


def load(rate=1, *more, stage="pass"):  # pylint: disable=keyword-arg-before-vararg
    """A stage that drops what is malformed, and the sampler"""
    mode = ("-m", MODE)
    if KIND == "fused":
        run("ecbpf-loader", "load", *mode, "--fused", stage + ",sampler", "-S",
            "malformed_action=XDP_DROP", "s0")
        run("ecbpf-sampler", "set", "--rate", str(rate), "--max-pps", "0", *more)
    else:
        run("ecbpf-loader", "load", *mode, "-S", "malformed_action=XDP_DROP", "s0", stage)
        run("ecbpf-sampler", "load", *mode, "--rate", str(rate), "--max-pps", "0", *more, "s0")


def unload():
    run("ecbpf-loader", "unload", "--all", "s0")


def handled():
    """Packets that the last stage, or one that dropped them, gave a verdict on"""
    chain = json.loads(run("ecbpf-loader", "status", "-j", "s0"))[0]
    stages = [stage for member in chain["members"] for stage in member["stages"]]
    first = stages[0]["actions"]
    return sum(action["packets"] for action in first.values())


def send(frames, times=1):
    """All of them, without more on the way than a veth has room for; to one CPU"""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("s1", 0))
        for number, frame in enumerate(frames * times):
            while True:
                try:
                    sock.send(frame)
                    break
                except OSError:  # no buffers
                    time.sleep(0.001)
            if number % 64 == 63:
                time.sleep(0.0002)
    os.sched_setaffinity(0, cpus)


def status():
    return json.loads(run("ecbpf-sampler", "status", "-j"))


def settled(count=None):
    """The status when nothing is on its way any more, and `count` were drawn"""
    end = time.monotonic() + WAIT
    while True:
        now = status()
        if not now["in_rings"] and (count is None or now["drawn"] >= count):
            return now
        if time.monotonic() > end:
            return now
        time.sleep(0.05)


def wrong_sum(now):
    """Each sample drawn is in exactly one of these"""
    parts = ("capped", "unread", "ring_lost", "abandoned", "in_rings", "send_errors", "published")
    total = sum(now[part] for part in parts)
    return total != now["drawn"] and f"{total} accounted for of {now}"


# --- the daemon and its subscribers


class Daemon:
    """ecbpf-sampler run; ready when it has said so"""

    def __init__(self, *args, before=(), **more):
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind("\0ecbpf-" + os.path.basename(tempfile.mktemp()))
        self.notify.settimeout(WAIT)
        env = dict(os.environ, NOTIFY_SOCKET="@" + self.notify.getsockname()[1:].decode(), **more)
        self.errors = tempfile.TemporaryFile("w+")
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([*before, "ecbpf-sampler", "run", *args], env=env,
                                        stderr=self.errors)
        self.wait_for("READY=1")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
        self.notify.close()
        self.errors.close()

    def wait_for(self, text):
        while text not in self.notify.recv(200).decode():
            pass

    def tell(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(WAIT)

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def rss(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def credentials(self, pid=None):
        """Of the process that reads: user, group, capabilities in all sets but the bounding set"""
        with open(f"/proc/{pid or self.process.pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":\t", 1) for line in file)
        return {"users": set(fields["Uid"].split()), "groups": set(fields["Gid"].split()),
                "others": fields["Groups"].split(),
                "capabilities": {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff",
                                                                    "CapAmb")},
                "new": fields["NoNewPrivs"].strip()}

    def opener(self):
        """The process that it asks for what takes privileges"""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return int(file.read())

    def probe(self):
        """Is it alive, and its loop too? It says so every second"""
        if self.process.poll() is not None:
            return f"has ended: {self.said()}"
        self.notify.setblocking(False)
        try:
            while True:
                self.notify.recv(200)
        except BlockingIOError:
            pass
        self.notify.settimeout(WAIT)
        self.wait_for("WATCHDOG=1")
        return None


class Subscriber:
    """pyzmq; connected when samples arrive, so that all that is sent then is seen"""

    def __init__(self, endpoint=BUS, topic=b"", hwm=1000000, **options):
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.rcvhwm = hwm
        self.socket.linger = 0
        for name, value in options.items():
            setattr(self.socket, name, value)
        self.socket.connect(endpoint)
        self.socket.subscribe(topic)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self, timeout=1.0):
        """Samples until none comes for so long"""
        found = []
        while self.socket.poll(timeout * 1000):
            topic, message = self.socket.recv_multipart()
            if not message:
                continue  # what is left of one that could not be sent
            sample = SAMPLE.FromString(message)
            if topic.decode() != ACTIONS[sample.action]:
                raise RuntimeError(f"topic {topic} of action {sample.action}")
            found.append(sample)
        return found

    def read_count(self, count):
        """Wait for so many. Return: how many came"""
        for found in range(count):
            if not self.socket.poll(WAIT * 1000):
                return found
            self.socket.recv_multipart()
        return count

    def until_connected(self):
        """Nobody tells when a subscription has got there; a sample does"""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            send([FRAME])
            if self.socket.poll(200):
                return self.read(0.5)
        raise RuntimeError("no sample arrives")


FRAME = build(IP(**IP4) / UDP_QUERY)
BAD = FRAME[:14] + b"\x44" + FRAME[15:]  # IPv4 header length below 20


def frames():
    """Every stack of headers, with and without defects, tags and jumbos among them"""
    found = []
    for stack in stacks():
        found.append(stack.frame)
        end = stack.ends[-1][0]
        if end - 1 >= 14:
            found.append(stack.frame[:end - 1])
    payload = 8900 if has_frags() else 3000
    found += [build(IP(**IP4) / TCP_SYN / Raw(bytes(payload))),
              bytes(ETHER / Dot1Q(vlan=5) / IP(**IP4) / UDP_QUERY / Raw(bytes(payload))),
              bytes(ETHER / Dot1Q(vlan=5) / IP6 / UDP_QUERY / Raw(bytes(payload))), BAD]
    return found


# --- contents


RECORD = {"l3_len": "l3_len", "l3_off": "l3_off", "l4_off": "l4_off", "frag_off": "frag_off",
          "ethertype": "ethertype", "ext_count": "ext_count", "sport": "sport", "dport": "dport",
          "ip_version": "version", "proto": "proto", "frag": "frag", "malformed": "reason",
          "flags": "flags", "tcp_flags": "tcp_flags", "icmp_type": "icmp_type",
          "icmp_code": "icmp_code"}


def wrong_sample(sample, frame, linear_len):
    """What in a sample is not as it was sent"""
    record = parse(frame, linear_len)
    action = DROP if record.reason else PASS
    stage = (1, "pass") if record.reason else (7, "sampler")
    want = {"version": 1, "interface": "s0", "length": len(frame), "packet": frame, "rate": 1,
            "action": action, "program": stage[0], "program_name": stage[1],
            "reason": record.reason, "rule": 0,
            "reason_name": REASONS[record.reason] if record.reason else "",
            "host": socket.gethostname(), "ifindex": socket.if_nametoindex("s0")}
    why = [f"{name} {getattr(sample, name)}, not {value}" for name, value in want.items()
           if getattr(sample, name) != value]
    why += [f"record.{name} {getattr(sample.record, name)}, not {getattr(record, field)}"
            for name, field in RECORD.items()
            if getattr(sample.record, name) != getattr(record, field)]
    tags = [record.vlan_tci0, record.vlan_tci1][:record.vlan_count]
    if list(sample.record.vlan_tci) != tags:
        why.append(f"tags {sample.record.vlan_tci}, not {tags}")
    now, mono = time.time_ns(), time.monotonic_ns()
    if not 0 <= now - sample.time_ns < 60e9 or not 0 <= mono - sample.kernel_time_ns < 60e9:
        why.append(f"time {sample.time_ns} {sample.kernel_time_ns}")
    return why


def linear_lens(frame):
    """Where a frame may be cut into XDP fragments is up to the driver"""
    return [len(frame)] if len(frame) < 3000 else range(len(frame), 1000, -1)


def test_contents(report):
    """Every frame comes out as it went in, once, with its verdict; in files, too"""
    sent = frames()
    load(1, "--snaplen", str(SNAP_MAX))
    with Daemon() as daemon, Subscriber() as subscriber:
        with subprocess.Popen(["ecbpf-pcap", "-w", path("all.pcapng"), "--count",
                               str(len(sent) + 1)]) as writer:
            time.sleep(1)
            subscriber.until_connected()
            before = settled()["drawn"]
            send(sent)
            found = subscriber.read()
            now = settled(before + len(sent))
            time.sleep(0.3)
            writer.send_signal(signal.SIGTERM)
        report.check(f"{MODE}: contents: each packet is drawn once",
                     now["drawn"] - before != len(sent) and f"{now['drawn'] - before} drawn of "
                     f"{len(sent)}" or wrong_sum(now))
        check_samples(report, sent, found)
        check_chain(report, found)
        seqs, lost = collections.defaultdict(list), {(one.cpu, one.lost) for one in found}
        for sample in found:
            seqs[sample.cpu].append(sample.seq)
        report.check(f"{MODE}: contents: no gaps on any CPU",
                     [f"CPU {cpu}" for cpu, seq in seqs.items()
                      if seq != list(range(seq[0], seq[0] + len(seq)))] or
                     len(lost) != len(seqs) and f"{lost}")
        check_snaplen(report, subscriber)
        report.check(f"{MODE}: contents: the daemon has nothing to complain of", daemon.said())
    check_files(report, sent)
    unload()


def check_samples(report, sent, found):
    by_frame, why = collections.defaultdict(list), []
    for sample in found:
        by_frame[sample.packet].append(sample)
    for frame in sent:
        if not by_frame[frame]:
            why.append(f"no sample of {frame[:80].hex()}")
            continue
        sample = by_frame[frame].pop()
        wrong = None
        for linear_len in linear_lens(frame):
            wrong = wrong_sample(sample, frame, linear_len)
            if not wrong:
                break
        why += [f"{frame[:60].hex()}: {text}" for text in wrong]
    why += [f"nobody sent {frame[:80].hex()}" for frame, rest in by_frame.items() if rest]
    report.check(f"{MODE}: contents: {len(sent)} frames as they were sent", why)


def check_chain(report, found):
    # names come from pins, which a program without a dispatcher has none of
    want = "" if KIND == "fused" and all(not sample.chain for sample in found) else \
        "ecbpf_fused" if KIND == "fused" else "ecbpf_pass,ecbpf_sampler"
    report.check(f"{MODE}: contents: chain",
                 [f"{sample.chain} {sample.chain_id}" for sample in found
                  if sample.chain != want or not sample.chain_id])


def check_files(report, sent):
    """What tshark and capinfos make of the file; tcpdump of a classic one"""
    done = subprocess.run(["capinfos", path("all.pcapng")], capture_output=True, text=True,
                          check=False)
    report.check(f"{MODE}: pcapng: capinfos has nothing to complain of",
                 done.returncode and f"status {done.returncode}" or
                 [line for line in done.stderr.splitlines() if "root" not in line])
    fields = "frame.verdict.ebpf_xdp frame.interface_name frame.interface_queue frame.comment " \
        "frame.len frame.cap_len frame.packet_id".split()
    argv = ["tshark", "-r", path("all.pcapng"), "-T", "fields", "-E", "separator=|"]
    for field in fields:
        argv += ["-e", field]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    report.check(f"{MODE}: pcapng: tshark has nothing to complain of",
                 done.returncode and f"status {done.returncode}" or
                 [line for line in done.stderr.splitlines() if "root" not in line])
    rows = [line.split("|") for line in done.stdout.splitlines()]
    why = []
    wanted, ids = collections.Counter(), set()
    for frame in sent:
        reason = parse(frame, len(frame)).reason
        wanted[(str(DROP if reason else PASS), str(len(frame)),
                f"XDP_DROP pass: {REASONS[reason]}" if reason else "XDP_PASS sampler")] += 1
    for row in rows:
        if row[1] != "s0" or row[2] != "0" or row[6] in ids:
            why.append(f"{row}")
        ids.add(row[6])
        wanted[(row[0], row[4], row[3])] -= 1
    # jumbos may be cut anywhere, and one frame was sent to find out whether somebody listens
    why += [f"{count} {key}" for key, count in wanted.items() if count > 0 and int(key[1]) < 3000]
    report.check(f"{MODE}: pcapng: tshark shows verdict, interface, queue, comment, packet id", why)


# --- verdicts


def filter_verdicts():
    """(what, frame, action, program, reason) of each kind of verdict that stage filter gives"""
    first = Raw(bytes(1480))
    for name, link in (("", ETHER), ("tagged ", ETHER / Dot1Q(vlan=5)),
                       ("QinQ ", ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=5))):
        def made(layers, link=link):
            return bytes(link / layers)

        yield name + "clean", made(IP(**IP4) / UDP_QUERY), PASS, "sampler", ""
        yield name + "options", made(IP(**IP4, options=[IPOption_Router_Alert()]) / UDP_QUERY), \
            DROP, "filter", "ip-options"
        yield name + "later fragment", made(IP(**IP4, frag=185, proto=17) / first), \
            DROP, "filter", "ip-fragment"
        # of these the frame goes out as another one
        yield name + "first fragment", made(IP(**IP4, flags="MF", proto=17) / first), \
            TX, "filter", "ip-ptb-sent"
        yield name + "first fragment, IPv6", \
            made(IP6 / fragment(0, 1) / UDP_QUERY / Raw(bytes(1440))), \
            TX, "filter", "ip6-ptb-sent"
        yield name + "null scan", made(IP(**IP4) / TCP(flags=0)), PASS, "sampler", ""


FW_RULES = """
ip from any to any tcp dport 1 pass
ip from any to any udp dport {7,9} drop
ip6 from any to any tcp flags {} mask {fin,syn,rst,psh,ack,urg} drop
limit 1/s burst 1 ip from any to any icmp type 8
"""


def fw_verdicts():
    """Likewise of stage fw, with the rule's number"""
    for name, link in (("", ETHER), ("QinQ ", ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=5))):
        def made(layers, link=link):
            return bytes(link / layers)

        yield name + "no rule", made(IP(**IP4) / TCP_SYN), PASS, "sampler", "", 0
        yield name + "a rule that passes", made(IP(**IP4) / TCP(dport=1)), PASS, "sampler", "", 0
        yield name + "a rule that drops", made(IP(**IP4) / UDP(dport=9)), DROP, "fw", "fw-drop", 2
        yield name + "a rule of IPv6", made(IP6 / TCP(flags=0)), DROP, "fw", "fw-drop", 3


def check_snaplen(report, subscriber):
    """No more of a packet than this goes with its sample, and all else is of the whole packet"""
    frame = build(IP(**IP4) / UDP_QUERY / Raw(bytes(range(256))))
    for size in (0, 1, 100, len(frame) - 1, len(frame), SNAP_MAX):
        run("ecbpf-sampler", "set", "--snaplen", str(size))
        send([frame])
        subscriber.socket.poll(20000)
        found = [(sample.packet, sample.length, sample.record.l4_off)
                 for sample in subscriber.read(0.1)]
        report.check(f"{MODE}: contents: {size} bytes of {len(frame)}",
                     found != [(frame[:size], len(frame), 34)] and f"{found}")


def check_limit(report, subscriber):
    """Packets below and above a limit, at once: a second later there would be room again"""
    pings = [bytes(ETHER / IP(**IP4) / ICMP(seq=seq)) for seq in range(3)]
    want = [(ACTIONS[PASS], "sampler", "", 0)] + 2 * [(ACTIONS[DROP], "fw", "fw-limit", 4)]
    send(pings)
    found = subscriber.read(0.3)
    told = sorted((told_by(sample) for sample in found), key=lambda verdict: verdict[3])
    report.check(f"{MODE}: verdicts of fw: a limit",
                 told != want and f"{told}, not {want}" or
                 sorted(sample.packet for sample in found) != sorted(pings) and "not as they came")


def told_by(sample):
    return ACTIONS[sample.action], sample.program_name, sample.reason_name, sample.rule


def check_verdicts(report, stage, verdicts):
    """Of each packet one sample, as it came, by the stage that gave its verdict"""
    load(1, "--snaplen", str(SNAP_MAX), stage=stage)
    if stage == "fw":
        run("ecbpf-fw", "apply", "-f", "-", input=FW_RULES)
    with Daemon(), Subscriber() as subscriber:
        subscriber.until_connected()
        for what, frame, action, program, reason, *rule in verdicts:
            send([frame])
            found = subscriber.read(0.3)
            told = [told_by(sample) for sample in found]
            want = (ACTIONS[action], program, reason, *(rule or [0]))
            report.check(f"{MODE}: verdicts of {stage}: {what}",
                         told != [want] and f"{told}, not {want}" or
                         found[0].packet != frame and "not as it came")
        if stage == "fw":
            check_limit(report, subscriber)
    unload()


def test_verdicts(report):
    """A packet that a stage drops or rewrites is sampled by that stage, once, as it came"""
    run("ecbpf-filter", "set", "frags=ptb", "frags6=ptb", "ptb-max-pps=1000000",
        "ptb-per-source-pps=1000000")
    check_verdicts(report, "filter", filter_verdicts())
    check_verdicts(report, "fw", fw_verdicts())  # of stage fastpath: bpf/test_fastpath.py


# --- losses and faults


def test_faults(report):
    """What may go wrong around the daemon: it goes on, and sums add up"""
    count = COUNT
    load()
    with Daemon() as daemon:
        before = settled()
        send([FRAME], count)
        now = settled(before["drawn"] + count)
        report.check("no subscriber", wrong_sum(now) or
                     now["published"] - before["published"] != handled() and
                     f"{before}, {now}, {handled()} handled")
        check_slow(report, daemon, count)
        check_killed_subscriber(report, daemon)
        check_flood(report, daemon)
        check_overrun(report, daemon, count)
        check_interface(report, daemon)
        check_maps(report, daemon)
    check_kill(report, count)
    check_drain(report)
    unload()


def check_slow(report, daemon, count):
    """Fifty that never read: they miss samples, and nobody else does"""
    slow = [Subscriber(hwm=1, rcvbuf=2048) for _ in range(50)]
    with Subscriber() as fast:
        fast.until_connected()
        rss = 0
        for _ in range(40):  # to fill what there is to fill, which a busy machine does later
            rss, last = daemon.rss(), rss
            if rss <= last and settled()["queue_full"]:
                break
            send([FRAME], count)
            fast.read()
        before, found = settled()["published"], 0
        for _ in range(COUNT // 500):  # in portions, for which its queue has room
            send([FRAME], 1000)
            now = settled()
            found += fast.read_count(now["published"] - before - found)
        report.check("50 slow subscribers: one that is fast gets all",
                     (found != now["published"] - before or found < COUNT) and
                     f"{found} of {now['published'] - before}")
        report.check("50 slow subscribers: sums", wrong_sum(now) or
                     COUNT >= 20000 and not now["queue_full"] and "no queue was full")
        report.check("50 slow subscribers: nothing grows",
                     daemon.rss() > rss * 1.05 + 1024 and f"{rss} KiB, then {daemon.rss()}")
        # one of them wakes up: what it gets and what it missed are all there was
        seqs = [sample.bus_seq for sample in slow[0].read()]
        missed = sum(b - a - 1 for a, b in zip(seqs, seqs[1:]))
        last = max(sample.bus_seq for sample in fast.until_connected())
        report.check("50 slow subscribers: what one missed can be told",
                     (len(seqs) + missed != seqs[-1] - seqs[0] + 1 or seqs[-1] > last) and
                     f"{len(seqs)} read, {missed} missed, {seqs[0]} to {seqs[-1]}")
    for subscriber in slow:
        subscriber.__exit__()
    report.check("50 slow subscribers: the daemon goes on", daemon.probe())


def check_killed_subscriber(report, daemon):
    """In the middle of a message, of a greeting, of nothing"""
    with subprocess.Popen(["ecbpf-pcap"], stdout=subprocess.DEVNULL) as reader:
        for _ in range(10):
            send([FRAME], 200)
        reader.kill()
    for greeting in (b"", b"\xff\0\0\0\0\0\0\0\1\x7f\3", b"GET / HTTP/1.0\r\n\r\n",
                     os.urandom(500)):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(BUS[len("ipc://"):])
            sock.sendall(greeting)
    send([FRAME], 2000)
    with Subscriber() as subscriber:
        subscriber.until_connected()
    report.check("subscribers killed, and such that are none",
                 daemon.probe() or wrong_sum(settled()))


def check_flood(report, daemon):
    """A subscriber that asks for no end of topics, one with endless ones, and three hundred"""
    ready = b"\4\x19\5READY\x0bSocket-Type\0\0\0\3SUB"

    def greeted():
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(WAIT)
        sock.connect(BUS[len("ipc://"):])
        sock.sendall(b"\xff" + bytes(8) + b"\x7f\3\0NULL" + bytes(48))
        sock.sendall(ready)
        # libzmq may end a connection that goes on before it has answered: that would be no limit
        answer = b""
        while b"Socket-Type" not in answer:
            answer += (data := sock.recv(4096))
            if not data:
                raise ConnectionResetError
        return sock

    def flood(messages):
        """Return: whether it was ended"""
        end = time.monotonic() + WAIT
        with greeted() as sock:
            try:
                for message in messages:
                    sock.sendall(message)
                    if time.monotonic() > end:
                        return False
                while sock.recv(4096):
                    pass
                return True
            except (BrokenPipeError, ConnectionResetError):
                return True
            except socket.timeout:
                return False

    with Subscriber() as subscriber:
        subscriber.until_connected()
        before, published = daemon.rss(), status()["published"]
        # 100 octets of topic each, no two alike: 200 MB in libzmq's tree
        ended = [flood(b"\0\x65\1%100d" % number for number in range(200000)) for _ in range(3)]
        ended.append(flood(b"\2" + struct.pack(">Q", 1 << 20) + b"\1" + bytes(1 << 20)
                           for _ in range(100)))
        report.check("floods of subscriptions: ended", not all(ended) and f"{ended}")
        many = []
        for _ in range(300):
            try:
                many.append(greeted())
            except OSError:
                pass
        peak = daemon.rss()
        for sock in many:
            sock.close()
        report.check("floods of subscriptions: nothing grows",
                     peak > before + 30000 and f"{before} KiB, then {peak}")
        report.check("floods of subscriptions: it says so",
                     "a subscriber is disconnected" not in daemon.said() and daemon.said())
        time.sleep(0.5)
        subscriber.read(0.1)
        send([FRAME], 100)
        found = len(subscriber.read())
        report.check("floods of subscriptions: others get their samples",
                     daemon.probe() or found != 100 and f"{found} of 100, {published} before")


def check_overrun(report, daemon, count):
    """The daemon stands still: its rings overrun, which is counted"""
    frame = build(IP(**IP4) / UDP_QUERY / Raw(bytes(1400)))
    run("ecbpf-sampler", "set", "--snaplen", "2000")  # less than 400 in a ring
    with Subscriber() as subscriber:
        lost_before = subscriber.until_connected()[-1].lost
        before = settled()
        daemon.tell(signal.SIGSTOP)
        send([frame], count)
        daemon.tell(signal.SIGCONT)
        found = subscriber.read()
        now = settled()
        lost = now["ring_lost"] - before["ring_lost"]
        report.check("ring overrun: sums", wrong_sum(now) or not lost and "nothing was lost")
        report.check("ring overrun: read and lost are all that was sent",
                     len(found) + lost != count and f"{len(found)} and {lost} of {count}")
        send([FRAME])
        last = subscriber.read()
        report.check("ring overrun: samples say so",
                     [sample.lost - lost_before for sample in last] != [lost] and
                     f"{[sample.lost for sample in last]} after {lost_before}, not {lost} more")


def check_interface(report, daemon):
    """Deleted under its nose, and made again"""
    send([FRAME], 1000)
    run("ip", "link", "del", "s0")
    send_error = daemon.probe()
    veth()
    load()
    with Subscriber() as subscriber:
        subscriber.until_connected()
        send([FRAME], 100)
        found = subscriber.read()
    report.check("interface deleted and made again",
                 send_error or wrong_sum(settled()) or len(found) != 100 and f"{len(found)} of 100")
    # a chain replaced
    if KIND == "chained":
        run("ecbpf-loader", "load", "s0", "count")
    else:
        unload()
        load()
    with Subscriber() as subscriber:
        subscriber.until_connected()
        time.sleep(1.2)  # is looked for every second
        send([FRAME], 100)
        found = subscriber.read()
        chains = {sample.chain for sample in found}
    want = {"ecbpf_pass,ecbpf_count,ecbpf_sampler"} if KIND == "chained" else chains
    # the kernel cuts names at 15 characters
    report.check("chain replaced", daemon.probe() or wrong_sum(settled()) or
                 (len(found) != 100 or chains != want) and f"{len(found)} of 100, {chains}")


def check_maps(report, daemon):
    """Maps removed and made again: samples go elsewhere, and the daemon follows"""
    unload()
    run("ecbpf-loader", "clean", "--all")
    load()
    time.sleep(2.5)
    with Subscriber() as subscriber:
        subscriber.until_connected()
        send([FRAME], 100)
        found = subscriber.read()
    report.check("maps made anew", daemon.probe() or len(found) != 100 and f"{len(found)} of 100")


def check_kill(report, count):
    """Killed, and started again: the chain does not notice, what was in its rings is counted"""
    before = handled()
    with Daemon() as daemon:
        send([FRAME], 500)
        daemon.tell(signal.SIGSTOP)
        send([FRAME], 1000)
        daemon.stop(signal.SIGKILL)
    send([FRAME], 500)
    now = status()
    report.check("daemon killed: the chain goes on",
                 handled() - before != 2000 and f"{handled() - before} of 2000")
    with Daemon():
        again = settled()
        report.check("daemon killed: what it left is counted when it is back",
                     wrong_sum(again) or again["unread"] < 500 and f"{again}" or
                     again["abandoned"] < 900 and f"{again}, before: {now}")
        send([FRAME], count)
        report.check("daemon killed: goes on where it was", wrong_sum(settled()))
    report.check("two daemons: the second one is refused", second_daemon())


def second_daemon():
    with Daemon():
        said = run("ecbpf-sampler", "run", "--bind", "ipc://" + path("second"), status=1)
        return "read by another process already" not in said and said


def check_drain(report):
    """SIGTERM: what was drawn before is published"""
    with Daemon() as daemon, Subscriber() as subscriber:
        subscriber.until_connected()
        before = settled()["drawn"]
        send([FRAME], 1000)
        code = daemon.stop()
        found = subscriber.read()
    now = status()
    drawn = now["drawn"] - before
    report.check("SIGTERM drains", wrong_sum(now) or code and f"status {code}" or
                 (drawn != 1000 or len(found) + now["unread"] < 1000 or now["in_rings"]) and
                 f"{len(found)} of {drawn}: {now}")


# --- the rest of what the daemon can


def test_daemon(report):
    """Rights, keys, settings, statsd, watchdog, send errors, the cap"""
    load()
    check_rights(report)
    check_statsd(report)
    check_reload(report)
    check_keys(report)
    check_cap(report)
    check_send_error(report)
    unload()


def check_rights(report):
    """It needs few capabilities, and the process that reads keeps none; neither outlives the other"""
    with open("/proc/sys/kernel/perf_event_paranoid", encoding="ascii") as file:
        more = ",+sys_admin" if int(file.read()) > 2 else ""  # Debian's kernels
    caps = ["setpriv", "--bounding-set", "-all,+bpf,+perfmon,+setuid,+setgid" + more,
            "--inh-caps", "-all"]
    user = pwd.getpwnam("ecbpf")
    with Daemon(before=caps) as daemon, Subscriber() as subscriber:
        subscriber.until_connected()
        want = {"users": {str(user.pw_uid)}, "groups": {str(user.pw_gid)}, "others": [],
                "capabilities": {0}, "new": "1"}
        found = daemon.credentials()
        report.check("who reads is user ecbpf without capabilities", found != want and f"{found}")
        found = daemon.credentials(daemon.opener())["users"]
        report.check("who opens is root", found != {"0"} and f"{found}")
        report.check("watchdog", daemon.probe())
        os.kill(daemon.opener(), signal.SIGKILL)
        code = daemon.process.wait(WAIT)
        report.check("who opens is killed: who reads says so and ends",
                     (code != 1 or "has ended" not in daemon.said()) and f"{code} {daemon.said()}")
    with Daemon() as daemon:
        opener = daemon.opener()
        daemon.stop(signal.SIGKILL)
        end = time.monotonic() + WAIT
        while os.path.exists(f"/proc/{opener}") and time.monotonic() < end:
            time.sleep(0.05)
        report.check("who reads is killed: who opens ends, and removes the socket",
                     os.path.exists(f"/proc/{opener}") or os.path.exists(BUS[len("ipc://"):]))
    with Daemon() as daemon:
        opener = daemon.opener()
        os.kill(opener, signal.SIGTERM)
        os.kill(opener, signal.SIGHUP)
        report.check("signals are for who reads", daemon.probe())


def check_statsd(report):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        before = status()
        with Daemon("--statsd", f"127.0.0.1:{sock.getsockname()[1]}"):
            send([FRAME], 1000)
            settled()
        now, sums = status(), collections.Counter()
        sock.setblocking(False)
        try:
            while True:
                for line in sock.recv(2000).decode().splitlines():
                    name, value = line.split(":")
                    sums[name] += int(value.split("|")[0])
        except BlockingIOError:
            pass
    why = [f"{name} {sums['xdp.sampler.' + name]}, not {now[name] - before[name]}"
           for name in ("published", "ring_lost", "unread", "send_errors", "abandoned", "bytes")
           if sums["xdp.sampler." + name] != now[name] - before[name]]
    report.check("statsd: sums of what it was told", why or not sums and "told nothing")


def check_reload(report):
    """SIGHUP: a file that is good, and one that is not"""
    def settings(text):
        with open(path("settings"), "w", encoding="ascii") as file:
            file.write(text)

    settings(f"# where to\nbind ipc://{path('one')}\nhost first\n")
    with Daemon("-f", path("settings")) as daemon:
        with Subscriber(f"ipc://{path('one')}") as subscriber:
            first = subscriber.until_connected()[0].host
        settings(f"bind ipc://{path('two')}\nhost second\n")
        daemon.tell(signal.SIGHUP)
        daemon.wait_for("READY=1")
        with Subscriber(f"ipc://{path('two')}") as subscriber:
            second = subscriber.until_connected()[0].host
        settings("bind tcp://0.0.0.0:1\n")
        daemon.tell(signal.SIGHUP)
        daemon.wait_for("READY=1")
        with Subscriber(f"ipc://{path('two')}") as subscriber:
            third = subscriber.until_connected()[0].host
        report.check("SIGHUP", (first, second, third) != ("first", "second", "second") and
                     f"{first}, {second}, {third}" or "leaves this host" not in daemon.said() and
                     daemon.said())


def check_keys(report):
    """CURVE: only those who have the key, and only those who are listed, get samples"""
    for name in ("server", "friend", "stranger"):
        run("ecbpf-sampler", "keygen", path(name))
    keys = {}
    for name in ("server", "friend", "stranger"):
        with open(path(name), "rb") as secret, open(path(name + ".pub"), "rb") as public:
            keys[name] = (secret.read().strip(), public.read().strip())
    refused = run("ecbpf-sampler", "run", "--bind", "tcp://*:12355", status=2)
    report.check("keys: none, no endpoint for others", "--key" not in refused and refused)
    os.chmod(path("server"), 0o644)
    refused = run("ecbpf-sampler", "run", "--key", path("server"), status=1)
    report.check("keys: not if others can read it", "chmod 600" not in refused and refused)
    os.chmod(path("server"), 0o600)

    def curve(name):
        return {"curve_secretkey": keys[name][0], "curve_publickey": keys[name][1],
                "curve_serverkey": keys["server"][1]}

    with Daemon("--bind", "tcp://*:12355", "--key", path("server"), "--allow",
                path("friend.pub")):
        with Subscriber("tcp://127.0.0.1:12355", **curve("friend")) as friend, \
                Subscriber("tcp://127.0.0.1:12355", **curve("stranger")) as stranger, \
                Subscriber("tcp://127.0.0.1:12355") as plain:
            friend.until_connected()
            send([FRAME], 10)
            report.check("keys: who is listed", len(friend.read()) != 10 and "got nothing")
            report.check("keys: who is not", stranger.read() and "got samples")
            report.check("keys: who has none", plain.read() and "got samples")
        with subprocess.Popen(["ecbpf-pcap", "-e", "tcp://127.0.0.1:12355", "--key",
                               path("friend"), "--server-key", path("server.pub"), "--print",
                               "--count", "5"], stdout=subprocess.PIPE, text=True) as reader:
            end = time.monotonic() + WAIT
            while reader.poll() is None and time.monotonic() < end:
                send([FRAME], 5)
                time.sleep(0.2)
            reader.terminate()
            lines = reader.stdout.read().splitlines()
        report.check("keys: ecbpf-pcap", len(lines) != 5 and f"{lines}")


def check_cap(report):
    """At most so many a second, whatever arrives; the rest is counted"""
    run("ecbpf-sampler", "set", "--max-pps", "500")
    before = status()
    start = time.monotonic()
    with Daemon():
        send([FRAME], 5000)
        now = settled()
    seconds = time.monotonic() - start
    run("ecbpf-sampler", "set", "--max-pps", "0")
    let = now["published"] - before["published"]
    capped = now["capped"] - before["capped"]
    report.check("cap", wrong_sum(now) or let + capped != 5000 and f"{let} and {capped}" or
                 not 50 <= let <= 52 + os.cpu_count() + 500 * seconds and
                 f"{let} in {seconds:.2f} s")


def check_send_error(report):
    """libzmq cannot send, for a while"""
    with open(path("error.c"), "w", encoding="ascii") as file:
        file.write("#include <dlfcn.h>\n#include <errno.h>\n#include <unistd.h>\n"
                   "int zmq_msg_send(void *msg, void *socket, int flags)\n"
                   "{ int (*send)(void *, void *, int) = dlsym(RTLD_NEXT, \"zmq_msg_send\");\n"
                   "if (access(ERROR, F_OK)) return send(msg, socket, flags);\n"
                   "errno = ENOTCONN; return -1; }\n")
    run("gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", f'-DERROR="{path("error")}"', "-o",
        path("error.so"), path("error.c"), "-ldl")
    with Daemon(LD_PRELOAD=path("error.so")) as daemon, Subscriber() as subscriber:
        subscriber.until_connected()
        before = settled()
        with open(path("error"), "w", encoding="ascii"):
            pass
        send([FRAME], 1000)
        now = settled()
        os.unlink(path("error"))
        errors = now["send_errors"] - before["send_errors"]
        report.check("send errors are counted", errors != 1000 and f"{errors}" or wrong_sum(now))
        subscriber.until_connected()
        report.check("send errors do not end it", daemon.probe())


# --- ecbpf-pcap, with a bus of our own


class Publisher:
    """What a daemon would send, and what it would not"""

    def __init__(self):
        self.endpoint = "ipc://" + path("bus")
        self.socket = zmq.Context.instance().socket(zmq.XPUB)
        self.socket.bind(self.endpoint)
        self.seq = 0

    def wait(self):
        self.socket.poll(WAIT * 1000)
        self.socket.recv()

    def sample(self, frame=FRAME, action=PASS, **more):
        self.seq += 1
        record = parse(frame, len(frame))
        sample = SAMPLE(version=1, host="h", publisher=1, interface="s0", length=len(frame),
                        packet=frame, rate=100, action=action, bus_seq=self.seq, seq=self.seq,
                        time_ns=1700000000123456789, program=7, program_name="sampler")
        for name, field in RECORD.items():
            setattr(sample.record, name, getattr(record, field))
        for name, value in more.items():
            setattr(sample, name, value)
        return sample

    def send(self, *parts):
        self.socket.send_multipart([part if isinstance(part, bytes) else part.SerializeToString()
                                    for part in parts])


def follow(publisher, messages, *args, status=0):  # pylint: disable=redefined-outer-name
    """What ecbpf-pcap prints, to stdout and stderr, when it was sent these"""
    argv = ["ecbpf-pcap", "-e", publisher.endpoint, "--duration", "1", *args]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        publisher.wait()
        for message in messages:
            publisher.send(*message)
        out, err = process.communicate(timeout=WAIT)
        if process.returncode != status:
            raise RuntimeError(f"{argv}: {process.returncode}: {err.decode()}")
    publisher.wait()  # it is gone
    return out, err.decode()


def test_pcap(report):
    """Options of ecbpf-pcap, and messages that are none"""
    pub = Publisher()
    good = [(b"XDP_PASS", pub.sample()) for _ in range(10)]
    bad = [(b"XDP_PASS",), (b"XDP_PASS", b"\xff" * 50), (b"XDP_PASS", pub.sample(version=2)),
           (b"XDP_PASS", pub.sample(), b"more"), (b"XDP_PASS", b""), (b"", b""),
           (b"XDP_PASS", pub.sample(length=10)), (b"XDP_PASS", pub.sample(host="h" * 300)),
           (b"XDP_PASS", os.urandom(1000))]
    out, err = follow(pub, good + bad + good, "--print")
    report.check("pcap: messages that are none are counted",
                 (len(out.splitlines()) != 20 or f"20 samples taken, {20 + len(bad)} received, 0 "
                  f"not wanted, {len(bad)} malformed" not in err) and err)
    out, err = follow(pub, [(b"XDP_PASS", pub.sample(host="a\x1b[31mb"))], "--print")
    report.check("pcap: nothing that a terminal obeys", b"\x1b" in out and f"{out}")
    report.check("pcap: a line", rb"a\x1b[31mb s0 (XDP_PASS sampler) 1/100 42 bytes 192.0.2.1:53000 > "
                 b"198.51.100.1:53 udp" not in out and f"{out}")
    first = pub.sample()
    pub.seq += 7
    out, err = follow(pub, [(b"XDP_PASS", first), (b"XDP_PASS", pub.sample(lost=5))], "--print")
    report.check("pcap: losses", "lost: 7 on the bus, 5 before it" not in err and err)
    mixed = [(b"XDP_PASS", pub.sample()),
             (b"XDP_DROP", pub.sample(BAD, DROP, program=1, program_name="pass", reason=6,
                                      reason_name="ip-ihl", rule=3)),
             (b"XDP_PASS", pub.sample(build(IP(**IP4) / TCP_SYN), interface="s9"))]
    for args, want in ((("--action", "XDP_DROP"), 1), (("--program", "pass"), 1),
                       (("--program", "7"), 2), (("--reason", "ip-ihl,runt"), 1),
                       (("--reason", "none"), 2), (("--iface", "s9"), 1),
                       (("tcp", "port", "443"), 1), (("udp port 53",), 1), (("--count", "2"), 2),
                       ((), 3)):
        out, err = follow(pub, mixed, "--print", *args)
        report.check(f"pcap: {' '.join(args) or 'all'}",
                     len(out.splitlines()) != want and f"{out.decode()}{err}")
    out, _ = follow(pub, mixed, "--action", "XDP_DROP", "--print")
    report.check("pcap: verdict in a line",
                 b"(XDP_DROP pass, rule 3: ip-ihl)" not in out and f"{out}")
    check_classic(report, pub)
    check_rotation(report, pub)
    check_top(report, pub)
    for args in (("--top", "x"), ("--action", "DROP"), ("-C", "1"), ("tcp port",), ("--pcap", "-p"),
                 ("-e", "tcp://192.0.2.1:1", "-p"), ("-w", "-", "-p"), ("--count", "0")):
        said = run("ecbpf-pcap", *args, status=2)
        report.check(f"pcap: usage: {' '.join(args)}",
                     len(said.splitlines()) != 2 and f"{said}")
    pub.socket.close()


def check_classic(report, pub):
    good = [(b"XDP_PASS", pub.sample()) for _ in range(10)]
    for args in ((), ("--pcap",)):
        out, _ = follow(pub, good, *args)
        done = subprocess.run(["tcpdump", "-n", "-r", "-"], input=out, capture_output=True,
                              check=False)
        lines = done.stdout.decode().splitlines()
        report.check(f"pcap: tcpdump reads {'pcap' if args else 'pcapng'} from a pipe",
                     (done.returncode or len(lines) != 10 or
                      "192.0.2.1.53000 > 198.51.100.1.53" not in lines[0]) and f"{done}")


def check_rotation(report, pub):
    big = [(b"XDP_PASS", pub.sample(build(IP(**IP4) / UDP_QUERY / Raw(bytes(8000)))))
           for _ in range(700)]
    for args, want in (((), 6), (("-W", "3"), 3)):
        for name in os.listdir(WORK):
            if name.startswith("ring"):
                os.unlink(path(name))
        follow(pub, big, "-C", "1", "-w", path("ring"), *args)
        names = sorted(name for name in os.listdir(WORK) if name.startswith("ring"))
        packets = sum(len(run("tcpdump", "-n", "-r", path(name)).splitlines()) for name in names)
        report.check(f"pcap: -C 1 {' '.join(args)}",
                     (len(names) != want or any(os.path.getsize(path(name)) > 1010000
                                                for name in names) or
                      (packets != 700 if not args else not 250 < packets < 400)) and
                     f"{names}, {packets} packets")
    out, _ = follow(pub, big[:1], "-G", "3600", "-w", path("ring-%Y%m%d%H"))
    report.check("pcap: -G", not any(name.startswith(time.strftime("ring-%Y"))
                                     for name in os.listdir(WORK)) and f"{out}")


def check_top(report, pub):
    """Scaled by the rate, with the binomial's error: 1.96 * sqrt(n * 100 * 99) of n samples"""
    many = [(b"XDP_PASS", pub.sample(build(IP(src="192.0.2.9", dst="198.51.100.1") / UDP_QUERY)))
            for _ in range(300)] + [(b"XDP_PASS", pub.sample()) for _ in range(100)]
    out, err = follow(pub, many, "--top", "src", "--interval", "5")
    rows = [line.split() for line in out.decode().splitlines() if line]
    names = [row[0] for row in rows]
    why = []
    if names != ["source", "192.0.2.9", "192.0.2.1", "all"]:
        why.append(f"{names}, {err}")
    else:
        for row, samples in zip(rows[1:], (300, 100, 400)):
            rate, margin = float(row[1]), float(row[2][2:])
            if row[5] != str(samples) or abs(margin / rate - 1.96 * (samples * 9900) ** .5 /
                                             (samples * 100)) > 0.01:
                why.append(f"{row}")
        if [row[4] for row in rows[1:]] != ["75.0", "25.0", "100.0"]:
            why.append(f"{rows}")
    report.check("pcap: --top", why)
    for key, name in (("dst", "198.51.100.1"), ("sport", "53000"), ("dport", "53"),
                      ("proto", "udp"), ("reason", "none")):
        out, _ = follow(pub, many[-100:], "--top", key, "--interval", "5")
        report.check(f"pcap: --top {key}",
                     out.decode().splitlines()[1].split()[0] != name and f"{out.decode()}")


def main():
    global SAMPLE, MODE  # pylint: disable=global-statement
    report = Report()
    SAMPLE = load_proto()
    veth()
    for MODE in MODES:
        for test in (test_contents, test_verdicts, test_faults, test_daemon, test_pcap):
            if (sys.argv[3:] and test.__name__ not in sys.argv[3:]) or \
                    (MODE != MODES[0] and test not in (test_contents, test_verdicts)):
                continue
            try:
                test(report)
            except Exception as error:  # pylint: disable=broad-except
                report.check(test.__name__, f"{type(error).__name__}: {error}, line "
                             f"{error.__traceback__.tb_next.tb_lineno}")
    shutil.rmtree(WORK)
    sys.exit(report.finish())


if __name__ == "__main__":
    main()
