/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plant: a process that does one thing which an audit must find (tests/system/plant.c). */
#ifndef PSHARE_TEST_PLANT_H
#define PSHARE_TEST_PLANT_H

#include <sys/types.h>

struct plant {
	pid_t pid;
	int input; /* closing it ends the plant */
};

/* name: what its program is called; NULL: plant. Returns when it has done it. */
struct plant plant(const char *name, const char *what, const char *word);
/* Any program that says "ready" in a line when it has begun, and ends when its input does. folder:
 * where it runs; NULL: here. */
struct plant plant_words(const char *folder, const char *const *words);
void uproot(struct plant *p);

#endif
