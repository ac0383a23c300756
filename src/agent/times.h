/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * times: how often something took how long, counted by any thread in two additions (wire.h has the
 * buckets). No lock, no memory: readers and the settler count while somebody waits.
 */
#ifndef PSHARE_AGENT_TIMES_H
#define PSHARE_AGENT_TIMES_H

#include <stdatomic.h>
#include <stdint.h>

#include "wire/wire.h"

struct times {
	_Atomic uint64_t count[PS_LATENCY_BUCKETS];
	_Atomic uint64_t sum_ns;
};

static inline uint32_t times_bucket(uint64_t ns)
{
	uint64_t us = ns / 1000;
	uint32_t bucket = us ? 64 - (uint32_t)__builtin_clzll(us) : 0;

	return bucket < PS_LATENCY_BUCKETS ? bucket : PS_LATENCY_BUCKETS - 1;
}

static inline void times_add(struct times *t, uint64_t ns)
{
	atomic_fetch_add_explicit(&t->count[times_bucket(ns)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->sum_ns, ns, memory_order_relaxed);
}

#endif
