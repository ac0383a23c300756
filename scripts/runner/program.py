# SPDX-License-Identifier: LGPL-2.1-or-later
"""Test programs, and the pieces in which they are run.

Tests of the suites in SPLIT take seconds to minutes: each is a piece of its own, a process
`PROGRAM --number N`. The tests of the others take milliseconds: there a program is a piece.
"""
import os
import re
import signal
import subprocess
import sys
import time

from runner import pace, tap

SPLIT = {"system": 25, "inject": 25, "tsan": 100}  # and the load of a test that says none
WHOLE_LOAD = 100
END_GRACE_SECONDS = 15  # for a program that was told to end, to take its children along
KEEPER_SECONDS = 30     # for the harness, to end a test that does not
PLAN_SECONDS = 5
PLANNED = re.compile(r"^(\d+)\t(\d+)\t(\d+)\t(\S*)\t(.*)$", re.M)


def words(text):
    return frozenset(word for word in text.split(",") if word)


class Program:
    """One line of programs.list, and what became of it."""

    def __init__(self, build, suite, name, seconds, path, load="0", needs=""):
        self.build, self.suite, self.name, self.path = build, suite, name, path
        self.seconds = int(seconds)
        self.load = int(load) or SPLIT.get(suite, WHOLE_LOAD)
        self.needs = words(needs)
        self.log = os.path.join(build, "tests", f"{suite}-{name}.log")
        self.to_come = 0   # pieces that have not ended
        self.verdicts = []
        self.took = 0.0    # seconds, of all pieces

    def title(self):
        return f"{self.suite}/{self.name}"

    def argv(self, *options):
        return [*without_random_addresses(self.build), self.path, *options]

    def plan(self):
        """(number, seconds, load, needs, sentence) of each test; nothing if it does not say."""
        try:
            asked = subprocess.run(self.argv("--plan"), capture_output=True, text=True,
                                   errors="replace", check=False, timeout=PLAN_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            return []
        return PLANNED.findall(asked.stdout)

    def pieces(self, seconds, patience):
        """seconds: for each piece and test in place of their own, or None."""
        rows = self.plan() if self.suite in SPLIT else []
        made = [Piece(self, row, seconds, patience) for row in rows]
        made = made or [Piece(self, None, seconds, patience)]
        self.to_come = len(made)
        return made

    def unreported(self):
        """The sentences of which nothing was heard."""
        heard = set().union(*(verdict.sentences() for verdict in self.verdicts))
        return [row[4] for row in self.plan() if row[4] not in heard]

    def count(self, what):
        return sum(len(getattr(verdict, what)) for verdict in self.verdicts)

    def failures(self):
        return sum(verdict.failures() for verdict in self.verdicts)


class Piece:
    """What runs in one go: a test, or a whole program (row is None)."""

    def __init__(self, program, row, seconds, patience):
        self.program = program
        self.is_whole = row is None
        self.load, self.needs = program.load, program.needs
        self.options = ["--timeout", str(seconds)] if seconds else []
        self.sentence = None
        self.seconds = seconds or program.seconds
        self.limit = self.seconds
        self.output = bytearray()
        self.told_to_end = None  # when
        if row is None:
            return
        number, limit, load, needs, self.sentence = row
        self.options += ["--number", number, "--patience", str(patience)]
        self.seconds = seconds or int(limit)
        self.limit = self.seconds * patience + KEEPER_SECONDS
        self.load = int(load) or self.load
        if needs != "-":
            self.needs = words(needs)

    def title(self):
        return f"{self.program.title()}: {self.sentence}" if self.sentence else self.program.title()

    def start(self):
        self.started = time.monotonic()
        self.child = subprocess.Popen(
            self.program.argv(*self.options), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def age(self):
        return time.monotonic() - self.started

    def pace_when_late(self):
        return pace.pace() if self.age() > self.limit else 1

    def hurry(self):
        """Looks at the time; True if it is to be waited for no longer. A slow machine has longer,
        as in tests/harness/pace.c."""
        if self.told_to_end is None and self.age() > self.limit * self.pace_when_late():
            self.told_to_end = time.monotonic()
            self.child.send_signal(signal.SIGTERM)
        if self.told_to_end and time.monotonic() > self.told_to_end + END_GRACE_SECONDS:
            self.child.kill()
            return True
        return False

    def end(self):
        """Its output has come to an end. Returns the verdict."""
        self.child.stdout.close()
        status = self.child.wait()
        text = self.output.decode(errors="replace")
        verdict = tap.read(text, status, self.limit if self.told_to_end else None)
        program = self.program
        with open(program.log, "ab" if program.verdicts else "wb") as log:
            log.write(self.output)
        program.verdicts.append(verdict)
        program.to_come -= 1
        program.took += self.age()
        return verdict

    def kill(self):
        """Its keepers take along what is left, whichever way it ends."""
        try:
            self.child.wait(END_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()

    def interrupt(self):
        self.child.send_signal(signal.SIGTERM)


_SETARCH = {}


def without_random_addresses(build):
    """ASan and TSan of Debian 12 lose their way where addresses are too random."""
    if build not in _SETARCH:
        with open(os.path.join(build, "build.ninja"), encoding="utf-8") as ninja:
            sanitized = "-fsanitize=" in ninja.read()
        works = sanitized and subprocess.run(
            ["setarch", "-R", "true"], capture_output=True, check=False).returncode == 0
        _SETARCH[build] = ["setarch", "-R"] if works else []
    return _SETARCH[build]


def read_programs(selection):
    """BUILD:SUITE,SUITE -> the programs, in the order of the list."""
    build, _, suites = selection.partition(":")
    path = os.path.join(build, "tests", "programs.list")
    try:
        with open(path, encoding="utf-8") as listed:
            rows = [line.rstrip("\n").split("\t") for line in listed if line.strip()]
    except OSError as error:
        sys.exit(f"run-tests: {path}: {error.strerror}: build {build} first")
    return [Program(build, *row) for suite in suites.split(",") for row in rows if row[0] == suite]
