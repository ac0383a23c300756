/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork-child: the same machine once more, on memory and disks of its own.
 *
 *  1. prepare  a folder, RAM files, a delta for each disk; the parent's command line, changed.
 *  2. start    QEMU with -incoming defer, the agent preloaded, the number of the image in its
 *              environment, the parent's salt by a descriptor.
 *  3. connect  its monitor is asked for what can be done before its memory is there.
 *  4. born     the daemon says that the child's memory is the image.
 *  5. load     the device state, by a descriptor of its own (one file, many readers).
 *  6. cont     with what its guest is to become (fork-personality.c).
 *
 * Children are started WINDOW at a time, each driven by what it waits for, so that many are not one
 * after the other. The first that fails ends all of this command: nothing of them is left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fork.h"
#include "cli/salt-files.h"
#include "cli/vm-folder.h"
#include "policy/plain.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/path.h"
#include "sys/proc.h"
#include "sys/saltfile.h"
#include "sys/vmproc.h"

#define MS 1000000ull
#define WINDOW 4u
#define ANSWER_MOST_MS 30000u
/* From exec() to the agent's word, and to the monitor: on a host that is full a QEMU that begins
 * may have to wait long for a CPU, and one child that is given up undoes the whole fork. */
#define BORN_MOST_MS 120000u
#define LOAD_MOST_MS 60000u
#define LOG_MAX (64u << 10)
#define LINES 3u
#define END_MS 2000u

json_t *child_note(const struct child *c)
{
	json_t *deltas = json_array();

	for (size_t i = 0; c->deltas && c->deltas[i]; i++)
		json_array_append_new(deltas, json_string(c->deltas[i]));
	return json_pack("{s:s, s:i, s:s, s:o}", "name", c->name, "pid", (int)c->pid, "folder",
			 c->folder, "deltas", deltas);
}

/* ---- prepare ------------------------------------------------------------------------------ */

static void say_change(const char *what, void *arg)
{
	struct child *c = arg;

	json_array_append_new(c->changed, json_string(what));
}

struct asking {
	const struct fork *f;
	const struct child *c;
};

static char *netdev(const char *id, void *arg)
{
	const struct asking *a = arg;

	return personality_netdev(a->f, a->c, id);
}

static int make_deltas(struct fork *f, struct child *c)
{
	int r = 0;

	c->deltas = calloc(f->ndisks + 1, sizeof(char *));
	if (!c->deltas)
		return say_error(CLI_FAILED, "out of memory");
	for (size_t i = 0; !r && i < f->ndisks; i++)
		r = fork_disk_delta(f, i, c);
	return r;
}

static int make_words(struct fork *f, struct child *c)
{
	const json_t *argv = json_object_get(f->record, "argv");
	size_t n = json_array_size(argv);
	_cleanup_free_ const char **words = calloc(n + 1, sizeof(char *));
	_cleanup_free_ struct qemu_disk *disks = calloc(f->ndisks + 1, sizeof(*disks));
	struct asking asking = {f, c};
	struct qemu_child child = {
		.uuid = *c->uuid ? c->uuid : NULL,
		.name = c->name,
		.parent_folder = f->folder,
		.folder = c->folder,
		.disks = disks,
		.ndisks = f->ndisks,
		.netdev = c->deltas ? netdev : NULL,
		.netdev_arg = &asking,
	};
	char why[QEMU_WHY] = "";
	int r;

	if (!words || !disks || !n)
		return say_error(CLI_FAILED, "%s: its record has no command line", f->parent);
	for (size_t i = 0; i < n; i++)
		words[i] = json_string_value(json_array_get(argv, i));
	for (size_t i = 0; i < f->ndisks; i++)
		disks[i] = (struct qemu_disk){
			.names = (const char *const *)f->disk[i].names,
			.file = c->deltas ? c->deltas[i] : "delta",
		};
	r = qemu_words_copy(&c->words, words);
	if (!r)
		r = qemu_make_child(&c->words, &child, say_change, c, why);
	if (!child.has_uuid)
		c->uuid[0] = '\0';
	return r ? say_error(CLI_FAILED, "%s cannot be forked: %s", f->parent,
			     r == -ENOMEM ? "out of memory" : why) :
		   0;
}

static void note_uuid(struct child *c)
{
	char text[128];

	if (!*c->uuid)
		return;
	snprintf(text, sizeof(text), "its system UUID is %s, which its guest sees after a reset",
		 c->uuid);
	say_change(text, c);
}

static int prepare(struct fork *f, struct child *c)
{
	int r = vm_folder_make(&f->runtime, c->name, c->folder);

	if (!r)
		r = make_deltas(f, c);
	if (!r)
		r = personality_uuid(f, c->uuid);
	if (!r)
		r = make_words(f, c);
	if (!r)
		note_uuid(c);
	return r;
}

