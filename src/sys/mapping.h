/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mappings of this process. Every call goes to the kernel by its number: the agent interposes the
 * functions mmap(), munmap(), mremap() and madvise() of its VMM, and must not meet itself.
 *
 * What is made here for the agent itself is never locked, and never filled by a lock, whatever
 * mlockall() said before.
 */
#ifndef PSHARE_SYS_MAPPING_H
#define PSHARE_SYS_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Address space that nothing may touch: PROT_NONE, not charged. NULL when there is none. */
void *map_reserve(size_t len);
/* Private anonymous memory, all zero, no huge pages, not inherited by fork, not in core dumps;
 * at addr (replacing what is there) or, for NULL, anywhere. NULL on failure. */
void *map_anon(void *addr, size_t len);
/* The i-th of what map_anon() made anywhere and that is there still, i below MAP_MADE; false: it is
 * not one. A mapping too many is not known. */
#define MAP_MADE 256u
bool map_made(size_t i, void **addr, size_t *len);
/* The first len bytes of a file, private, only to be read; not inherited by fork, not in core
 * dumps. NULL on failure. */
const void *map_readable(int fd, size_t len);
/* Memory of fd, shared and writable. NULL on failure. */
void *map_shared(int fd, size_t len);
/* Is there room in the address space for so many bytes more? */
bool map_fits(size_t len);
void map_free(void *addr, size_t len);

/* Moves the pages of [src, src+len), which lies in one mapping, over [dst, dst+len), whatever
 * is there. The source stays mapped, empty (MREMAP_DONTUNMAP). 0; or -errno, and then dst may not
 * be mapped any more. */
int map_over(void *dst, void *src, size_t len);
/* Maps pages of the file privately and writable over [dst, dst+len), whatever is there: from the
 * file's page number `page` on. 0; or -errno, and then dst may not be mapped any more. */
int map_file_over(void *dst, int fd, uint64_t page, size_t len);
/* Takes [dst, dst+len), all of it a hole, with memory that nobody may touch (PROT_NONE). -EEXIST:
 * part of it is mapped. 0 or -errno. */
int map_hold(void *dst, size_t len);
/* Does the process keep to its RLIMIT_AS and RLIMIT_DATA, so that what replaces a mapping of the
 * same size will not fail for them? 0 or -ENOSPC. Without such limits it costs two short calls. */
int map_room(void);
/* Is all of the range mapped? For at most MAP_WHOLE_PAGES pages. */
#define MAP_WHOLE_PAGES 512u
bool map_whole(void *addr, size_t len);
/* Moves the mapping of [src, src+len) to a place of the kernel's choice, the source staying
 * mapped and empty. Returns the place, NULL on failure. */
void *map_away(void *src, size_t len);
/* Moves a mapping to dst, replacing what is there, and gives it new_len bytes. 0 or -errno. */
int map_grow(void *dst, size_t new_len, void *src, size_t old_len);
/* Bytes of the range that are in memory; 0 if it cannot be told: not all of it is mapped, or it is
 * larger than MAP_WHOLE_PAGES. */
size_t map_resident(const void *addr, size_t len);
/* madvise. 0 or -errno. */
int map_advise(void *addr, size_t len, int advice);
/* The caller's own request, as it came (interposed calls pass on with these). -errno or the
 * address. */
long map_mremap(void *old, size_t old_len, size_t new_len, int flags, void *new_addr);
long map_mmap(void *addr, size_t len, int prot, int flags, int fd, long offset);
int map_munmap(void *addr, size_t len);
int map_mprotect(void *addr, size_t len, int prot);
int map_pkey_mprotect(void *addr, size_t len, int prot, int pkey);

int map_lock(const void *addr, size_t len, unsigned int flags); /* mlock2() */
int map_lock_all(int flags);
int map_unlock(const void *addr, size_t len);
int map_unlock_all(void);
/* May this process lock so many bytes in all? 0; -EPERM or -ENOMEM, as mlockall() would say. */
int map_may_lock(uint64_t bytes);
/* Is mlockall(MCL_FUTURE) in force, whoever called it? */
bool map_future_is_locked(void);

/* Is part of the range, of whole pages, not mapped? */
bool map_has_holes(const void *addr, size_t len);
/* Private anonymous memory, untouched, in the place of whatever is there. 0 or -errno; and then
 * what was there is there still, or nothing is. */
int map_zeros(void *addr, size_t len, int prot);

/* prctl(PR_SET_MEMORY_MERGE, 0): takes the process out of KSM where somebody opted in all of it
 * (before 6.4, or without the right: -errno, and nothing changed). */
int map_leave_ksm(void);
/* Gives a mapping a name in /proc/PID/maps, where the kernel can. */
void map_name(void *addr, size_t len, const char *name);

#endif
