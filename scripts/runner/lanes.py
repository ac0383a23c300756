# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may run beside whom.

Most tests wait most of the time, so one after the other they leave the CPUs idle for minutes. A
piece (a test, or a whole program of quick ones) says what it takes:

 load    CPU, in percent of one. Pieces start while all that run take no more than the CPUs have:
         so none is slowed down much by the others, and timeouts need not know of them. What they
         say is right on a fair host. On a slow one (runner/pace.py) each takes more, so there is
         room for fewer, down to two thirds of them.
 needs   words for what it shares with nobody meanwhile, such as "kvm". "quiet": the machine.

Pieces start in the order in which they are given, but one that has no room yet holds up nobody:
the next that has some goes first. Rejected: to look at how busy the CPUs are instead of believing
what pieces say. It sees no difference between a busy test and a busy neighbour, and it sees what
a piece takes only when it is too late.
"""

QUIET = "quiet"
SLOW_MOST = 1.5


class Lanes:
    def __init__(self, cpus, most, pace=1):
        """most: pieces at the same time, whatever they take."""
        self.room = 100 * cpus / min(pace, SLOW_MOST)
        self.most = most
        self.running = []

    def admits(self, piece):
        if not self.running:
            return True
        if len(self.running) >= self.most or QUIET in piece.needs:
            return False
        if any(QUIET in other.needs or other.needs & piece.needs for other in self.running):
            return False
        return sum(other.load for other in self.running) + piece.load <= self.room

    def start_next(self, waiting):
        """Takes the first that may start out of the list of those that wait; None if none may."""
        for piece in waiting:
            if self.admits(piece):
                waiting.remove(piece)
                self.running.append(piece)
                return piece
        return None

    def ended(self, piece):
        self.running.remove(piece)


def in_order(pieces):
    """Who needs the whole machine goes first, as it would have to wait for all to end. Then those
    of the longest chain: pieces that share nothing run one after the other, so a chain that begins
    late ends late, alone. Then who takes most CPU: beside many that take little there would be no
    room for it until the end, and those that take little find room beside it. Then who may take
    longest, so as not to be the last alone. Programs of quick tests fill what is left."""
    chains = {}
    for piece in pieces:
        if piece.needs and QUIET not in piece.needs:
            needs = frozenset(piece.needs)
            chains[needs] = chains.get(needs, 0) + piece.seconds
    longest = max(chains, key=chains.get, default=None)
    return sorted(pieces, key=lambda p: (QUIET not in p.needs, p.is_whole,
                                         frozenset(p.needs) != longest, -p.load, -p.seconds))
