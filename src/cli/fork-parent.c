/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork-parent: what is done to the VM that is forked.
 *
 *  1. publish   the daemon makes frames of its pages while it runs, until little is left.
 *  2. stop      its CPUs stand, its devices are drained.
 *  3. disks     one transaction: every file that it writes to is frozen, and it writes to a delta.
 *  4. migrate   its device state goes into a file. Its RAM, which QEMU takes for a shared file,
 *               does not (x-ignore-shared).
 *  5. freeze    the agent says what each page is; the daemon takes references. After 4, for a
 *               device may write to memory when its state is saved.
 *  6. cont      it runs on, or stays as a template.
 *
 * Whatever fails before 6 is undone in the opposite order: it runs on, writes to the files that it
 * had, and the deltas are removed. What another fork left (a crash of this program) is undone by
 * --undo, from the record in the VM's folder (fork-undo.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fork.h"
#include "cli/vm-folder.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/proc.h"
#include "sys/terminal.h"
#include "sys/vmproc.h"

#define MS 1000000ull
#define PUBLISH_MOST_MS 60000u
#define PUBLISH_LEFT (16ull << 20) /* bytes that are not frames: copied in the pause */
#define PUBLISH_STALL_MS 1500u	   /* no progress for so long: the rest changes all the time */
#define PUBLISH_LOOKS 5u	   /* whole looks of the agent before that counts */
#define QUARANTINE_LEFT (16ull << 20)
#define PUBLISH_LEAST 256u /* KiB of progress that count */
#define PUBLISH_POLL_MS 5u
#define POLL_MS 1u
#define FREEZE_MOST_MS 30000u
#define MIGRATE_MOST_MS 60000u

void fork_progress(const struct fork *f, const char *format, ...)
{
	char text[256] = "";
	va_list list;

	if (f->args->json || !term_is_terminal(2))
		return;
	if (format) {
		va_start(list, format);
		vsnprintf(text, sizeof(text), format, list);
		va_end(list);
	}
	fprintf(stderr, "\r\033[K%s", text);
	fflush(stderr);
}

int fork_qmp_failed(const struct qmp *qmp, const char *whose, const char *command, int r)
{
	return say_error(CLI_FAILED, "%s: QEMU: %s: %s", whose, command,
			 r == -EREMOTEIO ? qmp_error(qmp) : strerror(-r));
}

int fork_qmp(struct fork *f, struct qmp *qmp, const char *whose, const char *command, json_t *args,
	     int fd, json_t **answer)
{
	int r = qmp_command_with(qmp, command, args, fd, FORK_QMP_MS, answer);

	if (!r)
		return 0;
	fork_progress(f, NULL);
	return fork_qmp_failed(qmp, whose, command, r);
}

int fork_connect(struct fork *f)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%.4000s/qmp.sock", f->folder);
	r = qmp_connect(path, NULL, &f->qmp);
	return r ? say_error(CLI_FAILED, "%s: its monitor %s: %s%s", f->parent, path, strerror(-r),
			     r == -ETIMEDOUT ? "; another fork of it may be under way" : "") :
		   0;
}

int fork_tell(struct fork *f, const char *what)
{
	_cleanup_json_ json_t *body = json_pack("{s:s}", "value", what);
	_cleanup_json_ json_t *answer = NULL;

	return client_put(f->client, &answer, body, NULL, "/v1/vms/%s/fork", f->parent, NULL);
}

/* ---- publish ------------------------------------------------------------------------------ */

static uint64_t bytes_left(const json_t *fork)
{
	uint64_t done = ask_number(fork, "zero") + ask_number(fork, "framed");
	uint64_t grant = ask_number(fork, "grant");

	return (grant > done ? grant - done : 0) + ask_number(fork, "out");
}

/* How far publishing is. */
struct publishing {
	uint64_t began, best, best_at; /* ns; bytes that are still to go */
	uint64_t passes;	       /* when it began */
	bool enough;		       /* what is left changes all the time, or is little */
};

