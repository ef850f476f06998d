#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""fw_watch.py COMMAND...: `ecbpf-fw stats --watch` on terminals, for tests of the firewall.

A terminal is a pty; what is written to it is read here as xterm would, but more strictly: what
needs to wrap or to scroll is an error, and so is any sequence that is not known here. Rules are
live already, 40 or more, and have traffic. COMMAND makes the firewall go away.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

LIMIT = 30  # seconds, for what comes at once on an idle machine
SEQUENCE = re.compile(rb"\x1b\[(\??)([0-9;]*)([A-Za-z])")
PARTS = re.compile(rb"\x1b\[?\??[0-9;]*$")  # of a sequence whose end is still to come


class Terminal:
    """A pty with a command on it"""
    # pylint: disable=too-many-instance-attributes
    def __init__(self, rows, columns, *argv, term="xterm"):
        self.modes, self.wrong, self.pages = {"7": True, "25": True, "1049": False}, [], 0
        self.rows, self.columns, self.at = rows, columns, [1, 1]
        self.lines, self.main, self.left, self.status = {}, "", b"", None
        size = struct.pack("HHHH", rows, columns, 0, 0)
        self.pid, self.fd = pty.fork()
        if not self.pid:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.environ.update(TERM=term)
            os.environ.pop("LINES", None)
            os.environ.pop("COLUMNS", None)
            os.execvp(argv[0], argv)
        self.before = termios.tcgetattr(self.fd)

    def resize(self, rows, columns):
        """What was there before may be anywhere"""
        self.rows, self.columns, self.lines = rows, columns, {}
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _sequence(self, private, numbers, what):
        values = [int(value) for value in numbers.split(";") if value]
        if private and what in "hl" and numbers in self.modes:
            self.modes[numbers] = what == "h"
            if numbers == "1049":
                self.lines = {}
        elif not private and what == "H":
            self.at = values
            if len(values) != 2 or not 1 <= values[0] <= self.rows or values[1] != 1:
                self.wrong.append(f"cursor to {values} of {self.rows}")
            self.pages += values[0] == 1
        elif not private and what == "K" and not values:
            row, column = self.at
            self.lines[row] = self.lines.get(row, "")[:column - 1]
        elif not private and what == "J" and not values:
            self.lines = {row: line for row, line in self.lines.items() if row < self.at[0]}
        else:
            self.wrong.append(f"ESC [ {'?' * bool(private)}{numbers}{what}")

    def _text(self, data):
        text = data.decode()  # an error, if a character was cut
        if not self.modes["1049"]:
            self.main += text
            return
        row, column = self.at
        line = self.lines.get(row, "").ljust(column - 1)
        self.lines[row] = line[:column - 1] + text + line[column - 1 + len(text):]
        self.at[1] += len(text)
        if not text.isprintable() or self.at[1] > self.columns + 1:
            self.wrong.append(f"{text!r} at {row}, {column}")

    def read(self, seconds):
        """What comes within this time. Return: was there any?"""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = self.left + os.read(self.fd, 65536)
        except OSError:  # nobody writes to it any more
            data = b""
        if not data:
            return False
        part = PARTS.search(data)
        self.left = data[part.start():] if part else b""
        data = data[:len(data) - len(self.left)]
        while data:
            found = SEQUENCE.match(data)
            if found:
                self._sequence(*(group.decode() for group in found.groups()))
                data = data[found.end():]
                continue
            end = data.find(b"\x1b", 1)
            end = len(data) if end < 0 else end
            self._text(data[:end])
            data = data[end:]
        return True

    def until(self, condition):
        """Read until this is so. Return: was it?"""
        end = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > end:
                return False
            self.read(.05)
        return True

    def page(self):
        """Read until a page is complete that began after the call; its lines"""
        pages = self.pages
        self.until(lambda: self.pages > pages + 1)
        while self.read(.1):
            pass
        return [self.lines.get(row, "").rstrip() for row in range(1, self.rows + 1)]

    def end(self, flags=0):
        """Wait until it has ended, or was stopped; what it was"""
        def is_over():
            pid, status = os.waitpid(self.pid, os.WNOHANG | flags)
            if pid:
                self.status = status
            return pid != 0
        if not self.until(is_over):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            return "did not end"
        while self.read(.1):
            pass
        return os.waitstatus_to_exitcode(self.status) if not flags or \
            not os.WIFSTOPPED(self.status) else "stopped"

    def is_restored(self):
        """Is all as it was before?"""
        return self.modes == {"7": True, "25": True, "1049": False} and \
            termios.tcgetattr(self.fd) == self.before


def show(*options, size=(24, 80), **more):
    """stats --watch"""
    return Terminal(*size, "ecbpf-fw", "stats", "--watch", *options, **more)


def ended(terminal, number=signal.SIGTERM):
    """End it; what is wrong"""
    os.kill(terminal.pid, number)
    status = terminal.end()
    wrong = list(terminal.wrong)
    if status != -number:
        wrong.append(f"exit status {status}")
    if not terminal.is_restored():
        wrong.append(f"not restored: {terminal.modes}")
    return wrong


def numbers(page):
    """Of the rules on a page"""
    return [int(line.split()[0]) for line in page[2:] if line.split()]


def value(text):
    """Of 12.34M"""
    factor = 1000 ** (" kMGT".index(text[-1]) if text[-1] in "kMGT" else 0)
    return float(text.rstrip("kMGT")) * factor


