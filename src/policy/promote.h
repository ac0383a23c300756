/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * promote: reclaim slows down where it hurts.
 *
 * A promotion is a page that was put away for cold and is touched after all. How many there are a
 * second says what reclaim costs the guest. While there are more than a limit, fewer pages go out
 * each second: half as many as in the second before. While there are less than half of the limit,
 * twice as many.
 */
#ifndef PSHARE_POLICY_PROMOTE_H
#define PSHARE_POLICY_PROMOTE_H

#include <stdbool.h>
#include <stdint.h>

#define PROMOTE_WINDOW_MS 1000u
#define PROMOTE_MOST (1u << 20) /* pages/s: not slowed down */
#define PROMOTE_LEAST 16u

struct promote {
	uint64_t since_ms; /* when the window began; 0: not yet */
	uint64_t count;	   /* promotions until then */
	uint64_t out;	   /* pages that went out in this window */
	uint32_t rate;	   /* promotions/s of the window before */
	uint32_t pace;	   /* pages/s that may go out; 0 is PROMOTE_MOST */
};

/* The time is now_ms, there have been so many promotions ever; max: promotions/s, 0: any number. */
void promote_judge(struct promote *p, uint64_t now_ms, uint64_t promotions, uint32_t max);
/* How many of n pages may go out now. */
uint32_t promote_allow(const struct promote *p, uint32_t n);
/* n pages went out. */
void promote_out(struct promote *p, uint32_t n);
/* Is reclaim slowed down? */
bool promote_slowed(const struct promote *p);

#endif