/* A page is armed in one look, hashed in the next, and a frame a moment after: before some looks
 * have been made, that there is no progress means nothing. */
static bool is_published(struct publishing *p, const json_t *fork, uint64_t now)
{
	uint64_t left = bytes_left(fork), looks = ask_number(fork, "passes") - p->passes;
	/* what is out comes back, and is a frame only later: two steps of progress */
	uint64_t way = left + ask_number(fork, "out");

	if (way + (PUBLISH_LEAST << 10) < p->best) {
		p->best = way;
		p->best_at = now;
	}
	p->enough |= (left <= PUBLISH_LEFT && looks >= 1) ||
		     (now - p->best_at > PUBLISH_STALL_MS * MS && looks >= PUBLISH_LOOKS);
	return p->enough;
}

int fork_publish(struct fork *f)
{
	struct publishing p = {.began = sys_now(), .best = UINT64_MAX, .passes = UINT64_MAX};
	uint64_t told = 0, now;

	if (f->was_template)
		return 0;
	f->publishing = true;
	do {
		_cleanup_json_ json_t *fork = NULL;
		bool waits;
		int r = 0;

		now = sys_now();
		if (now - told > 1000 * MS) {
			r = fork_tell(f, "publish");
			told = now;
		}
		if (!r)
			r = client_get(f->client, &fork, "/v1/vms/%s/fork", f->parent, NULL);
		if (r)
			return r;
		if (p.passes == UINT64_MAX)
			p.passes = ask_number(fork, "passes");
		fork_progress(f, "%s: %" PRIu64 " of %" PRIu64 " MiB in frames ...", f->parent,
			      (ask_number(fork, "zero") + ask_number(fork, "framed")) >> 20,
			      (ask_number(fork, "zero") + ask_number(fork, "framed") +
			       bytes_left(fork)) >>
				      20);
		/* the quarantine ends in the pause: one that is full would make it long */
		waits = !f->args->template && ask_number(fork, "quarantined") > QUARANTINE_LEFT;
		if (is_published(&p, fork, now) && !waits)
			break;
		sys_sleep_ms(PUBLISH_POLL_MS);
	} while (now - p.began < PUBLISH_MOST_MS * MS);
	f->publish_ns = sys_now() - p.began;
	return 0;
}

/* ---- the pause ---------------------------------------------------------------------------- */

/* QEMU often has no reason in its answer, and prints it: what it printed since then. */
static int say_unsaved(const struct fork *f, const json_t *status, bool known, uint64_t printed)
{
	_cleanup_free_ char *text = NULL;
	const char *why = ask_text(status, "error-desc");

	if (!*why && known && !sys_process_errors(f->pid, printed, &text, &printed))
		why = fork_one_line(text);
	return say_error(
		CLI_FAILED,
		"%s cannot be forked: QEMU cannot save its device state: %s; a device that "
		"cannot is to be unplugged, or left out of its command line",
		f->parent,
		*why  ? why :
		known ? "it gives no reason" :
			"it gives no reason but in what it prints");
}

static int save_state(struct fork *f)
{
	_cleanup_close_ int fd = -1;
	uint64_t printed = 0;
	bool known = !sys_process_errors(f->pid, 0, NULL, &printed);
	uint64_t end = sys_now() + MIGRATE_MOST_MS * MS;
	int r;

	(void)sys_file_remove(f->state);
	fd = sys_new_file(f->state);
	if (fd < 0)
		return say_error(CLI_FAILED, "cannot make %s: %s", f->state, strerror(-fd));
	r = fork_qmp(f, f->qmp, f->parent, "getfd", json_pack("{s:s}", "fdname", "pshare-state"),
		     fd, NULL);
	if (!r)
		r = fork_qmp(f, f->qmp, f->parent, "migrate",
			     json_pack("{s:s}", "uri", "fd:pshare-state"), -1, NULL);
	while (!r) {
		_cleanup_json_ json_t *status = NULL;
		const char *is;

		r = fork_qmp(f, f->qmp, f->parent, "query-migrate", NULL, -1, &status);
		is = ask_text(status, "status");
		if (!strcmp(is, "completed"))
			return 0;
		if (!strcmp(is, "failed") || !strcmp(is, "cancelled"))
			return say_unsaved(f, status, known, printed);
		if (!r && sys_now() > end)
			return say_error(CLI_FAILED,
					 "%s: QEMU does not end saving its device "
					 "state",
					 f->parent);
		sys_sleep_ms(POLL_MS);
	}
	return r;
}

