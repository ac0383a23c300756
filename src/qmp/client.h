/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * client: talks with QEMU's monitor (QMP) over a stream socket. For a process that does nothing
 * else meanwhile: a call waits for its answer, but never beyond its deadline.
 *
 * After any error but -EREMOTEIO the connection is of no use any more, and every later call says
 * so (-ENOTCONN): close it, connect anew. QMP serves one client at a time on a socket; whoever
 * connects while another is there waits for the greeting.
 */
#ifndef PSHARE_QMP_CLIENT_H
#define PSHARE_QMP_CLIENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "qmp/message.h"
#include "sys/cleanup.h"

/* What a peer may make us hold or do. Zeros stand for the defaults. */
struct qmp_limits {
	size_t message;	     /* bytes of one object: 64 KiB */
	size_t flow;	     /* bytes a second that it may send for long: 1 MiB; four times
				   * that at once */
	unsigned int events; /* that wait to be taken: 64; the oldest is dropped for a new one */
	unsigned int deadline_ms; /* of a call: 5000 */
};

struct qmp;

/* Takes fd (also when it fails), waits for the greeting, leaves negotiation mode. limits may be
 * NULL. 0 or -errno: -ETIMEDOUT (silent, or busy with another client), -ECONNRESET (closed),
 * -EPROTO (no QMP), -EMSGSIZE, -E2BIG (nested too deeply), -ENOBUFS (floods), -ENOMEM. */
int qmp_new(int fd, const struct qmp_limits *limits, struct qmp **out);
/* The same for the socket at path: -ENOENT, -ECONNREFUSED: nobody there; -EACCES. */
int qmp_connect(const char *path, const struct qmp_limits *limits, struct qmp **out);
struct qmp *qmp_free(struct qmp *qmp);
DEFINE_CLEANUP(struct qmp *, qmp, qmp_free);
#define _cleanup_qmp_ _cleanup_(cleanup_qmp)

/* A command and its answer. arguments: an object that is taken, or NULL. answer (may be NULL): the
 * caller's. -EREMOTEIO: QEMU refused it, see qmp_error(); else as qmp_new(), and -EINVAL: arguments
 * are none. */
int qmp_command(struct qmp *qmp, const char *command, json_t *arguments, json_t **answer);
/* The same with a deadline of its own, and a descriptor (or -1) that goes along, as getfd and
 * add-fd want it; it stays the caller's. */
int qmp_command_with(struct qmp *qmp, const char *command, json_t *arguments, int fd,
		     unsigned int deadline_ms, json_t **answer);
/* QEMU's "class: text" of the last -EREMOTEIO; "" before. qmp_error_class(): the class alone. */
const char *qmp_error(const struct qmp *qmp);
const char *qmp_error_class(const struct qmp *qmp);

/* The oldest event that waits, if one does: 1, and the caller clears it. 0: none. Never waits; also
 * takes in what the socket has. Who sends no commands calls it now and then. */
int qmp_event(struct qmp *qmp, struct qmp_message *event);
/* Waits for an event of that name; others that come meanwhile stay in order. 0 or as above. */
int qmp_event_wait(struct qmp *qmp, const char *name, unsigned int deadline_ms,
		   struct qmp_message *event);
/* Events that were dropped, since too many waited. */
uint64_t qmp_events_lost(const struct qmp *qmp);

/* To be waited on for reading. Still the client's. */
int qmp_fd(const struct qmp *qmp);

#endif
