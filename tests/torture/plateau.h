/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plateau: mappings and memory of a run, and whether they grow for good. */
#ifndef PSHARE_TORTURE_PLATEAU_H
#define PSHARE_TORTURE_PLATEAU_H

#include <stdint.h>

#define PLATEAU_PARTS 3	      /* of a run, which are compared */
#define PLATEAU_SAMPLES 4096u /* one a second for an hour, and some */
#define PLATEAU_VMS 16u

struct sample {
	long mappings, anon_kib;
	uint32_t file, present;
	long beside_kib
		[PLATEAU_VMS]; /* anonymous memory of a VM's process that is none of its guest's */
};

struct plateau {
	struct sample sample[PLATEAU_SAMPLES];
	uint32_t n, vms;
};

/* What does not fit is not kept. */
void plateau_add(struct plateau *p, const struct sample *s);

/* NULL, or what grows. The text is good until the next call. Says the figures. */
const char *plateau_judge(const struct plateau *p);

#endif
