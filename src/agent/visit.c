/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/visit.h"

#include "agent/agent.h"
#include "agent/uplink.h"
#include "sys/proc.h"

struct visit visit_of(struct agent *a, struct region *r, uint32_t block)
{
	return (struct visit){
		.a = a,
		.r = r,
		.b = &r->block[block],
		.s = store_current(a),
		.first = block * PS_BLOCK_PAGES,
		.end = (block + 1) * PS_BLOCK_PAGES,
	};
}

uint64_t visit_turn(const struct visit *v)
{
	return v->a->walk.look + v->first / PS_BLOCK_PAGES;
}

bool visit_is_due(const struct visit *v, uint8_t state)
{
	unsigned int v2 = (state & PAGE_VOLATILE) >> PAGE_VOLATILE_SHIFT;

	return visit_turn(v) % (1u << v2) == 0;
}

bool visit_may_hash(struct visit *v, uint32_t page, uint32_t *next)
{
	if (v->starved || page < *next)
		return false;
	if (link_up_room(&v->a->link) > 0 && rate_take(&v->a->walk.bucket, sys_now(), 1) == 1) {
		*next = page + 1;
		return true;
	}
	v->starved = true;
	return false;
}
