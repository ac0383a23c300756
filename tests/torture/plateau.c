/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plateau: the last third of a run is to need no more than the middle one.
 *
 * The least counts, of mappings and of memory: what grows for good grows there too, while the most
 * and the mean are those of moments in which much was written or taken out, and not brought back
 * yet. What has just been taken out counts twice until its quarantine is over, which is anything
 * from nothing to all of a guest, and the longer the quarantine, a setting that is changed all the
 * time, the more. So the mean of a third differs from another's by 70 MiB of 320, and tells nothing
 * (measured: 330 and 390 MiB in runs of 55 s and of 300 s alike, in which 7 MiB beside the guest
 * remained the least for ever).
 *
 * What a VM has, and what of that is its guest's, are read one after the other. On a busy machine
 * much is taken out in between: then the guest has more than all (-58 MiB beside it, seen next to
 * fifty other VMs). Such a sample says nothing, and is left out.
 */
#include "plateau.h"

#include <limits.h>
#include <stdio.h>

#include "lib/util.h"

#define ENOUGH 20u	  /* samples: with less nothing can be said */
#define MAPPINGS_A_PAGE 2 /* a frame, and the rest of the mapping that it cuts */
#define MAPPINGS_CHANCE 2000
#define BESIDE_CHANCE_KIB 32768

struct part {
	long mappings_least, shared_most;
	long shared_then;	      /* when the mappings were fewest */
	long beside_kib[PLATEAU_VMS]; /* of each VM: the least */
};

void plateau_add(struct plateau *p, const struct sample *s)
{
	if (p->n < PLATEAU_SAMPLES)
		p->sample[p->n++] = *s;
}

static struct part part_of(const struct plateau *p, uint32_t i)
{
	struct part part = {.mappings_least = LONG_MAX};

	for (uint32_t vm = 0; vm < PLATEAU_VMS; vm++)
		part.beside_kib[vm] = LONG_MAX;
	for (uint32_t k = p->n * i / PLATEAU_PARTS; k < p->n * (i + 1) / PLATEAU_PARTS; k++) {
		const struct sample *s = &p->sample[k];

		for (uint32_t vm = 0; vm < PLATEAU_VMS; vm++)
			if (s->beside_kib[vm] >= 0 && s->beside_kib[vm] < part.beside_kib[vm])
				part.beside_kib[vm] = s->beside_kib[vm];
		if (s->mappings < part.mappings_least) {
			part.mappings_least = s->mappings;
			part.shared_then = s->file;
		}
		if (s->file > part.shared_most)
			part.shared_most = s->file;
	}
	return part;
}

const char *plateau_judge(const struct plateau *p)
{
	static char what[160];
	struct part middle = part_of(p, PLATEAU_PARTS - 2), last = part_of(p, PLATEAU_PARTS - 1);
	long more = last.shared_most - middle.shared_most,
	     then = last.shared_then - middle.shared_then;

	t_note("plateau: at least %ld mappings, then %ld", middle.mappings_least,
	       last.mappings_least);
	if (p->n < ENOUGH)
		return NULL;
	/* the settings may have let less be shared before, or for a moment nothing at all */
	more = then > more ? then : more;
	more = more > 0 ? MAPPINGS_A_PAGE * more : 0;
	if (last.mappings_least > middle.mappings_least * 4 / 3 + MAPPINGS_CHANCE + more) {
		snprintf(what, sizeof(what),
			 "mappings grow: %ld in the middle third, %ld in the last",
			 middle.mappings_least, last.mappings_least);
		return what;
	}
	for (uint32_t vm = 0; vm < p->vms; vm++) {
		if (middle.beside_kib[vm] == LONG_MAX || last.beside_kib[vm] == LONG_MAX)
			continue;
		t_note("plateau: VM %u has at least %ld MiB beside its guest, then %ld", vm,
		       middle.beside_kib[vm] >> 10, last.beside_kib[vm] >> 10);
		if (last.beside_kib[vm] <= middle.beside_kib[vm] + BESIDE_CHANCE_KIB)
			continue;
		snprintf(what, sizeof(what),
			 "memory grows: VM %u has at least %ld KiB beside its guest in the middle "
			 "third, %ld in the last",
			 vm, middle.beside_kib[vm], last.beside_kib[vm]);
		return what;
	}
	return NULL;
}
