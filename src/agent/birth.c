/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * birth: a child's RAM is mapped from the frames of its parent's image.
 *
 * A child is a VMM that was started with -incoming: its guest does not run, and nothing has touched
 * the memory that stands for its RAM file. When the region is announced, the daemon is asked for
 * the image (CHILD); it puts a reference on this VM's books for each page that has a frame, and
 * sends the manifest (IMAGE). Then each run of frames that follow each other is mapped privately
 * over its pages, in one call: SHARED, like any frame that was shared page by page. What is zero in
 * the image stays untouched anonymous memory. From there on nothing is special: a write is the
 * kernel's copy, a discard gives zeros, what becomes equal again is shared again, a LEAVE brings
 * all of it back. BORN tells the daemon, and with it whoever waits to let device state in.
 *
 * Invariants
 *  - Nothing of the region is looked at, armed or taken out before it is born (birth_waits): until
 *    then its frames are the daemon's word alone.
 *  - An image is mapped into the region that it was asked for, and no other: memory that the VMM
 *    offers anew meanwhile has other numbers, and the daemon has given the references back.
 *  - The manifest is sealed; an entry is checked all the same: a frame that the store has not ends
 *    the birth, and the child with it, for the daemon's books and the memory would differ.
 *
 * Where there are more runs than mappings are to be had (vm.max_map_count), the shortest are copied
 * into anonymous memory instead, and their references given back: right, though not shared.
 *
 * Into another domain the pages come themselves, and are copied: nothing is shared then.
 *
 * When it fails, some pages are mapped and some are not: BORN says so, and the child, which never
 * ran, is to be ended by whoever started it.
 */
#include "agent/birth.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/bringback.h"
#include "agent/forkram.h"
#include "agent/guarded.h"
#include "agent/nursery.h"
#include "agent/say.h"
#include "agent/store.h"
#include "sys/cleanup.h"
#include "sys/mapping.h"
#include "sys/memfd.h"
#include "sys/self.h"
#include "sys/sock.h"
#include "sys/unsafe.h"

#define RUNS_BY_LENGTH 64u /* runs this long, or longer, are always mapped */

struct bearing {
	struct agent *a;
	struct region *r;
	struct store *s;
	const uint32_t *entry; /* of the region's pages, from its first on */
	uint32_t shortest;     /* runs shorter than this are copied */
};

static struct ps_msg_child message(enum ps_msg_type type, uint64_t id, uint32_t ram,
				   const struct region *r)
{
	return (struct ps_msg_child){
		.head = {.magic = PS_WIRE_MAGIC,
			 .type = (uint16_t)type,
			 .size = sizeof(struct ps_msg_child)},
		.id = id,
		.ram = ram,
		.page = r->base + r->first,
		.npages = r->end - r->first,
	};
}

/* ---- runs --------------------------------------------------------------------------------- */

/* The run of frames that begins with page i of n, 0 where it has none. */
static uint32_t run_at(const uint32_t *entry, uint32_t i, uint32_t n)
{
	uint32_t k = 0;

	while (i + k < n && entry[i] != PS_IMAGE_ZERO && entry[i + k] == entry[i] + k)
		k++;
	return k;
}

/* How short a run may be, so that all fit into the mappings that are left. */
static uint32_t shortest_run(struct agent *a, const uint32_t *entry, uint32_t n)
{
	uint32_t runs[RUNS_BY_LENGTH + 1] = {0}, all = 0, shortest = 1, k;
	uint64_t limit = a->budget.limit, used = a->budget.baseline + a->link.config.map_reserve;
	uint64_t room = limit > used ? limit - used : 0;

	for (uint32_t i = 0; i < n; i += k ? k : 1) {
		k = run_at(entry, i, n);
		if (!k)
			continue;
		runs[k < RUNS_BY_LENGTH ? k : RUNS_BY_LENGTH]++;
		all++;
	}
	/* one is a mapping, and cuts what lies around it */
	while (2ull * all > room && shortest < RUNS_BY_LENGTH)
		all -= runs[shortest++];
	return shortest;
}

