/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * forkram: the RAM files of a VMM that was run to be forked.
 */
#ifndef PSHARE_AGENT_FORKRAM_H
#define PSHARE_AGENT_FORKRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent;
struct region;

/* Is a shared mapping of that file to be answered with private memory? Its number, or -1. */
int forkram_of(int fd);
/* It was, at addr. */
void forkram_mapped(int ram, void *addr, size_t len);
/* The number of the RAM file whose mapping is exactly that range, or -1. */
int forkram_at(uintptr_t start, size_t len);
/* The announced region that is the memory of that RAM file, or NULL. */
struct region *forkram_region(struct agent *a, int ram);
/* How many RAM files there are. */
uint32_t forkram_count(void);
/* The image with which the memory of this process begins; 0: it begins empty. */
uint64_t forkram_image(void);

#endif
