/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client beside a peer that is honest, and beside peers that lie, stall, close and flood. The
 * peer is a thread at the other end of a socket pair, which follows a script.
 */
#include "harness/harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qmp/client.h"

#define GREETING \
	"{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": [\"oob\"]}}\r\n"
#define QUICK_MS 300
#define LONG_MS 20000 /* far beyond a deadline, on a busy machine */

/* A step of the script: with "%" the id of the last command stands. */
struct step {
	enum { SAY, HEAR, DRIP, FLOOD, SLEEP, CLOSE, HEAR_FD, END } what;
	const char *text; /* SAY, DRIP, FLOOD; HEAR: what the command must hold */
};

struct peer {
	int sock;
	int passed; /* descriptor that came with a command */
	const struct step *script;
	pthread_t thread;
	char id[24], heard[4096];
};

static bool say(struct peer *p, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		ssize_t n = send(p->sock, text + i, len - i, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		i += (size_t)n;
	}
	return true;
}

static bool say_filled(struct peer *p, const char *text)
{
	const char *mark = strchr(text, '%');

	if (!mark)
		return say(p, text, strlen(text));
	return say(p, text, (size_t)(mark - text)) && say(p, p->id, strlen(p->id)) &&
	       say(p, mark + 1, strlen(mark + 1));
}

static bool hear(struct peer *p, const char *part)
{
	size_t length = 0;
	const char *id;

	do {
		char control[CMSG_SPACE(sizeof(int))];
		struct iovec iov = {p->heard + length, sizeof(p->heard) - 1 - length};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(p->sock, &msg, 0);

		if (n <= 0)
			return false;
		if (CMSG_FIRSTHDR(&msg))
			memcpy(&p->passed, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
		length += (size_t)n;
		p->heard[length] = '\0';
	} while (p->heard[length - 1] != '}');
	id = strstr(p->heard, "\"id\":");
	if (!id || !strstr(p->heard, part))
		FAIL("the peer heard \"%s\", not \"%s\"", p->heard, part);
	snprintf(p->id, sizeof(p->id), "%lu", strtoul(id + 5, NULL, 10));
	return true;
}

static void *play(void *arg)
{
	struct peer *p = arg;
	bool on = true;

	for (const struct step *s = p->script; on && s->what != END; s++) {
		switch (s->what) {
		case SAY:
			on = say_filled(p, s->text);
			break;
		case HEAR:
		case HEAR_FD:
			on = hear(p, s->text);
			break;
		case DRIP: /* a byte now and then, for ever */
			for (size_t i = 0; on; i = (i + 1) % strlen(s->text)) {
				on = say(p, s->text + i, 1);
				test_sleep_ms(10);
			}
			break;
		case FLOOD:
			while (on)
				on = say(p, s->text, strlen(s->text));
			break;
		case SLEEP:
			while (recv(p->sock, p->heard, sizeof(p->heard), 0) > 0)
				;
			break;
		default:
			on = false;
			break;
		}
	}
	close(p->sock);
	return NULL;
}

static const struct qmp_limits quick = {.deadline_ms = QUICK_MS};
static const struct qmp_limits unhurried = {.deadline_ms = LONG_MS}; /* of who ends by himself */

static int meet(struct peer *p, const struct step *script, const struct qmp_limits *limits,
		struct qmp **qmp)
{
	int pair[2];

	*p = (struct peer){.script = script, .passed = -1};
	REQUIRE_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	p->sock = pair[1];
	REQUIRE_EQ(pthread_create(&p->thread, NULL, play, p), 0);
	return qmp_new(pair[0], limits, qmp);
}

static void part(struct peer *p, struct qmp *qmp)
{
	qmp_free(qmp);
	pthread_join(p->thread, NULL);
}

#define BEGIN                                          \
	{SAY, GREETING}, {HEAR, "qmp_capabilities"},   \
	{                                              \
		SAY, "{\"return\": {}, \"id\": %}\r\n" \
	}

TEST("a command goes out, its answer comes back, and events between them wait")
{
	static const struct step script[] = {
		BEGIN,
		{HEAR, "{\"execute\":\"query-balloon\",\"id\":"},
		{SAY, "{\"event\": \"STOP\", \"timestamp\": {}}\r\n{\"event\": \"RTC_CHANGE\", "
		      "\"data\": {\"offset\": 3}}\r\n{\"return\": {\"actual\": 4096}, \"id\": %}"},
		{SLEEP, NULL},
		{END, NULL},
	};
	struct qmp_message event;
	struct qmp *qmp;
	struct peer p;
	json_t *answer;
	uint64_t n = 0;

	REQUIRE_OK(meet(&p, script, NULL, &qmp));
	REQUIRE_OK(qmp_command(qmp, "query-balloon", NULL, &answer));
	CHECK_OK(qmp_number(answer, "actual", &n));
	CHECK_EQ(n, 4096);
	json_decref(answer);
	REQUIRE_EQ(qmp_event(qmp, &event), 1);
	CHECK_STR(event.name, "STOP");
	qmp_message_clear(&event);
	REQUIRE_EQ(qmp_event(qmp, &event), 1);
	CHECK_STR(event.name, "RTC_CHANGE");
	CHECK_OK(qmp_number(event.data, "offset", &n));
	CHECK_EQ(n, 3);
	qmp_message_clear(&event);
	CHECK_EQ(qmp_event(qmp, &event), 0);
	part(&p, qmp);
}

TEST("an event is waited for, and those that come before it stay in order")
{
	static const struct step script[] = {
		BEGIN,
		{SAY, "{\"event\": \"A\"}{\"event\": \"B\"}{\"event\": \"C\"}{\"event\": \"D\"}"},
		{SLEEP, NULL},
		{END, NULL},
	};
	struct qmp_message event;
	struct qmp *qmp;
	struct peer p;

	REQUIRE_OK(meet(&p, script, NULL, &qmp));
	REQUIRE_OK(qmp_event_wait(qmp, "C", LONG_MS, &event));
	qmp_message_clear(&event);
	REQUIRE_EQ(qmp_event(qmp, &event), 1);
	CHECK_STR(event.name, "A");
	REQUIRE_EQ(qmp_event(qmp, &event), 1);
	CHECK_STR(event.name, "B");
	REQUIRE_OK(qmp_event_wait(qmp, "D", LONG_MS, &event));
	CHECK_EQ(qmp_event_wait(qmp, "E", QUICK_MS, &event), -ETIMEDOUT);
	part(&p, qmp);
}

TEST("what QEMU refuses is said in its words, and the connection lives on")
{
	static const struct step script[] = {
		BEGIN,
		{HEAR, "\"arguments\":{\"value\":4096}"},
		{SAY, "{\"error\": {\"class\": \"DeviceNotActive\", \"desc\": \"No balloon\"}, "
		      "\"id\": %}"},
		{HEAR, "query-status"},
		{SAY, "{\"return\": {}, \"id\": %}"},
		{SLEEP, NULL},
		{END, NULL},
	};
	struct qmp *qmp;
	struct peer p;

	REQUIRE_OK(meet(&p, script, NULL, &qmp));
	CHECK_EQ(qmp_command(qmp, "balloon", json_pack("{s:i}", "value", 4096), NULL), -EREMOTEIO);
	CHECK_STR(qmp_error(qmp), "DeviceNotActive: No balloon");
	CHECK_STR(qmp_error_class(qmp), "DeviceNotActive");
	CHECK_OK(qmp_command(qmp, "query-status", NULL, NULL));
	part(&p, qmp);
}

TEST("a descriptor goes along with its command")
{
	static const struct step script[] = {
		BEGIN,	       {HEAR, "getfd"}, {SAY, "{\"return\": {}, \"id\": %}"},
		{SLEEP, NULL}, {END, NULL},
	};
	int ends[2];
	struct qmp *qmp;
	struct peer p;
	char c;

	REQUIRE_SYS(pipe(ends));
	REQUIRE_OK(meet(&p, script, NULL, &qmp));
	REQUIRE_OK(qmp_command_with(qmp, "getfd", json_pack("{s:s}", "fdname", "state"), ends[1],
				    LONG_MS, NULL));
	REQUIRE_GE(p.passed, 0);
	CHECK_EQ(write(p.passed, "x", 1), 1);
	CHECK_EQ(read(ends[0], &c, 1), 1);
	close(p.passed);
	part(&p, qmp);
}

/* What becomes of a connection that begins, or of its first command. */
static int fate(const struct step *script, const struct qmp_limits *limits)
{
	int64_t begun = test_now_ns();
	struct qmp *qmp = NULL;
	struct peer p;
	int r = meet(&p, script, limits, &qmp);

	if (r == 0) {
		r = qmp_command(qmp, "query-balloon", NULL, NULL);
		CHECK_EQ(qmp_command(qmp, "query-balloon", NULL, NULL), -ENOTCONN);
	}
	CHECK_LT(test_now_ns() - begun, LONG_MS * 1000000ll);
	part(&p, qmp);
	return r;
}

TEST("a peer that says nothing, or a byte now and then, is left at the deadline")
{
	static const struct step silent[] = {{SLEEP, NULL}, {END, NULL}};
	static const struct step mute[] = {{SAY, GREETING}, {SLEEP, NULL}, {END, NULL}};
	static const struct step drips[] = {{DRIP, GREETING}, {END, NULL}};
	static const struct step chats[] = {BEGIN, {DRIP, "{\"event\": \"A\"}"}, {END, NULL}};
	static const struct step stalls[] = {BEGIN, {SLEEP, NULL}, {END, NULL}};

	CHECK_EQ(fate(silent, &quick), -ETIMEDOUT);
	CHECK_EQ(fate(mute, &quick), -ETIMEDOUT);
	CHECK_EQ(fate(drips, &quick), -ETIMEDOUT);
	CHECK_EQ(fate(chats, &quick), -ETIMEDOUT);
	CHECK_EQ(fate(stalls, &quick), -ETIMEDOUT);
}

TEST("a peer that closes is seen, at once and in the middle of an answer")
{
	static const struct step at_once[] = {{CLOSE, NULL}, {END, NULL}};
	static const struct step greets[] = {{SAY, GREETING}, {CLOSE, NULL}, {END, NULL}};
	static const struct step half[] = {
		BEGIN, {HEAR, "query"}, {SAY, "{\"return\": {\"ac"}, {CLOSE, NULL}, {END, NULL}};

	CHECK_EQ(fate(at_once, &unhurried), -ECONNRESET);
	CHECK_EQ(fate(greets, &unhurried), -ECONNRESET);
	CHECK_EQ(fate(half, &unhurried), -ECONNRESET);
}

TEST("a peer that lies is left: another's answer, none, a second greeting, no QMP at all")
{
	static const char *const lies[] = {
		"{\"return\": {}, \"id\": 1}",
		"{\"return\": {}, \"id\": 4711}",
		"{\"return\": {}}",
		"{\"error\": {\"class\": \"GenericError\", \"desc\": \"Invalid JSON syntax\"}}",
		GREETING,
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"{\"return\": {}, \"id\": %, \"return\": {}}",
		"{\"id\": %}",
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const struct step script[] = {
			BEGIN, {HEAR, "query"}, {SAY, lies[i]}, {SLEEP, NULL}, {END, NULL}};
		const struct step first[] = {
			{SAY, strncmp(lies[i], "{\"QMP", 5) ? lies[i] : "{\"event\": 1}"},
			{SLEEP, NULL},
			{END, NULL}};

		printf("%s\n", lies[i]);
		CHECK_EQ(fate(script, &unhurried), -EPROTO);
		CHECK_EQ(fate(first, &quick), -EPROTO);
	}
}

TEST("an answer that nobody asked for ends the connection when it is met")
{
	static const struct step script[] = {
		BEGIN, {SAY, "{\"return\": {}, \"id\": 2}"}, {SLEEP, NULL}, {END, NULL}};
	struct qmp_message event;
	struct qmp *qmp;
	struct peer p;
	int r = 0;

	REQUIRE_OK(meet(&p, script, NULL, &qmp));
	REQUIRE_WITHIN(LONG_MS, (r = qmp_event(qmp, &event)) != 0);
	CHECK_EQ(r, -EPROTO);
	part(&p, qmp);
}

TEST("a peer that floods is left: one object without end, one too deep, events without end")
{
	static const struct step endless[] = {BEGIN,
					      {HEAR, "query"},
					      {SAY, "{\"return\": \""},
					      {FLOOD, "xxxxxxxxxxxxxxxx"},
					      {END, NULL}};
	static const struct step deep[] = {
		BEGIN, {HEAR, "query"}, {SAY, "{\"return\": "}, {FLOOD, "[[[[[[[["}, {END, NULL}};
	static const struct step spaces[] = {
		BEGIN, {HEAR, "query"}, {FLOOD, "\r\n\r\n\r\n"}, {END, NULL}};
	static const struct step events[] = {
		BEGIN, {HEAR, "query"}, {FLOOD, "{\"event\": \"RTC_CHANGE\"}"}, {END, NULL}};
	static const struct qmp_limits patient = {.flow = 65536, .deadline_ms = LONG_MS};

	CHECK_EQ(fate(endless, &patient), -EMSGSIZE);
	CHECK_EQ(fate(deep, &patient), -E2BIG);
	CHECK_EQ(fate(spaces, &patient), -EMSGSIZE);
	CHECK_EQ(fate(events, &patient), -ENOBUFS);
}

TEST("of events that nobody takes the latest are kept, and the others are counted")
{
	static const struct step script[] = {
		BEGIN,
		{SAY, "{\"event\": \"A\"}{\"event\": \"B\"}{\"event\": \"C\"}{\"event\": \"D\"}"},
		{HEAR, "query"},
		{SAY, "{\"return\": {}, \"id\": %}"},
		{SLEEP, NULL},
		{END, NULL},
	};
	static const struct qmp_limits few = {.events = 2};
	struct qmp_message event;
	struct qmp *qmp;
	struct peer p;

	REQUIRE_OK(meet(&p, script, &few, &qmp));
	REQUIRE_OK(qmp_command(qmp, "query-status", NULL, NULL));
	CHECK_EQ(qmp_events_lost(qmp), 2);
	REQUIRE_EQ(qmp_event(qmp, &event), 1);
	CHECK_STR(event.name, "C");
	REQUIRE_EQ(qmp_event(qmp, &event), 1);
	CHECK_STR(event.name, "D");
	part(&p, qmp);
}

TEST("a peer that does not read costs no more than the deadline")
{
	static const struct step script[] = {BEGIN, {SAY, ""}, {END, NULL}};
	char *large = malloc(1 << 20);
	struct qmp *qmp;
	int pair[2];
	struct peer p = {.script = script, .passed = -1};

	memset(large, 'x', (1 << 20) - 1);
	large[(1 << 20) - 1] = '\0';
	REQUIRE_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	p.sock = dup(pair[1]); /* stays open when the script is over */
	REQUIRE_EQ(pthread_create(&p.thread, NULL, play, &p), 0);
	REQUIRE_OK(qmp_new(pair[0], &quick, &qmp));
	CHECK_EQ(qmp_command(qmp, "x", json_pack("{s:s}", "large", large), NULL), -ETIMEDOUT);
	part(&p, qmp);
	close(pair[1]);
	free(large);
}

TEST("where nobody listens, that is what is said")
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct qmp *qmp;
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK_EQ(qmp_connect("/nonexistent/qmp.sock", NULL, &qmp), -ENOENT);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/qmp", test_dir());
	REQUIRE_SYS(bind(sock, (struct sockaddr *)&addr, sizeof(addr)));
	CHECK_EQ(qmp_connect(addr.sun_path, NULL, &qmp), -ECONNREFUSED);
	REQUIRE_SYS(listen(sock, 1));
	CHECK_EQ(qmp_connect(addr.sun_path, &quick, &qmp), -ETIMEDOUT); /* busy with another */
	close(sock);
}
