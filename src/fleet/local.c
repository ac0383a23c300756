/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's API over its socket. A PUT waits as long as the daemon does: it answers when the
 * change is true, or when its own limit for the VMs is over. An audit reads page frames, takes
 * seconds and wants rights of its own: it is another program's work ('pshare audit'), started
 * aside, its output taken from a file when it has ended.
 */
#include "fleet/local.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/file.h"
#include "sys/hostname.h"
#include "sys/launch.h"
#include "sys/path.h"
#include "sys/proc.h"
#include "sys/process.h"
#include "sys/self.h"

#define GET_TIMEOUT_MS 8000L
#define AUDIT_MAX (256u << 10)

struct question {
	struct local_daemon *daemon;
	struct question *next, *prev;
	struct http_request *request;
	local_done done;
	void *arg;
};

struct local_daemon {
	struct local local;
	struct http *http;
	struct question *questions;
	char dir[PATH_MAX];
	char socket[PATH_MAX + 16];
	char audit_log[PATH_MAX + 32];
	pid_t audit_pid;
};

static void question_free(struct question *question)
{
	if (question->prev)
		question->prev->next = question->next;
	else
		question->daemon->questions = question->next;
	if (question->next)
		question->next->prev = question->prev;
	free(question);
}

/* Is it the request that is wrong? Else the daemon, or its machine, cannot for now: 409 and 504 are
 * VMs that did not get ready in time, 429 and 503 too much to do, 500 a lack of memory. */
static bool refuses(long status)
{
	return status >= 400 && status < 500 && status != 408 && status != 409 && status != 429;
}

static void on_answer(void *arg, const struct http_answer *answer)
{
	struct question question = *(struct question *)arg;
	const char *said = json_string_value(json_object_get(answer->json, "detail"));
	char why[256];
	int error = 0;

	question_free(arg);
	/* a daemon is told from the one before it, whose pid it may have */
	if (json_object_get(answer->json, "uptime_s")) {
		pid_t pid = (pid_t)json_integer_value(json_object_get(answer->json, "pid"));
		uint64_t ticks = 0;

		(void)sys_process_ticks(pid, &ticks);
		(void)json_object_set_new(answer->json, "started", json_integer((json_int_t)ticks));
	}
	if (answer->error) {
		error = -ENOTCONN;
		snprintf(why, sizeof(why), "no daemon answers on this host");
	} else if (answer->status != 200 || !answer->json) {
		error = refuses(answer->status) ? -EINVAL : -ETIMEDOUT;
		snprintf(why, sizeof(why), "%.200s", said ? said : "what answers is no pshared");
	}
	question.done(question.arg, error, error ? why : NULL, error ? NULL : answer->json);
}

static int ask(struct local_daemon *d, struct http_call *call, local_done done, void *arg)
{
	struct question *question = malloc(sizeof(*question));
	int r;

	if (!question)
		return -ENOMEM;
	*question = (struct question){.daemon = d, .next = d->questions, .done = done, .arg = arg};
	if (d->questions)
		d->questions->prev = question;
	d->questions = question;
	call->socket = d->socket;
	call->done = on_answer;
	call->arg = question;
	r = http_start(d->http, call, &question->request);
	if (r)
		question_free(question);
	return r;
}

static int get(struct local *local, const char *path, local_done done, void *arg)
{
	struct http_call call = {.timeout_ms = GET_TIMEOUT_MS};
	char url[256];

	snprintf(url, sizeof(url), "http://pshare%s", path);
	call.url = url;
	return ask((struct local_daemon *)local, &call, done, arg);
}

static int put(struct local *local, const char *setting, json_t *value, local_done done, void *arg)
{
	_cleanup_json_ json_t *body = json_pack("{s:o}", "value", value);
	_cleanup_free_ char *text = json_line(body);
	struct http_call call = {.method = "PUT", .body = text};
	char url[256];

	if (!text)
		return -ENOMEM;
	snprintf(url, sizeof(url), "http://pshare/v1/settings/%s", setting);
	call.url = url;
	return ask((struct local_daemon *)local, &call, done, arg);
}

static json_t *facts(struct local *local)
{
	struct sys_meminfo memory = {0};
	char kernel[128] = "";

	(void)local;
	(void)sys_meminfo(&memory);
	/* in steps of a 64th: else every report would be a new one */
	memory.available -= memory.available % (memory.total / 64 + 1);
	(void)sys_kernel_release(kernel, sizeof(kernel));
	return json_pack("{s:{s:I, s:I}, s:i, s:s}", "memory", "total", (json_int_t)memory.total,
			 "available", (json_int_t)memory.available, "cpus", (int)sys_cpu_count(),
			 "kernel", kernel);
}

/* ---- audits -------------------------------------------------------------------------------- */

/* pshare beside this program, else along $PATH. */
static int find_pshare(char path[PATH_MAX])
{
	char folder[PATH_MAX - 32], beside[PATH_MAX];

	if (!sys_self_folder(folder, sizeof(folder))) {
		static const char *const places[] = {"/pshare", "/../bin/pshare", "/../cli/pshare"};

		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			snprintf(beside, sizeof(beside), "%s%s", folder, places[i]);
			if (!sys_find_program(beside, path, PATH_MAX))
				return 0;
		}
	}
	return sys_find_program("pshare", path, PATH_MAX);
}

static int audit(struct local *local)
{
	struct local_daemon *d = (struct local_daemon *)local;
	const char *argv[] = {"pshare", "audit", "--json", "--runtime-dir", d->dir, NULL};
	char path[PATH_MAX];
	int r;

	if (d->audit_pid)
		return 0;
	(void)sys_file_remove(d->audit_log);
	r = find_pshare(path);
	return r ? r : sys_spawn_detached(path, argv, d->audit_log, &d->audit_pid);
}

static json_t *audit_end(struct local *local)
{
	struct local_daemon *d = (struct local_daemon *)local;
	_cleanup_free_ char *text = NULL;
	json_t *said;
	int r;

	if (d->audit_pid && sys_process_lives(d->audit_pid))
		return NULL;
	d->audit_pid = 0;
	r = sys_read_text(d->audit_log, AUDIT_MAX, &text);
	(void)sys_file_remove(d->audit_log);
	if (r)
		return json_pack("{s:s}", "error", "no 'pshare audit' could be started here");
	said = json_loads(text, 0, NULL);
	if (json_is_object(said))
		return said;
	json_decref(said);
	text[strcspn(text, "\n")] = '\0';
	said = json_pack("{s:s}", "error", text);
	return said ? said : json_pack("{s:s}", "error", "'pshare audit' said what is no text");
}

/* ---- the whole ----------------------------------------------------------------------------- */

int local_daemon_new(struct local_daemon **out, struct http *http, const char *runtime_dir)
{
	struct local_daemon *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->local = (struct local){get, put, facts, audit, audit_end};
	d->http = http;
	snprintf(d->dir, sizeof(d->dir), "%s", runtime_dir);
	snprintf(d->socket, sizeof(d->socket), "%s/api.sock", d->dir);
	snprintf(d->audit_log, sizeof(d->audit_log), "%s/fleet-audit.%d", d->dir,
		 (int)sys_self_pid());
	*out = d;
	return 0;
}

struct local_daemon *local_daemon_free(struct local_daemon *daemon)
{
	while (daemon && daemon->questions) {
		http_cancel(daemon->questions->request);
		question_free(daemon->questions);
	}
	free(daemon);
	return NULL;
}

struct local *local_of(struct local_daemon *daemon)
{
	return &daemon->local;
}
