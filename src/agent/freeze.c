/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * freeze: the guest is stopped and its devices are drained; what is each of its pages?
 *
 * Goal: as short a pause as can be, and an image that is the guest's memory to the byte.
 *
 *  1. The quarantine ends at once. What a device wrote late has been written by now, for the VMM
 *     has drained it, and goes into the guest before anything is looked at.
 *  2. One pass over the page tables. A page is
 *       a frame of the present store that did not break: its number;
 *       not there, or all zeros: zero;
 *       out, and equal to a frame of the present store: its number;
 *       anything else (never shared, broken, pinned, part of a huge page, a frame of an earlier
 *       store): a copy. How many are left for this is what publishing beforehand makes small.
 *  3. Manifest and copies are memfds, sealed before they are sent: the daemon, and every child,
 *     reads what cannot change any more.
 *
 * From there until THAW this agent changes nothing that it said: it maps, discards and gives back
 * nothing, so that every frame that it named is still on its books when the daemon takes a
 * reference of its own. FREEZE_MAX_NS bounds that; the daemon's end ends it.
 *
 * Whether the guest really stands still cannot be seen from here: who asks for a freeze says so. If
 * it does not, the image is torn, and nothing else is wrong: a page that breaks after it was named
 * as a frame keeps that frame's reference until THAW.
 *
 * Limits: RAM files of PS_FORK_RAMS_MAX, each one region that is managed.
 */
#include "agent/freeze.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/forkram.h"
#include "agent/hash.h"
#include "agent/pagein.h"
#include "agent/say.h"
#include "sys/cleanup.h"
#include "sys/mapping.h"
#include "sys/memfd.h"
#include "sys/pagemap.h"
#include "sys/proc.h"
#include "sys/sock.h"
#include "sys/unsafe.h"

#define COPY_RUN 256u /* pages written at once */

struct freezing {
	struct agent *a;
	struct ps_msg_frozen msg;
	int manifest, copies;
	uint32_t *entry; /* of one RAM file */
	/* of the pages of one block: was it out, or coming, when the page tables were read? */
	bool out[PS_BLOCK_PAGES];
	/* pages side by side that are to be copied, not written yet */
	const char *run;
	uint32_t run_pages;
};

/* ---- copies ------------------------------------------------------------------------------- */

static int write_run(struct freezing *f)
{
	uint64_t at = ((uint64_t)f->msg.copies - f->run_pages) * PS_PAGE_SIZE;
	int err = 0;

	if (f->run_pages)
		err = sys_pwrite_full(f->copies, f->run, (size_t)f->run_pages * PS_PAGE_SIZE, at);
	f->run_pages = 0;
	return err;
}

static int copy_page(struct freezing *f, const char *content)
{
	int err = 0;

	if (f->run_pages == COPY_RUN ||
	    (f->run_pages && content != f->run + (size_t)f->run_pages * PS_PAGE_SIZE))
		err = write_run(f);
	if (!f->run_pages)
		f->run = content;
	f->run_pages++;
	f->msg.copies++;
	return err;
}

/* ---- one page ----------------------------------------------------------------------------- */

static bool is_there(uint64_t entry)
{
	return entry & (PM_PRESENT | PM_SWAP);
}

/* A page that is out: the frame that it is equal to, or it comes back, to be copied. */
static bool is_cold_twin(struct freezing *f, struct region *r, uint32_t page, uint32_t *out)
{
	uint32_t frame = r->frame[page];

	if (page_state(&r->state[page]) != PAGE_COLD_TWIN ||
	    frame >> FRAME_TWIN_SHIFT != f->a->stores.current)
		return false;
	*out = frame & (PS_FRAMES_MAX - 1);
	return true;
}

/* came: it was out when its entry was read, and may be there by now: who brings back one page of
 * the swap file, or of a block that is staged in one piece, brings others along; and a reader may
 * do so at any moment. */
static int judge(struct freezing *f, struct region *r, uint32_t page, uint64_t entry, bool came)
{
	enum page_state state = page_state(&r->state[page]);
	const char *content = region_page(r, page);
	uint32_t *out = &f->entry[page - r->first];

	if (state == PAGE_SHARED && !pagemap_is_copied(entry)) {
		*out = r->frame[page];
		return 0;
	}
	if (state >= PAGE_STAGED) {
		if (is_cold_twin(f, r, page, out))
			return 0;
		pagein_range(f->a, r, page, 1, f->a->cold.act_room);
	}
	*out = PS_IMAGE_ZERO;
	if (!came && !page_in_store(state) && !is_there(entry))
		return 0;
	if (page_is_zero(content))
		return 0;
	*out = PS_IMAGE_COPY | f->msg.copies;
	return copy_page(f, content);
}

