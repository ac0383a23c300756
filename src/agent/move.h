/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages from one place to another. */
#ifndef PSHARE_AGENT_MOVE_H
#define PSHARE_AGENT_MOVE_H

#include <stddef.h>
#include <stdint.h>

struct agent;

/* Moves pages of [src, src + len) to dst, which is registered with the tracker, by UFFDIO_MOVE with
 * that mode. Nobody else puts a page into either place meanwhile, but for zeros that a read makes.
 * Returns the bytes that are moved, which may be fewer than len (then the page behind them is the
 * one that did not want to), or -errno if there are none. -EEXIST: something lies at dst, and the
 * page of src is where it was. */
long move_pages(struct agent *a, void *dst, void *src, size_t len, uint64_t mode);

#endif
