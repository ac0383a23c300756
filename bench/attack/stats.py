# SPDX-License-Identifier: LGPL-2.1-or-later
"""What measurements tell: of which a key is known afterwards, and a rank test says whether they
depend on it."""
import math
import random

RECORD = 20
Z_ALPHA, Z_POWER = 2.5758, 1.2816  # two-sided 0.01; 90 %


def rank_test(first, second):
    """Mann and Whitney's test, normal approximation with ties: (probability that one of first is
    smaller than one of second, p of two sides)."""
    values = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    n1, n2, n = len(first), len(second), len(values)
    ranks, ties, at = 0.0, 0, 0
    while at < n:
        end = at
        while end < n and values[end][0] == values[at][0]:
            end += 1
        ranks += (at + 1 + end) / 2 * sum(1 for value in values[at:end] if value[1])
        ties += (end - at) ** 3 - (end - at)
        at = end
    u = ranks - n2 * (n2 + 1) / 2
    spread = math.sqrt(n1 * n2 / 12 * ((n + 1) - ties / (n * (n - 1))))
    z = (u - n1 * n2 / 2) / spread if spread else 0.0
    return u / (n1 * n2), math.erfc(abs(z) / math.sqrt(2))


def least_seen(n1, n2):
    """How far from 1/2 the probability above must be to be found with 90 % power at 0.01."""
    return (Z_ALPHA + Z_POWER) * math.sqrt((n1 + n2 + 1) / (12 * n1 * n2))


def sbox():
    """S, from the field's definition (FIPS 197, 5.1.1)."""
    def times(a, b):
        total = 0
        while b:
            total ^= a if b & 1 else 0
            a = (a << 1) ^ (0x11b if a & 0x80 else 0)
            b >>= 1
        return total
    table = []
    for x in range(256):
        inverse = next((y for y in range(256) if times(x, y) == 1), 0)
        value = inverse
        for n in range(1, 5):
            value ^= (inverse << n | inverse >> (8 - n)) & 255
        table.append(value ^ 0x63)
    return table


SBOX = sbox()
INVERSE = [SBOX.index(value) for value in range(256)]


def last_round_key(key):
    words = [list(key[i:i + 4]) for i in range(0, 16, 4)]
    rcon = 1
    for i in range(4, 44):
        word = list(words[i - 1])
        if i % 4 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = (rcon << 1) ^ (0x11b if rcon & 0x80 else 0)
        words.append([a ^ b for a, b in zip(words[i - 4], word)])
    return bytes(sum(words[40:], []))


def split(records, key):
    """Times where the victim read the line in its last round, and where not."""
    last = last_round_key(key)
    read, unread = [], []
    for cipher, line, cycles in records:
        was = any(INVERSE[c ^ k] >> 4 == line for c, k in zip(cipher, last))
        (read if was else unread).append(cycles)
    return read, unread


def load(path):
    data = path.read_bytes()
    return [(data[i:i + 16], data[i + 16], int.from_bytes(data[i + 17:i + 20], "little"))
            for i in range(0, len(data) - RECORD + 1, RECORD)]


def measurements_needed(read, unread, alpha):
    """The least number of measurements with which the test says p < 0.01 nine times of ten."""
    rng = random.Random(1)
    for n in (10, 15, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000):
        part = round(n * len(unread) / (len(read) + len(unread)))
        if part < 2 or n - part < 2 or n - part > len(read) or part > len(unread):
            continue
        hits = sum(rank_test(rng.sample(read, n - part), rng.sample(unread, part))[1] < alpha
                   for _ in range(40))
        if hits >= 36:
            return n
    return None
