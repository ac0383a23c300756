/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pages kept by a pipe: vmsplice() puts a reference to the page itself into it, so that what is
 * read from the pipe later is what the page holds then, wherever it was mapped before.
 */
#ifndef PSHARE_SYS_KEEP_H
#define PSHARE_SYS_KEEP_H

#include <stddef.h>
#include <stdint.h>

/* An empty pipe of at least `pages` places, or of as many as it may have: *room says how many. 0 or
 * -errno. */
int sys_keep_open(int pipe[2], uint32_t pages, uint32_t *room);
void sys_keep_close(int pipe[2]);
/* Puts in pages [addr, addr + n pages). Returns how many, or -errno. Waits for nothing. */
long sys_keep(int pipe[2], const void *addr, uint32_t n);
/* Takes the oldest page out: its content as it is now. 0 or -errno. */
int sys_kept(int pipe[2], void *content);

#endif
