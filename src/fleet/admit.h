/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * admit: answers 'pshare run' on this host: may this VM start? Over RUNTIME_DIR/fleet.sock, one
 * message of JSON each way:
 *
 *	{"vm": NAME, "bytes": N}		N: its memory; 0: not known
 *	{"admit": true | false, "control": "off" | "warn" | "refuse", "checked": true | false,
 *	 "why": LINE}
 */
#ifndef PSHARE_FLEET_ADMIT_H
#define PSHARE_FLEET_ADMIT_H

#include <stdint.h>

#include "fleet/node.h"

#define ADMIT_SOCKET "fleet.sock"
/* Locked by the pshare-fleet that runs in RUNTIME_DIR; it stays when that one ends, and so says
 * that this host is in a fleet. */
#define ADMIT_LOCK "fleet.lock"
#define ADMIT_MESSAGE_MAX 4096u
#define ADMIT_WAIT_MS 15000 /* for an answer: longer than etcd is waited for */

struct admit;

struct admit_options {
	struct etcd *etcd;
	const struct fleet_config *config;
	struct node *node;
	const char *runtime_dir;
};

/* 0 or -errno; -EADDRINUSE: another pshare-fleet runs in the folder. */
int admit_new(struct admit **out, const struct admit_options *options);
struct admit *admit_free(struct admit *admit);
DEFINE_CLEANUP(struct admit *, admit, admit_free);
#define _cleanup_admit_ _cleanup_(cleanup_admit)

/* What to wait for; then does what there is to do. 0, or -errno: its socket was lost, and no other
 * can be had. */
#define ADMIT_FDS 17u
unsigned int admit_fds(struct admit *admit, struct curl_waitfd fds[ADMIT_FDS]);
int admit_work(struct admit *admit);

#endif
