/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who this process is, and where its program lies. */
#ifndef PSHARE_SYS_SELF_H
#define PSHARE_SYS_SELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

uid_t sys_self_uid(void); /* effective */
gid_t sys_self_gid(void); /* effective */

/* Is the address space of this process limited (RLIMIT_AS)? */
bool sys_self_limited_as(void);
/* May this process write a file of that size (RLIMIT_FSIZE)? Beyond it a signal ends it. */
bool sys_self_may_write(size_t size);

/* The folder that holds this process's program, without a trailing slash. 0, or -errno. */
int sys_self_folder(char *folder, size_t size);

/* This process's command line, each word with its NUL, as far as it fits; its length or -errno. */
int sys_self_words(char *words, size_t size);

/* Ends a connection in both directions; whoever owns the descriptor closes it. 0 or -errno. */
int sys_shutdown(int sock);

/* Another descriptor for the same open file, not inherited by what is executed. */
int sys_duplicate(int fd);
/* What tells the file behind a descriptor from any other: device and inode, folded. 0 or -errno. */
int sys_inode(int fd, uint64_t *inode);
/* Is that the file that has this name? */
bool sys_is_file(int fd, const char *path);
/* Ends the process with SIGABRT. */
_Noreturn void sys_abort(void);

#endif
