/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/promote.h"

static uint32_t pace_of(const struct promote *p)
{
	return p->pace ? p->pace : PROMOTE_MOST;
}

/* What is halved is what really went out, where that was less than the pace. */
static uint32_t slower(const struct promote *p)
{
	uint32_t pace = pace_of(p);

	if (p->out && p->out < pace)
		pace = (uint32_t)p->out;
	pace /= 2;
	return pace < PROMOTE_LEAST ? PROMOTE_LEAST : pace;
}

static uint32_t faster(const struct promote *p)
{
	uint32_t pace = pace_of(p);

	return pace > PROMOTE_MOST / 2 ? PROMOTE_MOST : pace * 2;
}

void promote_judge(struct promote *p, uint64_t now_ms, uint64_t promotions, uint32_t max)
{
	uint64_t ms = now_ms - p->since_ms;

	if (p->since_ms && ms < PROMOTE_WINDOW_MS)
		return;
	if (p->since_ms) {
		uint64_t rate = (promotions - p->count) * 1000 / ms;

		p->rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
		if (!max)
			p->pace = PROMOTE_MOST;
		else if (p->rate > max)
			p->pace = slower(p);
		else if (p->rate <= max / 2)
			p->pace = faster(p);
	}
	p->since_ms = now_ms ? now_ms : 1;
	p->count = promotions;
	p->out = 0;
}

uint32_t promote_allow(const struct promote *p, uint32_t n)
{
	uint32_t pace = pace_of(p), left = p->out < pace ? pace - (uint32_t)p->out : 0;

	return n < left ? n : left;
}

void promote_out(struct promote *p, uint32_t n)
{
	p->out += n;
}

bool promote_slowed(const struct promote *p)
{
	return pace_of(p) < PROMOTE_MOST;
}
