/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest: a VM as QEMU's monitor shows it: its memory, its balloon, whether it
 * runs. Each call asks QEMU and checks what it says. 0 or -errno as
 * qmp/client.h has it.
 */
#ifndef PSHARE_BALLOON_GUEST_H
#define PSHARE_BALLOON_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/balloon.h"
#include "qmp/client.h"

#define GUEST_PATH_MAX 192u

struct guest {
	struct qmp *qmp;
	char device[GUEST_PATH_MAX]; /* path of the virtio-balloon, as qom-list has it; "": none */
	bool oom;		     /* deflate-on-oom=on */
	bool reporting;		     /* free-page-reporting=on */
	uint64_t base, plugged;	     /* memory: at the start, and what was plugged in */
	uint64_t counted;	     /* of plugged: what QEMU's balloon counts (DIMMs) */
	uint32_t poll_s;	     /* as told to QEMU; 0: not yet */
};

/* Looks for the device; none is no error. */
int guest_find_balloon(struct guest *g);
/* How much memory there is. */
int guest_sizes(struct guest *g);
/* -ENODEV: there is no balloon (any more). */
int guest_actual(struct guest *g, uint64_t *actual);
/* What the driver said last; stamp 0 if it never did, or there is no device. */
int guest_figures(struct guest *g, struct balloon_figures *figures);
int guest_poll(struct guest *g, uint32_t seconds);
/* How much the balloon is to leave. */
int guest_leave(struct guest *g, uint64_t bytes);

int guest_runs(struct guest *g, bool *runs);
int guest_stop(struct guest *g);
int guest_go_on(struct guest *g);

#endif
