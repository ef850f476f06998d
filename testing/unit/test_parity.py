#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is said in several places is said alike in all of them, and every example is one.

Held against each other: verbs and options of --help and of the man pages; keys of ecbpf.conf in the
parser, the man page and the shipped file; codes of doctor's findings in the code and the man page;
functions of libecbpf in the man page, the headers and the list of what is exported. Commands in
README, man pages and --help are run by a user who may do nothing: whatever they fail of, it is not
how they are written.

    test_parity.py [PART]...
    test_parity.py --list       print the commands of man pages and README, each behind its page

PART: tools, conf, codes, library, examples (default: all of them). TOOLS: where the tools are,
SETTINGS: the program that lists settings for man pages (default: those of the build that this runs
in).
"""
import concurrent.futures
import functools
import glob
import os
import re
import shlex
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]
from tools import NOBODY, TOOLS  # pylint: disable=wrong-import-position

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SETTINGS = os.path.abspath(os.environ.get("SETTINGS", "man/settings"))
NAMES = ("fastpath", "filter", "fw", "loader", "pcap", "sampler")
COMMON = {"help", "version", "verbose", "json"}  # each page may leave them to the help
counts = {"PASS": 0, "FAIL": 0}


def check(name, problems):
    """Passed, if there are no problems"""
    verdict = "FAIL" if problems else "PASS"
    counts[verdict] += 1
    print(f"{verdict} {name}" + (": " + "; ".join(sorted(problems)) if problems else ""))


def read(path):
    """A file of the source tree"""
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def run(*args, text=None):
    """Exit status, stdout, stderr"""
    done = subprocess.run(args, input=text or "", capture_output=True, text=True,
                          errors="replace", check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


@functools.lru_cache(maxsize=None)
def help_of(name, *verb):
    """--help of a tool or of a verb"""
    status, out, err = run(os.path.join(TOOLS, "ecbpf-" + name), *verb, "--help")
    assert not status, f"{name} {verb}: {err}"
    return out


def verbs_of(text):
    """Verbs that a help lists"""
    listed = re.search(r"^Verbs:\n((?:  .*\n)+)", text, re.M)
    return [v for v in re.findall(r"^  ([a-z]\S*)", listed[1], re.M) if v != "help"] if listed else []


def options_of(text):
    """Of a help: {long: short or None}"""
    listed = re.search(r"^Options:\n((?: .*\n)+)", text, re.M)
    pairs = re.findall(r"^  (?:-(\S), |    )--([a-z][a-z0-9-]*)", listed[1] if listed else "", re.M)
    return {long: short or None for short, long in pairs}


@functools.lru_cache(maxsize=None)
def settings_lists():
    """man/settings.lists: {line of a man page: list}"""
    return dict(re.findall("^(@.*\n)((?:[^@].*\n)+)", read("man/settings.lists"), re.M))


@functools.lru_cache(maxsize=None)
def page(name, has_settings=False):
    """A man page as text: fonts, escapes and quotes of macros are gone"""
    text = read(name)
    if has_settings:
        text = re.sub("^@SETTINGS .*@\n", lambda m: settings_lists()[m[0]], text, flags=re.M)
    text = re.sub(r"\\f[BIRP]", "", text)
    text = text.replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\")
    return text


def page_of(name):
    """That of a tool"""
    return page(f"man/ecbpf-{name}.{1 if name == 'pcap' else 8}.in", has_settings=True)


# --- verbs and options ----------------------------------------------------------------------

def check_tool(name):
    """--help and man page of a tool"""
    text, problems = page_of(name), set()
    verbs = verbs_of(help_of(name))
    options = {}
    for verb in verbs or [None]:
        for long, short in options_of(help_of(name, *([verb] if verb else []))).items():
            options.setdefault(long, set()).add(short)
    synopsis = text[text.index(".SH SYNOPSIS"):text.index(".SH DESCRIPTION")]
    in_page = set()
    for words in re.findall(rf"ecbpf-{name} (\{{[a-z |]+}}|[a-z]+)", synopsis):
        in_page |= set(re.findall(r"[a-z]+", words))
    if verbs:
        problems |= {f"verb {v} is not in the man page" for v in set(verbs) - in_page}
        problems |= {f"the man page has a verb {v}" for v in in_page - set(verbs) - {"help"}}
    said = set(re.findall(r"--([a-z][a-z0-9-]*)", text))
    problems |= {f"--{o} is not in the man page" for o in set(options) - COMMON - said
                 if not any(s and re.search(rf"(?<![\w-])-{s}\b", text) for s in options[o])}
    problems |= {f"the man page has --{o}" for o in said - set(options)
                 if o not in others_options(name)}
    for short, long in re.findall(r"^\.B\w* \"?-(\w)[ \",]+(?:\w+[ \",]+)?--([a-z-]+)", text, re.M):
        if long in options and short not in options[long]:
            problems.add(f"the man page has -{short} for --{long}")
    check(f"ecbpf-{name}: help and man page", problems)


def others_options(name):
    """Of the other tools, which a page may speak of with them"""
    found = set()
    for other in re.findall(r"ecbpf-(\w+)", page_of(name)):
        if other != name and other in NAMES:
            for verb in verbs_of(help_of(other)) or [None]:
                found |= set(options_of(help_of(other, *([verb] if verb else []))))
    return found | {"ops"}  # of ipvsadm


# --- ecbpf.conf -----------------------------------------------------------------------------

def parse(text):
    """What apply says of a configuration"""
    return run(os.path.join(TOOLS, "ecbpf-loader"), "apply", "-c", "-", text=text)[2]


def parser_keys():
    """{section: keys}, as the parser lists them when it is asked for one that there is not"""
    listed = re.search(r"there are (.*)", parse("[qqqqqqqq]\n"))
    sections = {}
    for section in listed[1].split(", "):
        keys = re.search(r"there are (.*)", parse(f"[{section}]\nqqqqqqqq = 1\n"))
        sections[section] = set(keys[1].split(", ")) if keys else None
    return sections


def example_keys():
    """{section: {key: value}} of the shipped file, with what is commented out"""
    sections, section = {}, None
    for line in read("packaging/ecbpf.conf").splitlines():
        head = re.match(r"#?\[(\w+).*\]$", line)
        key = re.match(r"#?([a-z][a-z0-9_-]*) =(.*)", line)
        if head:
            section = sections.setdefault(head[1], {})
        elif key and section is not None:
            section[key[1]] = key[2].strip()
    return sections


def check_conf():
    """Parser, man page and example"""
    keys, example, problems = parser_keys(), example_keys(), set()
    text = page("man/ecbpf.conf.5.in", has_settings=True)
    parts = dict(re.findall(r"^\.SS \[(\w+).*?\]\n(.*?)(?=^\.S[SH])", text, re.M | re.S))
    check("sections of ecbpf.conf", set(keys) ^ set(parts) | set(keys) ^ set(example))
    for section, known in keys.items():
        said = parts.get(section, "")
        if known is None:  # others are constants: there must be one of each
            continue
        for key in known - {"checks"}:
            if not re.search(rf"(?<![a-z-]){key}(?![a-z-])", said):
                problems.add(f"[{section}] {key} is not in the man page")
            if key not in example.get(section, {}):
                problems.add(f"[{section}] {key} is not in the example")
        for key in set(example.get(section, {})) - known:
            problems.add(f"the example has [{section}] {key}")
        for key in re.findall(r"^\.TP\n\.BR? \"?([a-z][a-z0-9-]*)", parts.get(section, ""), re.M):
            if key not in known:
                problems.add(f"the man page has [{section}] {key}")
    check("keys of ecbpf.conf", problems)
    check("man/settings.lists (`make settings-lists` in the build makes it anew)",
          {name.strip() for name, text in settings_lists().items()
           if text != run(SETTINGS, *name.strip("@\n").split()[1:])[1]} or
          (set() if settings_lists() else {"is empty"}))
    # all of it, uncommented, where it needs nothing that is not there
    lines = [re.sub(r"^#(\[|[a-z][a-z0-9_-]* =)", r"\1", line)
             for line in read("packaging/ecbpf.conf").splitlines()]
    lines = [re.sub(r"^(drop|allow) = .*|^rules = .*|^file = .*", "", line) for line in lines]
    whole = "\n".join(lines).replace("stages = filter,fw,sampler", "stages = filter,fw,fastpath")
    whole = re.sub(r"\[program mine\]\n+(prio = .*\n)?", "", whole)
    check("the whole example is understood",
          {m for m in re.findall(r"standard input:.*", parse(whole))})


# --- libecbpf -------------------------------------------------------------------------------

def plain(text):
    """White space is one blank, or none next to punctuation"""
    return re.sub(r"\s*([(),;*])\s*", r"\1", re.sub(r"\s+", " ", text)).strip()


def check_library():
    """Man page, headers and exports"""
    headers = ""
    for path in sorted(glob.glob(os.path.join(TOP, "headers/ecbpf/libecbpf*.h"))):
        headers += re.sub(r"/\*.*?\*/|__attribute__\(\(.*?\)\)", "", read(path), flags=re.S)
    headers = plain(headers)
    exported = set(re.findall(r"^\t(ecbpf_\w+);", read("lib/libecbpf.map"), re.M))
    check("what is exported is declared",
          {f for f in exported if not re.search(rf"\b{f}\(", headers)})
    check("what is declared is exported",
          {f for f in re.findall(r"[ *](ecbpf_\w+)\([^;{}]*\);", headers)} - exported)
    text = page("man/libecbpf.3.in")
    synopsis = text[text.index(".SH SYNOPSIS"):text.index(".SH DESCRIPTION")]
    synopsis = " ".join(re.sub(r"\"\s*", "", line.split(" ", 1)[1])
                        for line in synopsis.splitlines()
                        if line.startswith((".BI ", ".B ")) and "#include" not in line)
    synopsis = plain(re.sub(r"\s+,", ",", synopsis))
    prototypes = re.findall(r"[^;]+;", synopsis)
    check("what is exported is in libecbpf(3)",
          exported - set(re.findall(r"(ecbpf_\w+)\(", synopsis)))
    check("functions of libecbpf(3) are those of the headers",
          {p for p in prototypes if p not in headers} or
          (set() if len(prototypes) > 20 else {"there are none"}))


# --- examples -------------------------------------------------------------------------------

def check_codes():
    """Findings of ecbpf-loader doctor, in the code and in the man page"""
    used = set()
    for path in glob.glob(os.path.join(TOP, "lib/doctor/*.c")) + [
            os.path.join(TOP, "lib/config/diagnose.c")]:
        for call in re.findall(r"\b(?:doctor|finding)_add\(([^;]*);", read(path)):
            words = re.findall(r'"([^"]*)"', call)
            # the code stands before the text, which has a blank in it
            text = next((i for i, word in enumerate(words) if re.search("[ %]", word)), None)
            used |= set(filter(None, words[:text]))
    listed = re.search(r"The codes, by severity:(.*?)\.SS features", page("man/ecbpf-loader.8.in"),
                       re.S)
    named = set(re.findall(r"^\.BR (\S+) [,;.]$", listed[1], re.M))
    check("codes of doctor", {f"{code} is not in the man page" for code in used - named} |
          {f"the man page has {code}" for code in named - used})


def page_examples(text):
    """Commands between .EX and .EE; a file with [sections] has none, whoever reads it"""
    lines = []
    for block in re.findall(r"^\.EX\n(?!\[)(.*?)^\.EE", text, re.M | re.S):
        lines += re.sub(r"\\\n\s*", "", block).splitlines()
    return lines


def page_lines():
    """(where, line) of man pages and README"""
    for path in sorted(glob.glob(os.path.join(TOP, "man/*.in"))):
        name = os.path.basename(path)
        for line in page_examples(page("man/" + name)):
            yield name, line
    for line in read("README.md").splitlines():
        if line.startswith("    "):
            yield "README.md", line


def listed():
    """(where, line) of those with a command of ours, as a shell takes them"""
    for where, line in page_lines():
        if any(commands(line)):
            yield where.removesuffix(".in"), re.sub(r"^\s*([#$] )?|\bsudo ", "", line)


def examples():
    """(where, line) of all of them"""
    yield from page_lines()
    for name in NAMES:
        text = help_of(name)
        for part in [text] + [help_of(name, verb) for verb in verbs_of(text)]:
            at = part.find("\nExamples:")
            for line in part[at:].splitlines() if at >= 0 else []:
                yield f"ecbpf-{name} --help", re.sub(r"(ecbpf-.*?)\s{2,}[a-zA-Z].*", r"\1", line)


def commands(line):
    """Those of our tools in a line, as words; a line of text has none"""
    line = re.sub(r"^\s*(# |\$ )?(sudo )?", "", line)
    if not re.match(r"ecbpf-\w+ |.*\| *(sudo )?ecbpf-", line):
        return
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return
    command = []
    for word in words + ["|"]:
        if re.fullmatch(r"[|&;<>]+", word):
            if command and re.fullmatch(r"ecbpf-\w+", command[0]):
                yield command
            command = []
        elif not (word == "sudo" and not command):
            command.append(word)


def run_example(command):
    """Exit status, stderr. `timeout` sends its signal twice. With the second one, what looks for
    leaks at the end of a build with sanitizers may wait for itself for ever; other tests have it"""
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    try:
        status, _, err = run("timeout", "2", os.path.join(TOOLS, command[0]), *command[1:])
    except OSError as error:
        return 127, str(error)
    return status, err


def check_examples():
    """No usage error, and enough of them"""
    seen, problems = {}, set()
    for where, line in examples():
        for command in commands(line):
            seen.setdefault(tuple(command), where)
    # in parallel: some of them wait until they are told to end
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        results = list(pool.map(run_example, seen))
    for (command, where), (status, err) in zip(seen.items(), results):
        if command[0][len("ecbpf-"):] not in NAMES:
            problems.add(f"{where}: {command[0]}")
        elif status in (2, 126, 127):
            problems.add(f"{where}: {' '.join(command)}: {err.splitlines()[0] if err else status}")
    for where in ["README.md"] + [f"ecbpf-{n} --help" for n in NAMES]:
        if where not in seen.values():
            problems.add(f"{where}: no example")
    for where, line in listed():
        status, _, err = run("bash", "-n", "-c", line)
        if status:
            problems.add(f"{where}: {line}: {err.splitlines()[0]}")
    check(f"{len(seen)} commands of examples", problems)


def check_tools():
    """All of them"""
    for name in NAMES:
        check_tool(name)


def main():
    """All checks, or some"""
    if not os.geteuid():
        os.execvp(NOBODY[0], [*NOBODY, sys.executable, *sys.argv])
    if sys.argv[1:] == ["--list"]:
        for where, line in listed():
            print(where, line, sep="\t")
        return 0
    parts = {"tools": check_tools, "conf": check_conf, "codes": check_codes,
             "library": check_library, "examples": check_examples}
    for part in sys.argv[1:] or parts:
        parts[part]()
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed, 0 skipped")
    return 1 if counts["FAIL"] or not counts["PASS"] else 0


sys.exit(main())