/* Until the daemon says that the guest may run, or that the image is whole. */
static int wait_for_image(struct fork *f, bool whole)
{
	uint64_t end = sys_now() + FREEZE_MOST_MS * MS;

	for (;;) {
		_cleanup_json_ json_t *fork = NULL;
		int r = client_get(f->client, &fork, "/v1/vms/%s/fork", f->parent, NULL);
		const char *is = ask_text(fork, "state");

		if (r)
			return r;
		if (!strcmp(is, "failed"))
			return say_error(CLI_FAILED, "%s cannot be forked: %s", f->parent,
					 ask_text(fork, "why"));
		if (!strcmp(is, "none"))
			return say_error(CLI_FAILED,
					 "%s: the daemon dropped the image, for its "
					 "domain changed, or another fork began",
					 f->parent);
		if (whole ? !strcmp(is, "ready") : ask_true(fork, "running")) {
			f->image = ask_number(fork, "image");
			f->pages_frames = ask_number(fork, "pages_frames");
			f->pages_copied =
				ask_number(fork, "pages_copied") + ask_number(fork, "pages_found");
			return 0;
		}
		if (sys_now() > end)
			return say_error(CLI_FAILED, "%s: no image of it within %u s", f->parent,
					 FREEZE_MOST_MS / 1000);
		sys_sleep_ms(POLL_MS);
	}
}

static int let_run(struct fork *f)
{
	int r = 0;

	if (f->stopped && f->was_running)
		r = fork_qmp(f, f->qmp, f->parent, "cont", NULL, -1, NULL);
	f->stopped = false;
	return r;
}

/* What is to be undone is in the record before it is done: --undo knows it, whatever happens. */
static int note_pending(struct fork *f, bool pending)
{
	if (pending)
		json_object_set_new(f->record, "pending",
				    json_pack("{s:b, s:o, s:[]}", "was_running",
					      (int)f->was_running, "disks", fork_disks_note(f),
					      "children"));
	else
		json_object_del(f->record, "pending");
	return vm_record_write(f->folder, f->record);
}

int fork_note_child(struct fork *f, const struct child *c)
{
	json_t *pending = json_object_get(f->record, "pending"), *children;
	size_t last;

	if (!pending) { /* of a template: its disks stay frozen */
		pending = json_pack("{s:[], s:[]}", "disks", "children");
		json_object_set_new(f->record, "pending", pending);
	}
	children = json_object_get(pending, "children");
	last = json_array_size(children);
	if (last && !strcmp(ask_text(json_array_get(children, last - 1), "folder"), c->folder))
		json_array_set_new(children, last - 1, child_note(c));
	else
		json_array_append_new(children, child_note(c));
	return vm_record_write(f->folder, f->record);
}

int fork_freeze(struct fork *f)
{
	uint64_t began;
	int r;

	if (f->was_template)
		return 0;
	f->has_helper = personality_port_open(f->qmp); /* by now: it may be booting */
	fork_progress(f, "%s: stopping it for a moment ...", f->parent);
	r = fork_disks_name(f);
	if (!r)
		r = note_pending(f, true);
	began = sys_now();
	if (!r) {
		f->stopped = true;
		r = fork_qmp(f, f->qmp, f->parent, "stop", NULL, -1, NULL);
	}
	f->disks_ns = sys_now();
	if (!r)
		r = fork_disks_freeze(f);
	f->state_ns = sys_now();
	f->disks_ns = f->state_ns - f->disks_ns;
	if (!r)
		r = save_state(f);
	f->image_ns = sys_now();
	f->state_ns = f->image_ns - f->state_ns;
	if (!r) {
		f->frozen = true;
		r = fork_tell(f, "freeze");
	}
	if (!r)
		r = wait_for_image(f, false);
	f->image_ns = sys_now() - f->image_ns;
	if (!r && !f->args->template)
		r = let_run(f);
	f->pause_ns = sys_now() - began;
	return r ? r : wait_for_image(f, true);
}

