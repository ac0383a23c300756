/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reclaim-keep: what keeps the pages that are out.
 *
 * The cache of compressed pages is made when it is first called for, and the swap file is taken
 * when the daemon sends it. What has been compressed longest goes on to the swap file, and memory
 * that the cache has no use for any more is given back by and by.
 */
#include <errno.h>

#include "agent/agent.h"
#include "agent/reclaim-internal.h"
#include "agent/say.h"
#include "agent/swapfile.h"
#include "agent/tier.h"
#include "agent/zip.h"
#include "sys/cleanup.h"
#include "sys/self.h"

#define ZIP_FULL_NUM 15u /* sixteenths of its cap: then the oldest go on to the swap file */
#define ZIP_SETTLE_S 60u /* what has been compressed for so long stays: zstd */
#define PACK_ROUNDS 16u
#define IDLE_EVICTS 2u /* rounds in a row that found nothing */

static void make_zip(struct agent *a)
{
	uint64_t pages = reclaim_pages(a);

	pages = pages < ZIP_PAGES_MAX / 2 ? pages * 2 : ZIP_PAGES_MAX; /* it may get more memory */
	if (pages && zip_new(&a->cold.zip, (uint32_t)pages))
		agent_say("no room for a compressed cache", ENOMEM);
}

/* The VM has one swap file for its life: pages may be in it. */
static void take_swap(struct agent *a)
{
	struct link *l = &a->link;
	int err;

	if (a->cold.swap) {
		swapfile_set_cap(a->cold.swap, l->swap_cap);
	} else {
		if (sys_inode(l->swap_fd, &a->cold.swap_inode))
			a->cold.swap_inode = 0;
		err = swapfile_new(&a->cold.swap, l->swap_fd, l->swap_cap, a->bell);
		if (!err) {
			a->cold.swap_fd = l->swap_fd;
			l->swap_fd = -1;
			return;
		}
		agent_say("the swap file cannot be used", -err);
		a->stats.swap_error = (uint64_t)-err;
	}
	close_fd(&l->swap_fd);
}

/* Memory that the cache has no use for any more is given back by and by; all the same a cache that
 * was emptied into the swap file is to be small within seconds. True if there is more of it. */
static bool pack(struct zip *z)
{
	uint32_t rounds = 0;

	while (rounds < PACK_ROUNDS && zip_pack(z, UPKEEP) >= UPKEEP)
		rounds++;
	return rounds == PACK_ROUNDS;
}

void reclaim_serve_stores(struct agent *a, uint64_t now)
{
	const struct ps_msg_target *t = &a->link.target;

	if (a->link.swap_fd >= 0)
		take_swap(a);
	if (now < a->cold.quiet_next)
		return;
	a->cold.quiet_next = now + QUIET_NS;
	promote_judge(&a->cold.promote, now / 1000000, a->cold.promotions, t->promote_max);
	if (!a->cold.zip && t->flags & PS_TARGET_ZIP)
		make_zip(a);
	if (!a->cold.zip)
		return;
	if (t->zip_max_pages)
		zip_set_cap(a->cold.zip, t->zip_max_pages);
	zip_set_now(a->cold.zip, (uint32_t)(now / 1000000000));
	zip_settle(a->cold.zip, ZIP_SETTLE_S, UPKEEP);
	if (pack(a->cold.zip))
		a->cold.quiet_next = now + QUIET_NS / 8;
}

/* May what is compressed go on to the swap file? */
static bool may_evict(const struct agent *a)
{
	return a->cold.zip && reclaim_flags(a) & PS_TARGET_SWAP && a->cold.swap;
}

bool reclaim_evicts_all(const struct agent *a)
{
	return reclaim_flags(a) & PS_TARGET_SUSPEND && reclaim_is_suspended(a) && may_evict(a) &&
	       !a->stats.swap_error;
}

/* What has been compressed longest goes on when the cache is nearly full, or when too few pages are
 * found to go out: it is memory of the VM too. */
void reclaim_serve_zip(struct agent *a)
{
	struct zip_figures f;

	if (!may_evict(a))
		return;
	zip_count(a->cold.zip, &f);
	if (f.held > f.cap / 16 * ZIP_FULL_NUM || reclaim_evicts_all(a) ||
	    (a->cold.idle >= IDLE_EVICTS && reclaim_wanting(a))) {
		pthread_mutex_lock(&a->act);
		tier_evict(a, UPKEEP);
		pthread_mutex_unlock(&a->act);
	}
}
