/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * holes: who reads a hole of a file in memory gets a page of zeros there, and the file keeps it.
 * Any VM of a domain can do that to the domain's store: it has a descriptor to read with. (A VMM
 * that locked its memory did so with all of it.) No book of ours knows such pages.
 *
 * So the kernel's count of the store is compared with the frames now and then. If it is larger by
 * more than HOLES_SLACK, the file's data is gone through, and what lies in slots that are free is
 * punched again, HOLES_SLICE frames at a time. Whoever maps such a slot sees zeros before and
 * after.
 *
 * Limits: a VM that reads holes all the time holds what it reads in HOLES_EVERY; it is charged for
 * that by its own control group, as who touched the page first.
 */
#include "daemon/holes.h"

#include "daemon/daemon.h"
#include "daemon/domain.h"
#include "sys/memfd.h"

#define HOLES_EVERY 5000000000ull
#define HOLES_SOON 50000000ull
#define HOLES_SLACK (1u << 20)
#define HOLES_SLICE 4096u /* frames looked at, and punched where they are free, in one turn */

static uint64_t expected(const struct domain *domain)
{
	struct frames_stats s = frames_stats(domain->frames);

	return (s.live + s.filling + s.punching) * PS_PAGE_SIZE;
}

/* Free slots from *frame on, within end; how many. */
static uint32_t free_run(const struct domain *domain, uint32_t *frame, uint32_t end)
{
	uint32_t n = 0;

	while (*frame < end && frames_state(domain->frames, *frame) != FRAME_FREE)
		++*frame;
	while (*frame + n < end && frames_state(domain->frames, *frame + n) == FRAME_FREE)
		n++;
	return n;
}

static void punch_free(struct domain *domain, uint32_t from, uint32_t end)
{
	uint32_t n;

	for (uint32_t at = from; (n = free_run(domain, &at, end)); at += n)
		if (sys_punch_hole(domain->store, (uint64_t)at * PS_PAGE_SIZE,
				   (uint64_t)n * PS_PAGE_SIZE) == 0)
			domain->daemon->count.holes_punched += n;
}

/* One turn, from where the last one ended. True: there is more. */
static bool go_on(struct domain *domain)
{
	uint64_t start = (uint64_t)domain->hole_next * PS_PAGE_SIZE, end;
	uint32_t from, to;

	if (sys_next_data(domain->store, &start, &end)) {
		domain->hole_next = 0;
		return false;
	}
	from = (uint32_t)(start / PS_PAGE_SIZE);
	to = (uint32_t)((end + PS_PAGE_SIZE - 1) / PS_PAGE_SIZE);
	if (to - from > HOLES_SLICE)
		to = from + HOLES_SLICE;
	punch_free(domain, from, to < domain->window ? to : domain->window);
	domain->hole_next = to;
	return to < domain->window;
}

static bool has_holes(const struct domain *domain)
{
	uint64_t allocated = 0;

	return !sys_file_size(domain->store, NULL, &allocated, NULL) &&
	       allocated > expected(domain) + HOLES_SLACK;
}

void holes_tick(struct daemon *d)
{
	bool more = false;

	if (d->ending || list_empty(&d->domains))
		return;
	if (d->now >= d->holes_at) {
		list_for_each(domain, &d->domains, struct domain, link)
			if (domain->hole_next || has_holes(domain))
				more |= go_on(domain);
		d->holes_at = d->now + (more ? HOLES_SOON : HOLES_EVERY);
	}
	daemon_wake_at(d, d->holes_at);
}
