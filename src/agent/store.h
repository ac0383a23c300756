/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store: this agent's view of the stores whose frames it maps.
 *
 * The window is one private mapping of a whole store. It is where mapped runs are prepared, and
 * where a frame's content can always be read. Pages leave it for the guest by mremap() with
 * MREMAP_DONTUNMAP, so it never splits.
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
	char *window;	     /* NULL: the slot is free */
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
int store_open(struct agent *a, int fd, const struct ps_msg_domain *domain);
/* There is no current store any more. */
void store_leave(struct agent *a);
/* Unmaps the windows that nobody needs. */
void store_sweep(struct agent *a);
/* Gives back the page tables of frames that left the windows. Under act. */
void store_tidy(struct agent *a);
/* The current store, or NULL. */
struct store *store_current(struct agent *a);

/* Makes the window ready to give n frames away: populated, write-protected. 0 or -errno. */
int store_prepare(struct agent *a, struct store *s, uint32_t frame, uint32_t n);

static inline char *store_frame(const struct store *s, uint32_t frame)
{
	return s->window + (size_t)frame * PS_PAGE_SIZE;
}

#endif
