/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: connections of the API.
 *
 * libmicrohttpd does the HTTP, without a thread: its epoll descriptor, the listener and a timer
 * sit in an epoll of ours, which the core watches as one descriptor. We accept ourselves, because
 * the caps are by user: who connects is known from SO_PEERCRED before a byte is read. A user who
 * does not administer may hold API_CONNECTIONS_UID connections, all such users
 * together API_CONNECTIONS_OTHERS; so nobody can keep the administrator out. One too many is told
 * so (503) and closed.
 *
 * Time: libmicrohttpd's timeout starts anew with each byte, so a client that sends one byte a
 * second would never meet it. We count from the connection, or from the end of the request
 * before: a request must be whole, and its answer taken, within API_REQUEST_NS. The time during
 * which a change is under way is the daemon's own and does not count. Who is late has his socket
 * shut down, which libmicrohttpd then sees as an end.
 *
 * Rejected: libmicrohttpd's own accept and its limits (it knows addresses, not users); a thread
 * for the API (every view would need a lock).
 */
#include "daemon/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api-internal.h"
#include "daemon/json.h"
#include "daemon/peer.h"
#include "sys/cleanup.h"
#include "sys/events.h"
#include "sys/proc.h"
#include "sys/self.h"
#include "sys/sock.h"

#define TICK_NS 1000000000ull
#define EVENTS_MAX 4
#define ROUNDS_MAX 64u /* of libmicrohttpd in one dispatch; then others have their turn */
#define CONN_MEMORY (32u * 1024u) /* for headers and one stretch of body */

#define TOO_MANY                                                           \
	"{\"type\": \"about:blank\", \"title\": \"Service Unavailable\", " \
	"\"status\": 503, \"detail\": \"too many connections; close some of them\"}\n"

static bool is_trusted(const struct view_peer *peer)
{
	return peer->role == ROLE_ADMINISTER;
}

static void conn_link(struct api *api, struct api_conn *conn)
{
	conn->next = api->conns;
	conn->link = &api->conns;
	if (conn->next)
		conn->next->link = &conn->next;
	api->conns = conn;
	api->nconns++;
}

static struct api_conn *conn_free(struct api *api, struct api_conn *conn)
{
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	api->nconns--;
	free(conn);
	return NULL;
}

static bool has_room(const struct api *api, const struct view_peer *peer)
{
	const struct api_conn *conn;
	unsigned int same = 0;
	unsigned int others = 0;

	if (api->nconns >= API_CONNECTIONS_MAX)
		return false;
	if (is_trusted(peer))
		return true;
	for (conn = api->conns; conn; conn = conn->next) {
		others += !is_trusted(&conn->peer);
		same += conn->peer.uid == peer->uid;
	}
	return same < API_CONNECTIONS_UID && others < API_CONNECTIONS_OTHERS;
}

/* libmicrohttpd tells that it has taken a connection, or that it is done with it. */
static void notify_connection(void *arg, struct MHD_Connection *mhd, void **slot,
			      enum MHD_ConnectionNotificationCode what)
{
	struct api *api = arg;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		/* within MHD_add_connection(): the newest is the one */
		api->conns->mhd = mhd;
		api->conns->served = true;
		*slot = api->conns;
	} else if (*slot) {
		*slot = conn_free(api, *slot);
	}
}

/* Hands a connection over to libmicrohttpd, which owns the descriptor from here on. */
static int serve(struct api *api, int taken, const struct view_peer *peer, bool tcp)
{
	struct sockaddr address = {.sa_family = AF_UNIX};
	struct api_conn *conn = calloc(1, sizeof(*conn));
	_cleanup_close_ int fd = taken;

	if (!conn)
		return -ENOMEM;
	conn->fd = fd;
	conn->peer = *peer;
	conn->tcp = tcp;
	conn->since = sys_now();
	conn_link(api, conn);
	if (MHD_add_connection(api->mhd, TAKE_FD(fd), &address, sizeof(address)) == MHD_YES)
		return 0;
	/* where it was taken and then dropped, notify_connection() has freed it */
	if (api->conns == conn && !conn->served)
		conn_free(api, conn);
	return -ENOMEM;
}

static void turn_away(int fd)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 503 Service Unavailable\r\n"
			 "Content-Type: application/problem+json\r\n"
			 "Connection: close\r\n"
			 "Content-Length: %zu\r\n\r\n%s",
			 sizeof(TOO_MANY) - 1, TOO_MANY);

	(void)sys_send_fds(fd, text, (size_t)n, NULL, 0);
}

