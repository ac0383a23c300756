/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/libc.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

typedef pid_t fork_fn(void);
typedef int clone_fn(int (*fn)(void *), void *stack, int flags, void *arg, ...);

static _Atomic(fork_fn *) next_fork;
static _Atomic(clone_fn *) next_clone;

/* When the library is loaded: dlsym() is not for signal handlers, and _Fork() is. */
__attribute__((constructor)) static void look_up(void)
{
	next_fork = (fork_fn *)dlsym(RTLD_NEXT, "_Fork");
	next_clone = (clone_fn *)dlsym(RTLD_NEXT, "clone");
}

pid_t libc_fork(void)
{
	if (!next_fork)
		look_up(); /* called by a constructor before ours */
	if (next_fork)
		return next_fork();
	errno = ENOSYS;
	return -1;
}

int libc_clone(int (*fn)(void *), void *stack, int flags, void *arg,
	       const struct libc_clone_rest *rest)
{
	if (!next_clone)
		look_up();
	if (next_clone)
		return next_clone(fn, stack, flags, arg, rest->parent_tid, rest->tls,
				  rest->child_tid);
	errno = ENOSYS;
	return -1;
}
