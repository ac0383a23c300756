/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * place: the calls that replace guest memory by other memory, at one address, in one piece.
 */
#ifndef PSHARE_AGENT_PLACE_H
#define PSHARE_AGENT_PLACE_H

#include <stddef.h>
#include <stdint.h>

struct agent;
struct store;

/* Maps n frames of the store, from `frame` on, over the guest's memory at dst, which is one or more
 * mappings registered with a userfaultfd of ours, or a mapping of frames. The content at dst is
 * given up. 0; or -errno, and then dst is as it was. Under act. */
int place_frames(struct agent *a, const struct store *s, char *dst, uint32_t frame, uint32_t n);

/* Moves the pages at src (the nursery, one mapping) over dst; src stays mapped and empty. 0; or
 * -errno, and then dst is as it was, and src too. Under act, or under settle where frames are
 * guarded. */
int place_pages(struct agent *a, char *dst, char *src, size_t len);

/* Moves pages that were taken out back into the hole that they left. There is no other place for
 * them: it goes on until it is done, and stops the VMM if that cannot be. Under act. */
void place_back(struct agent *a, char *dst, char *src, size_t len);

#endif
