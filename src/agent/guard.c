/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard: synchronous write-protection of mapped frames and broken pages.
 *
 * A frame's mapping is plain: registered with nothing, its first write is the kernel's. It is
 * closed for moments, when the page is to be replaced by the worker: registered with the guard and
 * write-protected. A page of it that is not there yet gets a marker that says the same. When it is
 * replaced, the mapping goes, and its registration with it; else it is opened again.
 *
 * Where pins cannot be told (pins.h), a frame's mapping stays closed for as long as the frame is
 * mapped: the block is `guarded`, each first write wakes the settler.
 *
 * A mapping is registered whole, from border to border within the block, so that it is not cut:
 * the caller names whole runs where he can.
 */
#include "agent/guard.h"

#include <errno.h>

#include "agent/agent.h"
#include "agent/say.h"
#include "sys/thread.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"

#define CLOSE_TRIES 1000u /* -EAGAIN: a fork of the process is under way */

static int protect(struct agent *a, char *addr, size_t len, int on)
{
	int err = -EAGAIN;

	for (unsigned int tries = 0; err == -EAGAIN && tries < CLOSE_TRIES; tries++) {
		err = uffd_protect(a->guard, addr, len, on);
		if (err == -EAGAIN)
			sys_yield();
	}
	return err;
}

void guard_wake(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uffd_wake(a->guard, region_page(r, page), (size_t)n * PS_PAGE_SIZE);
}

void guard_claim(struct agent *a, struct region *r, uint32_t page, uint32_t n, uint8_t *was)
{
	pthread_mutex_lock(&a->settle);
	for (uint32_t i = 0; i < n; i++) {
		was[i] = (uint8_t)page_state(&r->state[page + i]);
		if (page_in_store(was[i]))
			page_set(&r->state[page + i], PAGE_OUT);
	}
	pthread_mutex_unlock(&a->settle);
}

int guard_close(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	char *addr = region_page(r, page);
	size_t len = (size_t)n * PS_PAGE_SIZE;
	int err = uffd_register(a->guard, addr, len, UFFDIO_REGISTER_MODE_WP);

	if (!err && !ps_without(DEFENCE_CLOSE))
		err = protect(a, addr, len, 1);
	if (err && !region_block(r, page)->guarded)
		uffd_unregister(a->guard, addr, len);
	if (err)
		guard_wake(a, r, page, n);
	return err;
}

/* The length of the stretch at page, within end, that lies in a store's mapping. */
static uint32_t stretch(const struct region *r, uint32_t page, uint32_t end)
{
	uint32_t n = 0;

	while (page + n < end && page_in_store(page_state(&r->state[page + n])))
		n++;
	return n;
}

static void open_stretch(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	char *addr = region_page(r, page);
	size_t len = (size_t)n * PS_PAGE_SIZE;

	if (!region_block(r, page)->guarded) {
		if (uffd_unregister(a->guard, addr, len))
			protect(a, addr, len, 0);
		return;
	}
	/* Frames stay protected; the guest's own pages among them do not. */
	for (uint32_t i = page; i < page + n; i++)
		if (page_is_broken(page_state(&r->state[i])))
			protect(a, region_page(r, i), PS_PAGE_SIZE, 0);
}

void guard_open(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uint32_t end = page + n, at = page, k;

	for (; at < end; at += k ? k : 1) {
		uint32_t edge = (at / PS_BLOCK_PAGES + 1) * PS_BLOCK_PAGES;

		k = stretch(r, at, edge < end ? edge : end);
		if (k)
			open_stretch(a, r, at, k);
	}
	guard_wake(a, r, page, n);
}
