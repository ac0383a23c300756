# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a test program says (TAP), and what it should have said and did not."""
import re

RESULT = re.compile(r"^(ok|not ok) \d+ - (.*?)(?: # SKIP ?(.*))?$")
PLAN = re.compile(r"^1\.\.(\d+)$")


class Verdict:
    """Of one run of a program, or of one of its tests."""

    def __init__(self):
        self.planned = None
        self.passed = []   # sentences
        self.failed = []   # (sentence, lines that say why)
        self.skipped = []  # (sentence, reason)
        self.other = []    # lines that are no TAP
        self.trouble = None  # the program itself went wrong

    def reported(self):
        return len(self.passed) + len(self.failed) + len(self.skipped)

    def failures(self):
        """What did not report did not pass."""
        missing = max((self.planned or 0) - self.reported(), 0)
        if self.trouble:
            missing = max(missing, 1)
        return len(self.failed) + missing

    def sentences(self):
        return {*self.passed, *(s for s, _ in self.failed), *(s for s, _ in self.skipped)}

    def judge(self, status, no_end_after):
        """The program has ended: what did it leave unsaid?"""
        if no_end_after is not None:
            self.trouble = f"no end after {no_end_after} s"
        elif self.planned is None:
            self.trouble = f"planned no tests, ended with status {status}"
        elif self.reported() != self.planned:
            self.trouble = f"reported {self.reported()} of {self.planned} tests"
        elif bool(self.failed) != (status != 0):
            self.trouble = f"ended with status {status}"


def read(text, status, no_end_after=None):
    """text: all that it printed. no_end_after: the seconds after which it was ended, if it was."""
    verdict = Verdict()
    because = None  # where lines with # go
    for line in text.splitlines():
        result, plan = RESULT.match(line), PLAN.match(line)
        if result:
            word, sentence, reason = result.groups()
            because = None
            if word == "not ok":
                because = []
                verdict.failed.append((sentence, because))
            elif reason is not None:
                verdict.skipped.append((sentence, reason))
            else:
                verdict.passed.append(sentence)
        elif plan:
            verdict.planned = int(plan[1])
        elif line.startswith("#"):
            if because is not None:
                because.append(line)
        elif line and not line.startswith("TAP version"):
            verdict.other.append(line)
    verdict.judge(status, no_end_after)
    return verdict
