/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store: this agent's view of the stores whose frames it maps.
 *
 * The window is one private mapping of a whole store, from which runs of frames leave for the guest
 * by mremap() with MREMAP_DONTUNMAP, so it never splits. Nobody reads in it: what leaves it is
 * page table entries that say "write-protected" and no more. To move entries that map a page takes
 * an interrupt to every processor that the VMM runs on; to move those takes none.
 *
 * The view is a second mapping, to read frames in: nothing in it is ever moved or protected, so
 * the kernel maps sixteen pages at a fault.
 *
 * A store outlives its daemon for as long as something is mapped from it; the window outlives the
 * session for as long as the quarantine holds pages whose frame is in it.
 */
#ifndef PSHARE_AGENT_STORE_H
#define PSHARE_AGENT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

#define STORES_MAX 64u /* windows at once: the daemons that can die within one quarantine time */
#define STORE_NONE STORES_MAX

struct agent;

struct store {
	char *window; /* NULL: the slot is free */
	const char *view;
	uint64_t generation; /* as in PS_MSG_DOMAIN */
	uint64_t seed;
	uint32_t frames;
	uint32_t quarantined; /* pages in quarantine that need it */
};

struct store_set {
	struct store store[STORES_MAX];
	uint32_t current; /* index, or STORE_NONE */
};

/* Maps the window of a store and makes it the current one. 0 or -errno (fd stays the caller's). */
/* Address space that a store of so many frames takes. */
size_t store_room(uint32_t frames);
int store_open(struct agent *a, int fd, const struct ps_msg_domain *domain);
/* There is no current store any more. */
void store_leave(struct agent *a);
/* Unmaps the windows that nobody needs. */
void store_sweep(struct agent *a);
/* Gives back the page tables of frames that left the windows. Under act. */
void store_tidy(struct agent *a);
/* The current store, or NULL. */
struct store *store_current(struct agent *a);

/* Makes the window ready to give n frames away: write-protected. 0 or -errno. */
int store_prepare(struct agent *a, struct store *s, uint32_t frame, uint32_t n);

/* Where a frame leaves for the guest. */
static inline char *store_window(const struct store *s, uint32_t frame)
{
	return s->window + (size_t)frame * PS_PAGE_SIZE;
}

/* Where its content is read. */
static inline const char *store_frame(const struct store *s, uint32_t frame)
{
	return s->view + (size_t)frame * PS_PAGE_SIZE;
}

#endif
