/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * large: from a huge page to 512 pages, and back.
 *
 * While memory is plentiful huge pages stay whole; their parts are hashed now and then, which says
 * what each would give (walk.c). When the daemon's target wants blocks broken, the best are: those
 * with most to give, the coldest of them first (policy/large.h).
 *
 * Broken: huge pages are forbidden for the block (MADV_NOHUGEPAGE), which forbids middle-sized
 * folios too: on kernels that build such by themselves (mTHP) it stays broken. Then it is armed,
 * which splits nothing yet, and all its parts are hashed and hinted at once: those that had a twin
 * have it still, and are shared before anything else of this VM is given up. Zeros go at once. The
 * kernel splits the huge page itself, when the first part is taken out. From here on the block is
 * like any other.
 *
 * Made huge again: blocks that were huge once, all of whose pages are resident and the guest's own
 * in anonymous memory. What arms them is lifted first (the kernel refuses a protected page), then
 * MADV_COLLAPSE. It copies 2 MiB and needs a free huge page, most of a millisecond of CPU and of
 * the guest's patience, so it rests LARGE_REST times as long as it took: a hundredth of a core at
 * most. One that cannot be made (pinned, or no huge page is free) has its turn after all others.
 *
 * Where UFFDIO_MOVE loops on parts of large folios (PS_CONFIG_MOVE_LOOPS) nothing of what ever was
 * huge is taken out, so breaking would give nothing: none is broken.
 *
 * Rejected: arming huge pages to see which are written (the first write splits the mapping: the
 * hottest blocks would be the first to lose it); breaking a block as soon as it has a twin, as KSM
 * does (a guest then loses its huge pages for nothing while memory is plentiful).
 */
#include "agent/large.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/lookown.h"
#include "agent/nursery.h"
#include "agent/say.h"
#include "agent/uplink.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/proc.h"
#include "sys/uffd.h"

#define CHOOSE_NS 1000000000ull	  /* none is worth breaking: looked at again */
#define ROOM_NS 2000000ull	  /* the ring is full: the daemon makes room */
#define COLLAPSE_NS 1000000000ull /* between two that could be made, where none was found */
#define SEARCH_BLOCKS 256u	  /* in one step */
#define LARGE_REST 100u
#define PASS_NS 10000000000ull /* between two searches of all memory */

/* ---- breaking ------------------------------------------------------------------------------ */

static bool is_large(const struct region *r, uint32_t block)
{
	const struct block *b = &r->block[block];

	/* as it was when it was last looked at; since then it may have been staged whole */
	return b->large == PS_BLOCK_PAGES && !b->split && !b->out;
}

/* Keeps the best, in order, the best last. */
static void consider(struct large *l, uint8_t region, uint32_t block, uint32_t score)
{
	uint32_t i = 0;

	if (!score || (l->n == LARGE_CHOSEN && score <= l->chosen[0].score))
		return;
	if (l->n == LARGE_CHOSEN)
		memmove(l->chosen, l->chosen + 1, --l->n * sizeof(l->chosen[0]));
	while (i < l->n && l->chosen[i].score < score)
		i++;
	memmove(l->chosen + i + 1, l->chosen + i, (l->n++ - i) * sizeof(l->chosen[0]));
	l->chosen[i] = (struct large_choice){region, block, score};
}

/* Under act. */
static void choose(struct agent *a)
{
	bool any = a->link.target.flags & (PS_TARGET_STAGE | PS_TARGET_SUSPEND);

	for (uint8_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		if (r->life != REGION_MANAGED || !r->announced)
			continue;
		for (uint32_t b = 0; b < r->blocks; b++)
			if (is_large(r, b))
				consider(&a->large, i, b,
					 large_score(block_worth(&r->block[b]), &r->block[b].still,
						     any));
	}
}

static void break_block(struct agent *a, struct region *r, uint32_t block)
{
	struct block *b = &r->block[block];
	uint32_t first = block * PS_BLOCK_PAGES;

	/* What is taken out needs both; without them it would be refused page by page. */
	if (nursery_make(a, r) || region_make_small(a, r, first))
		return;
	b->split = 1;
	b->large_look = 0;
	a->stats.breaks++;
	if (pagemap_arm(a->pagemap, (uintptr_t)region_page(r, first),
			(uintptr_t)region_page(r, first + PS_BLOCK_PAGES)))
		return; /* looked at as new by the walk */
	own_hint_all(a, r, block);
}

