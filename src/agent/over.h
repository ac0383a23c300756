/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_OVER_H
#define PSHARE_AGENT_OVER_H

#include <stddef.h>

struct agent;

/* Moves the pages of [src, src+len), a block at most, over guest memory at dst, as map_over() does,
 * and leaves no hole. 0; or -errno, and dst is what it was. */
int over_map(struct agent *a, void *dst, void *src, size_t len);

/* Moves what was taken out from src back to the hole at dst, and goes on trying: it is nowhere
 * else. Who waits for it is woken. Where the kernel refuses for good the agent says so and gives
 * up: it shares nothing any more. */
void over_put_back(struct agent *a, char *dst, char *src, size_t len);

#endif
