/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fakeqmp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

#define MIB (1ull << 20)
#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

struct served {
	struct fakeqmp *q;
	int sock;
	unsigned int commands;
	bool hushed;
	char id[24];
};

void fakeqmp_init(struct fakeqmp *q, enum fakeqmp_kind kind)
{
	*q = (struct fakeqmp){.kind = kind,
			      .size = 512 * MIB,
			      .left = 512 * MIB,
			      .need = 100 * MIB,
			      .runs = true};
	pthread_mutex_init(&q->lock, NULL);
	q->stamp = 1000;
}

static bool say(struct served *s, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = send(s->sock, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool say_return(struct served *s, const char *value)
{
	char text[1024];

	snprintf(text, sizeof(text), "{\"return\": %s, \"id\": %s}\r\n", value, s->id);
	return say(s, text);
}

static bool say_error(struct served *s, const char *class, const char *desc)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}, \"id\": %s}\r\n", class, desc,
		 s->id);
	return say(s, text);
}

static bool say_figures(struct served *s)
{
	struct fakeqmp *q = s->q;
	char text[512];
	bool driver = q->kind != FAKEQMP_NO_DRIVER;

	if (driver && q->runs)
		q->stamp++;
	snprintf(text, sizeof(text),
		 "{\"stats\": {\"stat-available-memory\": %" PRIu64
		 ", \"stat-total-memory\": %" PRIu64
		 ", \"stat-free-memory\": 18446744073709551615, \"stat-swap-in\": 0}, "
		 "\"last-update\": %" PRIu64 "}",
		 q->left > q->need ? q->left - q->need : 0, q->left, driver ? q->stamp : 0);
	return say_return(s, text);
}

static bool set_left(struct served *s, const char *command)
{
	const char *value = strstr(command, "\"value\":");
	struct fakeqmp *q = s->q;

	q->targets++;
	if (q->kind == FAKEQMP_REFUSES)
		return say_error(s, "GenericError", "no balloons today");
	if (q->kind != FAKEQMP_NO_ROOM && q->kind != FAKEQMP_NO_DRIVER && value) {
		q->left = strtoull(value + 8, NULL, 10);
		q->left = q->left < q->size ? q->left : q->size;
	}
	return say_return(s, "{}");
}

static bool set_runs(struct served *s, bool runs)
{
	s->q->runs = runs;
	s->q->stops += !runs;
	s->q->conts += runs;
	s->hushed = s->q->kind == FAKEQMP_HUSHED && s->q->stops == 1 && !runs;
	return s->hushed || say_return(s, "{}");
}

/* As an honest one. */
static bool answer(struct served *s, const char *command)
{
	struct fakeqmp *q = s->q;
	bool device = q->kind != FAKEQMP_NO_DEVICE;
	char text[256];

	if (strstr(command, "\"query-balloon\"")) {
		if (!device)
			return say_error(s, "DeviceNotActive", "No balloon device");
		snprintf(text, sizeof(text), "{\"actual\": %" PRIu64 "}",
			 q->kind == FAKEQMP_IMPOSSIBLE ? 2 * q->size : q->left);
		return say_return(s, text);
	}
	if (strstr(command, "\"query-memory-size-summary\"")) {
		snprintf(text, sizeof(text),
			 "{\"base-memory\": %" PRIu64 ", \"plugged-memory\": 0}", q->size);
		return say_return(s, text);
	}
	if (strstr(command, "\"qom-list\""))
		return say_return(s, device ? "[{\"name\": \"b0\", \"type\": "
					      "\"child<virtio-balloon-pci>\"}]" :
					      "[]");
	if (strstr(command, "\"guest-stats\""))
		return say_figures(s);
	if (strstr(command, "\"qom-get\""))
		return say_return(s, q->kind == FAKEQMP_NO_OOM ? "false" : "true");
	if (strstr(command, "\"query-status\""))
		return say_return(s, q->runs ? "{\"running\": true}" : "{\"running\": false}");
	if (strstr(command, "\"execute\":\"balloon\""))
		return set_left(s, command);
	if (strstr(command, "\"stop\""))
		return set_runs(s, false);
	if (strstr(command, "\"cont\""))
		return set_runs(s, true);
	return say_return(s, "{}");
}

static bool for_ever(struct served *s, const char *text, unsigned int ms)
{
	while (say(s, text))
		if (ms)
			t_sleep(ms / 1000.0);
	return false;
}

