/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fault injection: in a build with -Dinject=true one chosen system call, or one chosen allocation,
 * of a process fails. In any other build the hooks are nothing at all.
 *
 *   PSHARE_INJECT_SYS=N      the Nth call of a wrapper of src/sys in this process fails (from 1)
 *   PSHARE_INJECT_ALLOC=N    the Nth malloc, calloc, realloc, strdup, strndup or aligned_alloc
 *   PSHARE_INJECT_ERRNO=E    errno of the failing wrapper, as a number or a name (default: EIO)
 *   PSHARE_INJECT_FOREVER=1  every call from the Nth on fails, not the Nth alone
 *
 * The process says so on stderr, once, with a single write(2):
 *   "inject: sys 17 (sys_mmap) fails: EIO" or "inject: alloc 3 fails: ENOMEM"
 * A test that walks N upwards stops at the first N for which that line did not come: the run had
 * fewer calls than N. Only our own calls are counted; those inside of libraries are not.
 *
 * A wrapper that returns 0, a count or -errno starts with SYS_INJECT(). One that returns
 * something else asks ps_inject_sys() itself. A wrapper that cannot fail, or whose failure nobody
 * may see (close, munmap in a cleanup), has no hook.
 */
#ifndef PSHARE_SYS_INJECT_H
#define PSHARE_SYS_INJECT_H

#ifdef PSHARE_INJECT

#include <stdbool.h>
#include <stdint.h>

/* Counts one call; 0, or the -errno that the caller is to return without doing its work.
 * Callable from any thread, takes no lock, allocates nothing. */
int ps_inject_sys(const char *name);

/* Counts afresh, with these numbers (0: never) in place of the environment's: for tests that walk
 * through N within one process. error is a positive errno. */
void ps_inject_set(uint64_t sys, uint64_t alloc, int error);

/* Did a call or an allocation fail since the start or since ps_inject_set()? */
bool ps_inject_fired(void);

#define SYS_INJECT()                                   \
	do {                                           \
		int inject_ = ps_inject_sys(__func__); \
		if (inject_)                           \
			return inject_;                \
	} while (0)

#else

static inline int ps_inject_sys(const char *name)
{
	(void)name;
	return 0;
}

#define SYS_INJECT() \
	do {         \
	} while (0)

#endif

#endif
