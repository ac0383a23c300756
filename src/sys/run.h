/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Another program's work: run, waited for, what it printed taken. */
#ifndef PSHARE_SYS_RUN_H
#define PSHARE_SYS_RUN_H

#include <stddef.h>

struct sys_run {
	const char *input; /* its standard input; NULL: nothing */
	size_t max;	   /* bytes of output that are taken */
	char *output;	   /* set: a string, to be freed */
	char errors[512];  /* set: the end of what it said on standard error */
	int status;	   /* set: its exit status, or 128 + the signal that ended it */
};

/* No shell; argv[0] is the program's own name, path where it lies. No descriptor is passed on. 0 if
 * it ran to its end, whatever that was; -EFBIG: it printed more than max; -errno. */
int sys_run(const char *path, const char *const argv[], struct sys_run *run);

#endif
