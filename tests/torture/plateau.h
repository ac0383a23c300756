/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plateau: mappings and memory of a run, and whether they grow for good. */
#ifndef PSHARE_TORTURE_PLATEAU_H
#define PSHARE_TORTURE_PLATEAU_H

#include <stdbool.h>
#include <stdint.h>

#define PLATEAU_PARTS 3	      /* of a run, which are compared */
#define PLATEAU_SAMPLES 4096u /* one a second for an hour, and some */

struct sample {
	long mappings, anon_kib;
	uint32_t file, present;
	bool want; /* taken while the budget was small */
};

struct plateau {
	struct sample sample[PLATEAU_SAMPLES];
	uint32_t n;
};

/* What does not fit is not kept. */
void plateau_add(struct plateau *p, const struct sample *s);

/* NULL, or what grows. The text is good until the next call. Says the figures. */
const char *plateau_judge(const struct plateau *p);

#endif
