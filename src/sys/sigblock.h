/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For a stretch of code in somebody else's thread that must be run through: no signal handler runs
 * in the thread, and it is not cancelled. The counterpart of the kernel's local_irq_save().
 */
#ifndef PSHARE_SYS_SIGBLOCK_H
#define PSHARE_SYS_SIGBLOCK_H

#include <stdint.h>

struct sigblock {
	uint64_t mask; /* the kernel's sigset_t */
	int cancel;
	int error; /* errno: the stretch leaves it as it found it */
};

/* Blocks every signal, those that libc keeps for itself too, and cancellation. */
void sigblock_save(struct sigblock *saved);
/* As before. What is pending now comes. */
void sigblock_restore(const struct sigblock *saved);

#endif