int fork_check_words(struct fork *f)
{
	struct child trial = {.changed = json_array()};
	int r;

	snprintf(trial.folder, sizeof(trial.folder), "%s", f->folder);
	snprintf(trial.name, sizeof(trial.name), "%s", f->parent);
	r = make_words(f, &trial);
	qemu_words_free(&trial.words);
	json_decref(trial.changed);
	return r;
}

/* ---- start -------------------------------------------------------------------------------- */

/* Of the parent's environment what is its own alone. */
static bool is_parents_own(const char *entry)
{
	static const char *const names[] = {
		"PSHARE_NAME=",	   VM_FOLDER_ENV "=",	"PSHARE_FORK_RAM=", "PSHARE_FORK_IMAGE=",
		"PSHARE_SALT_FD=", "PSHARE_SALT_FROM=", "NOTIFY_SOCKET=",   "INVOCATION_ID=",
		"LISTEN_FDS=",	   "LISTEN_PID=",	"PSHARE_QMP="};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(entry, names[i], strlen(names[i])))
			return true;
	return false;
}

/* With a salt of its own, what the parent's was read from is not its affair. */
static bool is_other_salts(const struct fork *f, const char *entry)
{
	return f->salt.bytes && !strncmp(entry, SALT_PATH_ENV "=", sizeof(SALT_PATH_ENV "=") - 1);
}

/* The child's environment: an array to be freed, whose first `own` entries are to be freed too. */
static char **make_environ(const struct fork *f, const struct child *c, const char *rams, int salt,
			   size_t *own)
{
	size_t n = 0, most = 8;
	char **env;

	for (long at = 0; at < f->environ_length; at += (long)strlen(f->environ + at) + 1)
		most++;
	env = calloc(most, sizeof(char *));
	if (!env)
		return NULL;
#define ADD(...)                                 \
	if (asprintf(&env[n], __VA_ARGS__) >= 0) \
	n++
	ADD("PSHARE_NAME=%s", c->name);
	ADD(VM_FOLDER_ENV "=%s", c->folder);
	ADD("PSHARE_FORK_RAM=%s", rams);
	ADD("PSHARE_FORK_IMAGE=%llu", (unsigned long long)f->image);
	for (long at = 0; at < f->environ_length; at += (long)strlen(f->environ + at) + 1) {
		const char *slash = strrchr(f->environ + at, '/');

		if (!strncmp(f->environ + at, "PSHARE_QMP=", 11) && slash)
			ADD("PSHARE_QMP=%s%s", c->folder, slash);
	}
	if (salt >= 0)
		ADD("PSHARE_SALT_FD=%d", salt);
	if (f->salt.path)
		ADD(SALT_PATH_ENV "=%s", f->salt.path);
#undef ADD
	*own = n;
	for (long at = 0; at < f->environ_length; at += (long)strlen(f->environ + at) + 1)
		if (f->environ[at] && !is_parents_own(f->environ + at) &&
		    !is_other_salts(f, f->environ + at))
			env[n++] = f->environ + at;
	return env;
}

static int write_record(struct fork *f, const struct child *c)
{
	_cleanup_json_ json_t *record = NULL;
	json_t *argv = json_array();

	for (size_t i = 0; i < c->words.n; i++)
		json_array_append_new(argv, json_string(c->words.word[i]));
	record = json_pack("{s:s, s:i, s:s, s:s, s:I, s:s, s:o, s:o}", "name", c->name, "pid",
			   (int)c->pid, "program", ask_text(f->record, "program"), "cwd",
			   ask_text(f->record, "cwd"), "rams",
			   (json_int_t)ask_number(f->record, "rams"), "parent", f->parent, "argv",
			   argv, "above", fork_above(f));
	return vm_record_write(c->folder, record);
}

static int start(struct fork *f, struct child *c)
{
	_cleanup_close_ int salt = f->salt.bytes ? sys_salt_memfd(f->salt.bytes, f->salt.length) :
						   sys_process_salt(f->pid);
	char log[PATH_MAX], rams[PATH_MAX];
	struct sys_vmm vmm = {
		.path = ask_text(f->record, "program"),
		.cwd = ask_text(f->record, "cwd"),
		.log = log,
		.keep = salt,
	};
	char **env;
	size_t own = 0;
	int r = prepare(f, c);

	if (!r)
		r = fork_note_child(f, c);
	if (!r)
		r = vm_folder_rams(c->folder, (unsigned int)ask_number(f->record, "rams"), rams);
	if (r)
		return r;
	if (salt < 0 && salt != -ENOENT)
		return say_error(CLI_FAILED, "%s: its salt cannot be handed on: %s", f->parent,
				 strerror(-salt));
	snprintf(log, sizeof(log), "%.4000s/log", c->folder);
	env = make_environ(f, c, rams, salt, &own);
	vmm.env = env;
	vmm.argv = c->words.word;
	c->began = sys_now();
	r = env ? sys_vmm_start(&vmm, &c->pid) : -ENOMEM;
	for (size_t i = 0; i < own; i++)
		free(env[i]);
	free(env);
	if (r)
		return say_error(CLI_FAILED, "%s: %s cannot be started: %s", c->name, vmm.path,
				 strerror(-r));
	r = write_record(f, c);
	if (!r && f->salt.bytes) {
		char what[32];

		snprintf(what, sizeof(what), "copy %d", (int)c->pid);
		r = fork_tell(f, what);
	}
	return r;
}

