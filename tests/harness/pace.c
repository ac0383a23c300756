// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * How slow this machine is at present, against those that the limits of tests were chosen on.
 *
 * Goal: a limit tells a hang from an answer on every machine. A machine that is itself a VM with
 * shadow page tables takes twenty times as long for a page fault (18 us for 0.7), ten times for a
 * system call, and no longer to compute; tests of this project are mostly faults and calls. One
 * that is short of CPU is slow at everything.
 *
 * So a limit that has passed is not the end: the machine is measured there and then, while it does
 * what it was too slow for, and a slow one has up to PACE_MOST times as long. A machine that keeps
 * pace pays nothing, nor does a test that passes; one that hangs takes longer to be called so.
 *
 * Measured is wall time, the best of three rounds: a neighbour that takes the CPU counts, a moment
 * in which this thread was set aside does not.
 *
 * Rejected: limits that are wide enough for all machines. The slowest one would set how long a
 * hang takes on each. Rejected too: to measure once, at the start: how slow a machine is changes
 * with who else runs on it.
 */
#include "harness/pace.h"

#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#define FAULT_NS 1500 /* a new page, with its part of mmap() and munmap(): 700 to 1200 measured */
#define PAGES 32
#define PAGE_BYTES 4096
#define ROUNDS 3
#define MEASURED_NS 5000000000ll /* so long it holds */
#define NS_PER_MS 1000000ll

int64_t test_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* In ns, 0: it could not be measured (a limit of address space, say). */
static int64_t fault_ns(void)
{
	size_t len = (size_t)PAGES * PAGE_BYTES;
	int64_t best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		int64_t start = test_now_ns(), took;
		char *memory =
			mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			return 0;
		for (size_t at = 0; at < len; at += PAGE_BYTES)
			((volatile char *)memory)[at] = 1;
		munmap(memory, len);
		took = (test_now_ns() - start) / PAGES;
		if (round == 0 || took < best)
			best = took;
	}
	return best;
}

double test_pace(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int64_t measured_at;
	static double pace = 1;
	double now;

	pthread_mutex_lock(&lock);
	if (!measured_at || test_now_ns() > measured_at + MEASURED_NS) {
		pace = (double)fault_ns() / FAULT_NS;
		pace = pace < 1 ? 1 : pace > PACE_MOST ? PACE_MOST : pace;
		measured_at = test_now_ns();
	}
	now = pace;
	pthread_mutex_unlock(&lock);
	return now;
}

bool test_late(int64_t start_ns, int64_t limit_ms)
{
	int64_t over = test_now_ns() - start_ns - limit_ms * NS_PER_MS;

	return over > 0 && (double)over > (test_pace() - 1) * (double)(limit_ms * NS_PER_MS);
}