/* 0: go on at once. */
static uint64_t break_some(struct agent *a, uint64_t now)
{
	struct large *l = &a->large;
	struct large_choice c;
	struct region *r;
	bool any;

	if (!l->n && now < l->choose_at)
		return l->choose_at - now;
	if (link_up_room(&a->link) < PS_BLOCK_PAGES + LINK_ORDERS_MAX)
		return ROOM_NS;
	pthread_mutex_lock(&a->act);
	if (!l->n)
		choose(a);
	any = l->n;
	if (any) {
		c = l->chosen[--l->n];
		r = &a->region[c.region];
		if (r->life == REGION_MANAGED && c.block < r->blocks && is_large(r, c.block)) {
			break_block(a, r, c.block);
			a->link.target.break_blocks--;
		}
	} else {
		l->choose_at = now + CHOOSE_NS;
	}
	pthread_mutex_unlock(&a->act);
	return any ? 0 : CHOOSE_NS;
}

/* ---- making huge again --------------------------------------------------------------------- */

/* May this block be a huge page, as far as we know? */
static bool may_collapse(const struct region *r, uint32_t block)
{
	const struct block *b = &r->block[block];
	uint32_t first = block * PS_BLOCK_PAGES;

	if (!b->was_large || b->large || b->stays_small || b->shared || b->broken || b->zero ||
	    b->out || b->grant != PS_BLOCK_PAGES || b->untracked || first < r->first ||
	    first + PS_BLOCK_PAGES > r->end)
		return false;
	for (uint32_t page = first; page < first + PS_BLOCK_PAGES; page++)
		if (page_state(&r->state[page]) > PAGE_TWIN ||
		    page_is(&r->state[page], PAGE_QUARANTINED | PAGE_UNREF))
			return false;
	return true;
}

/* 0 or -errno; the block is as small as it was then. */
static int collapse(struct agent *a, struct region *r, uint32_t block)
{
	struct block *b = &r->block[block];
	uint32_t first = block * PS_BLOCK_PAGES;
	char *addr = region_page(r, first);
	int err = map_advise(addr, PS_BLOCK_SIZE, MADV_HUGEPAGE);

	if (err)
		return err;
	b->small = 0;
	err = uffd_protect(a->tracker, addr, PS_BLOCK_SIZE, 0);
	/* What was armed is not any more: looked at as if it had been written. */
	for (uint32_t page = first; page < first + PS_BLOCK_PAGES; page++)
		page_set(&r->state[page], PAGE_NEW);
	b->restless = 1;
	if (!err)
		err = map_advise(addr, PS_BLOCK_SIZE, MADV_COLLAPSE);
	if (err) {
		region_make_small(a, r, first);
		return err;
	}
	b->split = 0;
	b->large = PS_BLOCK_PAGES;
	b->large_look = 0;
	b->still = (struct large_still){0};
	a->stats.collapses++;
	return 0;
}

/* The next block that may be one, among SEARCH_BLOCKS of them. Under act. */
static bool find_small(struct agent *a, struct region **r, uint32_t *block)
{
	struct large *l = &a->large;

	for (uint32_t n = 0; l->region < PS_REGIONS_MAX && n < SEARCH_BLOCKS; n++) {
		*r = &a->region[l->region];
		if ((*r)->life != REGION_MANAGED || l->block >= (*r)->blocks) {
			l->region++;
			l->block = 0;
			continue;
		}
		*block = l->block++;
		if (may_collapse(*r, *block))
			return true;
	}
	return false;
}

static uint64_t collapse_one(struct agent *a, uint64_t now)
{
	struct large *l = &a->large;
	struct region *r;
	uint32_t block;
	uint64_t wait = 0;

	if (now < l->collapse_at)
		return l->collapse_at - now;
	pthread_mutex_lock(&a->act);
	if (find_small(a, &r, &block)) {
		int err = collapse(a, r, block);

		wait = (sys_now() - now) * LARGE_REST;
		if (err == -ENOMEM) /* no huge page is free: not for a while */
			wait += COLLAPSE_NS;
	} else if (l->region >= PS_REGIONS_MAX) {
		l->region = l->block = 0;
		wait = PASS_NS;
	}
	pthread_mutex_unlock(&a->act);
	l->collapse_at = now + wait;
	return wait;
}

uint64_t large_step(struct agent *a, uint64_t now)
{
	const struct ps_msg_target *target = &a->link.target;
	uint32_t config = a->link.config.flags;
	uint64_t wait = UINT64_MAX, other;

	if (a->link.state != LINK_UP || a->gave_up || !store_current(a) ||
	    !(config & PS_CONFIG_LARGE))
		return UINT64_MAX;
	if ((target->flags & PS_TARGET_BREAK) && target->break_blocks &&
	    (config & PS_CONFIG_SHARE) && !(config & PS_CONFIG_MOVE_LOOPS))
		wait = break_some(a, now);
	else
		a->large.n = 0; /* what was worth most then may not be any more */
	/* Where more was ordered broken than is worth it, that does not stand in the way. */
	if ((target->flags & PS_TARGET_COLLAPSE) && !a->large.n) {
		other = collapse_one(a, now);
		wait = other < wait ? other : wait;
	}
	return wait;
}
