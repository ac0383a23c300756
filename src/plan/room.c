/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree holds what is left in single precision, rounded up: a leaf that it finds is looked at
 * exactly, and passed over if it was rounding alone.
 *
 * For best fit hosts hang in lists by what they have left, in units of 1/65536 of the largest: the
 * first list that is not empty has the best, but for a unit, and of the first SCAN hosts of the
 * lowest lists the best is looked for exactly.
 */
#include "plan/room.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 65536u
#define SCAN 64u
#define WORD 64u

static float rounded_up(double pages)
{
	float f = (float)pages;

	return (double)f < pages ? nextafterf(f, INFINITY) : f;
}

static uint32_t bucket_of(const struct plan_room *room, double left)
{
	uint32_t bucket = left > 0 ? (uint32_t)(left / room->unit) : 0;

	return bucket < room->nbuckets ? bucket : room->nbuckets - 1;
}

static void hang(struct plan_room *room, uint32_t host)
{
	uint32_t bucket = bucket_of(room, room->left[host]);

	room->prev[host] = PLAN_NO_ROOM;
	room->next[host] = room->head[bucket];
	if (room->head[bucket] != PLAN_NO_ROOM)
		room->prev[room->head[bucket]] = host;
	room->head[bucket] = host;
	room->some[bucket / WORD] |= 1ull << bucket % WORD;
}

static void unhang(struct plan_room *room, uint32_t host)
{
	uint32_t bucket = bucket_of(room, room->left[host]);
	uint32_t prev = room->prev[host], next = room->next[host];

	if (next != PLAN_NO_ROOM)
		room->prev[next] = prev;
	if (prev != PLAN_NO_ROOM)
		room->next[prev] = next;
	else
		room->head[bucket] = next;
	if (room->head[bucket] == PLAN_NO_ROOM)
		room->some[bucket / WORD] &= ~(1ull << bucket % WORD);
}

int plan_room_init(struct plan_room *room, double *left, uint32_t n)
{
	double most = 1;

	*room = (struct plan_room){.left = left, .n = n, .leaves = 1, .nbuckets = BUCKETS};
	while (room->leaves < n)
		room->leaves *= 2;
	room->tree = malloc(2 * (size_t)room->leaves * sizeof(*room->tree));
	room->head = malloc(BUCKETS * sizeof(*room->head));
	room->next = malloc(((size_t)n + 1) * sizeof(*room->next));
	room->prev = malloc(((size_t)n + 1) * sizeof(*room->prev));
	room->some = calloc(BUCKETS / WORD, sizeof(*room->some));
	if (!room->tree || !room->head || !room->next || !room->prev || !room->some)
		return -ENOMEM;
	for (uint32_t h = 0; h < n; h++)
		most = left[h] > most ? left[h] : most;
	room->unit = most / (BUCKETS - 1);
	memset(room->head, 0xff, BUCKETS * sizeof(*room->head));
	for (uint32_t h = n; h-- > 0;)
		hang(room, h);
	for (uint32_t h = 0; h < room->leaves; h++)
		room->tree[room->leaves + h] = h < n ? rounded_up(left[h]) : -INFINITY;
	for (uint32_t i = room->leaves; i-- > 1;)
		room->tree[i] = fmaxf(room->tree[2 * i], room->tree[2 * i + 1]);
	return 0;
}

void plan_room_free(struct plan_room *room)
{
	free(room->tree);
	free(room->head);
	free(room->next);
	free(room->prev);
	free(room->some);
	*room = (struct plan_room){0};
}

uint32_t plan_room_first(const struct plan_room *room, double pages)
{
	float least = (float)pages;
	uint32_t i = 1;

	if ((double)least > pages)
		least = nextafterf(least, -INFINITY);
	if (!room->n || room->tree[1] < least)
		return PLAN_NO_ROOM;
	for (;;) {
		while (i < room->leaves)
			i = room->tree[2 * i] >= least ? 2 * i : 2 * i + 1;
		if (i - room->leaves < room->n && room->left[i - room->leaves] >= pages)
			return i - room->leaves;
		/* rounding alone: on to the next leaf that may do */
		for (;;) {
			while (i & 1)
				i /= 2;
			if (!i)
				return PLAN_NO_ROOM;
			i++;
			if (room->tree[i] >= least)
				break;
		}
	}
}

uint32_t plan_room_best(const struct plan_room *room, double pages)
{
	uint32_t best = PLAN_NO_ROOM, scanned = 0;
	uint32_t bucket = bucket_of(room, pages);

	for (uint32_t word = bucket / WORD; word < room->nbuckets / WORD; word++) {
		uint64_t bits = room->some[word];

		if (word == bucket / WORD)
			bits &= ~0ull << bucket % WORD;
		for (; bits; bits &= bits - 1) {
			uint32_t at = word * WORD + (uint32_t)__builtin_ctzll(bits);

			for (uint32_t h = room->head[at]; h != PLAN_NO_ROOM && scanned < SCAN;
			     h = room->next[h], scanned++)
				if (room->left[h] >= pages &&
				    (best == PLAN_NO_ROOM || room->left[h] < room->left[best]))
					best = h;
			if (best != PLAN_NO_ROOM)
				return best;
			scanned = 0;
		}
	}
	return PLAN_NO_ROOM;
}

void plan_room_take(struct plan_room *room, uint32_t host, double pages)
{
	uint32_t i = room->leaves + host;

	unhang(room, host);
	room->left[host] -= pages;
	hang(room, host);
	room->tree[i] = rounded_up(room->left[host]);
	while (i /= 2) {
		float most = fmaxf(room->tree[2 * i], room->tree[2 * i + 1]);

		if (room->tree[i] == most)
			break;
		room->tree[i] = most;
	}
}
