/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owners that clean up after themselves: a local variable that owns something is tagged, and the
 * thing leaves the function only by TAKE_PTR() or TAKE_FD(). So one function can be shown to be
 * free of leaks without reading the functions that it calls.
 *
 *	_cleanup_close_ int fd = -1;
 *	_cleanup_free_ char *text = NULL;
 *	...
 *	*out = TAKE_FD(fd);
 *
 * A tagged variable is always initialised where it stands. errno is kept across a cleanup.
 */
#ifndef PSHARE_SYS_CLEANUP_H
#define PSHARE_SYS_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Defines cleanup_NAME() for a pointer type whose "nothing" is NULL. */
#define DEFINE_CLEANUP(type, name, release)            \
	static inline void cleanup_##name(type *owner) \
	{                                              \
		int saved_errno = errno;               \
		if (*owner)                            \
			release(*owner);               \
		errno = saved_errno;                   \
	}                                              \
	struct cleanup_##name##_needs_a_semicolon

static inline void cleanup_free(void *owner)
{
	int saved_errno = errno;

	free(*(void **)owner);
	errno = saved_errno;
}

static inline void cleanup_close(int *fd)
{
	int saved_errno = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved_errno;
}

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

DEFINE_CLEANUP(FILE *, fclose, fclose);
DEFINE_CLEANUP(DIR *, closedir, closedir);

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

/* The value of an owner, which owns nothing afterwards. */
#define TAKE_PTR(owner)                               \
	({                                            \
		__typeof__(owner) *owner_ = &(owner); \
		__typeof__(owner) taken_ = *owner_;   \
		*owner_ = NULL;                       \
		taken_;                               \
	})
#define TAKE_FD(fd) take_fd(&(fd))

/* Closes the descriptor that an owner outside of a function holds, and empties the owner. */
static inline void close_fd(int *fd)
{
	cleanup_close(fd);
	*fd = -1;
}

#endif
