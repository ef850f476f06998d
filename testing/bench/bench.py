# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the benchmarks share: command lines, namespaces, programs, the machine, results

Results are rows: {"group", "case", "at", "low", "median"}. "group" is a key of GROUPS, "case" a
line of its table, "at" a column. "low" is the mean of the lowest quarter of the runs if there are
several, else the one figure; "median" is left out then. A case that was not measured has
"missing" instead of figures: the reason.
"""
import argparse
import contextlib
import ctypes
import glob
import ipaddress
import json
import os
import platform
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("ECBPF_BUILD", os.path.join(TOP, "build", "test")))
PINS = "/sys/fs/bpf/ecbpf"
INSIDE = "ECBPF_BENCH_INSIDE"
PASS, DROP = 2, 1
NR_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_LOAD, PROG_TEST_RUN, PROG_GET_FD_BY_ID, XDP = 5, 10, 13, 6
libc = ctypes.CDLL(None, use_errno=True)

NS = "ns per packet over an empty program"
# In the order of the table. Title, unit
GROUPS = {
    "stages": ("One packet again and again, by stage", NS),
    "flows": ("Packets of random flows that the fast path forwards, by number of flows in a large "
              "table", NS),
    "rules": ("Firewall, by number of rules", NS),
    "sets": ("Firewall, one rule with a set, by size of the set", NS),
    "prefixes": ("Filter, by number of listed prefixes, half of them IPv4", NS),
    "peers": ("1,024 sources are dropped, live frames over a veth pair", "Mpps, sender included"),
    "hot": ("Programs, one packet again and again", NS),
    "many": ("Programs, packets of 524,288 flows", NS),
    "sampling": ("A stage without sampling; what sampling adds to it", NS),
    "chained": ("Four stages 'pass' in several kinds of chains", NS),
    "live": ("Live frames over a veth pair", "Mpps, sender included"),
    "lookup": ("Tables of prefixes, random host routes", "ns, over an empty table"),
    "table": ("Tables of prefixes, changes by the library", "ms"),
    "memory": ("Tables of prefixes, memory", "MiB"),
    "fw_changes": ("Firewall, whole commands by number of rules or of prefixes in a set", "ms"),
    "filter_changes": ("Filter, whole commands by number of listed prefixes", "ms"),
    "samples": ("Samples of live frames over a veth pair", ""),
    "verifier": ("Instructions that the verifier walked", ""),
}


def run(*argv, text=None):
    """Output of a command, which must succeed"""
    done = subprocess.run(argv, capture_output=True, text=True, input=text, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)[:200]}: {done.stderr.strip()}")
    return done.stdout


def timed(*argv, text=None):
    """ms that a command takes"""
    start = time.perf_counter()
    run(*argv, text=text)
    return 1000 * (time.perf_counter() - start)


def arguments(doc):
    """A parser with the options of all benchmarks"""
    parser = argparse.ArgumentParser(description=doc,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few runs: shows that it works")
    parser.add_argument("--json", metavar="FILE", help="write the results, too")
    parser.add_argument("--objects", metavar="DIR",
                        help="made by `build DIR` (default: build anew)")
    return parser


def own_net():
    """Go on in namespaces with s0, s1 (a veth pair), empty BPF file system and state of ecbpf"""
    if os.geteuid():
        raise SystemExit("not root")
    if os.environ.get(INSIDE) != str(os.getpid()): # unshare keeps the process
        os.environ[INSIDE] = str(os.getpid())
        os.execvp("unshare", ["unshare", "--mount", "--net", "--propagation", "private",
                              sys.executable, *sys.argv])
    os.environ["PATH"] = ":".join((f"{BUILD}/root/sbin", f"{BUILD}/root/bin", "/usr/sbin", "/sbin",
                                   os.environ["PATH"]))
    run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    os.environ["ECBPF_STATE_DIR"] = "/run/ecbpf-state"
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "s0", "type", "veth", "peer", "name", "s1")
    run("ip", "link", "set", "s0", "address", "02:00:00:00:00:01") # where frames go
    for name in ("s0", "s1"):
        run("ip", "link", "set", name, "up")
        run("ethtool", "-K", name, "gro", "on") # makes NAPI, which live frames need


@contextlib.contextmanager
def objects_of(args):
    """The directory of what `build` makes"""
    with tempfile.TemporaryDirectory(prefix="ecbpf-bench.") as work:
        if not args.objects:
            subprocess.run([os.path.join(HERE, "build"), work], check=True)
        yield os.path.abspath(args.objects or work)


# --- machine and results --------------------------------------------------------------------------


def first_line(*argv):
    """Of a command's output; empty if it fails"""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=TOP)
    return "" if done.returncode else done.stdout.partition("\n")[0]


