/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * walk: a life is lived again and again, each time with another N: its Nth system call or
 * allocation fails (src/sys/inject.h), for every N there is. Some lives at a time, each in a
 * process of its own, as most of a life is waiting. The walk ends when so many lives in a row were
 * too short for their N that there is no further one.
 */
#ifndef PSHARE_TEST_WALK_H
#define PSHARE_TEST_WALK_H

#include "util.h"

/* What a life returns: its Nth call was reached, and failed; or it had fewer. */
enum walk_end { WALK_FIRED = 40, WALK_MISSED };

struct walk {
	const char *what; /* PSHARE_INJECT_SYS or PSHARE_INJECT_ALLOC */
	/* One life; *walk is the caller's. A failure in it ends the walk and the test. */
	enum walk_end (*life)(uint32_t n, const struct walk *walk);
	const char *const *errors; /* the names, by turns, of the errno with which it fails */
	uint32_t nerrors;
	uint32_t step;	/* every so many N are taken */
	uint32_t lives; /* at the same time, at most WALK_LIVES_MAX */
	uint32_t last;	/* so many misses in a row end it */
};

#define WALK_LIVES_MAX 16u

/* The errno of that N. */
const char *walk_error(const struct walk *walk, uint32_t n);

/* What the life of that N says, to be shown if it fails: WALK_SAYS in the folder of the test. */
void walk_log(uint32_t n, char *path, size_t size);

/* True if the text is in what it said. */
bool walk_said(uint32_t n, const char *text);

/* Notes all that it said. */
void walk_show(const struct walk *walk, uint32_t n);

/* Returns how many lives had a failure. Begins at $INJECT_FROM, where that is set. */
uint32_t walk_all(const struct walk *walk);

#endif
