#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Names of rules and sets, tags and interfaces are completed in bash so that the shell makes the
name of them again, whatever is in it and however it was begun.

An interactive bash on a pty; the tools are those of the build, but for the names, which are given
here. TOOLS: where the tools are (default: tools of the build that this runs in).
"""
import os
import pty
import select
import shlex
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]
from tools import TOOLS  # pylint: disable=wrong-import-position

COMPLETION = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "packaging",
                          "completion.bash")
LIMIT = 30
# each begins with another character
NAMES = ("plain", "two words", "it's", 'don\'t $HOME', "$(touch ran)", "`touch ran`", "semi;colon|",
         "co:lon: three", "eq=ual=s", "ünï cöde", "bang! 7!", "\\back\\slash", "[a] {b,c} *",
         "#hash", "~tilde", "&and <more>", "7 of digits", "日本 語")
# how a word is begun
STYLES = ("", "'", '"')
counts = {"PASS": 0, "FAIL": 0}


def check(name, problems):
    """Print a test's result"""
    verdict = "FAIL" if problems else "PASS"
    counts[verdict] += 1
    print(f"{verdict} {name}" + (f": {'; '.join(problems[:5])}" if problems else ""), flush=True)


class Bash:
    """An interactive one, that says what its line is"""
    def __init__(self, path):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(path)
            os.environ.update(PATH=f"{path}:{os.environ['PATH']}", TERM="dumb", LC_ALL="C.UTF-8",
                              HOME=path, INPUTRC="/dev/null", HISTFILE="/dev/null")
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        os.write(self.fd, f"PS1=; . {shlex.quote(COMPLETION)}\n".encode())
        os.write(self.fd, b"bind 'set bell-style none'; bind 'set enable-bracketed-paste off'\n")
        os.write(self.fd, b"bind 'set completion-query-items 0'\n")
        os.write(self.fd, b"""bind -x '"\\C-x\\C-p": printf "\\n<<%s>>" "$READLINE_LINE"'\n""")
        os.write(self.fd, b"echo rea''dy\n")
        self._until("ready")

    def _until(self, text):
        """Read until it comes; what came"""
        data, end = b"", time.monotonic() + LIMIT
        while text not in data.decode(errors="replace"):
            if time.monotonic() > end:
                raise RuntimeError(f"no {text!r} in {data!r}")
            if select.select([self.fd], [], [], .1)[0]:
                data += os.read(self.fd, 65536)
        return data.decode(errors="replace")

    def complete(self, line, tabs=1):
        """What becomes of it"""
        # C-a C-k: the line before
        os.write(self.fd, b"\x01\x0b" + line.encode() + b"\t" * tabs + b"\x18\x10")
        return self._until(">>").split("<<")[-1].split(">>")[0]


def words(line):
    """What the shell makes of it; None: nothing"""
    done = subprocess.run(["bash", "-c", f"set -H; printf '%s\\0' {line}"], capture_output=True,
                          check=False)
    return None if done.returncode else done.stdout.decode(errors="replace").split("\0")[:-1]


def begun(name, style):
    """Its first character, written so"""
    if style == '"':
        return style + ("\\" if name[0] in '"\\$`' else "") + name[0]
    is_plain = style or name[0].isalnum() or name[0] == "~"
    return style + (name[0] if is_plain else shlex.quote(name[0]))


def fake(path, tool, *answers):
    """The tool, but what it says of names"""
    with open(os.path.join(path, tool), "w", encoding="utf-8") as file:
        file.write("#!/bin/bash\ncase $* in\n")
        for arguments, names in answers:
            quoted = " ".join(map(shlex.quote, names))
            file.write(f"{shlex.quote(arguments)}) printf '%s\\n' {quoted} ;;\n")
        file.write(f"*) exec {shlex.quote(os.path.join(TOOLS, tool))} \"$@\" ;;\nesac\n")
    os.chmod(os.path.join(path, tool), 0o755)


def check_names(bash):
    """Each name, begun in each way"""
    for style in STYLES:
        problems = []
        for name in NAMES:
            if name[0] == "!" and style == '"':
                continue
            line = f"ecbpf-fw rule delete {begun(name, style)}"
            after = bash.complete(line)
            if not after.endswith(" ") or words(after) != ["ecbpf-fw", "rule", "delete", name]:
                problems.append(f"{line!r} became {after!r}")
        check(f"names, begun by {style or 'no quote'}", problems)


def expect(bash, name, *rows):
    """(LINE, WORD, WANT) each: what the shell makes of the word; of " LINE", how it is written"""
    problems = []
    for line, word, want in rows:
        after = bash.complete(f"{line} {word}")
        if want[0] == " ":
            is_wrong = after != f"{line} {want[1:]}"
        else:
            is_wrong = words(after) != line.split() + [want]
        if is_wrong:
            problems.append(f"{line} {word} became {after!r}")
    check(name, problems)


def main():
    """See above"""
    with tempfile.TemporaryDirectory() as path:
        fake(path, "ecbpf-fw", ("rule list --names", NAMES + ("rule one", "rule two")),
             ("set list --names", ("bad", "good-1")))
        fake(path, "ecbpf-filter", ("drop list --tags", ("scan", "dns")),
             ("allow list --tags", ("office",)))
        bash = Bash(path)
        check_names(bash)
        delete = "ecbpf-fw rule delete"
        expect(bash, "names: what several have in common", (delete, "ru", " rule\\ "),
               (delete, "'ru", " 'rule "), (delete, '"ru', ' "rule '))
        expect(bash, "names: within a word", (delete, "co:lo", "co:lon: three"),
               (delete, "co:", "co:lon: three"), (delete, "eq=", "eq=ual=s"),
               (delete, "eq=ual=", "eq=ual=s"), (delete, "two\\ w", "two words"),
               (delete, "tw'o w", "two words"), (delete, "xyz", " xyz"))
        expect(bash, "names: of other changes, behind options",
               ("ecbpf-fw rule replace", "p", "plain"), ("ecbpf-fw rule insert", "p", "plain"),
               ("ecbpf-fw rule delete --if-exists", "p", "plain"),
               ("ecbpf-fw rule --confirm 60s delete", "p", "plain"))
        expect(bash, "sets", ("ecbpf-fw set add", "b", "bad"),
               ("ecbpf-fw set flush", "g", "good-1"), ("ecbpf-fw set delete", "g", "good-1"))
        expect(bash, "tags", ("ecbpf-filter drop delete -t", "s", "scan"),
               ("ecbpf-filter drop add 192.0.2.1 --tag", "d", "dns"),
               ("ecbpf-filter allow delete 192.0.2.1 -t", "o", "office"))
        if os.path.isdir("/sys/class/net/lo"):
            expect(bash, "interfaces", ("ecbpf-fw unload", "l", "lo"),
                   ("ecbpf-filter load --fused", "l", "lo"))
        check("no name was run", [name for name in os.listdir(path) if name == "ran"])
        os.close(bash.fd)
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed, 0 skipped")
    return counts["FAIL"] != 0


if __name__ == "__main__":
    sys.exit(main())
