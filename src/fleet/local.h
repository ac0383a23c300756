/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * local: what a node asks of its host: the daemon's API, and what the kernel says. Behind pointers,
 * so that one process can stand for thousands of hosts in a measurement.
 */
#ifndef PSHARE_FLEET_LOCAL_H
#define PSHARE_FLEET_LOCAL_H

#include "fleet/http.h"

/* error 0: json is the daemon's answer of status 200, borrowed. Else -errno, why one line:
 * -ENOTCONN no daemon answers, -EINVAL it refused for good, -ETIMEDOUT it cannot for now, or it was
 * not in force in time. */
typedef void (*local_done)(void *arg, int error, const char *why, json_t *json);

struct local {
	/* done() is called later, never from within these. */
	int (*get)(struct local *local, const char *path, local_done done, void *arg);
	int (*put)(struct local *local, const char *setting, json_t *value, local_done done,
		   void *arg); /* takes value */
	/* {"memory": {"total": .., "available": ..}, "cpus": .., "kernel": ".."}: a new reference
	 * */
	json_t *(*facts)(struct local *local);
	/* Starts 'pshare audit'; its answer is fetched with audit_end() until that is not NULL. */
	int (*audit)(struct local *local);
	json_t *(*audit_end)(struct local *local);
};

/* The daemon of this runtime folder. */
struct local_daemon;
int local_daemon_new(struct local_daemon **out, struct http *http, const char *runtime_dir);
struct local_daemon *local_daemon_free(struct local_daemon *daemon);
DEFINE_CLEANUP(struct local_daemon *, local_daemon, local_daemon_free);
#define _cleanup_local_ _cleanup_(cleanup_local_daemon)
struct local *local_of(struct local_daemon *daemon);

#endif
