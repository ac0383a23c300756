/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mappings of this process as the kernel tells of them: what they are, and how many there
 * are. Reads /proc/self/smaps and maps with a buffer on the stack, no stdio, no allocation.
 */
#ifndef PSHARE_SYS_VMAS_H
#define PSHARE_SYS_VMAS_H

#include <stddef.h>
#include <stdint.h>

/* What a range is made of, all its mappings together (OR). */
#define VMAS_HOLE 1u   /* part of it is not mapped */
#define VMAS_FILE 2u   /* file-backed */
#define VMAS_SHARED 4u /* shared mapping (memfd, shmem) */
#define VMAS_HUGETLB 8u
#define VMAS_LOCKED 16u
#define VMAS_UFFD 32u	      /* registered with a userfaultfd */
#define VMAS_SPECIAL 64u      /* PFNMAP, IO: device memory */
#define VMAS_NOT_RW 128u      /* not readable and writable, or executable */
#define VMAS_DONTFORK 256u    /* all of it is DONTFORK */
#define VMAS_HUGEPAGE 512u    /* all of it has MADV_HUGEPAGE */
#define VMAS_DONTDUMP 1024u   /* some of it is DONTDUMP */
#define VMAS_WIPEONFORK 2048u /* some of it is WIPEONFORK */
#define VMAS_MEMFD 8192u      /* file-backed, by a memfd */
#define VMAS_STORE 16384u     /* a private mapping of a store: neither FILE nor MEMFD for that */
#define VMAS_PKEY 4096u	      /* some of it has a protection key: no other thread may touch it */

#define VMAS_STORE \
	16384u /* some of it is a private mapping of a store: nothing else is told of it */

/* Says what [addr, addr+len) is made of. 0, *what set; or -errno. */
int vmas_describe(uintptr_t addr, size_t len, unsigned int *what);
/* Calls for each mapping of this process, in order, as long as it returns 0. 0, what it returned,
 * or -errno. */
int vmas_each(int (*call)(void *arg, uintptr_t start, uintptr_t end), void *arg);
/* The number of mappings of this process, or -errno. Costs about 0.6 us for each. */
long vmas_count(void);
/* vm.max_map_count, or -errno. */
long vmas_limit(void);

#endif
