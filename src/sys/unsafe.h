/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unsafe: in a build with -Dinject=true a defence can be taken out by its name, to see that the
 * test of its danger then fails (tests/system/dangers.c lists the names). In any other build
 * ps_unsafe() is false and the compiler drops what it guards.
 *
 *   PSHARE_TEST_UNSAFE=name,name
 */
#ifndef PSHARE_SYS_UNSAFE_H
#define PSHARE_SYS_UNSAFE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef PSHARE_INJECT

/* Is the defence of that name out? */
bool ps_unsafe(const char *name);
/* Some milliseconds: makes a window that a defence closes wide enough to be met. */
void ps_unsafe_pause(void);
/* malloc() and free() of a block that no cache of the thread serves. */
void ps_unsafe_malloc(void);
/* A duplicate of fd. */
int ps_unsafe_dup(int fd);
/* Waits until the daemon of that agent.sock has answered a question, or is not there. */
void ps_unsafe_ask(const char *agent_sock);
/* Keeps a copy of a secret for ever. */
void ps_unsafe_keep(const void *secret, size_t len);

#else

static inline bool ps_unsafe(const char *name)
{
	(void)name;
	return false;
}

static inline void ps_unsafe_pause(void)
{
}

static inline void ps_unsafe_malloc(void)
{
}

static inline int ps_unsafe_dup(int fd)
{
	(void)fd;
	return -1;
}

static inline void ps_unsafe_ask(const char *agent_sock)
{
	(void)agent_sock;
}

static inline void ps_unsafe_keep(const void *secret, size_t len)
{
	(void)secret;
	(void)len;
}

#endif

#endif
