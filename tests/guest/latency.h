/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* latency: how long single accesses to memory take. On the host (bench/) and in test guests. */
#ifndef PSHARE_GUEST_LATENCY_H
#define PSHARE_GUEST_LATENCY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

uint64_t now_ns(void); /* CLOCK_MONOTONIC */

/* The time of one instruction's effect: in cycles of the time stamp counter where there is one
 * (lfence waits for what is before it, and holds back what is behind it), in ns elsewhere. */
static inline uint64_t tick(void)
{
#ifdef __x86_64__
	uint64_t t;

	__builtin_ia32_lfence();
	t = __builtin_ia32_rdtsc();
	__builtin_ia32_lfence();
	return t;
#else
	return now_ns();
#endif
}

/* ns of one tick, found out against the clock in 20 ms at the first call. */
double tick_ns(void);
/* Waits without sleeping: the core stays awake and warm. */
void spin_ns(uint64_t ns);

/* How long it takes to read a word, or to write one, in ns. tick_ns() must have been called. */
double touch_read(const volatile uint64_t *word);
double touch_write(volatile uint64_t *word, uint64_t value);

struct latency {
	double *ns;
	size_t count, room;
};

int latency_init(struct latency *l, size_t room); /* 0 or -ENOMEM */
void latency_deinit(struct latency *l);
/* More than room are dropped. */
void latency_add(struct latency *l, double ns);
/* " n=N p50=NS p99=NS p999=NS max=NS", no newline. Sorts. */
void latency_print(struct latency *l, FILE *out);

#endif
