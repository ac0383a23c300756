/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: no frame is seen outside of its domain, rewritten while somebody may look at it, or kept
 * when nobody does.
 *
 * A domain is found by its key and lives as long as it has members. Its store is a memfd that only
 * this file writes: mode 0400, its size sealed, handed out as a read-only reopen. It is not sealed
 * against writing, for a sealed store could never give back a page. Not even the daemon maps it: it
 * is written with pwrite() and emptied with fallocate(), so no stray store of ours can hit it.
 *
 * A frame: allocated (FILLING), written, LIVE, in the index; referenced by pages of members; with
 * the last reference out of the index, then PUNCHING, and only when the hole is there FREE. A
 * hole that could not be punched stays PUNCHING and is tried again: its slot is used by nobody
 * till then.
 *
 * A domain that a VM was made to leave (closed) takes nobody in any more: rehome.c.
 *
 * Limits: INDEX_VMS members (member.c); the window, FRAMES_FACTOR times the host's pages; live
 * frames at most the host's pages.
 */
#include "daemon/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host.h"
#include "sys/cleanup.h"
#include "sys/entropy.h"
#include "sys/memfd.h"
#include "sys/unsafe.h"

#define FRAMES_FACTOR 4u
#define STORE_RETRY (1 * SEC)
#define UNSAFE_PART 2048u /* frames */

static uint32_t window_for(uint64_t host_pages)
{
	uint64_t wanted = host_pages * FRAMES_FACTOR;
	uint32_t window = PS_BLOCK_PAGES;

	while (window < wanted && window < PS_FRAMES_MAX)
		window *= 2;
	return window;
}

static int store_new(uint32_t window)
{
	_cleanup_close_ int fd = sys_memfd_new("pshare-store", (uint64_t)window * PS_PAGE_SIZE);
	int r;

	if (fd < 0)
		return fd;
	r = sys_fchmod(fd, 0400);
	if (r < 0)
		return r;
	r = sys_memfd_seal(fd, SYS_SEALS_SIZE);
	if (r < 0)
		return r;
	return TAKE_FD(fd);
}

int domain_store_fd(const struct domain *domain)
{
	return sys_memfd_reopen_readonly(domain->store);
}

static void domain_free(struct domain *domain)
{
	if (domain->link.next)
		list_del(&domain->link);
	frames_free(domain->frames);
	index_free(domain->index);
	close_fd(&domain->store);
	free(domain->slot);
	free(domain);
}
DEFINE_CLEANUP(struct domain *, domain_free, domain_free);

/* Without the defence "one-store": the first domain's memfd, each in its own part of it. */
static int store_of_first(struct daemon *d, struct domain *domain)
{
	const struct domain *first = list_entry(d->domains.next, struct domain, link);
	uint32_t frame, near = PS_FRAME_NONE;
	int fd = ps_unsafe_dup(first->store);

	for (uint32_t i = 0; i < UNSAFE_PART * d->ndomains; i++, near = frame)
		(void)frames_alloc(domain->frames, 0, i, near, &frame);
	close_fd(&domain->store);
	return fd;
}

int domain_new(struct daemon *d, const struct domain_key *key, struct domain **out)
{
	_cleanup_(cleanup_domain_free) struct domain *domain = calloc(1, sizeof(*domain));
	uint64_t secret[2], pages = host_pages(d);
	int r;

	if (!domain)
		return -ENOMEM;
	domain->store = -1;
	domain->daemon = d;
	domain->key = *key;
	domain->fingerprint = (uint32_t)(domain_key_hash(key) >> 32);
	for (uint32_t i = 0; i < WANT_BUCKETS; i++)
		list_init(&domain->want[i]);
	r = sys_random(secret, sizeof(secret));
	if (r < 0)
		return r;
	domain->seed = secret[0];
	domain->window = window_for(pages);
	domain->store = store_new(domain->window);
	if (domain->store < 0)
		return domain->store;
	domain->frames = frames_new(domain->window,
				    (uint32_t)(pages < domain->window ? pages : domain->window));
	domain->index = index_new(0, secret[1]);
	if (!domain->frames || !domain->index)
		return -ENOMEM;
	if (ps_without(DEFENCE_OWN_STORE) && !list_empty(&d->domains))
		domain->store = store_of_first(d, domain);
	domain->generation = ++d->next_id;
	list_add_tail(&d->domains, &domain->link);
	d->ndomains++;
	*out = TAKE_PTR(domain);
	return 0;
}

void domain_end(struct domain *domain)
{
	domain->daemon->ndomains--;
	log_debug("domain %08x: generation %llu ends", domain->fingerprint,
		  (unsigned long long)domain->generation);
	domain_free(domain);
}