static int check_run(const struct bearing *b, uint32_t frame, uint32_t n)
{
	return frame < b->s->frames && n <= b->s->frames - frame ? 0 : -EPROTO;
}

static void note_frames(struct bearing *b, uint32_t page, uint32_t frame, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		b->r->frame[page + i] = frame + i;
		page_set(&b->r->state[page + i], PAGE_SHARED);
		region_block(b->r, page + i)->shared++;
		region_block(b->r, page + i)->grant++;
	}
	b->a->stats.mappings++;
}

static void copy_frames(struct bearing *b, uint32_t page, uint32_t frame, uint32_t n)
{
	memcpy(region_page(b->r, page), store_frame(b->s, frame), (size_t)n * PS_PAGE_SIZE);
	for (uint32_t i = 0; i < n; i++)
		note_own(b->a, b->r, page + i, PAGE_SHARED);
}

static int bear_runs(struct bearing *b)
{
	uint32_t n = b->r->end - b->r->first, k;
	int err = 0;

	for (uint32_t i = 0; !err && i < n; i += k ? k : 1) {
		uint32_t page = b->r->first + i, frame = b->entry[i];

		k = run_at(b->entry, i, n);
		if (!k)
			continue;
		err = check_run(b, frame, k);
		if (!err && k < b->shortest) {
			copy_frames(b, page, frame, k);
			continue;
		}
		/* a hole that is left by a failure is a child's that never runs */
		if (!err)
			err = map_file_over(region_page(b->r, page), b->s->fd, frame,
					    (size_t)k * PS_PAGE_SIZE);
		if (!err)
			note_frames(b, page, frame, k);
	}
	/* at once: a call for each of thousands of runs costs as much as the mapping itself */
	region_mark_frames(b->r, b->r->first, n);
	return err;
}

/* ---- one region --------------------------------------------------------------------------- */

static bool is_untouched(const struct region *r)
{
	for (uint32_t page = r->first; page < r->end; page++)
		if (page_in_store(page_state(&r->state[page])))
			return false;
	return true;
}

/* Into another domain than the parent's: the pages themselves, copied. Under act. */
static int bear_copies(struct region *r, const struct birth *birth)
{
	uint64_t size = 0, len = (uint64_t)(r->end - r->first) * PS_PAGE_SIZE, from = 0, to = 0;
	unsigned int seals = 0;
	const char *map;
	int err = 0;

	if (sys_memfd_seals(birth->manifest, &seals) ||
	    (seals & SYS_SEALS_FINAL) != SYS_SEALS_FINAL ||
	    sys_file_size(birth->manifest, &size, NULL, NULL) || size < len)
		return -EPROTO;
	map = map_readable(birth->manifest, len);
	if (!map)
		return -ENOMEM;
	while (!err && to < len) {
		from = to;
		err = sys_next_data(birth->manifest, &from, &to);
		if (!err && from < len)
			memcpy(region_page(r, r->first) + from, map + from,
			       (to < len ? to : len) - from);
	}
	map_free((void *)(uintptr_t)map, len);
	return err == -ENXIO ? 0 : err;
}

/* Under act. */
static int bear(struct agent *a, struct region *r, const struct birth *birth)
{
	struct bearing b = {.a = a, .r = r, .s = store_current(a)};
	uint64_t size = 0, wanted = ((uint64_t)birth->image.offset + (r->end - r->first)) * 4;
	unsigned int seals = 0;
	const void *map;
	int err;

	if (b.s && !birth->image.generation && is_untouched(r))
		return bear_copies(r, birth);
	if (!b.s || b.s->generation != birth->image.generation || !is_untouched(r))
		return -EBUSY;
	if (sys_memfd_seals(birth->manifest, &seals) ||
	    (seals & SYS_SEALS_FINAL) != SYS_SEALS_FINAL ||
	    sys_file_size(birth->manifest, &size, NULL, NULL) || size < wanted)
		return -EPROTO;
	map = map_readable(birth->manifest, size);
	if (!map)
		return -ENOMEM;
	b.entry = (const uint32_t *)map + birth->image.offset;
	err = nursery_make(a, r);
	if (!err)
		err = region_make_all_small(a, r);
	if (!err)
		err = map_room();
	if (!err && !store_fd_is_good(b.s))
		err = -EBADF;
	if (!err) {
		b.shortest = shortest_run(a, b.entry, r->end - r->first);
		err = bear_runs(&b);
	}
	map_free((void *)(uintptr_t)map, size);
	if (!err)
		r->born = r->end;
	a->likeness.born |= !err;
	for (uint32_t block = 0; !err && block < r->blocks; block++)
		guarded_follow(a, r, block);
	return err;
}