def test_rate():
    """by rate"""
    terminal = show()
    terminal.page()
    page = terminal.page()
    rates = [value(line.split()[1]) for line in page[2:] if line]
    is_right = rates == sorted(rates, reverse=True) and rates[0] and " by rate;" in page[0]
    wrong = [] if is_right else page
    if page[1].split() != ["rule", "pps", "bit/s", "drop/s", "packets", "bytes", "dropped", "text"]:
        wrong.append(page[1])
    return wrong + ended(terminal)


def test_sort():
    """by number"""
    terminal = show("--sort", "number")
    page = terminal.page()
    have = numbers(page)
    wrong = [] if have == sorted(have) and "by number;" in page[0] else ["\n".join(page)]
    return wrong + ended(terminal)


def test_sizes():
    """sizes; 0 is not known"""
    wrong = []
    for size in ((1, 1), (1, 20), (2, 30), (3, 40), (5, 79), (10, 200), (60, 500)):
        terminal = show(size=size)
        page = terminal.page()
        rules = [line for line in page[2:] if line]
        if not page[0] or (size[0] < 60 and len(rules) != max(0, size[0] - 2)):
            wrong.append(f"{size}: {page}")
        wrong += [f"{size}: {why}" for why in ended(terminal)]
    terminal = show(size=(0, 0))
    terminal.rows, terminal.columns = 24, 80
    if len(numbers(terminal.page())) != 22:
        wrong.append(f"no size: {terminal.lines}")
    return wrong + ended(terminal)


def test_resize():
    """another size"""
    terminal, wrong = show(size=(20, 60)), []
    terminal.page()
    for size in ((8, 100), (12, 30), (40, 120)):
        terminal.resize(*size)
        # what was being written meanwhile is of the old size
        while terminal.read(.2):
            pass
        terminal.wrong = []
        page = terminal.page()
        if len(numbers(page)) != size[0] - 2:
            wrong.append(f"{size}: {page}")
    return wrong + ended(terminal)


def test_key():
    """Ctrl-C"""
    terminal = show()
    terminal.page()
    os.write(terminal.fd, b"\x03")
    status = terminal.end()
    return ([] if status == -signal.SIGINT else [f"{status}"]) + \
        ([] if terminal.is_restored() else [f"not restored: {terminal.modes}"])


def test_signals():
    """signals"""
    wrong = []
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT:
        terminal = show()
        terminal.page()
        wrong += ended(terminal, number)
    return wrong


def test_job():
    """Ctrl-Z below a shell, bg, fg"""
    terminal = Terminal(24, 80, "bash", "--norc", "--noprofile", "--noediting", "-i")
    os.write(terminal.fd, b"PS1='$ '; ecbpf-fw stats --watch\n")
    terminal.page()
    wrong = list(terminal.wrong)
    for _ in range(2):
        os.write(terminal.fd, b"\x1a")
        if not terminal.until(lambda: "Stopped" in terminal.main and terminal.main.endswith("$ ")):
            wrong.append(f"not stopped: {terminal.main!r}")
        if terminal.modes != {"7": True, "25": True, "1049": False}:
            wrong.append(f"stopped, and not restored: {terminal.modes}")
        terminal.main = ""
        os.write(terminal.fd, b"bg\n")
        while terminal.read(1):
            pass
        os.write(terminal.fd, b"\n")
        if not terminal.until(lambda: "Stopped" in terminal.main):
            wrong.append(f"not stopped in the background: {terminal.main!r}")
        if terminal.modes["1049"]:
            wrong.append("writes to the terminal from the background")
        terminal.main = ""
        os.write(terminal.fd, b"fg\n")
        terminal.page()
    os.write(terminal.fd, b"\x03")
    terminal.until(lambda: terminal.main.endswith("$ "))
    os.write(terminal.fd, b"exit\n")
    terminal.end()
    return wrong + ([] if terminal.is_restored() else [f"not restored: {terminal.modes}"])


def test_ignored():
    """nohup"""
    terminal = Terminal(24, 80, "sh", "-c", "trap '' HUP; exec ecbpf-fw stats --watch")
    terminal.page()
    os.kill(terminal.pid, signal.SIGHUP)
    terminal.page()
    return ended(terminal)


def test_dumb():
    """a terminal that cannot"""
    terminal = show(term="dumb")
    terminal.until(lambda: terminal.main.count("shared") >= 2)
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.end()
    return terminal.wrong + ([] if terminal.main.count("shared") >= 2 else [terminal.main])


def test_json():
    """JSON"""
    terminal = show("-j")
    terminal.until(lambda: terminal.main.count("\n") >= 2)
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.end()
    return terminal.wrong + ([] if terminal.main.startswith("[{") else [terminal.main])


def test_error():
    """an error stays to be read"""
    terminal = show()
    terminal.page()
    done = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=False)
    status, wrong = terminal.end(), []
    if done.returncode:
        wrong.append(done.stderr)
    if status != 1 or "ecbpf-fw: " not in terminal.main:
        wrong.append(f"status {status}, {terminal.main}")
    return wrong + terminal.wrong + ([] if terminal.is_restored() else [f"{terminal.modes}"])


def main():
    """See above"""
    failed = 0
    for test in (test_rate, test_sort, test_sizes, test_resize, test_key, test_signals, test_job,
                 test_ignored, test_dumb, test_json, test_error):
        wrong = test()
        failed += bool(wrong)
        name = f"watch, {test.__doc__}"
        print(f"FAIL {name}: {'; '.join(wrong)}" if wrong else f"PASS {name}", flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
