/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * adopt: from OFFERED to MANAGED or REFUSED, and from REFUSED back.
 *
 * What a range of memory is, only /proc/self/smaps tells, and that takes as long as the process has
 * mappings and pages. So it is read with no lock held: a *survey*. Whatever the VMM does to the
 * range meanwhile gives the region a new number (region.changes), and a survey of another number is
 * worth nothing: the next round makes a new one.
 *
 * A region that was refused is not lost. What refused it may pass:
 *  - a userfaultfd of the VMM's own (a snapshot, postcopy) goes without a word when its descriptor
 *    is closed: every LOOK_FOREIGN_NS a registration is tried, which the kernel answers without
 *    looking at a page;
 *  - all else goes by a call that interpose.c sees, which offers the region again at once; and
 *    every LOOK_AGAIN_NS, for what passed it by.
 * Meanwhile the daemon shows the region with the cause.
 */
#include "agent/adopt.h"

#include "agent/agent.h"
#include "agent/pace.h"
#include "agent/reader.h"
#include "sys/coredump.h"
#include "sys/uffd.h"
#include "sys/vmas.h"

#define SURVEY_AGAIN_NS 1000000000ull /* of one region: not oftener */
#define LOOK_FOREIGN_NS 2000000000ull
#define LOOK_AGAIN_NS 60000000000ull

/* ---- refused, and looked at again --------------------------------------------------------- */

/* Has the foreign userfaultfd gone? Under both locks. */
static bool foreign_gone(struct agent *a, const struct region *r)
{
	if (uffd_register(a->tracker, (void *)r->start, r->len, UFFDIO_REGISTER_MODE_WP))
		return false;
	uffd_unregister(a->tracker, (void *)r->start, r->len);
	return true;
}

static void look_again(struct agent *a, struct region *r, uint64_t now)
{
	if (now < r->look_at)
		return;
	if (r->cause == PS_CAUSE_FOREIGN && now < r->refused_at + LOOK_AGAIN_NS &&
	    !foreign_gone(a, r)) {
		r->look_at = now + LOOK_FOREIGN_NS;
		return;
	}
	region_offer_again(a, r);
}

/* ---- survey ------------------------------------------------------------------------------- */

struct survey {
	bool made;
	uintptr_t start;
	size_t len;
	uint32_t changes;
	unsigned int what;
	int err;
};

/* What is to be surveyed, by slot. Returns true if something is. */
static bool wanted(struct agent *a, uint64_t now, struct survey s[PS_REGIONS_MAX])
{
	bool any = false;

	pthread_mutex_lock(&a->settle);
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		const struct region *r = &a->region[i];

		s[i] = (struct survey){.made = r->life == REGION_OFFERED && now >= r->survey_at,
				       .start = r->start,
				       .len = r->len,
				       .changes = r->changes};
		any |= s[i].made;
	}
	pthread_mutex_unlock(&a->settle);
	return any;
}

/* ---- told to the daemon ------------------------------------------------------------------- */

/* A refusal that the daemon shows, and that is not true any more. */
static int unsay_refusal(struct agent *a, struct region *r)
{
	int err = 0;

	if (r->told_cause)
		err = link_region(&a->link, PS_MSG_REGION_DEL, r->base, r->end - r->first, 0);
	if (!err)
		r->told_cause = PS_CAUSE_NONE;
	return err;
}

static int say_refused(struct agent *a, struct region *r)
{
	int err;

	if (r->told_cause == r->cause)
		return 0;
	err = unsay_refusal(a, r);
	if (!err)
		err = link_region(&a->link, PS_MSG_REGION_REFUSED, r->base, r->end - r->first,
				  r->cause);
	if (!err)
		r->told_cause = r->cause;
	return err;
}

/* What cannot be sent now is sent in the next round. Numbers begin with a multiple of a block's, so
 * a region is told from the beginning of its first block on. */
static void announce(struct agent *a, struct region *r)
{
	if (r->life == REGION_REFUSED) {
		say_refused(a, r);
	} else if (r->life == REGION_MANAGED && !r->announced) {
		if (!unsay_refusal(a, r) &&
		    !link_region(&a->link, PS_MSG_REGION_ADD, r->base, r->end, 0))
			r->announced = true;
	} else if (r->life == REGION_RETIRED) {
		if (!unsay_refusal(a, r) &&
		    (!r->announced ||
		     !link_region(&a->link, PS_MSG_REGION_DEL, r->base, r->end, 0)))
			region_free(a, r);
	}
}

/* ---- rounds ------------------------------------------------------------------------------- */

static void adopt(struct agent *a, struct region *r, const struct survey *s, uint64_t now)
{
	region_adopt(a, r, s->err, s->what);
	readers_meet(a); /* before anything of it is taken out */
	pace_first(a);
	if (r->life == REGION_MANAGED && !(a->link.config.flags & PS_CONFIG_LARGE))
		region_make_all_small(a, r);
	if (r->life == REGION_REFUSED) {
		r->refused_at = now;
		r->look_at = now + (r->cause == PS_CAUSE_FOREIGN ? LOOK_FOREIGN_NS : LOOK_AGAIN_NS);
	}
	r->survey_at = now + SURVEY_AGAIN_NS;
}

/* One slot, with the survey that was made of it, if one was. Under both locks. */
static void serve(struct agent *a, struct region *r, const struct survey *s, uint64_t now)
{
	if (r->life == REGION_RETIRED && r->quarantined)
		return;
	if (a->link.state != LINK_UP || !a->link.configured) {
		if (r->life == REGION_RETIRED && a->link.state == LINK_DOWN)
			region_free(a, r);
		return;
	}
	if (r->life == REGION_REFUSED)
		look_again(a, r, now);
	if (r->life == REGION_OFFERED && s->made && s->changes == r->changes)
		adopt(a, r, s, now);
	announce(a, r);
}

/* Guest memory that is shared belongs into a core dump like all of it. */
static void dump_frames(struct agent *a)
{
	bool dumps = false;

	if (a->dumps_frames)
		return;
	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		dumps |= a->region[i].life == REGION_MANAGED && a->region[i].dumps;
	a->dumps_frames = dumps;
}

void adopt_regions(struct agent *a, uint64_t now)
{
	struct survey s[PS_REGIONS_MAX];
	bool had = a->dumps_frames;

	if (wanted(a, now, s) && a->link.state == LINK_UP && a->link.configured)
		for (size_t i = 0; i < PS_REGIONS_MAX; i++)
			if (s[i].made)
				s[i].err = vmas_describe(s[i].start, s[i].len, &s[i].what);
	pthread_mutex_lock(&a->act);
	pthread_mutex_lock(&a->settle);
	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		serve(a, &a->region[i], &s[i], now);
	dump_frames(a);
	pthread_mutex_unlock(&a->settle);
	pthread_mutex_unlock(&a->act);
	if (a->dumps_frames && !had)
		sys_coredump_private_files();
}
