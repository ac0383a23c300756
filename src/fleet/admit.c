/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Two hosts that admit at the same moment must not both take the last room. So an admission reads
 * the fleet at one revision, judges, and writes pending/HOST/PID in a transaction that holds only
 * if no other admission was written since (the key "admission"); if one was, it reads again. What
 * is pending counts like a VM until the host's report has it (by its pid: 'pshare run' becomes
 * the VMM), or until its lease of a minute is over, if the VMM never came up.
 *
 * Whoever may start a VM on this host may ask, so asking must cost others nothing: one question
 * is asked of etcd at a time, the others wait, MAX_ASKING at most. It is the fleet's net, not a
 * fence: who starts QEMU without 'pshare run' is not asked at all, and shows up in the next
 * report.
 *
 * One pshare-fleet runs in a folder: it holds a lock there, before it looks at the socket. A second
 * one, if it took the socket, would wait for a name that the first has, and answer that nobody
 * checks; and when it ended, nobody would be asked at all. Who holds the lock may take away a
 * socket that a dead one left behind, and takes its own away at its end. Where the folder went
 * under it (systemd removes the daemon's with the daemon), lock and socket are made anew.
 *
 * Where etcd does not answer the VM is admitted, and told to be unchecked: a host that is cut off
 * is to go on working.
 */
#include "fleet/admit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/state.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/path.h"
#include "sys/proc.h"
#include "sys/sock.h"
#include "wire/wire.h"

#define MAX_ASKING (ADMIT_FDS - 1)
#define PENDING_TTL "60"
#define ASK_TIME_NS 20000000000ull /* for a question to come, and to be answered */
#define ROUNDS_MAX 8u
#define PENDING_MAX 64u
#define LOCK_TRIES 20u /* a tenth of a second apart: a child of one that was killed may have it */
#define LOCK_PAUSE_MS 100u
#define LOST_MAX 10u /* seconds without a socket, and no hope */
#define SECOND_NS 1000000000ull
#define PENDING_NS (60 * SECOND_NS)

struct asker {
	struct admit *admit;
	int fd; /* -1: free */
	pid_t pid;
	uint64_t since;
	bool asked; /* the question is there */
	char vm[PS_NAME_MAX];
	uint64_t bytes;
};

/* Written to etcd; forgotten when its lease has run out, one way or the other. */
struct pending {
	pid_t pid;
	int64_t lease; /* 0: free */
	uint64_t until;
};

struct admit {
	struct admit_options o;
	struct pending pending[PENDING_MAX];
	uint64_t look; /* at them, not before */
	char path[PATH_MAX], lock_path[PATH_MAX];
	int lock, listener;   /* both or none */
	unsigned int lost;    /* looks in a row at which no socket could be had */
	uint64_t look_socket; /* whether it is there, not before */
	struct asker askers[MAX_ASKING];
	struct asker *busy; /* whose question etcd is being asked */
	struct etcd_op *op;
	struct fleet_state state; /* while it is read */
	json_t *first;		  /* pages of each kind */
	json_t *page;		  /* the one behind them that was asked for */
	size_t kind;		  /* of kinds: that is read */
	unsigned int rounds;
	int64_t seen; /* revision of the key "admission" */
	int64_t lease;
	char why[FLEET_ERROR_MAX];
	bool answer; /* once it is written */
};

static const enum fleet_key kinds[] = {FLEET_ALL_RULE, FLEET_REPORT, FLEET_ALIVE, FLEET_PENDING,
				       FLEET_ADMISSION};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void forget(struct asker *asker)
{
	close_fd(&asker->fd);
	asker->asked = false;
	if (asker->admit->busy == asker)
		asker->admit->busy = NULL;
}

static const char *control_word(const struct admit *admit)
{
	static const char *const words[] = {"off", "warn", "refuse"};

	return words[node_rules(admit->o.node)->value[FLEETRULE_CONTROL]];
}

static void reply(struct asker *asker, bool yes, bool checked, const char *why)
{
	_cleanup_json_ json_t *answer = json_pack("{s:b, s:s, s:b, s:s}", "admit", yes, "control",
						  control_word(asker->admit), "checked", checked,
						  "why", why);
	_cleanup_free_ char *text = json_line(answer);

	if (text)
		(void)sys_send_fds(asker->fd, text, strlen(text), NULL, 0);
	forget(asker);
}

/* ---- etcd ---------------------------------------------------------------------------------- */

static void read_fleet(struct admit *admit);

static void unchecked(struct admit *admit, const char *why)
{
	reply(admit->busy, true, false, why);
}

static bool ask(struct admit *admit, const char *path, json_t *body, etcd_done done)
{
	if (!etcd_ask(admit->o.etcd, path, body, true, done, admit, &admit->op))
		return true;
	unchecked(admit, "out of memory");
	return false;
}

static void remember(struct admit *admit)
{
	for (unsigned int i = 0; i < PENDING_MAX; i++) {
		if (admit->pending[i].lease)
			continue;
		admit->pending[i] =
			(struct pending){admit->busy->pid, admit->lease, sys_now() + PENDING_NS};
		return;
	}
}

static void on_given_up(void *arg, const struct etcd_answer *answer)
{
	(void)arg, (void)answer; /* if that failed, the lease runs out by itself */
}

/* A VM that ended before any report had it counts no longer. */
static void drop_the_dead(struct admit *admit, uint64_t now)
{
	char number[24];

	if (now < admit->look)
		return;
	admit->look = now + SECOND_NS;
	for (unsigned int i = 0; i < PENDING_MAX; i++) {
		struct pending *one = &admit->pending[i];

		if (!one->lease)
			continue;
		if (now < one->until && sys_process_lives(one->pid))
			continue;
		snprintf(number, sizeof(number), "%lld", (long long)one->lease);
		if (now < one->until && node_is_here(admit->o.node))
			(void)etcd_ask(admit->o.etcd, "/v3/lease/revoke",
				       json_pack("{s:s}", "ID", number), false, on_given_up, admit,
				       NULL);
		one->lease = 0;
	}
}

static void on_written(void *arg, const struct etcd_answer *answer)
{
	struct admit *admit = arg;

	admit->op = NULL;
	if (!admit->busy)
		return;
	if (answer->error)
		unchecked(admit, answer->why);
	else if (json_is_true(json_object_get(answer->json, "succeeded"))) {
		remember(admit);
		reply(admit->busy, admit->answer, true, admit->why);
	} else if (admit->rounds++ < ROUNDS_MAX)
		read_fleet(admit);
	else
		unchecked(admit, "too many VMs are being admitted in the fleet at this moment");
}

static void write_pending(struct admit *admit)
{
	const char *host = admit->o.config->host;
	_cleanup_json_ json_t *pending =
		json_pack("{s:i, s:s, s:I, s:I, s:I}", "schema", FLEET_SCHEMA, "name",
			  admit->busy->vm, "pid", (json_int_t)admit->busy->pid, "size",
			  (json_int_t)admit->busy->bytes, "at", (json_int_t)sys_wall_time());
	_cleanup_json_ json_t *last = json_pack("{s:i, s:s}", "schema", FLEET_SCHEMA, "host", host);
	json_t *compare = json_array(), *success = json_array();
	char key[FLEET_KEY_MAX], number[24];

	fleet_key(key, admit->o.config->fleet, FLEET_ADMISSION, NULL, NULL);
	(void)etcd_add_compare(compare, key, admit->seen);
	(void)etcd_add_op(success, "put", etcd_put_body(key, last, 0));
	snprintf(number, sizeof(number), "%d", (int)admit->busy->pid);
	fleet_key(key, admit->o.config->fleet, FLEET_PENDING, host, number);
	(void)etcd_add_op(success, "put", etcd_put_body(key, pending, admit->lease));
	ask(admit, "/v3/kv/txn", etcd_txn_body(compare, success, NULL), on_written);
}

static void on_lease(void *arg, const struct etcd_answer *answer)
{
	struct admit *admit = arg;

	admit->op = NULL;
	admit->lease = etcd_int(answer->json, "ID");
	if (!admit->busy)
		return;
	if (answer->error)
		unchecked(admit, answer->why);
	else
		write_pending(admit);
}

static void judge(struct admit *admit, const struct fleet_state *state)
{
	bool refuse = node_rules(admit->o.node)->value[FLEETRULE_CONTROL] == CONTROL_REFUSE;
	struct admission_verdict verdict;
	int r = fleet_state_judge(state, admit->o.config->host, admit->busy->bytes, &verdict,
				  admit->why);

	if (r) {
		unchecked(admit, r == -ENOENT ? "this host has not reported yet" : "out of memory");
		return;
	}
	admit->answer = verdict.answer == ADMISSION_YES;
	if (!admit->answer && refuse) {
		reply(admit->busy, false, true, admit->why);
		return;
	}
	admit->seen = state->admission;
	ask(admit, "/v3/lease/grant", json_pack("{s:s}", "TTL", PENDING_TTL), on_lease);
}

static void reading_end(struct admit *admit)
{
	fleet_state_free(&admit->state);
	json_decref(admit->first);
	json_decref(admit->page);
	admit->first = admit->page = NULL;
}

static void on_page(void *arg, const struct etcd_answer *answer);

/* Goes on behind this page of kinds[kind]; judges when all of them have been read. */
static void read_on(struct admit *admit, const json_t *range)
{
	for (;;) {
		int r = fleet_state_next(&admit->state, kinds[admit->kind], range, &admit->page);

		if (r) {
			unchecked(admit, r == -EPROTO ?
						 "etcd answers with keys that were not asked for" :
						 "out of memory");
			reading_end(admit);
			return;
		}
		if (admit->page) {
			ask(admit, "/v3/kv/range", json_incref(admit->page), on_page);
			return;
		}
		if (++admit->kind == KINDS)
			break;
		range = etcd_response(admit->first, admit->kind, "response_range");
	}
	judge(admit, &admit->state);
	reading_end(admit);
}

static void on_page(void *arg, const struct etcd_answer *answer)
{
	struct admit *admit = arg;

	admit->op = NULL;
	if (!admit->busy) {
		reading_end(admit);
	} else if (answer->error) {
		unchecked(admit, answer->why);
		reading_end(admit);
	} else if (fleet_state_take_page(&admit->state, answer->json)) {
		unchecked(admit, "out of memory");
		reading_end(admit);
	} else {
		read_on(admit, answer->json);
	}
}

static void on_fleet(void *arg, const struct etcd_answer *answer)
{
	struct admit *admit = arg;

	admit->op = NULL;
	if (!admit->busy)
		return;
	reading_end(admit);
	admit->kind = 0;
	if (answer->error) {
		unchecked(admit, answer->why);
	} else if (fleet_state_init(&admit->state, admit->o.config->fleet) ||
		   fleet_state_take(&admit->state, answer->json)) {
		unchecked(admit, "out of memory");
	} else {
		admit->first = json_incref(answer->json);
		read_on(admit, etcd_response(admit->first, 0, "response_range"));
	}
}

static void read_fleet(struct admit *admit)
{
	ask(admit, "/v3/kv/txn", fleet_state_body(admit->o.config->fleet, kinds, KINDS), on_fleet);
}

static void begin(struct admit *admit, struct asker *asker)
{
	admit->busy = asker;
	admit->rounds = 0;
	if (node_rules(admit->o.node)->value[FLEETRULE_CONTROL] == CONTROL_OFF)
		reply(asker, true, false, "");
	else if (!asker->bytes)
		unchecked(admit, "its memory is not known: give --memory SIZE");
	else if (!node_is_here(admit->o.node))
		unchecked(admit, "etcd is not reached from this host now");
	else
		read_fleet(admit);
}

/* ---- the socket ---------------------------------------------------------------------------- */

static void take_question(struct asker *asker, const char *text, size_t length)
{
	_cleanup_json_ json_t *question = json_loadb(text, length, 0, NULL);
	const char *vm = json_string_value(json_object_get(question, "vm"));
	json_int_t bytes = json_integer_value(json_object_get(question, "bytes"));
	char name[PS_NAME_MAX] = "";

	if (vm && strlen(vm) < sizeof(name))
		memcpy(name, vm, strlen(vm));
	if (!name[0] || ps_name_check(name) || bytes < 0) {
		forget(asker);
		return;
	}
	memcpy(asker->vm, name, sizeof(name));
	asker->bytes = (uint64_t)bytes;
	asker->asked = true;
}

static void hear(struct asker *asker)
{
	int fds[SYS_FDS_MAX];
	char text[ADMIT_MESSAGE_MAX];
	unsigned int nfds = 0;
	size_t got = 0;
	int r = sys_recv_fds(asker->fd, text, sizeof(text), &got, fds, &nfds);

	while (nfds)
		close_fd(&fds[--nfds]);
	if (r == -EAGAIN)
		return;
	if (r || !got || asker->asked)
		forget(asker); /* gone, or it says more than there is to say */
	else
		take_question(asker, text, got);
}

static void accept_one(struct admit *admit)
{
	int fd = sys_unix_accept(admit->listener);
	uid_t uid;
	gid_t gid;

	for (unsigned int i = 0; fd >= 0 && i < MAX_ASKING; i++) {
		struct asker *asker = &admit->askers[i];

		if (asker->fd >= 0 || admit->busy == asker)
			continue;
		asker->since = sys_now();
		if (sys_peer_cred(fd, &asker->pid, &uid, &gid) == 0)
			asker->fd = TAKE_FD(fd);
		break;
	}
	cleanup_close(&fd);
}

static int take_socket(struct admit *admit, unsigned int tries)
{
	int fd, r;

	for (fd = sys_lock_file(admit->lock_path); fd == -EWOULDBLOCK && --tries;
	     fd = sys_lock_file(admit->lock_path))
		sys_sleep_ms(LOCK_PAUSE_MS);
	if (fd < 0)
		return fd == -EWOULDBLOCK ? -EADDRINUSE : fd;
	r = sys_remove_socket(admit->path);
	if (!r)
		r = sys_unix_listen(admit->path, SYS_SOCK_SEQPACKET, 0666);
	if (r < 0) {
		close_fd(&fd);
		return r;
	}
	admit->lock = fd;
	admit->listener = r;
	return 0;
}

unsigned int admit_fds(struct admit *admit, struct curl_waitfd fds[ADMIT_FDS])
{
	unsigned int n = 0;

	if (admit->listener >= 0)
		fds[n++] = (struct curl_waitfd){.fd = admit->listener, .events = CURL_WAIT_POLLIN};
	for (unsigned int i = 0; i < MAX_ASKING; i++)
		if (admit->askers[i].fd >= 0)
			fds[n++] = (struct curl_waitfd){.fd = admit->askers[i].fd,
							.events = CURL_WAIT_POLLIN};
	return n;
}

/* The folder, the lock and the socket in it may be gone; what is new may be somebody else's. A
 * folder that is not there may come back. One that cannot be written to will not change in this
 * process's life: systemd gives a service a view of its own, as it was at its start. */
static int look_after_socket(struct admit *admit, uint64_t now)
{
	struct sys_file file;
	int r;

	if (now < admit->look_socket)
		return 0;
	admit->look_socket = now + SECOND_NS;
	if (admit->listener >= 0 && sys_file_look(admit->path, &file) != -ENOENT)
		return 0;
	close_fd(&admit->listener);
	close_fd(&admit->lock);
	r = take_socket(admit, 1);
	admit->lost = r && r != -ENOENT ? admit->lost + 1 : 0;
	return admit->lost < LOST_MAX ? 0 : r;
}

int admit_work(struct admit *admit)
{
	uint64_t now = sys_now();
	int r = look_after_socket(admit, now);

	if (admit->listener >= 0)
		accept_one(admit);
	now = sys_now();
	for (unsigned int i = 0; i < MAX_ASKING; i++) {
		struct asker *asker = &admit->askers[i];

		if (asker->fd < 0)
			continue;
		hear(asker);
		if (asker->fd >= 0 && now - asker->since > ASK_TIME_NS)
			forget(asker);
	}
	if (!admit->busy && admit->op) {
		etcd_cancel(admit->op); /* whoever asked has gone */
		admit->op = NULL;
	}
	drop_the_dead(admit, now);
	for (unsigned int i = 0; i < MAX_ASKING && !admit->busy; i++)
		if (admit->askers[i].fd >= 0 && admit->askers[i].asked)
			begin(admit, &admit->askers[i]);
	return r;
}

/* ---- the whole ----------------------------------------------------------------------------- */

int admit_new(struct admit **out, const struct admit_options *options)
{
	_cleanup_admit_ struct admit *admit = calloc(1, sizeof(*admit));
	int r;

	if (!admit)
		return -ENOMEM;
	admit->o = *options;
	admit->lock = admit->listener = -1;
	for (unsigned int i = 0; i < MAX_ASKING; i++)
		admit->askers[i] = (struct asker){.admit = admit, .fd = -1};
	snprintf(admit->path, sizeof(admit->path), "%s/" ADMIT_SOCKET, options->runtime_dir);
	snprintf(admit->lock_path, sizeof(admit->lock_path), "%s/" ADMIT_LOCK,
		 options->runtime_dir);
	r = take_socket(admit, LOCK_TRIES);
	if (r)
		return r;
	*out = TAKE_PTR(admit);
	return 0;
}

struct admit *admit_free(struct admit *admit)
{
	if (!admit)
		return NULL;
	etcd_cancel(admit->op);
	reading_end(admit);
	for (unsigned int i = 0; i < MAX_ASKING; i++)
		close_fd(&admit->askers[i].fd);
	if (admit->listener >= 0) {
		close_fd(&admit->listener);
		(void)sys_remove_socket(admit->path);
	}
	close_fd(&admit->lock); /* last: until then nobody else has a socket there */
	free(admit);
	return NULL;
}