/* ---- one step of each --------------------------------------------------------------------- */

const char *fork_one_line(char *text)
{
	char *lines[LINES] = {NULL}, *save = NULL;
	static char one[LINES * 200];
	size_t n = 0, at = 0;

	for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
		if (!strstr(line, "warning: "))
			lines[n++ % LINES] = line;
	one[0] = '\0';
	for (size_t i = n < LINES ? 0 : n - LINES; i < n; i++)
		at += (size_t)snprintf(one + at, sizeof(one) - at, "%s%.190s", at ? "; " : "",
				       lines[i % LINES]);
	plain_text(one); /* what a VMM prints comes to a terminal */
	return one;
}

/* Why QEMU ended: the end of its log. */
static int say_ended(const struct child *c)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	const char *why = "";

	snprintf(path, sizeof(path), "%.4000s/log", c->folder);
	if (!sys_read_text(path, LOG_MAX, &text))
		why = fork_one_line(text);
	return say_error(CLI_FAILED, "%s: its QEMU ended%s%s", c->name, *why ? ": " : "", why);
}

/* A monitor that broke off: does its QEMU end, and so has a reason in its log? */
static int say_broken(const struct child *c, int r)
{
	for (unsigned int ms = 0; ms < END_MS && sys_process_lives(c->pid); ms++)
		sys_sleep_ms(1);
	if (!sys_process_lives(c->pid))
		return say_ended(c);
	return say_error(CLI_FAILED, "%s: QEMU: %s", c->name, strerror(-r));
}

static const char *birth_error(const char *error)
{
	if (!strcmp(error, "EXDEV"))
		return "its salt is not the parent's any more, so it may not share with it; "
		       "give it one by --salt-file, and it gets a copy";
	if (!strcmp(error, "ENOENT"))
		return "the image has gone";
	return error;
}

/* Born? 0 and c->born, or 0: not yet. */
static int look_born(struct fork *f, struct child *c)
{
	_cleanup_json_ json_t *vm = NULL;
	const json_t *family;
	int r = client_look(f->client, &vm, "/v1/vms/%s", c->name);

	if (r && r != -ENOENT)
		return r;
	family = json_object_get(vm, "family");
	if (!r && !strcmp(ask_text(family, "birth"), "failed"))
		return say_error(CLI_FAILED, "%s: its memory does not begin as the parent's: %s",
				 c->name, birth_error(ask_text(family, "error")));
	if (!r && !strcmp(ask_text(family, "birth"), "born"))
		c->born = sys_now();
	else if (!sys_process_lives(c->pid))
		return say_ended(c);
	else if (sys_now() - c->began > BORN_MOST_MS * MS)
		return say_error(CLI_FAILED,
				 "%s: its memory does not begin as the parent's: no "
				 "word of its agent in %u s",
				 c->name, BORN_MOST_MS / 1000);
	return 0;
}

/* As soon as its monitor listens; it answers when QEMU has made its machine. The agent maps the
 * image meanwhile, and to ask the daemon for that all the time would take the CPU from both. */
static int connect_monitor(struct fork *f, struct child *c)
{
	static const struct qmp_limits limits = {.deadline_ms = ANSWER_MOST_MS};
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%.4000s/qmp.sock", c->folder);
	r = qmp_connect(path, &limits, &c->qmp);
	if ((r == -ENOENT || r == -ECONNREFUSED) && sys_process_lives(c->pid)) {
		if (sys_now() - c->began < BORN_MOST_MS * MS)
			return 0; /* not yet */
		return say_error(CLI_FAILED, "%s: its QEMU makes no monitor in %u s", c->name,
				 BORN_MOST_MS / 1000);
	}
	if (r)
		return say_broken(c, r);
	fd = sys_open_read(f->state);
	if (fd < 0)
		return say_error(CLI_FAILED, "%s: %s", f->state, strerror(-fd));
	r = fork_qmp(f, c->qmp, c->name, "migrate-set-capabilities", fork_capability(true), -1,
		     NULL);
	if (!r)
		r = fork_qmp(f, c->qmp, c->name, "getfd",
			     json_pack("{s:s}", "fdname", "pshare-state"), fd, NULL);
	return r;
}

