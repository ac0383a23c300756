/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* memfds, and files that are read and written by position. All return 0 (or an fd) or -errno. */
#ifndef PSHARE_SYS_MEMFD_H
#define PSHARE_SYS_MEMFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The seals that make the bytes of a memfd final: nobody can write, shrink or grow it. */
#define SYS_SEALS_FINAL 0x000eu /* F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE */
/* The seals that make its size final, and no other seal possible. */
#define SYS_SEALS_SIZE 0x0007u /* F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW */

/* A new memfd of size bytes, CLOEXEC, not executable, sealable. name is for /proc only. */
int sys_memfd_new(const char *name, uint64_t size);

/* The seals of a memfd; -EINVAL for what is no memfd. */
int sys_memfd_seals(int fd, unsigned int *seals);
int sys_memfd_seal(int fd, unsigned int seals);

/* The same file, opened read-only: a holder cannot get back to writing through it, unless his
 * rights on the file (its mode and owner) let him open it anew. */
int sys_memfd_reopen_readonly(int fd);

/* Permission bits of the file behind fd. */
int sys_fchmod(int fd, unsigned int mode);

/* Size and allocated bytes of the file behind fd; is_file: false for a pipe, a device, a folder.
 * Outputs may be NULL. */
int sys_file_size(int fd, uint64_t *size, uint64_t *allocated, bool *is_file);

/* What tells the file behind fd from any other, as /proc/PID/maps has it (major number of the
 * device in the upper, minor in the lower 32 bits). */
int sys_file_identity(int fd, uint64_t *device, uint64_t *inode);

/* Whole or nothing: -EIO for a short transfer, which a memfd never makes. EINTR is retried. */
int sys_pread_full(int fd, void *buf, size_t len, uint64_t offset);
int sys_pwrite_full(int fd, const void *buf, size_t len, uint64_t offset);

/* The next stretch of the file, from *start on, that takes memory: *start to *end. -ENXIO: there is
 * none. 0 or -errno. */
int sys_next_data(int fd, uint64_t *start, uint64_t *end);

/* Gives the blocks of [offset, offset + len) back; the size stays. */
int sys_punch_hole(int fd, uint64_t offset, uint64_t len);

/* Maps the first len bytes shared, readable and writable. Unmap with sys_unmap(). */
int sys_map_shared(int fd, size_t len, void **map);
/* Frees the memory of a part of it, for everybody who maps it: it reads as zeros. 0 or -errno. */
int sys_forget_shared(void *at, size_t len);
void sys_unmap(void *map, size_t len);

/* Zeroed pages that are locked and left out of core dumps, for secrets. Where the limit on locked
 * memory forbids the lock, *locked says so and the memory is good all the same.
 * Give them back, wiped, with sys_secret_free(). */
int sys_secret_new(size_t len, void **secret, bool *locked);
void sys_secret_free(void *secret, size_t len);

#endif
