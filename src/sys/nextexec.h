/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The C library's own exec calls, for a library that stands before them. -1 and errno on
 * failure. */
#ifndef PSHARE_SYS_NEXTEXEC_H
#define PSHARE_SYS_NEXTEXEC_H

int next_execve(const char *path, char *const argv[], char *const envp[]);
int next_execvpe(const char *file, char *const argv[], char *const envp[]); /* through PATH */

#endif