static int load(struct fork *f, struct child *c)
{
	c->loading = true;
	return fork_qmp(f, c->qmp, c->name, "migrate-incoming",
			json_pack("{s:s}", "uri", "fd:pshare-state"), -1, NULL);
}

static int look_loaded(struct fork *f, struct child *c)
{
	_cleanup_json_ json_t *status = NULL;
	int r = qmp_command(c->qmp, "query-status", NULL, &status);

	if (r)
		return say_broken(c, r);
	if (strcmp(ask_text(status, "status"), "inmigrate") != 0) {
		c->loaded = sys_now();
		return 0;
	}
	if (sys_now() - c->born > LOAD_MOST_MS * MS)
		return say_error(CLI_FAILED, "%s: QEMU does not end loading its device state",
				 c->name);
	(void)f;
	return 0;
}

static void note_memory(struct fork *f, struct child *c)
{
	_cleanup_json_ json_t *vm = NULL;

	if (!client_look(f->client, &vm, "/v1/vms/%s", c->name))
		c->memory_first = ask_number(vm, "private");
}

static int let_run(struct fork *f, struct child *c)
{
	int r = personality_before(f, c);

	if (!r && !f->args->no_start)
		r = fork_qmp(f, c->qmp, c->name, "cont", NULL, -1, NULL);
	if (r)
		return r;
	c->running = sys_now();
	note_memory(f, c);
	/* for who migrates it later */
	return fork_qmp(f, c->qmp, c->name, "migrate-set-capabilities", fork_capability(false), -1,
			NULL);
}

/* As far as it goes without waiting for its QEMU or the daemon: each pause between looks is a
 * millisecond. One that has just been started, or just got its state, has nothing to say yet. */
static int advance(struct fork *f, struct child *c)
{
	int r = 0;

	if (!c->pid)
		return start(f, c);
	if (!c->qmp)
		r = connect_monitor(f, c);
	if (!r && c->qmp && !c->born)
		r = look_born(f, c);
	if (!r && c->born && !c->loading)
		return load(f, c);
	if (!r && c->loading && !c->loaded)
		r = look_loaded(f, c);
	if (!r && c->loaded)
		r = let_run(f, c);
	return r;
}

/* ---- all of them -------------------------------------------------------------------------- */

static int name_children(struct fork *f)
{
	const struct args *args = f->args;

	f->child = calloc(f->nchildren, sizeof(*f->child));
	if (!f->child)
		return say_error(CLI_FAILED, "out of memory");
	for (unsigned int i = 0, n = 1; i < f->nchildren; i++, n++) {
		struct child *c = &f->child[i];
		_cleanup_json_ json_t *vm = NULL;
		int length, r;

		c->changed = json_array();
		c->guest = json_object();
		if (args->name)
			length = snprintf(c->name, sizeof(c->name), "%s", args->name);
		else
			length = snprintf(c->name, sizeof(c->name), "%s-%u", f->parent, n);
		if (length >= (int)sizeof(c->name))
			return say_error(CLI_USAGE, "the name %s-%u is too long; give --name",
					 f->parent, n);
		r = client_look(f->client, &vm, "/v1/vms/%s", c->name);
		if (!r && args->name)
			return say_error(CLI_FAILED, "a VM named %s runs already", c->name);
		if (r && r != -ENOENT)
			return r;
		if (!r)
			i--; /* taken: the next number */
	}
	return 0;
}

int fork_children(struct fork *f)
{
	unsigned int first = 0, done = 0;
	int r = name_children(f);

	while (!r && done < f->nchildren) {
		done = 0;
		for (unsigned int i = 0; !r && i < f->nchildren; i++) {
			if (f->child[i].running) {
				done++;
				continue;
			}
			if (i >= first + WINDOW)
				break;
			r = advance(f, &f->child[i]);
		}
		while (first < f->nchildren && f->child[first].running)
			first++;
		fork_progress(f, "%s: %u of %u children run ...", f->parent, done, f->nchildren);
		if (!r && done < f->nchildren)
			sys_sleep_ms(1);
	}
	for (unsigned int i = 0; !r && i < f->nchildren; i++)
		r = personality_after(f, &f->child[i], i);
	return r;
}

void fork_undo_children(struct fork *f)
{
	for (unsigned int i = 0; f->child && i < f->nchildren; i++) {
		struct child *c = &f->child[i];

		c->qmp = qmp_free(c->qmp);
		if (c->pid)
			(void)sys_vmm_end(c->pid, true);
		for (unsigned int k = 0; c->pid && k < 2000 && sys_process_lives(c->pid); k++)
			sys_sleep_ms(1);
		for (size_t k = 0; c->deltas && c->deltas[k]; k++)
			(void)sys_file_remove(c->deltas[k]);
		if (*c->folder)
			vm_folder_remove(c->folder);
	}
}
