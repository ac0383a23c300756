/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A salt on its way from a file to a VMM. One newline ("\n" or "\r\n") at the end of a file is not
 * part of the salt: editors and echo put it there, and nobody means it. Whoever reads a salt
 * file, reads it here, so that two VMs with one file have one salt.
 */
#ifndef PSHARE_SYS_SALTFILE_H
#define PSHARE_SYS_SALTFILE_H

#include <stddef.h>

/* Reads a whole file, which may be a pipe, into buf, which has PS_SALT_MAX bytes. 0 and *length;
 * -EFBIG: there is more without the newline; -ENODATA: there is nothing; -EPERM: users other than
 * its owner and group may read or write it (sys/secret.h); else -errno. */
int sys_salt_read_file(const char *path, void *buf, size_t *length);
/* The same of a file that was found (sys_secret_find), whoever may read it. It is plain, or it is
 * not opened: -EMEDIUMTYPE. */
int sys_salt_read_found(int found, void *buf, size_t *length);

/* A sealed memfd, CLOEXEC, that holds the bytes; length 0 is the empty salt. The fd or -errno. */
int sys_salt_memfd(const void *salt, size_t length);

#endif