def machine():
    """What figures depend on"""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        info = dict(line.split(":", 1) for line in file if ":" in line)
    info = {key.strip(): value.strip() for key, value in info.items()}
    mitigations = {}
    for path in sorted(glob.glob("/sys/devices/system/cpu/vulnerabilities/*")):
        with open(path, encoding="ascii") as file:
            mitigations[os.path.basename(path)] = file.read().strip()
    jit = None # not to be seen in another network namespace
    with contextlib.suppress(FileNotFoundError):
        with open("/proc/sys/net/core/bpf_jit_enable", encoding="ascii") as file:
            jit = int(file.read())
    return {"cpu": info.get("model name", platform.machine()), "cpus": os.cpu_count(),
            "virtual": "hypervisor" in info.get("flags", "").split(), "kernel": platform.release(),
            "jit": jit, "compiler": first_line(os.environ.get("CLANG", "clang"), "--version"),
            "source": first_line("git", "describe", "--always", "--dirty"),
            "date": time.strftime("%Y-%m-%d"), "load": round(os.getloadavg()[0], 1),
            "mitigations": {name: text for name, text in mitigations.items()
                            if text != "Not affected"}}


def machine_text(found):
    """In lines"""
    return [f"{found['cpu']}, {found['cpus']} CPUs" + ", virtual machine" * found["virtual"],
            f"Linux {found['kernel']}, {found['compiler']}" + ", no JIT" * (found["jit"] == 0),
            f"{found['source']}, {found['date']}, load {found['load']}"] + \
        [f"{name}: {text}" for name, text in found["mitigations"].items()]


def save(path, results):
    """Write results: the one format of all benchmarks"""
    text = json.dumps({"version": 1, "machine": machine(), **results}, indent=1)
    # a row, a line
    text = re.sub(r"^  \{.*?^  \}", lambda found: "  " + " ".join(found.group().split()), text,
                  flags=re.M | re.S)
    with open(path, "w", encoding="ascii") as file:
        file.write(text + "\n")


