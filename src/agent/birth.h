/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * birth: memory of a child that begins as the image of its parent's.
 */
#ifndef PSHARE_AGENT_BIRTH_H
#define PSHARE_AGENT_BIRTH_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

struct agent;
struct region;

enum birth_state {
	BIRTH_NONE,   /* not asked for: there is no such region yet */
	BIRTH_WANTED, /* CHILD was sent */
	BIRTH_HERE,   /* IMAGE has come; manifest is a descriptor of ours */
	BIRTH_DONE,   /* mapped, or it failed: said to the daemon */
};

struct birth {
	enum birth_state state;
	struct ps_msg_child image; /* HERE: as it came */
	int manifest;
};

/* IMAGE has come, with its descriptor, which stays the caller's (-1: none). 0 or -errno. */
int birth_take(struct agent *a, const struct ps_msg_child *m, int fd);
/* Asks for images, maps those that are here. Worker, no lock held. */
void birth_serve(struct agent *a);
/* The daemon is gone: what is not mapped never will be. */
void birth_end(struct agent *a);
/* Is this region to be left alone until its image is mapped? Under act. */
bool birth_waits(const struct agent *a, const struct region *r);

#endif
