/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file of blocks: parts of it written and read where they lie, past the page cache if it can. */
#ifndef PSHARE_SYS_BLOCK_H
#define PSHARE_SYS_BLOCK_H

#include <stddef.h>
#include <stdint.h>

/* From now on past the page cache (O_DIRECT): buffers, lengths and offsets are then multiples of
 * 4096. -EINVAL: this file system cannot. 0 or -errno. */
int sys_block_direct(int fd);
/* Writes, or reads, as long as the file takes or gives something: *done says how much that was,
 * whatever is returned. 0: all; -errno. A read that ends before len is -EIO. */
int sys_block_write(int fd, const void *bytes, size_t len, uint64_t offset, size_t *done);
int sys_block_read(int fd, void *bytes, size_t len, uint64_t offset, size_t *done);
/* Of what went through the page cache: waits until it is on the disk, and says whether it came
 * there; then the page cache need not keep it. 0 or -errno. */
int sys_block_settle(int fd, uint64_t offset, uint64_t len);

#endif
