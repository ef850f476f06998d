#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Lists of addresses through every verb that reads them; called by testing/netns/lists.sh.

The same file gives the same prefixes in each of them; what is wrong is told alike by each of them,
and changes nothing. What a file is to give was made by hand, and by Python's ipaddress.
"""
import ipaddress
import os
import re
import subprocess
import sys
import tempfile

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

passed = failed = 0


def result(name, wrong):
    """Print it; @wrong: why it has failed, or nothing"""
    global passed, failed  # pylint: disable=global-statement
    if wrong:
        failed += 1
        print(f"FAIL {name}: {wrong}", flush=True)
    else:
        passed += 1
        print(f"PASS {name}", flush=True)


def run(*args):
    """(exit status, stdout, stderr)"""
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def must(*args):
    """Return: its output; it has to work"""
    status, out, err = run(*args)
    if status:
        raise RuntimeError(f"{args}: status {status}: {err}")
    return out


def nets(first, last):
    """Prefixes of a range, as text"""
    return [str(net) for net in ipaddress.summarize_address_range(
        ipaddress.ip_address(first), ipaddress.ip_address(last))]


def normal(prefixes):
    """As a set of networks"""
    return {ipaddress.ip_network(prefix) for prefix in prefixes}


# --- verbs: write the file, call, read back ---------------------------------------------------

class Verb:
    """One that takes a list. set(): replaces what is there by the file; get(): what is there"""

    def __init__(self, work):
        self.file = os.path.join(work, "list")

    def write(self, text):
        """The list is this"""
        with open(self.file, "wb") as out:
            out.write(text.encode("utf-8", "surrogateescape"))

    can_replace = True  # in one step, so that a fault changes nothing


class Filter(Verb):
    """ecbpf-filter drop import, allow import"""

    def __init__(self, work, which):
        super().__init__(work)
        self.name, self.which = f"filter {which}", which

    def set(self, *options):
        return run("ecbpf-filter", self.which, "import", "--replace", "-f", self.file, *options)

    def get(self):
        return [line.split()[0] for line in must("ecbpf-filter", self.which, "list").splitlines()]


class Conf(Verb):
    """drop = FILE of ecbpf.conf"""
    name = "ecbpf.conf, drop"

    def set(self, *options):
        with open(self.file + ".conf", "w", encoding="ascii") as out:
            out.write(f"[filter]\ndrop = {self.file}\n")
        return run("ecbpf-loader", "apply", "--no-lldp", *options, self.file + ".conf")

    def get(self):
        return [line.split()[0] for line in must("ecbpf-filter", "drop", "list").splitlines()]


class FwSet(Verb):
    """ecbpf-fw set replace"""
    name = "fw set replace"

    def __init__(self, work):
        super().__init__(work)
        must("ecbpf-fw", "set", "create", "listed")

    def set(self, *options):
        return run("ecbpf-fw", "set", "replace", "listed", "-f", self.file, *options)

    def get(self):
        return must("ecbpf-fw", "set", "list", "listed").split()


class FwFile(Verb):
    """set NAME file "FILE" of rules"""
    name = "fw apply, set file"

    def set(self, *options):
        with open(self.file + ".rules", "w", encoding="ascii") as out:
            out.write(f'set filed file "{self.file}"\nset listed {{ }}\n')
        return run("ecbpf-fw", "apply", "-f", self.file + ".rules", *options)

    def get(self):
        return must("ecbpf-fw", "set", "list", "filed").split()


class Added(Verb):
    """Verbs that only add: vip, exclude. What is there is deleted before"""
    can_replace = False

    def __init__(self, work, name, *command):
        super().__init__(work)
        self.name, self.command = name, command

    def set(self, *options):
        there = self.get()
        if there:
            must(*self.command, "delete", *there)
        status = run(*self.command, "add", "-f", self.file,
                     *(option for option in options if option == "--skip-bad"))
        if status[0] and there:
            must(*self.command, "add", *there)
        return status

    def get(self):
        return must(*self.command, "list").split()


# --- the table --------------------------------------------------------------------------------

R = nets("192.0.2.10", "192.0.2.20")
GOOD = [
    ("address", "192.0.2.1\n", ["192.0.2.1"]),
    ("IPv6 address", "2001:DB8::0:1\n", ["2001:db8::1"]),
    ("prefix", "192.0.2.0/24\n2001:db8::/32\n", ["192.0.2.0/24", "2001:db8::/32"]),
    ("ADDR/NETMASK", "192.0.2.0/255.255.255.0\n", ["192.0.2.0/24"]),
    ("ADDR NETMASK", "192.0.2.0 255.255.255.0\n", ["192.0.2.0/24"]),
    ("IPv6 netmask", "2001:db8::/ffff:ffff::\n", ["2001:db8::/32"]),
    ("A-B", "192.0.2.10-192.0.2.20\n", R),
    ("A - B", "192.0.2.10 - 192.0.2.20\n", R),
    ("A B", "192.0.2.10 192.0.2.20\n", R),
    ("IPv6 range", "2001:db8::1-2001:db8::9\n", nets("2001:db8::1", "2001:db8::9")),
    ("mapped", "::ffff:192.0.2.1\n::ffff:198.51.100.0/120\n", ["192.0.2.1", "198.51.100.0/24"]),
    ("host bits", "192.0.2.77/24\n2001:db8::1/32\n", ["192.0.2.0/24", "2001:db8::/32"]),
    ("comments", "# a\n; b\n // c\n192.0.2.1 # d\n192.0.2.2 ; e\n192.0.2.3 // f\n192.0.2.4#g\n",
     ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]),
    ("blank lines", "\n \t\n192.0.2.1\n\n", ["192.0.2.1"]),
    ("CR LF", "192.0.2.1\r\n\r\n192.0.2.2\r\n", ["192.0.2.1", "192.0.2.2"]),
    ("BOM", "\ufeff192.0.2.1\n", ["192.0.2.1"]),
    ("no newline at the end", "192.0.2.1\n192.0.2.2", ["192.0.2.1", "192.0.2.2"]),
    ("quotes", '"192.0.2.1"\n\'2001:db8::1\'\n"192.0.2.2","x","y"\n',
     ["192.0.2.1", "2001:db8::1", "192.0.2.2"]),
    ("columns", "192.0.2.1 tag x y\n192.0.2.2\t25\tx\n192.0.2.3,tag,1\n192.0.2.4|a|b\n192.0.2.5 - -\n",
     [f"192.0.2.{i}" for i in range(1, 6)]),
    ("expired", "192.0.2.1 t 2001-01-31T23:59:59Z\n192.0.2.2\n", ["192.0.2.2"]),
    ("Spamhaus", '{"cidr":"192.0.2.0\\/24","sblid":"SBL1"}\n{"type":"metadata","size":1}\n',
     ["192.0.2.0/24"]),
    ("ipset save", "create x hash:net family inet hashsize 1024 maxelem 65536\n"
     "add x 192.0.2.0/24\nadd x 198.51.100.1 comment \"a b\"\n", ["192.0.2.0/24", "198.51.100.1"]),
    ("nft", "table inet t {\n\tset s {\n\t\ttype ipv4_addr\n\t\tflags interval\n"
     "\t\telements = { 192.0.2.10-192.0.2.20,\n\t\t\t     198.51.100.0/24 }\n\t}\n}\n",
     R + ["198.51.100.0/24"]),
    ("P2P", "Some Org, Inc:192.0.2.10-192.0.2.20\n", R),
    ("DShield", "# c\nStart\tEnd\tNetmask\tAttacks\n192.0.2.10\t192.0.2.20\t24\t3454\tNET\tNL\n", R),
]
# what stands alone in its file is none of the mixed one
ALONE = {"ipset save", "nft", "BOM", "no newline at the end"}

BAD = [
    ("no address", "x", "2:1: 'x' is not an address"),
    ("octet", "192.0.2.256", "2:1: '192.0.2.256' is not an address"),
    ("short", "192.0.2", "2:1: "),
    ("zero-padded", "192.0.2.010", "2:1: '192.0.2.010' has an octet with a leading zero"),
    ("length", "192.0.2.0/33", "2:1: '192.0.2.0/33' has a prefix length that is not 0 to 32"),
    ("IPv6 length", "2001:db8::/129", "2:1: "),
    ("netmask", "192.0.2.0/255.0.255.0", "2:1: "),
    ("mapped length", "::ffff:192.0.2.0/24", "2:1: "),
    ("range backwards", "192.0.2.9-192.0.2.1", "2:1: '192.0.2.9-192.0.2.1' ends before"),
    ("half a netmask", "192.0.2.0 255.255.255", "2:11: '255.255.255' is not an address"),
    ("another sign", "192.0.2.1 -- 192.0.2.5", "2:14: '192.0.2.5' is another address"),
    ("neither netmask nor range", "192.0.2.9 192.0.2.1", "2:11: '192.0.2.1' is neither"),
    ("two families", "192.0.2.1-2001:db8::1", "2:1: "),
    ("range of prefixes", "192.0.2.0/25 - 192.0.2.128/25", "2:1: "),
    ("half a range", "192.0.2.1-", "2:1: "),
    ("end of a range", "192.0.2.1 - 192.0.2.256", "2:13: '192.0.2.256' is not an address"),
    ("a third address", "192.0.2.1 192.0.2.2 192.0.2.3", "2:21: '192.0.2.3' is another address"),
    ("two in columns", "192.0.2.1,192.0.2.2", "2:11: '192.0.2.2' is another address"),
    ("two prefixes", "192.0.2.0/24 198.51.100.0/24", "2:14: "),
    ("START;END", "192.0.2.0;192.0.2.255", "2:11: "),
    ("everything?", "192.0.2.1 0.0.0.0", "2:1: '192.0.2.1 0.0.0.0' may be everything"),
    ("blank before the length", "192.0.2.0 /24", "2:11: "),
    ("port", "192.0.2.1:80", "2:1: "),
    ("negated", "!192.0.2.1", "2:1: "),
    ("quotes", '"192.0.2.1', "2:1: the quotation has no end"),
    ("carriage return", "# c\r192.0.2.1", "2:4: a carriage return"),
    ("zero byte", "192.0.2.1\0/24", "2:10: a zero byte"),
    ("scope", "fe80::1%eth0", "2:1: "),
    ("page of a server", "<html>502 Bad Gateway</html>", "2:1: '<html>502' is not an address"),
    ("JSON without cidr", '{"asn":64500}', "2:1: "),
    ("ipset with ports", "add x 192.0.2.1,tcp:80", "2:7: "),
    ("ipset nomatch", "add x 192.0.2.1 nomatch", "2:17: "),
    ("two sets", "add x 192.0.2.1\nadd y 192.0.2.2", "3:5: "),
    ("nft concatenation", "{ 192.0.2.1 . 80 }", "2:13: "),
    ("nft, cut", "{ 192.0.2.1,", "2:1: the '{' has no '}'"),
    ("P2P or a tag", "1.2.3.4 Corp:5.6.7.8-5.6.7.9", "2:1: "),
]


def check_good(verb):
    """Each form alone; all of them in one file"""
    wrong = []
    mixed, all_of_it = "\ufeff", []
    for name, text, want in GOOD:
        if name not in ALONE:
            mixed += text
            all_of_it += want
    for name, text, want in [*GOOD, ("mixed", mixed, all_of_it)]:
        verb.write(text)
        status, _, err = verb.set("--force", "--allow-empty")
        got = normal(verb.get())
        if status or got != normal(want):
            wrong.append(f"{name}: status {status}, {sorted(map(str, got))}, {err}")
        if (name in ("host bits", "mixed")) != ("bits set behind the length" in err) or \
                err.count("bits set behind") > 1:
            wrong.append(f"{name}: host bits are told as '{err}'")
    result(f"{verb.name}: {len(GOOD)} forms, alone and mixed", "; ".join(wrong))


def check_bad(verb):
    """Each wrong line is told where it is, and nothing changes"""
    wrong = []
    verb.write("198.51.100.1\n")
    verb.set("--force", "--allow-empty")
    for name, text, want in BAD:
        verb.write(f"192.0.2.200\n{text}\n")
        status, _, err = verb.set("--force", "--allow-empty")
        first = next((line for line in err.splitlines() if "list:" in line), err)
        if status != 1 or f"list:{want}" not in first or "\n" not in err.strip():
            wrong.append(f"{name}: status {status}: {err}")
        if normal(verb.get()) != normal(["198.51.100.1"]):
            wrong.append(f"{name}: now it is {verb.get()}")
    verb.write("192.0.2.1\n" + "x\n" * 25 + "\x1b[31m\n")
    status, _, err = verb.set("--force", "--allow-empty")
    if status != 1 or len(re.findall(r"list:\d+:\d+:", err)) not in (20, 21) or \
            "26 errors, of which 20 are shown" not in err or "\x1b" in err:
        wrong.append(f"many errors: {err}")
    result(f"{verb.name}: {len(BAD)} wrong forms, nothing changed", "; ".join(wrong))


def check_skip(verb):
    """--skip-bad: shown, counted, and the rest taken"""
    wrong = ""
    verb.write("192.0.2.1\nx\n192.0.2.0/24 192.0.3.0/24\n192.0.2.2\n")
    status, _, err = verb.set("--force", "--skip-bad")
    if status or normal(verb.get()) != normal(["192.0.2.1", "192.0.2.2"]) or \
            "list:2:1: 'x' is not an address" not in err or "list:3:14:" not in err or \
            "2 bad lines skipped" not in err:
        wrong = f"status {status}, {verb.get()}, {err}"
    result(f"{verb.name}: --skip-bad", wrong)


def check_empty(verb):
    """A list that is filled does not become empty by mistake"""
    wrong = []
    for name, text, options in (("empty", "", ()), ("comments", "# nothing\n", ()),
                                ("expired", "192.0.2.1 t 2001-01-31T23:59:59Z\n", ()),
                                ("all bad", "<html>502</html>\n", ("--skip-bad",))):
        verb.write("198.51.100.1\n")
        verb.set("--force")
        verb.write(text)
        status, _, err = verb.set("--force", *options)
        if status != 1 or "--allow-empty" not in err or \
                normal(verb.get()) != normal(["198.51.100.1"]):
            wrong.append(f"{name}: status {status}, {verb.get()}, {err}")
    verb.write("")
    status, _, err = verb.set("--force", "--allow-empty")
    if status or verb.get():
        wrong.append(f"--allow-empty: status {status}, {verb.get()}, {err}")
    result(f"{verb.name}: nothing in the place of something", "; ".join(wrong))


FORCED = [("this host", "10.11.12.0/28", "10.11.12.1, an address of this host"),
          ("its address", "10.11.12.1", "is an address of this host"),
          ("IPv6", "2001:db8:ffff::/48", "2001:db8:ffff::1, an address of this host"),
          ("gateway", "10.11.12.254", "is a default gateway of this host"),
          ("gateway of another table", "10.11.12.130", "is a default gateway of this host"),
          ("the same of IPv6", "2001:db8:fffe::/64", "2001:db8:fffe::9, a default gateway"),
          ("a range", "10.11.12.250-10.11.12.255", "10.11.12.254, a default gateway"),
          ("loopback", "127.0.0.0/8", "is loopback"),
          ("in loopback", "127.9.9.9", "is in 127.0.0.0/8, loopback"),
          ("IPv6 loopback", "::/64", "::1, loopback"),
          ("everything", "0.0.0.0/0", "0.0.0.0/0 is everything"),
          ("all of IPv6", "::/0", "::/0 is everything")]


def check_force(verb):
    """Nobody blocks the host by a list"""
    wrong = []
    verb.write("198.51.100.1\n")
    verb.set("--force", "--allow-empty")
    for name, text, want in FORCED:
        verb.write(f"192.0.2.1\n{text}\n")
        status, _, err = verb.set()
        if status != 1 or "--force" not in err or want not in err or \
                normal(verb.get()) != normal(["198.51.100.1"]):
            wrong.append(f"{name}: status {status}, {verb.get()}, {err}")
    verb.write("10.11.12.0/24\n")
    status, _, err = verb.set("--force")
    if status or verb.get() != ["10.11.12.0/24"]:
        wrong.append(f"--force: status {status}, {verb.get()}, {err}")
    verb.write("10.11.13.0/24\n")
    status, _, err = verb.set()
    if status or verb.get() != ["10.11.13.0/24"]:
        wrong.append(f"a neighbour: status {status}, {verb.get()}, {err}")
    result(f"{verb.name}: {len(FORCED)} prefixes that block this host", "; ".join(wrong))


def check_allowed(verb):
    """What is allowed is not blocked"""
    must("ecbpf-filter", "allow", "add", "10.11.12.0/24")
    verb.write("10.11.0.0/16\n")
    status, _, err = verb.set("--allow-empty")
    result(f"{verb.name}: what is allowed may be listed",
           (status or verb.get() != ["10.11.0.0/16"]) and f"status {status}, {err}")
    must("ecbpf-filter", "allow", "delete", "10.11.12.0/24")


def wrong_verdicts(work, rules):
    """The rules drop UDP from the set, and pass TCP to what is not in it; all other TCP is dropped"""
    frames, want = [], []
    for source, is_listed in (("192.0.2.1", True), ("192.0.2.2", False), ("2001:db8::2", True),
                              ("2001:db8::3", False)):
        ip = IP(src=source, dst="203.0.113.1") if "." in source else IPv6(src=source, dst="2001::1")
        frames.append(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ip / UDP(dport=53))
        want.append("XDP_DROP" if is_listed else "XDP_PASS")
    for dest, is_listed in (("2001:db8::1", True), ("2001:db8::3", False)):
        frames.append(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") /
                      IPv6(src="2001::1", dst=dest) / TCP(dport=80))
        want.append("XDP_DROP" if is_listed else "XDP_PASS")
    with open(rules, "a", encoding="ascii") as out:
        out.write("ip6 from any to any tcp drop\n")
    wrpcap(os.path.join(work, "pcap"), frames)
    status, said, err = run("ecbpf-fw", "test", "-j", "-f", rules, "-r", os.path.join(work, "pcap"))
    got = re.findall(r'"XDP_[A-Z]+"', said) or said
    return [] if got == [f'"{verdict}"' for verdict in want] else \
        [f"a set of both families in rules: status {status}, {got}, not {want}; {err}"]


def check_families(work):
    """Sets of one family take it from a mixed file; of none, both, and serve rules of both"""
    wrong = []
    file, none = os.path.join(work, "mixed"), os.path.join(work, "none")
    with open(file, "w", encoding="ascii") as out:
        out.write("192.0.2.1\n2001:db8::1\n2001:db8::2\n")
    for option, family, want, left in (("-4", "ip", ["192.0.2.1"], "2 IPv6 prefixes left out"),
                                       ("-6", "ip6", ["2001:db8::1", "2001:db8::2"],
                                        "1 IPv4 prefix left out")):
        must("ecbpf-fw", "apply", "--allow-empty", "-f", none)
        must("ecbpf-fw", "set", "create", option, "one")
        status, _, err = run("ecbpf-fw", "set", "add", "one", "-f", file)
        if status or must("ecbpf-fw", "set", "list", "one").split() != want or left not in err:
            wrong.append(f"set add {option}: status {status}, {err}")
        status, _, err = run("ecbpf-fw", "set", "add", "one", "192.0.2.1", "2001:db8::1")
        if status != 1 or "do not fit" not in err:
            wrong.append(f"operands {option}: status {status}, {err}")
        must("ecbpf-fw", "set", "destroy", "one")
        with open(file + ".rules", "w", encoding="ascii") as out:
            out.write(f'set one {family} file "{file}"\n')
        status, _, err = run("ecbpf-fw", "apply", "-f", file + ".rules")
        if status or must("ecbpf-fw", "set", "list", "one").split() != want or left not in err:
            wrong.append(f"file {family}: status {status}, {err}")
        other = "ip6" if family == "ip" else "ip"
        status, _, err = run("ecbpf-fw", "rule", "add", f"{other} from @one to any udp")
        if status != 1:
            wrong.append(f"a rule of {other} took a set of {family}")
    with open(file + ".rules", "w", encoding="ascii") as out:
        out.write(f'set both file "{file}"\nip from @both to any udp\nip6 from @both to any udp\n'
                  f'ip6 from any to ! @both tcp pass\n')
    must("ecbpf-fw", "apply", "-f", file + ".rules")
    if len(must("ecbpf-fw", "set", "list", "both").split()) != 3:
        wrong.append("a set without family is not of both")
    wrong += wrong_verdicts(work, file + ".rules")
    for verb in ("add", "replace"):
        with open(file, "w", encoding="ascii") as out:
            out.write("198.51.100.1\n10.11.12.0/24\n")
        status, _, err = run("ecbpf-fw", "set", verb, "both", "-f", file)
        if status != 1 or "10.11.12.1, an address of this host" not in err:
            wrong.append(f"set {verb} of a set that a rule drops by: status {status}, {err}")
    status, _, err = run("ecbpf-fw", "apply", "-f", file + ".rules")
    if status != 1 or "an address of this host" not in err:
        wrong.append(f"apply of a set file that a rule drops by: status {status}, {err}")
    must("ecbpf-fw", "apply", "--force", "-f", file + ".rules")
    result("fw: families of sets; sets that a rule drops by", "; ".join(wrong))


def check_block_order(work):
    """A rule that drops by a set with an address of this host, whichever of them comes first"""
    wrong = []
    file, none = os.path.join(work, "order"), os.path.join(work, "none")
    drop = "ip from @own to any proto any drop"
    rules = {"braces": f"set own {{ 10.11.12.0/24 }}\n{drop}\n", "live": f"set own live\n{drop}\n"}

    def refused(what, *command):
        status, _, err = run("ecbpf-fw", *command)
        if status != 1 or "10.11.12.1, an address of this host" not in err or \
                "--force" not in err or drop in must("ecbpf-fw", "rule", "list"):
            wrong.append(f"{what}: status {status}, {err}")

    def filled():
        must("ecbpf-fw", "apply", "--allow-empty", "-f", none)
        must("ecbpf-fw", "set", "create", "own")
        must("ecbpf-fw", "set", "add", "own", "10.11.12.0/24")

    filled()
    refused("set add, then rule add", "rule", "add", drop)
    must("ecbpf-fw", "rule", "add", drop.replace("drop", "dry drop"))
    refused("a dry rule that drops from now on", "rule", "replace", "1", drop)
    must("ecbpf-fw", "rule", "add", "--force", drop)
    must("ecbpf-fw", "rule", "add", drop.replace("any proto", "192.0.2.1 proto"))
    for name, text in rules.items():
        with open(file, "w", encoding="ascii") as out:
            out.write(text)
        filled()
        refused(f"apply, {name}", "apply", "-f", file)
        refused(f"apply -c, {name}", "apply", "-c", "-f", file)
        must("ecbpf-fw", "apply", "--force", "-f", file)
    must("ecbpf-fw", "apply", "-f", file)  # the live set is as it was
    must("ecbpf-fw", "apply", "--allow-empty", "-f", none)
    result("fw: a rule that drops by a set with an address of this host", "; ".join(wrong))


def check_set_words(work):
    """A prefix that is not in a set is not deleted; one that no rule matches is told"""
    wrong = []
    must("ecbpf-fw", "apply", "--allow-empty", "-f", os.path.join(work, "none"))
    must("ecbpf-fw", "set", "create", "bad")
    must("ecbpf-fw", "rule", "add", "ip from @bad to any proto any drop")
    must("ecbpf-fw", "set", "add", "bad", "203.0.113.0/30", "203.0.113.9")
    status, _, err = run("ecbpf-fw", "set", "delete", "bad", "203.0.113.9", "203.0.113.1")
    if status != 1 or "'203.0.113.1' is not in set 'bad'" not in err or \
            len(must("ecbpf-fw", "set", "list", "bad").split()) != 2:
        wrong.append(f"an address in a prefix: status {status}, {err}")
    status, _, err = run("ecbpf-fw", "set", "delete", "--if-exists", "bad", "203.0.113.9",
                         "203.0.113.1")
    if status or must("ecbpf-fw", "set", "list", "bad").split() != ["203.0.113.0/30"]:
        wrong.append(f"--if-exists: status {status}, {err}")
    status, _, err = run("ecbpf-fw", "set", "add", "bad", "2001:db8::7")
    if status or "set 'bad': no rule matches its 1 IPv6 prefix" not in err:
        wrong.append(f"no rule of the family: status {status}, {err}")
    must("ecbpf-fw", "rule", "add", "ip6 from @bad to any proto any drop")
    status, _, err = run("ecbpf-fw", "set", "add", "bad", "2001:db8::8")
    if status or err:
        wrong.append(f"a rule of the family: status {status}, {err}")
    must("ecbpf-fw", "apply", "--allow-empty", "-f", os.path.join(work, "none"))
    result("fw: what is not in a set, and what no rule matches", "; ".join(wrong))


def check_dry(work):
    """apply -c of sets and of lists from files: checked as the verb does, and nothing changes"""
    wrong = []
    file = os.path.join(work, "dry")
    must("ecbpf-fw", "apply", "--allow-empty", "-f", os.path.join(work, "none"))
    with open(file + ".rules", "w", encoding="ascii") as out:
        out.write(f'set dry file "{file}"\nip from @dry to any tcp pass\n')
    with open(file + ".conf", "w", encoding="ascii") as out:
        out.write(f"[filter]\nallow = {file}\n")
    for command in (("ecbpf-fw", "apply", "-c", "-f", file + ".rules"),
                    ("ecbpf-loader", "apply", "-c", "--no-lldp", file + ".conf")):
        before = must("ecbpf-fw", "rule", "list"), must("ecbpf-filter", "allow", "list")
        for name, text, want in (*((name, text, None) for name, text, _ in GOOD), *BAD):
            with open(file, "wb") as out:
                out.write((f"192.0.2.200\n{text}\n" if want else text).encode("utf-8"))
            status, _, err = run(*command)
            if status != bool(want) or want and f"dry:{want}" not in err:
                wrong.append(f"{command[0]}: {name}: status {status}, {err}")
        if before != (must("ecbpf-fw", "rule", "list"), must("ecbpf-filter", "allow", "list")):
            wrong.append(f"{command[0]} changes something")
    result(f"apply -c: {len(GOOD) + len(BAD)} forms, nothing changed", "; ".join(wrong))


def check_words():
    """Operands, and words of ecbpf.conf, are read alike"""
    wrong = []
    for command in (("ecbpf-filter", "drop"), ("ecbpf-filter", "allow"), ("ecbpf-filter", "vip"),
                    ("ecbpf-fastpath", "exclude"), ("ecbpf-fw", "set")):
        name = ("listed",) if command[0] == "ecbpf-fw" else ()
        for text, want in (("203.0.113.1", ["203.0.113.1"]), ("203.0.113.9/24", ["203.0.113.0/24"]),
                           ("203.0.113.0/255.255.255.0", ["203.0.113.0/24"]),
                           ("203.0.113.1-203.0.113.2", ["203.0.113.1", "203.0.113.2"]),
                           ("::ffff:203.0.113.1", ["203.0.113.1"])):
            status, _, err = run(*command, "add", *name, text)
            got = re.findall(r"203\.0\.113\.\d+(?:/\d+)?", must(*command, "list", *name))
            if status or normal(got) != normal(want) or \
                    ("bits set behind the length" in err) != (text == "203.0.113.9/24"):
                wrong.append(f"{command} {text}: status {status}, {got}, {err}")
            must(*command, "delete", *name, *want)
        for text in ("203.0.113.01", "203.0.113.1 x", "203.0.113.9-203.0.113.1", "203.0.113.0/33", ""):
            status, _, err = run(*command, "add", *name, "203.0.113.7", text)
            if status != 2 or "203.0.113.7" in must(*command, "list", *name):
                wrong.append(f"{command} {text!r}: status {status}, {err}")
    for command in (("ecbpf-filter", "vip"), ("ecbpf-fastpath", "exclude")):
        status, _, err = run(*command, "add", "203.0.113.7", "::/0")
        if not status or "2000::/3" not in err or "203.0.113.7" in must(*command, "list"):
            wrong.append(f"{command} ::/0, which would be IPv4, too: status {status}, {err}")
    result("operands", "; ".join(wrong))


def check_conf(work):
    """vip and exclude of ecbpf.conf"""
    wrong = []
    file = os.path.join(work, "conf")
    for words, want in (("203.0.113.1 2001:db8::1", ["203.0.113.1", "2001:db8::1"]),
                        ("203.0.113.9/24, ::ffff:198.51.100.1", ["203.0.113.0/24", "198.51.100.1"]),
                        ("203.0.113.1-203.0.113.2", ["203.0.113.1", "203.0.113.2"]),
                        ("203.0.113.0/255.255.255.0", ["203.0.113.0/24"])):
        with open(file, "w", encoding="ascii") as out:
            out.write(f"[filter]\nvip = {words}\n[fastpath]\nexclude = {words}\n")
        status, _, err = run("ecbpf-loader", "apply", "--no-lldp", "--reset-runtime", file)
        for command in (("ecbpf-filter", "vip"), ("ecbpf-fastpath", "exclude")):
            got = must(*command, "list").split()
            if status or normal(got) != normal(want):
                wrong.append(f"{command} {words}: status {status}, {got}, {err}")
    for key in ("[filter]\nvip", "[fastpath]\nexclude"):
        with open(file, "w", encoding="ascii") as out:
            out.write(f"{key} = 203.0.113.5 203.0.113.010\n")
        status, _, err = run("ecbpf-loader", "apply", "--no-lldp", file)
        if status != 1 or f"{file}:2: " not in err or "leading zero" not in err:
            wrong.append(f"{key}: status {status}, {err}")
    result("ecbpf.conf, vip and exclude", "; ".join(wrong))


def main():
    with tempfile.TemporaryDirectory() as work:
        rules = os.path.join(work, "none")
        with open(rules, "w", encoding="ascii"):
            pass
        must("ecbpf-fw", "load", "--fused", "--allow-empty", "-f", rules, "eth1")
        status, _, err = run("ecbpf-fastpath", "load", "--fused", "--in", "eth0", "--flows", "10000")
        verbs = [Filter(work, "drop"), Filter(work, "allow"), Conf(work), FwSet(work), FwFile(work),
                 Added(work, "filter vip", "ecbpf-filter", "vip")]
        if status:
            result("fastpath load", err)
        else:
            verbs.append(Added(work, "fastpath exclude", "ecbpf-fastpath", "exclude"))
        for verb in verbs:
            check_good(verb)
            check_bad(verb)
            check_skip(verb)
            if verb.can_replace:
                check_empty(verb)
        for verb in verbs[0], verbs[2]:
            check_force(verb)
            check_allowed(verb)
            verb.write("")
            verb.set("--allow-empty")
        check_words()
        check_conf(work)
        check_dry(work)
        check_families(work)
        check_block_order(work)
        check_set_words(work)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
