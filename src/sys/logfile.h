/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that only grows, until it is set aside under another name. 0 or -errno. */
#ifndef PSHARE_SYS_LOGFILE_H
#define PSHARE_SYS_LOGFILE_H

#include <stddef.h>
#include <stdint.h>

/* Opens a file for appending and nothing else, made with mode 0600 if it is not there; a link is
 * not followed. *fd is the caller's, *size what it holds. */
int sys_logfile_open(const char *path, int *fd, uint64_t *size);
/* Appends all of it. *done: the bytes that are there, whatever is returned. */
int sys_logfile_append(int fd, const void *bytes, size_t length, size_t *done);
/* Another name for it, in the same folder; one that is taken is -EEXIST. */
int sys_logfile_set_aside(const char *from, const char *to);
/* The last max bytes of a file as a string, to be freed. NUL bytes in it end it early. */
int sys_read_tail(const char *path, size_t max, char **text);

#endif