static void note_out(struct freezing *f, const struct region *r, uint32_t page, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		f->out[i] = page_state(&r->state[page + i]) >= PAGE_STAGED &&
			    !ps_without(DEFENCE_FREEZE_OUT);
}

static int judge_region(struct freezing *f, struct region *r)
{
	uint64_t entry[PS_BLOCK_PAGES];
	uint32_t n;
	int err = 0;

	for (uint32_t page = r->first; !err && page < r->end; page += n) {
		n = r->end - page < PS_BLOCK_PAGES ? r->end - page : PS_BLOCK_PAGES;
		note_out(f, r, page, n);
		err = pagemap_read_whole(f->a->pagemap, (uintptr_t)region_page(r, page), entry, n);
		for (uint32_t i = 0; !err && i < n; i++)
			err = judge(f, r, page + i, entry[i], f->out[i]);
	}
	return err ? err : write_run(f);
}

/* ---- all of it ---------------------------------------------------------------------------- */

/* Where each RAM file lies, and the manifest's size. */
static int measure(struct freezing *f, struct region *of[PS_FORK_RAMS_MAX], uint64_t *pages)
{
	struct ps_msg_frozen *m = &f->msg;

	*pages = 0;
	for (m->rams = 0; m->rams < PS_FORK_RAMS_MAX; m->rams++) {
		struct region *r = forkram_region(f->a, (int)m->rams);

		if (!r)
			break;
		of[m->rams] = r;
		m->first[m->rams] = r->base + r->first;
		m->npages[m->rams] = r->end - r->first;
		*pages += r->end - r->first;
	}
	return m->rams == forkram_count() && m->rams ? 0 : -ENXIO;
}

static int fill(struct freezing *f, struct region *const of[PS_FORK_RAMS_MAX], uint32_t *map)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < f->msg.rams; i++) {
		f->entry = map;
		map += f->msg.npages[i];
		err = judge_region(f, of[i]);
	}
	return err;
}

static int seal(int fd)
{
	return sys_memfd_seal(fd, SYS_SEALS_FINAL);
}

/* Under act. */
static int make(struct freezing *f)
{
	struct region *of[PS_FORK_RAMS_MAX];
	uint64_t pages = 0;
	void *map = NULL;
	int err = measure(f, of, &pages);

	if (err)
		return err;
	f->manifest = sys_memfd_new("pshare-manifest", pages * sizeof(uint32_t));
	if (f->manifest < 0)
		return f->manifest;
	/* as large as it may ever be: what is not written takes no memory */
	f->copies = sys_memfd_new("pshare-copies", pages * PS_PAGE_SIZE);
	if (f->copies < 0)
		return f->copies;
	map = map_shared(f->manifest, pages * sizeof(uint32_t));
	if (!map)
		return -ENOMEM;
	err = fill(f, of, map);
	map_free(map, pages * sizeof(uint32_t)); /* a writable mapping forbids the seal */
	if (!err)
		err = seal(f->manifest);
	if (!err)
		err = seal(f->copies);
	return err;
}

static void answer(struct freezing *f, int err)
{
	struct link *l = &f->a->link;
	int fds[] = {f->manifest, f->copies};

	if (err)
		f->msg = (struct ps_msg_frozen){.id = f->msg.id, .error = -err};
	f->msg.head = (struct ps_msg_head){
		.magic = PS_WIRE_MAGIC, .type = PS_MSG_FROZEN, .size = sizeof(f->msg)};
	if (sys_send_fds(l->sock, &f->msg, sizeof(f->msg), fds, err ? 0 : 2) || err)
		freeze_end(f->a);
}

static void freeze(struct agent *a, uint64_t now)
{
	struct freezing f = {.a = a, .manifest = -1, .copies = -1};
	int err;

	f.msg.id = a->freeze.asked;
	a->freeze.holding = a->freeze.asked;
	a->freeze.until = now + FREEZE_MAX_NS;
	a->freeze.asked = 0;
	quarantine_run(a, (uint32_t)(now / 1000000), 0);
	pthread_mutex_lock(&a->act);
	err = store_current(a) ? make(&f) : -ENXIO;
	pthread_mutex_unlock(&a->act);
	answer(&f, err);
	close_fd(&f.manifest);
	close_fd(&f.copies);
}

bool freeze_serve(struct agent *a, uint64_t now)
{
	if (a->link.state != LINK_UP)
		freeze_end(a);
	else if (a->freeze.asked)
		freeze(a, now);
	if (a->freeze.holding && now > a->freeze.until) {
		agent_say("the daemon left a fork half done", 0);
		freeze_end(a);
	}
	return a->freeze.holding;
}

void freeze_end(struct agent *a)
{
	a->freeze = (struct freeze){0};
}
