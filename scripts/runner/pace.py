# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many times slower than a fair host for VMs this machine is at present, 1 to MOST: what
tests/harness/pace.c measures, and why; here in few words. A page of new memory, with its part of
mmap() and munmap(), takes PAGE_S there; the best of three rounds counts."""
import mmap
import time

MOST = 4
PAGES, PAGE_S, ROUNDS = 32, 1500e-9, 3


def pace():
    best = MOST
    for _ in range(ROUNDS):
        begun = time.monotonic()
        with mmap.mmap(-1, PAGES * mmap.PAGESIZE) as memory:
            for page in range(PAGES):
                memory[page * mmap.PAGESIZE] = 1
        best = min(best, (time.monotonic() - begun) / PAGES / PAGE_S)
    return max(best, 1)
