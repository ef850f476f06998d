#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Lists of prefixes mean to the library what they mean to Python's ipaddress.

    test_lists.py [COUNT]    COUNT: random lines of each form; default: 300

The library is $ECBPF_LIBRARY, by default that of the directory that make works in. Each form of a
line is written for random prefixes, alone and in files of all forms; words that are nearly
addresses are taken by both or by neither.
"""
import ctypes
import ipaddress
import os
import random
import shlex
import subprocess
import sys

# a library with sanitizers wants their runtime loaded first; Python itself leaks
if os.environ.get("SANITIZE_CFLAGS") and "LD_PRELOAD" not in os.environ:
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    runtime = subprocess.run([*compiler, "-print-file-name=libasan.so"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.strip()
    os.environ.update(LD_PRELOAD=runtime, ASAN_OPTIONS="detect_leaks=0")
    os.execv(sys.executable, [sys.executable, *sys.argv])

LIBRARY = os.environ.get("ECBPF_LIBRARY", "lib/.libs/libecbpf.so")
SEED = 16
V4, V6 = ipaddress.IPv4Address, ipaddress.IPv6Address


class Entry(ctypes.Structure):
    """struct ecbpf_list_entry"""
    _fields_ = [("family", ctypes.c_uint8), ("len", ctypes.c_uint8), ("addr", ctypes.c_uint8 * 16),
                ("tag", ctypes.c_char * 32), ("expires", ctypes.c_uint64)]

    def network(self):
        """As Python has it"""
        size = 4 if self.family == 4 else 16
        addr = ipaddress.ip_address(bytes(self.addr[:size]))
        return ipaddress.ip_network((addr, self.len))


class List(ctypes.Structure):
    """struct ecbpf_list"""
    _fields_ = [("entries", ctypes.POINTER(Entry)), ("count", ctypes.c_size_t),
                ("bad", ctypes.c_size_t), ("expired", ctypes.c_size_t),
                ("other_family", ctypes.c_size_t), ("is_words", ctypes.c_bool)]


lib = ctypes.CDLL(LIBRARY)
lib.ecbpf_error.restype = ctypes.c_char_p
handle = ctypes.c_void_p()
if lib.ecbpf_new(ctypes.byref(handle)):
    sys.exit("no memory")


def read(text):
    """What the library takes the text for: networks; or what is wrong, a string"""
    text = text.encode("utf-8", "surrogateescape")
    found = List()
    if lib.ecbpf_list_parse(handle, b"f", text, ctypes.c_size_t(len(text)), 0, 0,
                            ctypes.byref(found)):
        return lib.ecbpf_error(handle).decode("utf-8", "replace")
    networks = [found.entries[i].network() for i in range(found.count)]
    lib.ecbpf_list_free(ctypes.byref(found))
    return networks


# --- random prefixes and ranges ---------------------------------------------------------------

def random_addr(rnd, family):
    """An address; zeros and ones are as likely as anything else"""
    bits = 32 if family == 4 else 128
    while True:
        kind = rnd.random()
        value = rnd.getrandbits(bits)
        if kind < .3:
            value &= ~0 << rnd.randrange(bits) & (1 << bits) - 1
        elif kind < .5:
            value |= (1 << rnd.randrange(bits)) - 1
        elif kind < .6:
            value = rnd.choice((0, 1, (1 << bits) - 1))
        addr = V4(value) if family == 4 else V6(value)
        if family == 4 or not addr.ipv4_mapped:
            return addr


def random_prefix(rnd, family):
    """An address and a length, with host bits now and then"""
    addr = random_addr(rnd, family)
    length = rnd.randrange(addr.max_prefixlen + 1)
    if rnd.random() < .7:
        addr = ipaddress.ip_network((addr, length), strict=False).network_address
    return addr, length


def random_range(rnd, family):
    """First and last address"""
    first, last = sorted((random_addr(rnd, family), random_addr(rnd, family)))
    if rnd.random() < .7:
        last = type(first)(min(int(first) + rnd.randrange(1 << rnd.randrange(1, 20)),
                               (1 << first.max_prefixlen) - 1))
    return first, last


def netmask(family, length):
    """As an address"""
    return str(ipaddress.ip_network((V4(0) if family == 4 else V6(0), length)).netmask)


def mapped(addr):
    """::ffff:a.b.c.d"""
    return f"::ffff:{addr}"


# --- forms: each makes lines, and the networks that they are ----------------------------------

def of_prefix(form):
    """A form of an address and a length"""
    def make(rnd, family):
        addr, length = random_prefix(rnd, family)
        net = ipaddress.ip_network((addr, length), strict=False)
        return form(rnd, addr, length), [net]
    return make


def of_addr(form):
    """A form of an address"""
    def make(rnd, family):
        addr = random_addr(rnd, family)
        return form(rnd, addr), [ipaddress.ip_network(addr)]
    return make


def of_range(form):
    """A form of two addresses"""
    def make(rnd, family):
        first, last = random_range(rnd, family)
        return form(rnd, first, last), list(ipaddress.summarize_address_range(first, last))
    return make


def is_second_range(first, last):
    """Two addresses in a row are a range, not an address and its netmask"""
    bits = first.max_prefixlen
    return int(last) not in {(1 << bits) - (1 << i) for i in range(bits + 1)}


def spaced_range(rnd, family):
    """A B"""
    while True:
        first, last = random_range(rnd, family)
        if is_second_range(first, last):
            return (f"{first}{rnd.choice((' ', chr(9), '   '))}{last}",
                    list(ipaddress.summarize_address_range(first, last)))


def spaced_netmask(rnd, family):
    """ADDR NETMASK"""
    addr, length = random_prefix(rnd, family)
    return (f"{addr} {netmask(family, length or 1)}",
            [ipaddress.ip_network((addr, length or 1), strict=False)])


def columns(rnd):
    """What stands behind an address in lists of others"""
    return rnd.choice(("", " tag", "\ttag\t2024-01-01", ",tag,x,1.2.3.4", " | x | y", "\t25", "\t25 x y",
                       ",0.95", " # c", " ; SBL1", " // c", ";x", "#x", ", \"brute force\"", " -",
                       " - -", ",", "\r"))


FORMS = {
    "address": of_addr(lambda rnd, a: f"{a}"),
    "exploded": of_addr(lambda rnd, a: a.exploded.upper()),
    "prefix": of_prefix(lambda rnd, a, n: f"{a}/{n}"),
    "netmask": of_prefix(lambda rnd, a, n: f"{a}/{netmask(a.version, n)}"),
    "netmask behind a blank": spaced_netmask,
    "range": of_range(lambda rnd, a, b: f"{a}-{b}"),
    "range with blanks": of_range(lambda rnd, a, b: f"{a} - {b}"),
    "range of two": spaced_range,
    "columns": of_prefix(lambda rnd, a, n: f"{a}/{n}{columns(rnd)}"),
    "columns of a range": of_range(lambda rnd, a, b: f"{a}-{b}{columns(rnd)}"),
    "in quotes": of_prefix(lambda rnd, a, n: rnd.choice((f'"{a}/{n}"', f"'{a}/{n}'"))),
    "CSV": of_addr(lambda rnd, a: f'"{a}","x","2024-01-01"'),
    "JSON": of_prefix(lambda rnd, a, n: f'{{"cidr":"{a}/{n}","sblid":"SBL1","rir":"ripe"}}'),
    "ipset": of_prefix(lambda rnd, a, n: f"add s {a}/{n}{rnd.choice(('', ' comment {}'))}"
                       .format('"x y"')),
    "nft": of_range(lambda rnd, a, b: f"{{ {a}-{b}, {b}, }}"),
    "blanks": of_addr(lambda rnd, a: f"  \t{a}  \t"),
    "DShield": of_range(lambda rnd, a, b: f"{a}-{b}\t24\t3454\tNET\tNL\tx@example.net"),
}
FORMS_V4 = {
    "P2P": of_range(lambda rnd, a, b: f"Some Org, Inc:{a}-{b}"),
    "mapped": of_addr(lambda rnd, a: mapped(a)),
    "mapped prefix": of_prefix(lambda rnd, a, n: f"{mapped(a)}/{96 + n}"),
    "mapped range": of_range(lambda rnd, a, b: f"{mapped(a)}-{mapped(b)}"),
}
NOTHING = ["", "# c", "  // 1.2.3.4", "; 1.2.3.4", "\t", "\r", '{"type":"metadata","size":1}']


def is_takable(networks):
    """IPv6 ranges must not end in IPv4-mapped addresses"""
    v4 = ipaddress.ip_network("::ffff:0:0/96")
    return not any(net.version == 6 and net.subnet_of(v4) for net in networks)


def lines(rnd, count):
    """(name of the form, line, networks)"""
    for name, make in (*FORMS.items(), *FORMS_V4.items()):
        for _ in range(count):
            family = 4 if name in FORMS_V4 else rnd.choice((4, 6))
            line, want = make(rnd, family)
            if name == "nft":
                want = want + [ipaddress.ip_network(line.split(", ")[-2])]
            if is_takable(want):
                yield name, line, want


# --- nearly addresses -------------------------------------------------------------------------

def python_takes(word):
    """The network, or None; what Python takes and the library must not is None, too"""
    try:
        if "%" in word or "/" in word and not word.split("/")[1].isdigit():
            return None
        if "/" in word and (len(word.split("/")[1]) > 1 and word.split("/")[1][0] == "0"):
            return None
        net = ipaddress.ip_network(word, strict=False)
        addr = ipaddress.ip_address(word.split("/")[0])
    except ValueError:
        return None
    if addr.version == 6 and addr.ipv4_mapped:
        if net.prefixlen < 96:
            return None
        net = ipaddress.ip_network((addr.ipv4_mapped, net.prefixlen - 96), strict=False)
    return net


def mutate(rnd, word):
    """A few characters are others"""
    word = list(word)
    for _ in range(rnd.randrange(1, 4)):
        i = rnd.randrange(len(word) + 1)
        kind = rnd.random()
        if kind < .4 and word:
            del word[min(i, len(word) - 1)]
        elif kind < .7:
            word.insert(i, rnd.choice("0123456789abf.:/"))
        elif word:
            word[min(i, len(word) - 1)] = rnd.choice("0123456789abfgx.:/%")
    return "".join(word)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rnd = random.Random(SEED)
    failed, ranges, taken = 0, 0, 0
    every = list(lines(rnd, count))

    for name, line, want in every:
        have = read(line + "\n")
        ranges += len(want) > 1
        if have != want:
            failed += 1
            print(f"FAIL {name}: {line!r}: {have}, not {want}")
    rnd.shuffle(every)
    for start in range(0, len(every), 50):
        some = every[start:start + 50]
        texts = [line for _, line, _ in some]
        for _ in range(10):
            texts.insert(rnd.randrange(len(texts) + 1), rnd.choice(NOTHING))
        newline = rnd.choice(("\n", "\r\n"))
        text = rnd.choice(("", "\ufeff")) + newline.join(texts) + rnd.choice(("", newline))
        if read(text) != [net for _, _, want in some for net in want]:
            failed += 1
            print(f"FAIL mixed: {text!r}: {read(text)}")
    for _ in range(20 * count):
        addr, length = random_prefix(rnd, rnd.choice((4, 6)))
        word = mutate(rnd, rnd.choice((f"{addr}/{length}", f"{addr}", mapped(V4(1)))))
        want, have = python_takes(word), read(word)
        taken += want is not None
        if not word or word[0] in "#;" or word.startswith("//"):
            continue
        if (want is None) != isinstance(have, str) or want is not None and have != [want]:
            failed += 1
            print(f"FAIL nearly: {word!r}: {have}, not {want}")
    if ranges < count or taken < count:
        failed += 1
        print(f"FAIL only {ranges} ranges of several prefixes, {taken} mutations that are good")
    print(f"{len(every)} lines, {20 * count} words; {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
