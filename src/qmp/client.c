/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a QEMU that lies, stalls, closes or floods costs who talks with it a bounded time and a
 * bounded memory, and cannot make it take an answer for another.
 *
 * Limits
 *  - time: each call has a deadline for all of it, sending too; a peer that gives a byte now and
 *    then gains nothing.
 *  - memory: one object of limits.message bytes (Jansson makes at most some 40 times that of it),
 *    and limits.events of them that wait.
 *  - CPU: what a peer may send is metered (a bucket of bytes). Events at a rate that no QEMU has
 *    end the connection.
 *
 * An answer carries the id of its command, and ids are never used again. An answer without one, or
 * with another, is a lie, but for an error without id: QEMU could not read what we sent, which ends
 * the connection too. One command at a time: an object that is not closed would swallow the next
 * one in silence.
 *
 * Rejected: out-of-band execution (older QEMUs have none on all monitors, and nothing here needs
 * it); callbacks for events (a caller within a callback within a command is hard to bound).
 */
#include "qmp/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qmp/frame.h"
#include "sys/proc.h"
#include "sys/sock.h"
#include "sys/stream.h"

#define MS 1000000ull
#define MESSAGE_DEFAULT (64u << 10)
#define FLOW_DEFAULT (1u << 20)
#define FLOW_BURST 4u
#define EVENTS_DEFAULT 64u
#define DEADLINE_DEFAULT 5000u
#define PIECE 4096u

struct qmp {
	int fd;
	struct qmp_limits limits;
	struct frame frame;
	char *bytes; /* of the object that comes in: limits.message */
	size_t length;
	char piece[PIECE]; /* received, not looked at yet: from piece_at to piece_end */
	size_t piece_at, piece_end;
	uint64_t flow_left, flow_at; /* the bucket, and when it was filled */
	uint64_t next_id;
	struct qmp_message *event; /* a ring of limits.events */
	unsigned int first, count;
	uint64_t lost;
	bool dead;
	char error_class[QMP_NAME_MAX];
	char error[QMP_NAME_MAX + QMP_TEXT_MAX + 2];
};

static int die(struct qmp *qmp, int r)
{
	qmp->dead = true;
	return r;
}

/* ---- what comes ------------------------------------------------------------------------------ */

static int meter(struct qmp *qmp, size_t got)
{
	uint64_t now = sys_now(), burst = (uint64_t)qmp->limits.flow * FLOW_BURST;
	uint64_t ms = (now - qmp->flow_at) / MS;

	if (ms) {
		qmp->flow_at += ms * MS;
		ms = ms < FLOW_BURST * 1000 ? ms : FLOW_BURST * 1000;
		qmp->flow_left += ms * qmp->limits.flow / 1000;
		if (qmp->flow_left > burst)
			qmp->flow_left = burst;
	}
	if (got > qmp->flow_left)
		return -ENOBUFS;
	qmp->flow_left -= got;
	return 0;
}

static int receive(struct qmp *qmp)
{
	size_t got = 0;
	int r = sys_stream_receive(qmp->fd, qmp->piece, PIECE, &got);

	if (r == -EAGAIN)
		return r;
	if (r < 0 || got == 0)
		return die(qmp, r < 0 ? r : -ECONNRESET);
	r = meter(qmp, got);
	if (r < 0)
		return die(qmp, r);
	qmp->piece_at = 0;
	qmp->piece_end = got;
	return 0;
}

/* The object in bytes[] is whole. */
static int take_object(struct qmp *qmp, struct qmp_message *out)
{
	int r = qmp_message_read(qmp->bytes, qmp->length, out);

	qmp->length = 0;
	return r < 0 ? die(qmp, r) : 0;
}

/* The next object of those that have come; -EAGAIN: none is whole. */
static int next_object(struct qmp *qmp, struct qmp_message *out)
{
	while (!qmp->dead) {
		size_t used, left = qmp->piece_end - qmp->piece_at;
		int whole, r;

		if (!left) {
			r = receive(qmp);
			if (r < 0)
				return r;
			continue;
		}
		whole = frame_scan(&qmp->frame, qmp->piece + qmp->piece_at, left, &used);
		if (whole < 0)
			return die(qmp, whole);
		/* the space between objects is kept as well, and counts */
		if (qmp->length + used > qmp->limits.message)
			return die(qmp, -EMSGSIZE);
		memcpy(qmp->bytes + qmp->length, qmp->piece + qmp->piece_at, used);
		qmp->length += used;
		qmp->piece_at += used;
		if (whole)
			return take_object(qmp, out);
	}
	return -ENOTCONN;
}

static void keep_event(struct qmp *qmp, const struct qmp_message *event)
{
	unsigned int size = qmp->limits.events;

	if (qmp->count == size) {
		qmp_message_clear(&qmp->event[qmp->first]);
		qmp->first = (qmp->first + 1) % size;
		qmp->count--;
		qmp->lost++;
	}
	qmp->event[(qmp->first + qmp->count++) % size] = *event;
}