static void say_born(struct agent *a, struct birth *birth, const struct region *r, int err)
{
	struct ps_msg_child m = message(PS_MSG_BORN, birth->image.id, birth->image.ram, r);

	m.error = -err;
	if (err)
		agent_say("the image of the parent cannot be mapped", -err);
	sys_send_fds(a->link.sock, &m, sizeof(m), NULL, 0);
	close_fd(&birth->manifest);
	birth->state = BIRTH_DONE;
}

/* The memory has been offered anew since it was asked for, and has other numbers: the daemon counts
 * frames for those that it had. */
static bool is_another(const struct region *r, const struct birth *birth)
{
	return birth->image.page != r->base + r->first || birth->image.npages != r->end - r->first;
}

/* Under act, so that the region stays what it is. */
static void serve_region(struct agent *a, uint32_t ram, struct region *r)
{
	struct birth *birth = &a->birth[ram];

	if (birth->state == BIRTH_NONE) {
		struct ps_msg_child m = message(PS_MSG_CHILD, forkram_image(), ram, r);

		if (!sys_send_fds(a->link.sock, &m, sizeof(m), NULL, 0))
			birth->state = BIRTH_WANTED;
	} else if (birth->state == BIRTH_HERE) {
		int err = -birth->image.error;

		if (!err && !ps_without(DEFENCE_BIRTH_TIED) && is_another(r, birth))
			err = -EBUSY;
		say_born(a, birth, r, err ? err : bear(a, r, birth));
	}
}

static void serve(struct agent *a, uint32_t ram)
{
	struct region *r;

	pthread_mutex_lock(&a->act);
	r = forkram_region(a, (int)ram);
	if (r)
		serve_region(a, ram, r);
	pthread_mutex_unlock(&a->act);
}

int birth_take(struct agent *a, const struct ps_msg_child *m, int fd)
{
	struct birth *birth = m->ram < PS_FORK_RAMS_MAX ? &a->birth[m->ram] : NULL;

	if (!birth || birth->state != BIRTH_WANTED || (fd < 0) != (m->error != 0) || m->error < 0)
		return -EPROTO;
	birth->image = *m;
	birth->manifest = fd < 0 ? -1 : sys_duplicate(fd);
	if (fd >= 0 && birth->manifest < 0)
		birth->image.error = ENOMEM;
	birth->state = BIRTH_HERE;
	return 0;
}

void birth_serve(struct agent *a)
{
	if (!forkram_image() || a->link.state != LINK_UP || !store_current(a))
		return;
	for (uint32_t ram = 0; ram < PS_FORK_RAMS_MAX; ram++)
		if (a->birth[ram].state != BIRTH_DONE)
			serve(a, ram);
}

void birth_end(struct agent *a)
{
	if (!forkram_image())
		return;
	for (uint32_t ram = 0; ram < PS_FORK_RAMS_MAX; ram++) {
		if (a->birth[ram].state == BIRTH_HERE)
			close_fd(&a->birth[ram].manifest);
		if (a->birth[ram].state != BIRTH_NONE)
			a->birth[ram].state = BIRTH_DONE;
	}
}

bool birth_waits(const struct agent *a, const struct region *r)
{
	int ram = forkram_image() ? forkram_at(r->start, r->len) : -1;

	return ram >= 0 && a->birth[ram].state != BIRTH_DONE;
}
