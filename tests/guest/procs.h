/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* procs: processes of the guest with heaps of their own, each knows a checksum of its data. */
#ifndef PSHARE_GUEST_PROCS_H
#define PSHARE_GUEST_PROCS_H

#include <stddef.h>
#include <stdint.h>

/* Starts them; name: of this guest (part of the seed of every other one). 0 or -errno. */
int procs_start(const char *name);
/* Asks each for its checksum. *sum: of all checksums. Returns how many differ from what they
 * said before, have died (*dead of them: a guest short of memory kills) or do not answer. */
int procs_check(uint64_t *sum, int *dead);
/* Has each write half of its data anew. 0 or -errno. */
int procs_work(uint32_t round);
size_t procs_count(void);
/* The checksum of the checksums that procs_check() compares with. */
uint64_t procs_sum(void);

#endif