def low(runs):
    """The mean of the lowest quarter: a minimum may be an outlier, and of whole ns"""
    return statistics.mean(sorted(runs)[:max(len(runs) // 4, 1)])


def row(group, case, at, runs=None, base=(0,)):
    """Of several runs, over those of the base; or of one figure"""
    one = {"group": group, "case": case, "at": at}
    if isinstance(runs, (int, float)):
        return {**one, "low": round(runs, 4)}
    return {**one, "low": round(low(runs) - low(base), 2),
            "median": round(statistics.median(runs) - statistics.median(base), 2)}


def over(group, case, at, results, name, base):
    """A row of what several engines have found: least of the lows, median of medians"""
    lows = [min(found[one]["low"] for found in results) for one in (name, base)]
    medians = [statistics.median(found[one]["median"] for found in results) for one in (name, base)]
    return {"group": group, "case": case, "at": at, "low": round(lows[0] - lows[1], 2),
            "median": round(medians[0] - medians[1], 2)}


def digits(value):
    """Digits that count"""
    size = abs(value)
    return f"{value:.0f}" if size >= 100 or value == int(value) else \
        f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= .01 else f"{value:.1g}"


def cell(found):
    """low/median"""
    return "" if not found else "/".join(digits(found[key]) for key in ("low", "median")
                                         if key in found)


def report(rows):
    """One table, as text: a line for each case, with low/median in columns"""
    lines = []
    for group, (title, unit) in GROUPS.items():
        mine = [one for one in rows if one["group"] == group]
        ats = list(dict.fromkeys(one["at"] for one in mine if "missing" not in one))
        ats.sort(key=lambda at: at if isinstance(at, int) else 0)
        cells = {(one["case"], one["at"]): cell(one) for one in mine if "missing" not in one}
        table = [["", *(f"{at:,}" if isinstance(at, int) else at for at in ats)]]
        for case in dict.fromkeys(case for case, _ in cells):
            table.append([case, *(cells.get((case, at), "") for at in ats)])
        width = [max(map(len, column)) for column in zip(*table)]
        if mine:
            lines += ["", title + f": {unit}" * bool(unit)]
        for one in table if cells else ():
            lines.append("  " + "  ".join(text.rjust(size) if i else text.ljust(size) for
                                          i, (text, size) in enumerate(zip(one, width))))
        lines += [f"  {one['case']}: not measured: {one['missing']}" for one in mine
                  if "missing" in one]
    return "\n".join(lines[1:])


def finish(args, rows):
    """What a benchmark does with its rows"""
    if args.json:
        save(args.json, {"rows": rows})
    print(report(rows))


# --- programs by system calls ---------------------------------------------------------------------


def program(id_of):
    """A descriptor"""
    fd = libc.syscall(NR_BPF, PROG_GET_FD_BY_ID, struct.pack("=III", id_of, 0, 0), 12)
    if fd < 0:
        raise SystemExit(f"program {id_of}: {os.strerror(ctypes.get_errno())}")
    return fd


def program_id(interface):
    """Of the program that is attached, which is fused"""
    return json.loads(run("ecbpf-loader", "status", "-j", interface))[0]["members"][0]["id"]


def empty_program():
    """A descriptor of one that drops: r0 = 1; exit"""
    code = ctypes.create_string_buffer(struct.pack("=BBhi BBhi", 0xb7, 0, 0, 1, 0x95, 0, 0, 0))
    license_text = ctypes.create_string_buffer(b"GPL")
    fd = libc.syscall(NR_BPF, PROG_LOAD, struct.pack(
        "=IIQQ", XDP, 2, ctypes.addressof(code), ctypes.addressof(license_text)), 24)
    if fd < 0:
        raise SystemExit(f"BPF_PROG_LOAD: {os.strerror(ctypes.get_errno())}")
    return fd


def measure(fd, data, repeat):
    """ns per packet, verdict. The kernel's clock leaves out what a call costs (10 ms: it puts the
    program into the XDP dispatcher, and takes it out again) and when another process runs"""
    out = ctypes.create_string_buffer(4096)
    buffer = ctypes.create_string_buffer(data, len(data))
    attr = ctypes.create_string_buffer(struct.pack(
        "=IIIIQQI", fd, 0, len(data), 4096, ctypes.addressof(buffer), ctypes.addressof(out),
        repeat), 128)
    if libc.syscall(NR_BPF, PROG_TEST_RUN, attr, 128):
        raise SystemExit(f"BPF_PROG_TEST_RUN: {os.strerror(ctypes.get_errno())}")
    return struct.unpack_from("=I", attr, 36)[0], struct.unpack_from("=I", attr, 4)[0]


def frame(source="9.9.9.9", dest="198.51.100.1", proto=6, sport=1024, flags=0x10, vlan=b"",
          options=b""):
    """TCP or UDP over IPv4 or IPv6, 60 bytes of it or more"""
    is_ip6 = ":" in source
    ports = struct.pack("!HH", sport, 443)
    l4 = ports + (struct.pack("!IIBBHHH", 1, 2, 0x50, flags, 0x2000, 0, 0) if proto == 6 else
                  struct.pack("!HH", 20, 0) + bytes(12))
    if is_ip6:
        ip = struct.pack("!IHBB", 6 << 28, len(l4), proto, 64) + b"".join(
            socket.inet_pton(socket.AF_INET6, one) for one in (source, dest))
    else:
        ip = bytearray(struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) +
                                   len(l4), 0, 0x4000, 64, proto, 0) +
                       socket.inet_aton(source) + socket.inet_aton(dest) + options)
        total = sum(struct.unpack(f"!{len(ip) // 2}H", ip))
        total = (total & 0xffff) + (total >> 16)
        struct.pack_into("!H", ip, 10, ~total & 0xffff)
    return (bytes.fromhex("020000000001020000000002") + vlan +
            (b"\x86\xdd" if is_ip6 else b"\x08\x00") + bytes(ip) + l4).ljust(60, b"\0")


# Packets of many sources
SOURCES = {"tcp4": frame(), "tcp6": frame("2001:db8::9", "2001:db8::1")}
SCATTER = 0x9e3779b1
VARIES = 26 # offset of the 4 bytes of the source that vary: IPv4, all; IPv6, the second four


def varies(number):
    """As the program `many` makes them: the number in the machine's byte order"""
    return (number * SCATTER & 0xffffffff).to_bytes(4, sys.byteorder)


def source_of(packet, number):
    """A prefix"""
    if packet == "tcp4":
        return str(ipaddress.IPv4Address(varies(number)))
    return f"{ipaddress.IPv6Address(bytes.fromhex('20010db8') + varies(number) + bytes(8))}/64"


def source_frame(packet, number):
    """With this source, and 0 for IPv4's checksum"""
    data = bytearray(SOURCES[packet])
    data[VARIES:VARIES + 4] = varies(number)
    if packet == "tcp4":
        data[VARIES - 2:VARIES] = bytes(2)
    return bytes(data)


def source_flow(count, first, check=0):
    """For the program `many`: this many sources from this one on"""
    return u32(2463534242) + u32(count - 1) + f"{VARIES:02x}00{check:02x}00" + u32(SCATTER) + \
        u32(first)


def rule(index):
    """A rule that no packet of the others matches"""
    return f"packet length 50-1500 ip from 10.{index >> 8}.{index & 255}.0/24 to " \
        f"198.51.100.0/24 ttl 1-255 tcp sport {1024 + index} dport 443 window 1-65535 " \
        "flags {syn} mask {syn,ack}\n"


# --- programs by the engine -----------------------------------------------------------------------


class Engine:
    """The C program that does the work; see bench.c for its orders. Wants a namespace: own_net()"""

    def __init__(self, objects, pins=""):
        self.objects = objects
        # pylint: disable=consider-using-with
        self.proc = subprocess.Popen([os.path.join(objects, "bench")], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True,
                                     env={**os.environ, **({"ECBPF_BENCH_PINS": pins} if pins
                                                           else {})})
        self.insns = {}
        self.refused = "" # why a dispatcher does not load

    def order(self, *fields, answers=1):
        """Return: the answers' words"""
        with contextlib.suppress(BrokenPipeError):
            print(*fields, file=self.proc.stdin, flush=True)
        lines = [self.proc.stdout.readline().split() for _ in range(answers)]
        if lines and not lines[-1]:
            raise SystemExit("bench: failed at: " + " ".join(map(str, fields))[:100])
        return lines

    def path(self, name):
        """Of an object"""
        return os.path.join(self.objects, name + ".bpf.o")

    def prog(self, name, file, entry, *settings):
        """Load one"""
        answer, = self.order("prog", name, self.path(file), entry, *settings)
        self.insns[name] = int(answer[2])

    def go(self, runs, seconds):
        """runs: id -> (program, action, frame, [map=bytes]); return: id -> {low, median}"""
        for name, (prog, action, data, *more) in sorted(runs.items(), key=lambda r: r[1][0]):
            self.order("time", name, prog, action, data.hex(), *more, answers=0)
        return {f[1]: {"low": float(f[2]), "median": float(f[3])}
                for f in self.order("go", seconds, answers=len(runs))}

    def live(self, prog, data, seconds, sender="tx"):
        """Mpps that s0 receives from s1, with a program attached or with what is there ("-")"""
        answer, = self.order("live", "live", prog, data.hex(), seconds, sender, "s1", "s0")
        return float(answer[2])

    def close(self):
        """End it"""
        self.proc.stdin.close()
        self.proc.wait()


def u32(value):
    """In hex, for the engine"""
    return struct.pack("=I", value).hex()
