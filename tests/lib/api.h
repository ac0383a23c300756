/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api: a daemon of a test's own, in a runtime folder of its own, and its HTTP API.
 * Nothing here touches a daemon or a VM that the test did not start.
 */
#ifndef PSHARE_TEST_API_H
#define PSHARE_TEST_API_H

#include "util.h"

struct t_daemon {
	char dir[128]; /* runtime folder: agent.sock, api.sock, log */
	pid_t pid;     /* 0: not running */
};

/* Makes the folder only. Every test that uses the others starts so. */
void t_daemon_init(struct t_daemon *d);
/* What a test of sharing needs, or it does not run: root, and the agent and the daemon built. */
void t_need_product(void);
/* A test of sharing begins: t_need_product(), then a daemon of its own at full speed. */
void t_daemon_fresh(struct t_daemon *d);
/* Starts pshared there and waits until its API answers. extra (may be NULL): more arguments.
 * pre (may be NULL) runs in the child before exec: limits, cgroups. */
void t_daemon_start(struct t_daemon *d, const char *const *extra, void (*pre)(void *), void *arg);
/* The same, but a daemon that ends while it starts is the caller's business: false, *status is
 * what it ended with. */
bool t_daemon_try(struct t_daemon *d, const char *const *extra, void (*pre)(void *), void *arg,
		  int *status);
/* kill(sig) and reap. */
void t_daemon_kill(struct t_daemon *d, int sig);
/* Ends what runs and removes the folder. The last lines of the log go to stderr if the daemon did
 * not end by itself with status 0. */
void t_daemon_free(struct t_daemon *d);

/* One request. The status code, or -errno if nobody answered; body is NUL terminated. */
int t_http(const struct t_daemon *d, const char *method, const char *path, const char *send,
	   char *body, size_t size);

/* A number of the API: GET path, then a way through the JSON, "a/b/c"; -1 if there is none. */
double t_api_number(const struct t_daemon *d, const char *path, const char *way);

/* PUT of a setting with a JSON value as text ("2", "true", "\"x\""). The status code. */
int t_setting_put(const struct t_daemon *d, const char *name, const char *value);
/* The same for one VM's setting. */
int t_vm_setting_put(const struct t_daemon *d, const char *vm, const char *name, const char *json);
/* Everything as fast as the daemon lets it go, 4 KiB pages at once: what a torture needs. */
void t_daemon_full_speed(const struct t_daemon *d);

#endif
