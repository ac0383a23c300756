/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * outside: another process as the kernel shows it: its mappings, the frames of its pages, its
 * descriptors. Frame numbers and flags are root's (CAP_SYS_ADMIN). 0 (or a descriptor) or -errno.
 */
#ifndef PSHARE_SYS_OUTSIDE_H
#define PSHARE_SYS_OUTSIDE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sys/uapi.h"

struct sys_map {
	uint64_t start, end, offset;
	uint64_t device, inode; /* inode 0: anonymous */
	char access[5];		/* "rw-p" */
	const char *path;	/* "" where there is none; until the next one */
};

/* A thread of the process that has not ended: its first one if that has not. pid where there is
 * none. What /proc shows of the memory and descriptors of a process is gone with its first thread,
 * and is there under the numbers of the others. */
pid_t sys_live_thread(pid_t pid);
/* Calls each() with one thread for every table of descriptors that a process has: one, unless a
 * thread has left the others' (CLONE_FILES). Until it returns non-zero, which is returned. */
int sys_each_fd_table(pid_t pid, int (*each)(pid_t thread, void *arg), void *arg);

/* Calls each() for every mapping, in address order, until it returns non-zero: that is returned. */
int sys_each_map(pid_t pid, int (*each)(const struct sys_map *map, void *arg), void *arg);

/* /proc/PID/pagemap; for pagemap_read() of sys/pagemap.h and the next one. */
int sys_pagemap_of(pid_t pid);
/* Ranges of [start, end) of pages that are present and no zero page, in address order; n at most.
 * *walked is where it came to. The number of ranges or -errno. */
int sys_pagemap_full(int fd, uint64_t start, uint64_t end, struct page_region *vec, int n,
		     uint64_t *walked);

#define SYS_KPF_KSM (1ull << 21)
#define SYS_KPF_ZERO_PAGE (1ull << 24)
int sys_kpageflags_open(void);
/* The flags (SYS_KPF_...) of up to n frames from that one on; how many were read, or -errno. */
int sys_kpageflags(int fd, uint64_t frame, uint64_t *flags, uint32_t n);

struct sys_open {
	int fd;
	unsigned int flags; /* of open(2); O_ACCMODE says how */
	uint64_t device, inode;
	uint64_t bytes; /* that the file takes */
	uid_t owner;	/* of the file */
	char target[PATH_MAX];
};

/* Calls each() for every descriptor of a process until it returns non-zero, which is returned. */
int sys_each_open(pid_t pid, int (*each)(const struct sys_open *open, void *arg), void *arg);

/* Whom a process is a child of. */
int sys_parent(pid_t pid, pid_t *parent);
/* What its program is: path, cut at size - 1 bytes. */
int sys_program(pid_t pid, char *path, size_t size);

/* Calls each() for the names in a folder that end so. -ENOENT: there is no such folder. */
int sys_each_name(const char *folder, const char *ending, int (*each)(const char *path, void *arg),
		  void *arg);

#endif