/* What this kind does once it has been greeted; -1: what an honest one does. */
static int misbehave(struct served *s)
{
	switch (s->q->kind) {
	case FAKEQMP_STALLS:
		return true;
	case FAKEQMP_CLOSES:
		return s->commands < 3 ? -1 : (say(s, "{\"return\": {\"ac"), false);
	case FAKEQMP_WRONG_ID:
		snprintf(s->id, sizeof(s->id), "4711");
		return -1;
	case FAKEQMP_NO_JSON:
		return say(s, "\x7f"
			      "ELF not at all\r\n");
	case FAKEQMP_FLOODS:
		return for_ever(s, "{\"event\": \"RTC_CHANGE\", \"data\": {\"offset\": 1}}\r\n", 0);
	case FAKEQMP_HUGE:
		return say(s, "{\"return\": \"") &&
		       for_ever(s, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0);
	case FAKEQMP_DEEP:
		return say(s, "{\"return\": ") && for_ever(s, "[[[[[[[[[[[[[[[[", 0);
	case FAKEQMP_DRIPS:
		return for_ever(s, " ", 50);
	default:
		return -1;
	}
}

static bool serve_one(struct served *s, const char *command)
{
	const char *id = strstr(command, "\"id\":");
	bool first = !s->commands++;
	int r = -1;

	snprintf(s->id, sizeof(s->id), "%lu", id ? strtoul(id + 5, NULL, 10) : 0);
	if (s->hushed)
		return true;
	if (!first)
		r = misbehave(s);
	if (r >= 0)
		return r;
	pthread_mutex_lock(&s->q->lock);
	r = answer(s, command);
	pthread_mutex_unlock(&s->q->lock);
	return r;
}

/* Commands come one to a packet, but for those of an agent, which sends two lines at once. */
static bool serve_packet(struct served *s, char *text)
{
	char *rest = text, *line;
	bool on = true;

	while (on && (line = strsep(&rest, "\n")))
		if (*line)
			on = serve_one(s, line);
	return on;
}

static void *serve(void *arg)
{
	struct served *s = arg;
	char text[4096];
	bool on = true;

	pthread_mutex_lock(&s->q->lock);
	s->q->connections++;
	pthread_mutex_unlock(&s->q->lock);
	if (s->q->kind != FAKEQMP_SILENT)
		on = say(s, GREETING);
	while (on) {
		ssize_t n = recv(s->sock, text, sizeof(text) - 1, 0);

		if (n <= 0)
			break;
		text[n] = '\0';
		if (s->q->kind != FAKEQMP_SILENT)
			on = serve_packet(s, text);
	}
	close(s->sock);
	free(s);
	return NULL;
}

static struct served *served_new(struct fakeqmp *q, int sock)
{
	struct served *s = calloc(1, sizeof(*s));

	t_check(s, "no memory");
	s->q = q;
	s->sock = sock;
	return s;
}

static void detach(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	t_check(pthread_create(&thread, NULL, run, arg) == 0, "no thread");
	pthread_detach(thread);
}

int fakeqmp_connect(struct fakeqmp *q)
{
	int pair[2];

	t_sys(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	detach(serve, served_new(q, pair[1]));
	return pair[0];
}

static void *accept_all(void *arg)
{
	struct served *listener = arg;

	for (;;) {
		int sock = accept4(listener->sock, NULL, NULL, SOCK_CLOEXEC);

		if (sock >= 0)
			serve(served_new(listener->q, sock));
	}
	return NULL;
}

void fakeqmp_listen(struct fakeqmp *q, int listener)
{
	detach(accept_all, served_new(q, listener));
}

#define UNDER_LOCK(q, type, what)                 \
	({                                        \
		type value_;                      \
		pthread_mutex_lock(&(q)->lock);   \
		value_ = what;                    \
		pthread_mutex_unlock(&(q)->lock); \
		value_;                           \
	})

uint64_t fakeqmp_left(struct fakeqmp *q)
{
	return UNDER_LOCK(q, uint64_t, q->left);
}

void fakeqmp_need(struct fakeqmp *q, uint64_t bytes)
{
	(void)UNDER_LOCK(q, uint64_t, q->need = bytes);
}

bool fakeqmp_runs(struct fakeqmp *q)
{
	return UNDER_LOCK(q, bool, q->runs);
}

void fakeqmp_set_runs(struct fakeqmp *q, bool runs)
{
	(void)UNDER_LOCK(q, bool, q->runs = runs);
}

unsigned int fakeqmp_stops(struct fakeqmp *q)
{
	return UNDER_LOCK(q, unsigned int, q->stops);
}

unsigned int fakeqmp_conts(struct fakeqmp *q)
{
	return UNDER_LOCK(q, unsigned int, q->conts);
}

unsigned int fakeqmp_connections(struct fakeqmp *q)
{
	return UNDER_LOCK(q, unsigned int, q->connections);
}
