/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * synth: a VM of paper for the benchmark: memory and threads as a VMM has them, content from a
 * seed, and commands on stdin. synth.c has the list.
 */
#ifndef PSHARE_BENCH_SYNTH_H
#define PSHARE_BENCH_SYNTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "layout.h"
#include "measure.h"

#define SCRATCH_PAGES 1024u /* at the end of memory: what the load writes to */
#define IO_PAGES 16u	    /* the last of them: where it reads files to */
#define TWINS_MAX 64u

/* A page that was made equal to one of another VM, after the layout was made. */
struct twin {
	uint32_t page;
	uint32_t number; /* of the other VM's */
};

struct synth {
	struct layout layout; /* of all pages before the scratch pages */
	uint8_t *ram;
	uint32_t pages;	      /* all */
	uint32_t *generation; /* of each page of the layout */
	uint64_t *shadow;     /* what the load wrote to the scratch pages */
	struct twin twins[TWINS_MAX];
	uint32_t ntwins;
	int pagemap;
	uint64_t random;
	char *file; /* for the I/O load; NULL: none */

	pthread_t changer;
	bool changing;
	atomic_bool stop;
	unsigned int period_ms; /* in which every page that changes is written once */
	_Atomic uint64_t changed;
};

static inline uint8_t *synth_page(const struct synth *s, uint32_t page)
{
	return s->ram + (size_t)page * MEASURE_PAGE;
}

uint64_t synth_random(struct synth *s);

/* Commands: their answers are written to out after "ok", without the newline. 0 or -errno. */
int do_change(struct synth *s, unsigned int period_ms);
void do_still(struct synth *s, FILE *out);
int do_load(struct synth *s, unsigned int ms, FILE *out);
int do_touch(struct synth *s, bool write, uint32_t n, unsigned int apart_us, FILE *out);
int do_dirty(struct synth *s, uint32_t permille, FILE *out);
int do_stalls(struct synth *s, unsigned int ms, unsigned int apart_us, FILE *out);
int do_twin(struct synth *s, uint32_t n, FILE *out);
uint32_t do_verify(struct synth *s);

#endif
