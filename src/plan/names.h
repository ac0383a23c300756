/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* names: texts kept once, and numbered in the order in which they came. */
#ifndef PSHARE_PLAN_NAMES_H
#define PSHARE_PLAN_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct plan_names {
	char *text;
	size_t length, room;
	uint32_t *at;	 /* of number i, where its text begins */
	uint32_t *slots; /* number + 1; 0: free. A power of two of them */
	uint32_t n, at_room, nslots;
};

void plan_names_free(struct plan_names *names);
/* Number of a text; made if it is not there (*made, which may be NULL). Or -ENOMEM. */
int64_t plan_names_put(struct plan_names *names, const char *text, int *made);
/* -1: there is none. */
int64_t plan_names_find(const struct plan_names *names, const char *text);
const char *plan_names_get(const struct plan_names *names, uint32_t number);

#endif
