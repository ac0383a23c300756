/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a bit that flips in a frame, be it by a worn cell, a particle or a neighbour who hammers
 * its rows, is found, told, and goes no further.
 *
 * One page in memory stands for many here, so a flipped bit is in many guests at once, and each new
 * sharer would get it as well: no, he compares in full first (share.c), finds another content, and
 * keeps his own page. What he cannot tell is who of the two is wrong. The daemon can: it hashed the
 * content when it made the frame. So it goes round all live frames, Mem.ShareVerifyRate of them a
 * second, reads and hashes.
 *
 * A frame that is damaged is retired: it leaves the index, so nobody is told to share it any more,
 * and the next two pages with that content make a frame of their own. It keeps one reference that
 * nobody gives back: its memory is not used again for anything while its store lives.
 *
 * Who has it mapped already reads what is there now, and cannot be moved off it: the right content
 * is nowhere else, but for the time of a quarantine (an agent then finds that its own page and the
 * frame differ, and gives the guest its own). Or it is: if a single bit has flipped, the hash tells
 * which. Each of the 32768 pages with one bit the other way is hashed (some ms); if exactly one has
 * the frame's hash, that bit is written back, and read again. A frame is written only in this case,
 * and only to be what it was. Two pages with one hash and one bit between them can be made on
 * purpose, for XXH3 is no cryptographic hash; then two candidates fit, or the flip is not seen at
 * all. Nobody gains: his own page is all that he could choose.
 * Where it cannot be mended the log and the audit name the VMs, loudly: they run on damaged
 * memory, as on any host without pshare whose memory is worn, and are to be started anew.
 *
 * Nothing is read while the host is short of memory: parts of a store may be in swap then.
 *
 * Limits: what flips and is written to by the guest before it is looked at (it has a copy, with the
 * flip) is not found. Pages that are not shared are the host's business (EDAC).
 */
#include "daemon/verify.h"

#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "daemon/member.h"
#include "daemon/vm.h"
#include "sys/memfd.h"

#define SLICE 256u /* frames in one turn: less than a millisecond */
#define SLICE_NS_MIN (2 * MSEC)
#define MENDS_A_SLICE 4u /* each takes some ms */
#define BITS (PS_PAGE_SIZE * 8u)

struct mending {
	uint32_t found;
	uint32_t bit;
};

static uint64_t hash_of(const struct domain *domain, const uint8_t *page)
{
	return XXH3_64bits_withSeed(page, PS_PAGE_SIZE, domain->seed);
}

static int read_frame(const struct domain *domain, uint32_t frame, uint8_t *page)
{
	return sys_pread_full(domain->store, page, PS_PAGE_SIZE, (uint64_t)frame * PS_PAGE_SIZE);
}

/* The bits of which each alone explains the hash. */
static struct mending search(const struct domain *domain, uint8_t *page, uint64_t hash)
{
	struct mending m = {0};

