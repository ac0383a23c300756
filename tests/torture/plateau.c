/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plateau: the last third of a run is to need no more than the middle one.
 *
 * Of mappings the fewest count: what grows for good grows there too, while the most are those of a
 * moment in which much was written, and not brought back yet.
 *
 * Memory depends on the budget, which changes all the time; its course is the same in each third.
 * So like is compared with like: the mean of the samples with plenty, and of those with little. A
 * mean, because single samples jump: what has just been taken out is in quarantine, and counts
 * twice, and that is anything from nothing to all of a guest.
 */
#include "plateau.h"

#include <limits.h>
#include <stdio.h>

#include "lib/util.h"

#define ENOUGH 20u	  /* samples: with less nothing can be said */
#define MAPPINGS_A_PAGE 2 /* a frame, and the rest of the mapping that it cuts */
#define MAPPINGS_CHANCE 2000
#define MEMORY_CHANCE_KIB 32768

struct part {
	long mappings_least, shared_most;
	long shared_then; /* when the mappings were fewest */
	double kib[2];	  /* by want: the mean of what would be private if nothing were shared */
	uint32_t n[2];
};

void plateau_add(struct plateau *p, const struct sample *s)
{
	if (p->n < PLATEAU_SAMPLES)
		p->sample[p->n++] = *s;
}

static struct part part_of(const struct plateau *p, uint32_t i)
{
	struct part part = {.mappings_least = LONG_MAX};

	for (uint32_t k = p->n * i / PLATEAU_PARTS; k < p->n * (i + 1) / PLATEAU_PARTS; k++) {
		const struct sample *s = &p->sample[k];

		part.kib[s->want] += (double)s->anon_kib + s->file * (T_PAGE >> 10);
		part.n[s->want]++;
		if (s->mappings < part.mappings_least) {
			part.mappings_least = s->mappings;
			part.shared_then = s->file;
		}
		if (s->file > part.shared_most)
			part.shared_most = s->file;
	}
	for (int want = 0; want < 2; want++)
		part.kib[want] /= part.n[want] ? part.n[want] : 1;
	return part;
}

const char *plateau_judge(const struct plateau *p)
{
	static char what[160];
	struct part middle = part_of(p, PLATEAU_PARTS - 2), last = part_of(p, PLATEAU_PARTS - 1);
	long more = last.shared_most - middle.shared_most,
	     then = last.shared_then - middle.shared_then;

	t_note("plateau: at least %ld mappings, then %ld; private or shared on the mean %.0f MiB "
	       "with plenty, then %.0f, and %.0f MiB with little, then %.0f",
	       middle.mappings_least, last.mappings_least, middle.kib[0] / 1024, last.kib[0] / 1024,
	       middle.kib[1] / 1024, last.kib[1] / 1024);
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
	for (int want = 0; want < 2; want++) {
		if (!middle.n[want] || !last.n[want] ||
		    last.kib[want] <= middle.kib[want] * 1.1 + MEMORY_CHANCE_KIB)
			continue;
		snprintf(what, sizeof(what),
			 "memory grows: %.0f KiB in the middle third, %.0f in the last, with %s",
			 middle.kib[want], last.kib[want], want ? "little" : "plenty");
		return what;
	}
	return NULL;
}