/* Waits for the next object until the deadline. */
static int await_object(struct qmp *qmp, uint64_t deadline, struct qmp_message *out)
{
	for (;;) {
		uint64_t now;
		int r = next_object(qmp, out);

		now = sys_now();
		if (r != -EAGAIN)
			return r;
		if (now >= deadline)
			return die(qmp, -ETIMEDOUT);
		r = sys_stream_wait(qmp->fd, false, deadline - now);
		if (r < 0 && r != -EAGAIN && r != -ETIMEDOUT)
			return die(qmp, r);
	}
}

/* The next one that is no event. The deadline holds for a peer that never stops sending, too. */
static int await_answer(struct qmp *qmp, uint64_t deadline, struct qmp_message *out)
{
	for (;;) {
		int r = await_object(qmp, deadline, out);

		if (r < 0 || out->kind != QMP_EVENT)
			return r;
		keep_event(qmp, out);
		if (sys_now() >= deadline)
			return die(qmp, -ETIMEDOUT);
	}
}

/* ---- what goes ------------------------------------------------------------------------------- */

static int send_all(struct qmp *qmp, const char *text, size_t len, int pass, uint64_t deadline)
{
	while (len) {
		uint64_t now = sys_now();
		size_t sent = 0;
		int r = sys_stream_send(qmp->fd, text, len, pass, &sent);

		if (r == -EAGAIN && now < deadline) {
			r = sys_stream_wait(qmp->fd, true, deadline - now);
			if (r == -ETIMEDOUT || r == -EAGAIN)
				r = 0;
		} else if (r == -EAGAIN) {
			r = -ETIMEDOUT;
		}
		if (r < 0)
			return die(qmp, r == -EPIPE ? -ECONNRESET : r);
		if (sent)
			pass = -1;
		text += sent;
		len -= sent;
	}
	return 0;
}

/* To be freed by free(): what json_dumps() gives is its allocator's, which a program may change. */
static char *text_of(const json_t *object)
{
	size_t len = json_dumpb(object, NULL, 0, JSON_COMPACT);
	char *text = len ? malloc(len + 1) : NULL;

	if (text) {
		(void)json_dumpb(object, text, len, JSON_COMPACT);
		text[len] = '\0';
	}
	return text;
}

/* The text of a command, to be freed; takes arguments. */
static char *command_text(const char *command, json_t *arguments, uint64_t id)
{
	json_t *object = json_pack("{s:s, s:I}", "execute", command, "id", (json_int_t)id);
	char *text = NULL;

	if (arguments && object && json_object_set_new(object, "arguments", arguments) < 0) {
		json_decref(object);
		return NULL;
	}
	if (arguments && !object)
		json_decref(arguments);
	if (object)
		text = text_of(object);
	json_decref(object);
	return text;
}

/* What the answer to command id says. */
static int judge(struct qmp *qmp, uint64_t id, struct qmp_message *message, json_t **answer)
{
	if (message->kind == QMP_GREETING || !message->has_id || message->id != id) {
		qmp_message_clear(message);
		return die(qmp, -EPROTO);
	}
	if (message->kind == QMP_ERROR) {
		memcpy(qmp->error_class, message->name, sizeof(qmp->error_class));
		snprintf(qmp->error, sizeof(qmp->error), "%s: %s", message->name, message->text);
		return -EREMOTEIO;
	}
	if (answer)
		*answer = json_incref(message->data);
	qmp_message_clear(message);
	return 0;
}

int qmp_command_with(struct qmp *qmp, const char *command, json_t *arguments, int fd,
		     unsigned int deadline_ms, json_t **answer)
{
	uint64_t deadline = sys_now() + deadline_ms * MS, id = qmp->next_id++;
	_cleanup_free_ char *text = command_text(command, arguments, id);
	struct qmp_message message = {.data = NULL};
	int r;

	if (!text)
		return -ENOMEM;
	if (qmp->dead)
		return -ENOTCONN;
	r = send_all(qmp, text, strlen(text), fd, deadline);
	if (r == 0)
		r = await_answer(qmp, deadline, &message);
	return r < 0 ? r : judge(qmp, id, &message, answer);
}