	for (uint32_t bit = 0; bit < BITS && m.found < 2; bit++) {
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (hash_of(domain, page) == hash) {
			m.found++;
			m.bit = bit;
		}
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	return m;
}

/* Sets the one bit right. False: it is not one bit, or the memory does not hold it. */
static bool mend(const struct domain *domain, uint32_t frame, uint8_t *page, uint64_t hash)
{
	struct mending m = search(domain, page, hash);
	uint32_t at = m.bit / 8;

	if (m.found != 1)
		return false;
	page[at] ^= (uint8_t)(1u << m.bit % 8);
	if (sys_pwrite_full(domain->store, &page[at], 1, (uint64_t)frame * PS_PAGE_SIZE + at) ||
	    read_frame(domain, frame, page))
		return false;
	return hash_of(domain, page) == hash;
}

static void tell_vms(const struct domain *domain, uint32_t frame, bool mended)
{
	for (uint32_t i = 0; i < domain->nslots; i++) {
		const struct member *m = domain->slot[i];
		struct vmmap_entry entry;
		uint64_t pages = 0;

		if (!m || !m->vm)
			continue;
		for (uint32_t page = 0; vmmap_next(m->map, &page, &entry); page++)
			pages += entry.state == VMMAP_MAPPED && entry.frame == frame;
		if (pages && mended)
			log_warn("%s has that frame at %llu pages: its memory was wrong for a time",
				 m->vm->name, (unsigned long long)pages);
		else if (pages)
			log_error("%s has that frame at %llu pages: ITS MEMORY IS DAMAGED; end it "
				  "and start it anew",
				  m->vm->name, (unsigned long long)pages);
	}
}

static void retire(struct domain *domain, uint32_t frame, uint64_t hash, bool mended)
{
	struct verify *v = &domain->daemon->verify;

	(void)index_remove_frame(domain->index, hash, frame);
	(void)frames_retire(domain->frames, frame);
	v->last[v->damaged++ % DAMAGE_KEPT] = (struct damage){
		.fingerprint = domain->fingerprint,
		.generation = domain->generation,
		.frame = frame,
		.mended = mended,
	};
	v->mended += mended;
	log_error("domain %08x: frame %u is not what it was made with: memory of this host changes "
		  "by itself. %s; nobody else gets this frame, and its memory is not used again",
		  domain->fingerprint, frame,
		  mended ? "One bit had flipped, and is set right again" :
			   "It cannot be set right");
	tell_vms(domain, frame, mended);
}

/* True if it was damaged. */
static bool verify_frame(struct domain *domain, uint32_t frame)
{
	_Alignas(64) uint8_t page[PS_PAGE_SIZE];
	uint64_t hash = frames_hash(domain->frames, frame);
	int r;

	if (frames_retired(domain->frames, frame))
		return false; /* what was mended is looked at no more either */
	r = read_frame(domain, frame, page);
	if (r == -EIO)
		memset(page, 0, sizeof(page)); /* the kernel has given that memory up */
	else if (r < 0)
		return false; /* there was no memory to read it, say: in its next turn */
	domain->daemon->verify.verified++;
	if (r == 0 && hash_of(domain, page) == hash)
		return false;
	retire(domain, frame, hash, mend(domain, frame, page, hash));
	return true;
}

/* The store where the round goes on: the one it was in, else the next younger one. Stores stand in
 * the order of their generations. */
static struct domain *present(struct daemon *d)
{
	struct verify *v = &d->verify;

	list_for_each(domain, &d->domains, struct domain, link) {
		if (domain->generation < v->generation)
			continue;
		if (domain->generation != v->generation)
			v->frame = 0;
		v->generation = domain->generation;
		return domain;
	}
	return NULL;
}

static void slice(struct daemon *d, uint32_t budget)
{
	struct verify *v = &d->verify;
	uint32_t damaged = 0;

	while (budget && damaged < MENDS_A_SLICE) {
		struct domain *domain = present(d);

		if (!domain) { /* the round is over: the next slice begins another */
			v->generation = 0;
			v->frame = 0;
			return;
		}
		if (!frames_next(domain->frames, FRAME_LIVE, &v->frame)) {
			v->generation++;
			v->frame = 0;
			continue;
		}
		damaged += verify_frame(domain, v->frame++);
		budget--;
	}
}

void verify_tick(struct daemon *d)
{
	uint64_t rate = (uint64_t)d->settings.value[SETTING_SHARE_VERIFY_RATE], apart;
	uint32_t budget;

	if (!rate || d->ending || list_empty(&d->domains)) {
		d->verify.at = 0;
		return;
	}
	budget = rate < SLICE ? (uint32_t)rate : SLICE;
	apart = budget * SEC / rate;
	if (apart < SLICE_NS_MIN)
		apart = SLICE_NS_MIN;
	if (!d->verify.at)
		d->verify.at = d->now + apart;
	if (d->verify.at <= d->now) {
		if (d->memstate <= MEMSTATE_CLEAR)
			slice(d, budget);
		d->verify.at = d->now + apart;
	}
	daemon_wake_at(d, d->verify.at);
}
