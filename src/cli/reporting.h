/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reporting: does a QEMU let its guest give back memory that it does not use? */
#ifndef PSHARE_CLI_REPORTING_H
#define PSHARE_CLI_REPORTING_H

#include <stdbool.h>

/* From the words of a command line, one after the other; starts as zeros. Pure. */
struct reporting {
	bool qemu;    /* its first word is a QEMU */
	bool begun;   /* a word was read */
	bool balloon; /* it has a virtio-balloon */
	bool on;      /* which reports free pages */
};

void reporting_word(struct reporting *reporting, const char *word);

#endif
