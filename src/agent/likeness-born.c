/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * likeness-born: a clone's pages come from an image as frames, and no walk ever hashes them. So
 * they are sampled here, after the birth and beside all else: a part at a time, each part short
 * enough that nobody waits for act, and the parts so far apart that a clone of many GiB takes a few
 * percent of a core for some seconds, once.
 *
 * Frames are read in the store's view, whose page tables go away again (store_tidy); to read them
 * in the guest's memory would fill the clone's. A page that was written since it was mapped, which
 * the next look is to find, is sampled as what it was; it is not shown once that look has been.
 *
 * Should the daemon go meanwhile, what is left stays out of the sample: OLD frames are not this
 * store's. Nothing but a plan is less exact for it.
 */
#include "agent/agent.h"
#include "agent/likeness.h"
#include "agent/store.h"

#define PART_PAGES 1024u
#define PART_NS 50000000ull

/* Under act. */
static struct region *find_born(struct agent *a)
{
	for (uint32_t i = 0; i < PS_REGIONS_MAX; i++)
		if (a->region[i].life == REGION_MANAGED && a->region[i].born)
			return &a->region[i];
	return NULL;
}

/* Where frames are guarded the settler may unshare the page this moment. Its reference is given
 * back by this thread alone, so the frame stays what it is. */
static uint32_t frame_of(struct agent *a, const struct region *r, uint32_t page)
{
	uint32_t frame = PS_FRAME_NONE;

	pthread_mutex_lock(&a->settle);
	if (page_state(&r->state[page]) == PAGE_SHARED)
		frame = r->frame[page];
	pthread_mutex_unlock(&a->settle);
	return frame;
}

/* From the end down, so that 0 is what a region begins with. Under act. */
static void sample_part(struct agent *a, struct region *r, const struct store *s)
{
	uint32_t at = r->born, end = at > PART_PAGES ? at - PART_PAGES : 0;

	for (; at > end && at > r->first; at--) {
		uint32_t frame = frame_of(a, r, at - 1);

		if (frame != PS_FRAME_NONE)
			likeness_note(&a->likeness, r->base + at - 1, store_frame(s, frame));
	}
	r->born = at > r->first ? at : 0;
}

uint64_t likeness_step_born(struct agent *a, uint64_t now)
{
	struct likeness *l = &a->likeness;
	const struct store *s = store_current(a);
	struct region *r;

	if (!l->born || a->link.state != LINK_UP || !a->link.has_likeness || !s)
		return UINT64_MAX;
	if (now < l->born_due)
		return l->born_due - now;
	l->born_due = now + PART_NS;
	pthread_mutex_lock(&a->act);
	r = find_born(a);
	if (r)
		sample_part(a, r, s);
	pthread_mutex_unlock(&a->act);
	l->born = r;
	return r ? PART_NS : UINT64_MAX;
}