/* One connection off the queue; -EAGAIN when there is none. */
static int accept_one(struct api *api, bool tcp)
{
	_cleanup_close_ int fd = sys_unix_accept(tcp ? api->port : api->listener);
	/* who comes to the port is nobody in particular, and may look */
	struct view_peer peer = {.uid = VIEW_NO_UID,
				 .gid = VIEW_NO_UID,
				 .login_uid = VIEW_NO_UID,
				 .role = ROLE_LOOK};
	int r;

	if (fd < 0)
		return fd;
	r = tcp ? 0 : peer_of_socket(fd, &api->groups, &peer);
	if (r)
		return 0;
	if (!has_room(api, &peer)) {
		turn_away(fd);
		return 0;
	}
	(void)serve(api, TAKE_FD(fd), &peer, tcp);
	return 0;
}

/* Stops at the first failure: what waits is still there, and readable, the next time. */
static void accept_all(struct api *api, bool tcp)
{
	unsigned int i;

	for (i = 0; i < API_CONNECTIONS_MAX; i++) {
		if (accept_one(api, tcp) < 0)
			return;
	}
}

static void run(struct api *api)
{
	MHD_UNSIGNED_LONG_LONG timeout;
	unsigned int i;

	for (i = 0; i < ROUNDS_MAX; i++) {
		MHD_run(api->mhd);
		if (MHD_get_timeout(api->mhd, &timeout) != MHD_YES || timeout)
			return;
	}
	/* still not done: come back at once, by way of the loop */
	sys_timerfd_set(api->timer, 1, TICK_NS);
}

static void end_late(struct api *api)
{
	uint64_t now = sys_now();
	struct api_conn *conn;

	for (conn = api->conns; conn; conn = conn->next) {
		if (!conn->waiting && now - conn->since > API_REQUEST_NS)
			(void)sys_shutdown(conn->fd);
	}
}

void api_dispatch(struct api *api)
{
	struct epoll_event events[EVENTS_MAX];
	int n = sys_epoll_wait(api->epoll, events, EVENTS_MAX, 0);
	int i;

	run(api); /* who has left makes room for who comes */
	for (i = 0; i < n; i++) {
		if (events[i].data.ptr == &api->listener)
			accept_all(api, false);
		else if (events[i].data.ptr == &api->port)
			accept_all(api, true);
		else if (events[i].data.ptr == &api->timer)
			(void)sys_timerfd_clear(api->timer);
	}
	end_late(api);
	run(api);
}

static int start_mhd(struct api *api)
{
	const union MHD_DaemonInfo *info;

	api->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		api_handle, api, MHD_OPTION_NOTIFY_CONNECTION, notify_connection, api,
		MHD_OPTION_NOTIFY_COMPLETED, api_completed, api, MHD_OPTION_CONNECTION_LIMIT,
		API_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONN_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!api->mhd)
		return -ENOMEM;
	info = MHD_get_daemon_info(api->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EIO;
	return sys_epoll_add(api->epoll, info->epoll_fd, EPOLLIN, &api->mhd);
}

static int start(struct api *api)
{
	int r;

	api->epoll = sys_epoll_new();
	if (api->epoll < 0)
		return api->epoll;
	api->timer = sys_timerfd_new();
	if (api->timer < 0)
		return api->timer;
	r = sys_epoll_add(api->epoll, api->timer, EPOLLIN, &api->timer);
	if (!r)
		r = sys_timerfd_set(api->timer, TICK_NS, TICK_NS);
	if (!r)
		r = sys_epoll_add(api->epoll, api->listener, EPOLLIN, &api->listener);
	return r ? r : start_mhd(api);
}

int api_new(struct api **out, struct daemon *daemon, int listener, const struct role_groups *groups)
{
	struct api *api = calloc(1, sizeof(*api));
	int r;

	if (!api)
		return -ENOMEM;
	json_wipe_always();
	api->daemon = daemon;
	api->listener = listener;
	api->groups = *groups;
	api->changes.burst = API_CHANGES_BURST;
	api->changes.every = API_CHANGE_NS;
	api->port = -1;
	api->epoll = -1;
	api->timer = -1;
	r = start(api);
	if (r) {
		api_free(api);
		return r;
	}
	*out = api;
	return 0;
}

/* Those who wait for a change get their answer from api_handle(), which sees api->stopping. */
static void resume_all(struct api *api)
{
	struct api_conn *conn;

	for (conn = api->conns; conn; conn = conn->next) {
		if (conn->waiting)
			MHD_resume_connection(conn->mhd);
	}
	run(api);
}

struct api *api_free(struct api *api)
{
	if (!api)
		return NULL;
	if (api->mhd) {
		api->stopping = true;
		resume_all(api);
		MHD_stop_daemon(api->mhd);
	}
	close_fd(&api->timer);
	close_fd(&api->epoll);
	free(api);
	return NULL;
}

int api_serve_port(struct api *api, int listener)
{
	int r = sys_epoll_add(api->epoll, listener, EPOLLIN, &api->port);

	if (r == 0)
		api->port = listener;
	return r;
}

int api_fd(const struct api *api)
{
	return api->epoll;
}

uint64_t api_last_request(const struct api *api)
{
	return api->last_request;
}
