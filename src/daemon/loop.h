/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loop: one epoll, one thread. What can happen is the enum; mainloop.c has the switch.
 *
 * A source is embedded in its owner. An owner that goes away unwatches its sources at once, but is
 * freed only after the batch of events in hand: a source that was unwatched has fd -1 and its
 * events, which may still be in that batch, are skipped.
 */
#ifndef PSHARE_DAEMON_LOOP_H
#define PSHARE_DAEMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

enum loop_kind {
	LOOP_SIGNAL,	 /* a signal of the service manager or the terminal */
	LOOP_LISTEN,	 /* an agent connects */
	LOOP_API,	 /* the HTTP side has work */
	LOOP_SESSION,	 /* control message, or end of a session */
	LOOP_BELL,	 /* an agent rang: its ring has entries */
	LOOP_DEVICE,	 /* an agent wants the device of userfaultfds */
	LOOP_PROCESS,	 /* a VM's process ended */
	LOOP_BALLOON,	 /* pshare-balloon ended */
	LOOP_BALLOON_VM, /* what a VM's balloon worker reports, or its end */
};

struct loop_source {
	enum loop_kind kind;
	int fd; /* -1: not watched. The descriptor is the owner's. */
};

#define LOOP_READ 1u
#define LOOP_WRITE 2u

struct loop {
	int epoll;
};

int loop_init(struct loop *loop);
void loop_deinit(struct loop *loop);
/* events: LOOP_READ, LOOP_WRITE; level triggered. The end of a connection is always told. */
int loop_watch(struct loop *loop, struct loop_source *source, enum loop_kind kind, int fd,
	       unsigned int events);
int loop_change(struct loop *loop, struct loop_source *source, unsigned int events);
void loop_unwatch(struct loop *loop, struct loop_source *source);

/* Waits once, and calls handle for each event. Returns 0 or -errno. */
typedef void (*loop_handler)(void *arg, struct loop_source *source, unsigned int events);
int loop_turn(struct loop *loop, int timeout_ms, loop_handler handle, void *arg);

#endif