struct domain *domain_find(struct daemon *d, const struct domain_key *key)
{
	list_for_each(domain, &d->domains, struct domain, link)
		if (!domain->closed && domain_key_equal(&domain->key, key))
			return domain;
	return NULL;
}

int domain_take_slot(struct domain *domain)
{
	uint32_t more = domain->nslots ? domain->nslots * 2 : 4;
	struct member **grown;

	for (uint32_t i = 0; i < domain->nslots; i++)
		if (!domain->slot[i])
			return (int)i;
	if (more > INDEX_VMS)
		more = INDEX_VMS;
	if (more == domain->nslots)
		return -EUSERS;
	grown = realloc(domain->slot, more * sizeof(struct member *));
	if (!grown)
		return -ENOMEM;
	memset(grown + domain->nslots, 0, (more - domain->nslots) * sizeof(struct member *));
	domain->slot = grown;
	more = domain->nslots;
	domain->nslots = domain->nslots ? domain->nslots * 2 : 4;
	if (domain->nslots > INDEX_VMS)
		domain->nslots = INDEX_VMS;
	return (int)more;
}

/* The frame is out of the index, or never was in it: from LIVE or FILLING to FREE. */
static void punch(struct domain *domain, uint32_t frame)
{
	int r;

	/* The daemon ends, its VMs live on with every frame that they map: nothing is taken from
	 * them. The kernel frees a store with its last mapping. */
	if (domain->daemon->ending) {
		(void)frames_end_punch(domain->frames, frame);
		return;
	}
	r = sys_punch_hole(domain->store, (uint64_t)frame * PS_PAGE_SIZE, PS_PAGE_SIZE);

	if (r == 0) {
		(void)frames_end_punch(domain->frames, frame);
		domain->daemon->count.frames_freed++;
		return;
	}
	domain->punch_at = domain->daemon->now + STORE_RETRY;
	daemon_wake_at(domain->daemon, domain->punch_at);
}

void domain_free_frame(struct domain *domain, uint32_t frame)
{
	(void)index_remove_frame(domain->index, frames_hash(domain->frames, frame), frame);
	if (frames_begin_punch(domain->frames, frame) == 0)
		punch(domain, frame);
}

static void store_is_full(struct domain *domain, int error)
{
	struct daemon *d = domain->daemon;

	if (domain->full_until < d->now)
		log_warn("domain %08x: no memory for another frame (%s): sharing waits",
			 domain->fingerprint, strerror(-error));
	domain->full_until = d->now + STORE_RETRY;
}

/* had: NULL: it is not to be in the index. */
static int make_frame(struct domain *domain, const struct frame_place *place, const void *content,
		      uint64_t hash, uint32_t *frame, struct index_entry *had)
{
	uint32_t got = 0;
	int r = -ENOSPC;

	if (!host_memory_short(domain->daemon))
		r = frames_alloc(domain->frames, place->vm, place->page, place->near, &got);
	if (r < 0) {
		store_is_full(domain, r);
		return r;
	}
	r = sys_pwrite_full(domain->store, content, PS_PAGE_SIZE, (uint64_t)got * PS_PAGE_SIZE);
	if (r < 0)
		store_is_full(domain, r);
	else if (had)
		r = index_put_frame(domain->index, hash, got, had);
	if (r < 0) {
		if (frames_begin_punch(domain->frames, got) == 0)
			punch(domain, got);
		return r;
	}
	(void)frames_set_live(domain->frames, got, hash);
	domain->daemon->count.frames_made++;
	*frame = got;
	return 0;
}

int domain_make_frame(struct domain *domain, const struct frame_place *place, const void *content,
		      uint64_t hash, uint32_t *frame, struct index_entry *had)
{
	return make_frame(domain, place, content, hash, frame, had);
}

int domain_make_plain_frame(struct domain *domain, const struct frame_place *place,
			    const void *content, uint64_t hash, uint32_t *frame)
{
	return make_frame(domain, place, content, hash, frame, NULL);
}

void domains_tick(struct daemon *d)
{
	list_for_each(domain, &d->domains, struct domain, link) {
		uint32_t frame = 0;

		if (domain->punch_at > d->now)
			daemon_wake_at(d, domain->punch_at);
		if (!domain->punch_at || domain->punch_at > d->now)
			continue;
		domain->punch_at = 0;
		for (; frames_next(domain->frames, FRAME_PUNCHING, &frame); frame++) {
			punch(domain, frame);
			if (domain->punch_at)
				break;
		}
	}
}