/* ---- the end ------------------------------------------------------------------------------ */

/* A monitor that stalled, or closed, is asked anew. It takes one command after the other: its
 * answer says, too, that what it did not answer before is done, or never will be. */
static int ask_anew(struct fork *f, const char *command)
{
	if (!qmp_command(f->qmp, command, NULL, NULL))
		return 0;
	f->qmp = qmp_free(f->qmp);
	return fork_connect(f) || qmp_command(f->qmp, command, NULL, NULL) ? -1 : 0;
}

void fork_undo_parent(struct fork *f)
{
	bool done = f->stopped || f->frozen || f->publishing;

	fork_progress(f, NULL);
	if (f->was_template) {
		if (json_object_get(f->record, "pending"))
			(void)note_pending(f, false);
		return;
	}
	if (f->frozen || f->publishing)
		(void)fork_tell(f, "drop");
	/* it may stand still though the stop was not answered */
	if (done && ask_anew(f, f->was_running ? "cont" : "query-status")) {
		say_error(
			CLI_FAILED,
			"%s may stand still, or write to its deltas: its monitor does not answer; "
			"when it does, 'pshare fork --undo %s' mends that",
			f->parent, f->parent);
		return; /* the record keeps what is to be undone */
	}
	if (fork_disks_merge(f)) {
		say_error(CLI_FAILED,
			  "%s writes to its deltas still; 'pshare fork --undo %s' tries again",
			  f->parent, f->parent);
		return;
	}
	(void)sys_file_remove(f->state);
	if (f->record && json_object_get(f->record, "pending"))
		(void)note_pending(f, false);
}

static json_t *children_note(const struct fork *f)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < f->nchildren; i++)
		json_array_append_new(list, child_note(&f->child[i]));
	return list;
}

/* What this fork left, for --undo. */
static void note_fork(struct fork *f)
{
	json_t *forks = json_object_get(f->record, "forks");

	if (!forks) {
		forks = json_array();
		json_object_set_new(f->record, "forks", forks);
	}
	json_array_append_new(forks, json_pack("{s:o, s:o}", "disks", fork_disks_note(f),
					       "children", children_note(f)));
}

int fork_close(struct fork *f)
{
	int r = 0;

	note_fork(f);
	json_object_del(f->record, "pending");
	if (f->args->template || f->was_template) {
		json_object_set_new(f->record, "template",
				    json_pack("{s:I, s:o, s:b}", "image", (json_int_t)f->image,
					      "disks", fork_disks_note(f), "was_running", 1));
		f->stopped = false;
	} else {
		json_object_del(f->record, "template");
		r = fork_tell(f, "drop");
		(void)sys_file_remove(f->state);
	}
	return r ? r : vm_record_write(f->folder, f->record);
}

/* Whoever migrates it later, or saves it, would else do so without its memory. */
static void clear_capability(struct fork *f)
{
	if (!f->capable || !f->qmp ||
	    !qmp_command(f->qmp, "migrate-set-capabilities", fork_capability(false), NULL))
		return;
	f->qmp = qmp_free(f->qmp); /* it broke off: once more */
	if (!fork_connect(f))
		(void)qmp_command(f->qmp, "migrate-set-capabilities", fork_capability(false), NULL);
}

void fork_free(struct fork *f)
{
	clear_capability(f);
	fork_disks_free(f);
	free(f->child);
	free(f->environ);
	json_decref(f->record);
	json_decref(f->personality);
	qmp_free(f->qmp);
	client_free(f->client);
	salt_wipe(&f->salt);
}
