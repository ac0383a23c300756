/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api: the HTTP server of the daemon, on a unix socket and, where asked for, on a port of the host
 * itself, within the daemon's one loop.
 *
 * The core watches api_fd() for reading in its own epoll and calls api_dispatch() when it is
 * ready; nothing of it blocks. The listener is the core's and must outlive the api.
 */
#ifndef PSHARE_DAEMON_API_H
#define PSHARE_DAEMON_API_H

#include <stdint.h>

struct api;
struct daemon;
struct role_groups;

/* listener: a listening non-blocking stream socket on a unix path. groups: whose members may do
 * more than look; copied. 0 or -errno. */
int api_new(struct api **out, struct daemon *daemon, int listener,
	    const struct role_groups *groups);

/* Serves a port of the host itself too, for looking alone; the listener stays the core's. 0 or
 * -errno. */
int api_serve_port(struct api *api, int listener);

/* Answers those who still wait for a change with 503, closes all connections. NULL is fine.
 * Returns NULL. */
struct api *api_free(struct api *api);

/* An epoll descriptor, the api's own: readable when there is something to do. */
int api_fd(const struct api *api);
void api_dispatch(struct api *api);

/* When the last request came in (CLOCK_MONOTONIC, ns; 0: never), for --exit-when-idle: somebody
 * who has just asked is about to come with a VM. */
uint64_t api_last_request(const struct api *api);

#endif