int qmp_command(struct qmp *qmp, const char *command, json_t *arguments, json_t **answer)
{
	return qmp_command_with(qmp, command, arguments, -1, qmp->limits.deadline_ms, answer);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void take_event(struct qmp *qmp, unsigned int i, struct qmp_message *event)
{
	unsigned int size = qmp->limits.events;

	*event = qmp->event[(qmp->first + i) % size];
	for (; i > 0; i--)
		qmp->event[(qmp->first + i) % size] = qmp->event[(qmp->first + i - 1) % size];
	qmp->first = (qmp->first + 1) % size;
	qmp->count--;
}

int qmp_event(struct qmp *qmp, struct qmp_message *event)
{
	struct qmp_message message = {.data = NULL};
	int r = 0;

	/* as many as may wait, then the caller has his turn */
	for (unsigned int i = 0; i < qmp->limits.events && r == 0; i++) {
		r = next_object(qmp, &message);
		if (r == 0 && message.kind != QMP_EVENT) {
			qmp_message_clear(&message);
			r = die(qmp, -EPROTO); /* an answer that nobody asked for */
		}
		if (r == 0)
			keep_event(qmp, &message);
	}
	if (qmp->count) {
		take_event(qmp, 0, event);
		return 1;
	}
	return r == -EAGAIN ? 0 : r;
}

int qmp_event_wait(struct qmp *qmp, const char *name, unsigned int deadline_ms,
		   struct qmp_message *event)
{
	uint64_t deadline = sys_now() + deadline_ms * MS;
	unsigned int seen = 0;

	for (;;) {
		struct qmp_message message = {.data = NULL};
		int r;

		for (; seen < qmp->count; seen++) {
			const struct qmp_message *one =
				&qmp->event[(qmp->first + seen) % qmp->limits.events];

			if (!strcmp(one->name, name)) {
				take_event(qmp, seen, event);
				return 0;
			}
		}
		r = await_object(qmp, deadline, &message);
		if (r == 0 && message.kind != QMP_EVENT) {
			qmp_message_clear(&message);
			r = die(qmp, -EPROTO);
		}
		if (r == 0 && sys_now() >= deadline) {
			qmp_message_clear(&message);
			r = die(qmp, -ETIMEDOUT);
		}
		if (r < 0)
			return r;
		if (qmp->count == qmp->limits.events)
			seen--; /* the oldest goes */
		keep_event(qmp, &message);
	}
}

/* ---- its life -------------------------------------------------------------------------------- */

static void set_limits(struct qmp_limits *to, const struct qmp_limits *from)
{
	if (from)
		*to = *from;
	if (!to->message)
		to->message = MESSAGE_DEFAULT;
	if (!to->flow)
		to->flow = FLOW_DEFAULT;
	if (!to->events)
		to->events = EVENTS_DEFAULT;
	if (!to->deadline_ms)
		to->deadline_ms = DEADLINE_DEFAULT;
}

static int greet(struct qmp *qmp)
{
	struct qmp_message message = {.data = NULL};
	int r = await_answer(qmp, sys_now() + qmp->limits.deadline_ms * MS, &message);

	if (r < 0)
		return r;
	if (message.kind != QMP_GREETING) {
		qmp_message_clear(&message);
		return die(qmp, -EPROTO);
	}
	r = qmp_command(qmp, "qmp_capabilities", NULL, NULL);
	return r == -EREMOTEIO ? -EPROTO : r;
}

int qmp_new(int fd, const struct qmp_limits *limits, struct qmp **out)
{
	_cleanup_qmp_ struct qmp *qmp = calloc(1, sizeof(*qmp));
	int r;

	if (!qmp) {
		close_fd(&fd);
		return -ENOMEM;
	}
	qmp->fd = fd;
	qmp->next_id = 1;
	set_limits(&qmp->limits, limits);
	qmp->flow_left = (uint64_t)qmp->limits.flow * FLOW_BURST;
	qmp->flow_at = sys_now();
	qmp->bytes = malloc(qmp->limits.message);
	qmp->event = calloc(qmp->limits.events, sizeof(*qmp->event));
	if (!qmp->bytes || !qmp->event)
		return -ENOMEM;
	r = greet(qmp);
	if (r < 0)
		return r;
	*out = TAKE_PTR(qmp);
	return 0;
}

int qmp_connect(const char *path, const struct qmp_limits *limits, struct qmp **out)
{
	int fd = sys_unix_connect(path, SYS_SOCK_STREAM);

	return fd < 0 ? fd : qmp_new(fd, limits, out);
}

struct qmp *qmp_free(struct qmp *qmp)
{
	if (!qmp)
		return NULL;
	for (; qmp->count; qmp->count--) {
		qmp_message_clear(&qmp->event[qmp->first]);
		qmp->first = (qmp->first + 1) % qmp->limits.events;
	}
	close_fd(&qmp->fd);
	free(qmp->bytes);
	free(qmp->event);
	free(qmp);
	return NULL;
}

const char *qmp_error(const struct qmp *qmp)
{
	return qmp->error;
}

const char *qmp_error_class(const struct qmp *qmp)
{
	return qmp->error_class;
}

uint64_t qmp_events_lost(const struct qmp *qmp)
{
	return qmp->lost;
}

int qmp_fd(const struct qmp *qmp)
{
	return qmp->fd;
}
