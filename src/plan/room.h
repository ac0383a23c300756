/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* room: which host has so much left? First fit in log n, best fit in next to nothing. */
#ifndef PSHARE_PLAN_ROOM_H
#define PSHARE_PLAN_ROOM_H

#include <stdint.h>

#define PLAN_NO_ROOM UINT32_MAX

struct plan_room {
	double *left; /* of host h, pages; below 0: it has more than it can hold */
	uint32_t n;
	/* first fit: a tree of maxima; leaf h is tree[leaves + h] */
	float *tree;
	uint32_t leaves;
	/* best fit: hosts by what they have left, in units */
	double unit;
	uint32_t nbuckets;
	uint32_t *head, *next, *prev; /* of a bucket; of host h */
	uint64_t *some;		      /* a bit a bucket: is anybody in it? */
};

/* left is taken over as it is, and stays the caller's. */
int plan_room_init(struct plan_room *room, double *left, uint32_t n);
void plan_room_free(struct plan_room *room);
/* The host with the lowest number that has pages left; PLAN_NO_ROOM. */
uint32_t plan_room_first(const struct plan_room *room, double pages);
/* The host that would have least left. */
uint32_t plan_room_best(const struct plan_room *room, double pages);
void plan_room_take(struct plan_room *room, uint32_t host, double pages);

#endif
