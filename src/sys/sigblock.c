/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/sigblock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By number: libc's own keeps two signals open, one of which cancels threads. */
static void set_mask(const uint64_t *mask, uint64_t *before)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, before, sizeof(*mask));
}

void sigblock_save(struct sigblock *saved)
{
	const uint64_t all = ~(uint64_t)0;

	saved->error = errno;
	set_mask(&all, &saved->mask);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &saved->cancel);
}

void sigblock_restore(const struct sigblock *saved)
{
	pthread_setcancelstate(saved->cancel, NULL);
	errno = saved->error;
	set_mask(&saved->mask, NULL);
}
