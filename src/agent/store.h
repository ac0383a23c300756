/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store: this agent's view of the stores whose frames it maps.
 *
 * The descriptor, read-only, is what frames are mapped from: all of them from the same open file,
 * so that neighbours merge. The view is one private, read-only mapping of the whole store, to read
 * frames in before they are mapped for the guest; nothing in it is ever moved or protected, so the
 * kernel maps sixteen pages at a fault.
 *
 * A store outlives its daemon for as long as something is mapped from it; descriptor and view
 * outlive the session for as long as the quarantine holds pages whose frame is in it.
 */
#ifndef PSHARE_AGENT_STORE_H
#define PSHARE_AGENT_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

#define STORES_MAX 64u /* at once: the daemons that can die within one quarantine time */
#define STORE_NONE STORES_MAX

struct agent;

struct store {
	const char *view; /* NULL: the slot is free */
	int fd;
	uint64_t inode;	     /* of the descriptor: the VMM may close what is not its own */
	uint64_t generation; /* as in PS_MSG_DOMAIN */
	uint64_t seed;
	uint32_t frames;
	uint32_t quarantined;	/* pages in quarantine that need it */
	_Atomic uint32_t twins; /* pages that are out, and equal to a frame of it */
};

struct store_set {
	struct store store[STORES_MAX];
	uint32_t current; /* index, or STORE_NONE */
};

/* Address space that a store of so many frames takes. */
size_t store_room(uint32_t frames);
/* Takes a store and makes it the current one. 0 or -errno (fd stays the caller's). */
int store_open(struct agent *a, int fd, const struct ps_msg_domain *domain);
/* There is no current store any more. */
void store_leave(struct agent *a);
/* Lets go of the stores that nobody needs. */
void store_sweep(struct agent *a);
/* Gives back the page tables of the views. Under act. */
void store_tidy(struct agent *a);
/* The current store, or NULL. */
struct store *store_current(struct agent *a);
/* Is the descriptor still the store's? */
bool store_fd_is_good(const struct store *s);

/* Where a frame's content is read. */
static inline const char *store_frame(const struct store *s, uint32_t frame)
{
	return s->view + (size_t)frame * PS_PAGE_SIZE;
}

#endif
