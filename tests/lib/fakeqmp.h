/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fakeqmp: a QEMU's monitor of a test's own, honest or not. It serves each connection in a thread,
 * knows the commands that a balloon needs, and has a guest of paper behind it that follows at once.
 */
#ifndef PSHARE_TEST_FAKEQMP_H
#define PSHARE_TEST_FAKEQMP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum fakeqmp_kind {
	FAKEQMP_HONEST,
	FAKEQMP_NO_OOM, /* no deflate-on-oom */
	FAKEQMP_NO_DEVICE,
	FAKEQMP_NO_DRIVER,
	FAKEQMP_NO_ROOM, /* the guest takes a target and does not move */
	FAKEQMP_REFUSES, /* the command balloon */
	FAKEQMP_SILENT,	 /* no greeting */
	FAKEQMP_STALLS,	 /* after its capabilities */
	FAKEQMP_CLOSES,	 /* in the middle of its third answer */
	FAKEQMP_WRONG_ID,
	FAKEQMP_NO_JSON,
	FAKEQMP_FLOODS, /* events without end */
	FAKEQMP_HUGE,	/* an answer without end */
	FAKEQMP_DEEP,
	FAKEQMP_DRIPS,	    /* a byte now and then */
	FAKEQMP_IMPOSSIBLE, /* more is left than there is */
	FAKEQMP_HUSHED,	    /* the first stop is done, and nothing answered any more there */
	FAKEQMP_KINDS
};

struct fakeqmp {
	enum fakeqmp_kind kind;
	pthread_mutex_t lock; /* of all below */
	uint64_t size, left;  /* memory; what the balloon leaves */
	uint64_t need;	      /* what the guest uses: the rest is available */
	uint64_t stamp;	      /* of the figures: grows with each question */
	bool runs;
	unsigned int stops, conts, targets, connections;
};

void fakeqmp_init(struct fakeqmp *q, enum fakeqmp_kind kind);
/* A connection to it: the client's end. */
int fakeqmp_connect(struct fakeqmp *q);
/* Serves what connects to the listener, one after the other, for ever. */
void fakeqmp_listen(struct fakeqmp *q, int listener);

uint64_t fakeqmp_left(struct fakeqmp *q);
void fakeqmp_need(struct fakeqmp *q, uint64_t bytes);
bool fakeqmp_runs(struct fakeqmp *q);
void fakeqmp_set_runs(struct fakeqmp *q, bool runs);
unsigned int fakeqmp_stops(struct fakeqmp *q);
unsigned int fakeqmp_conts(struct fakeqmp *q);
unsigned int fakeqmp_connections(struct fakeqmp *q);

#endif
