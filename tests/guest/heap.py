# SPDX-License-Identifier: LGPL-2.1-or-later
"""A process of a test guest: a heap whose checksum it tells when it is asked.

Arguments: a seed, KiB of data. On stdin, a line each: "sum" or "work N" (write half anew).
The answer is the checksum of all data, as 16 hex digits.
"""
import hashlib
import random
import select
import sys

ROW = 512


def make(seed, number, generation):
    return random.Random(f"{seed} {number} {generation}").randbytes(ROW)


def main():
    seed, kib = sys.argv[1], int(sys.argv[2])
    rows = {f"row {n}": make(seed, n, 0) for n in range(kib * 1024 // ROW)}
    ticks = 0
    while True:
        if not select.select([sys.stdin], [], [], 5)[0]:
            ticks += 1  # awake now and then, as a daemon is
            continue
        words = sys.stdin.readline().split()
        if not words:
            return
        if words[0] == "work":
            for n in range(0, len(rows), 2):
                rows[f"row {n}"] = make(seed, n, words[1])
        digest = hashlib.blake2b(digest_size=8)
        for name, row in rows.items():
            digest.update(name.encode() + row)
        print(digest.hexdigest(), flush=True)


main()
