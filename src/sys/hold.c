/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hold: a reference to an open file that close(), closefrom() and close_range() do not reach.
 *
 * Goal: what the last reference to a file undoes is not undone behind our back. A userfaultfd that
 * is closed lets all of its memory go at once: who touches what is missing reads zeros, before
 * anybody can say that the descriptor is gone.
 *
 * The kernel has one place for such a reference: the table of a thread that does not share its
 * descriptors with the others. close_range(CLOSE_RANGE_UNSHARE) makes one. Locks of files (fcntl)
 * belong to the table that took them, so that nothing is unlocked when the copies are closed. What
 * a file system does whenever a descriptor is closed (NFS and FUSE write back) it does then.
 *
 * Rejected: an SCM_RIGHTS message in a socket (the socket is closed as well), a child process
 * (the VMM's wait() and its limits would see it), the reader's own read() (it holds the file only
 * while nobody touches anything).
 */
#include "sys/hold.h"

#include <errno.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/child.h"
#include "sys/inject.h"
#include "sys/thread.h"

#define STACK_BYTES (64u << 10)

struct hold {
	pthread_mutex_t lock;
	pthread_cond_t change;
	const int *fds; /* the caller's, who waits */
	unsigned int n;
	int err; /* 1: not known yet */
	bool ends;
};

static struct hold hold = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};

static int close_range_of(unsigned int first, unsigned int last, unsigned int flags)
{
	return syscall(SYS_close_range, first, last, flags) ? -errno : 0;
}

/* The smallest of them that is not below `from`; -1: none. */
static int next_of(const struct hold *h, unsigned int from)
{
	int next = -1;

	for (unsigned int i = 0; i < h->n; i++)
		if ((unsigned int)h->fds[i] >= from && (next < 0 || h->fds[i] < next))
			next = h->fds[i];
	return next;
}

/* The first call copies the table, so it is the one for what lies above all of them: that is not
 * even copied. */
static int keep_only(const struct hold *h)
{
	unsigned int at = 0, top = 0;
	int err, fd;

	for (unsigned int i = 0; i < h->n; i++)
		if ((unsigned int)h->fds[i] > top)
			top = (unsigned int)h->fds[i];
	err = close_range_of(top + 1, ~0u, CLOSE_RANGE_UNSHARE);
	while (!err && (fd = next_of(h, at)) >= 0) {
		err = at < (unsigned int)fd ? close_range_of(at, (unsigned int)fd - 1, 0) : 0;
		at = (unsigned int)fd + 1;
	}
	return err;
}

static void *holder(void *arg)
{
	struct hold *h = arg;
	int err = keep_only(h);

	pthread_mutex_lock(&h->lock);
	h->err = err;
	pthread_cond_broadcast(&h->change);
	while (!h->ends)
		pthread_cond_wait(&h->change, &h->lock);
	pthread_mutex_unlock(&h->lock);
	return NULL; /* the table goes with the thread */
}

int sys_hold(const int *fds, unsigned int n)
{
	pthread_t thread;
	int err;

	SYS_INJECT();
	if (sys_child_forbidden())
		return -EPERM;
	hold.fds = fds;
	hold.n = n;
	hold.err = 1;
	hold.ends = false;
	err = sys_thread_start(&thread, holder, &hold, "pshare-hold", STACK_BYTES);
	if (err)
		return err;
	pthread_mutex_lock(&hold.lock);
	while (hold.err > 0)
		pthread_cond_wait(&hold.change, &hold.lock);
	hold.ends = hold.err < 0;
	pthread_cond_broadcast(&hold.change);
	pthread_mutex_unlock(&hold.lock);
	return hold.err;
}

void sys_hold_end(void)
{
	pthread_mutex_lock(&hold.lock);
	hold.ends = true;
	pthread_cond_broadcast(&hold.change);
	pthread_mutex_unlock(&hold.lock);
}
