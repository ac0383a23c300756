/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit-daemons: which daemons there are, and what they are believed about.
 *
 * Daemons are found by their program, and asked in the folder that their command line or
 * environment names. With --runtime-dir only that one is asked. Any user can start a program of
 * that name, which says what he likes:
 *
 *  - Who made the socket is known from the kernel (SO_PEERCRED), not from the answer.
 *  - A daemon is believed about VMs of its own user; about all, if it is root's or the system's, if
 *    its folder is one that root alone can make (/run/pshare), or if whoever audits has named it.
 *  - The process that it says it is must be its user's.
 *  - A store is its own if its process has a descriptor for writing: VMs have them for reading.
 *  - All that are of neither root nor the system have PATIENCE_MS together to answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "sys/look.h"
#include "sys/path.h"

#define SYSTEM_DIR "/run/pshare"
#define SYSTEM_USER "pshare"
#define PATIENCE_MS 3000u
#define MS 1000000ull

static bool is_system(uid_t uid)
{
	uint32_t system = 0;

	return uid == 0 || (sys_user_id(SYSTEM_USER, &system) == 0 && uid == system);
}

bool audit_believes(const struct audit_daemon *d, uid_t uid)
{
	return d->system || d->uid == uid;
}

bool audit_is_daemon(const struct audit *audit, pid_t pid)
{
	for (size_t i = 0; i < audit->ndaemons; i++)
		if (audit->daemons[i].pid == pid)
			return true;
	return false;
}

/* ---- its own stores -------------------------------------------------------------------------- */

struct own {
	json_t *all, *kept;
};

static int take_open(const struct sys_open *open_file, void *arg)
{
	struct own *own = arg;
	json_t *store;
	size_t k;

	if (strncmp(open_file->target, AUDIT_STORE_NAME, strlen(AUDIT_STORE_NAME)) != 0 ||
	    (open_file->flags & O_ACCMODE) == O_RDONLY)
		return 0;
	json_array_foreach(own->all, k, store)
	{
		if (ask_number(store, "inode") == open_file->inode &&
		    ask_number(store, "device") == open_file->device)
			return json_array_append(own->kept, store) ? -ENOMEM : 0;
	}
	return 0;
}

/* Takes out of its books what is another's store, or nobody's. */
static int keep_own_stores(struct audit_daemon *d)
{
	struct own own = {.all = json_object_get(d->books, "stores"), .kept = json_array()};
	int r = own.kept ? sys_each_open(d->pid, take_open, &own) : -ENOMEM;

	if (r == -ENOMEM) {
		json_decref(own.kept);
		return r;
	}
	return json_object_set_new(d->books, "stores", own.kept) ? -ENOMEM : 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* 0; -ENOENT: no answer; -ETIME: there is no time left for it. */
static int ask_daemon(struct audit *audit, struct audit_daemon *d, json_t **books)
{
	uint64_t began = sys_now(), took;
	int r;

	if (d->system)
		return client_try(d->client, books, "/v1/audit") ? -ENOENT : 0;
	if (audit->waited_ms >= PATIENCE_MS)
		return -ETIME;
	client_limit(d->client, PATIENCE_MS - audit->waited_ms);
	r = client_try(d->client, books, "/v1/audit") ? -ENOENT : 0;
	took = (sys_now() - began) / MS;
	audit->waited_ms += took < PATIENCE_MS ? (uint32_t)took : PATIENCE_MS;
	return r;
}

static void daemon_free(struct audit_daemon *d)
{
	client_free(d->client);
	json_decref(d->books);
}

/* Is it what it says? *said: it is not, and that has been told. */
static int identify(struct audit *audit, struct audit_daemon *d, const char *dir, bool named)
{
	uid_t uid = 0;

	if (client_peer(d->client, &d->uid))
		return -ENOENT;
	d->system = named || is_system(d->uid) || !strcmp(dir, SYSTEM_DIR);
	d->pid = (pid_t)ask_number(d->books, "pid");
	if (sys_process_uid(d->pid, &uid) || (uid != d->uid && d->uid != 0)) {
		audit_say(audit, "daemon", AUDIT_UNKNOWN, json_pack("[i]", (int)d->pid), 1,
			  "end what answers there",
			  "what answers in %s is user %u's, and says that it is process %d, which "
			  "is not: it is not believed",
			  dir, d->uid, (int)d->pid);
		return -EPERM;
	}
	return keep_own_stores(d);
}

/* uid: of the process that was found; named: whoever audits has named the folder. 0; -ENOENT,
 * -ETIME as ask_daemon(); -EPERM: it is not believed, told. */
static int add_daemon(struct audit *audit, const char *dir, uid_t uid, bool named)
{
	struct audit_daemon *grown, d = {.system = named || is_system(uid)};
	struct runtime runtime = {.chosen = true};
	int r;

	snprintf(runtime.dir, sizeof(runtime.dir), "%s", dir);
	if (client_new(&d.client, &runtime))
		return -ENOMEM;
	r = ask_daemon(audit, &d, &d.books);
	if (!r)
		r = identify(audit, &d, dir, named);
	if (r || audit_is_daemon(audit, d.pid)) {
		daemon_free(&d);
		return r;
	}
	grown = reallocarray(audit->daemons, audit->ndaemons + 1, sizeof(*grown));
	if (!grown) {
		daemon_free(&d);
		return -ENOMEM;
	}
	audit->daemons = grown;
	audit->daemons[audit->ndaemons++] = d;
	return 0;
}

/* ---- finding --------------------------------------------------------------------------------- */

struct words {
	char dir[PATH_MAX];
	bool next, user;
};

static int take_word(const char *word, void *arg)
{
	struct words *words = arg;

	if (words->next)
		snprintf(words->dir, sizeof(words->dir), "%s", word);
	words->next = strcmp(word, "--runtime-dir") == 0;
	if (strncmp(word, "--runtime-dir=", 14) == 0)
		snprintf(words->dir, sizeof(words->dir), "%s", word + 14);
	words->user |= strncmp(word, "--user", 6) == 0;
	return 0;
}

/* As a daemon chooses it (daemon/options.c): what it was told, else by who started it. */
static void folder_of(pid_t pid, uid_t uid, struct words *words)
{
	char base[PATH_MAX];

	(void)sys_each_argument(pid, take_word, words);
	if (*words->dir)
		return;
	if (!sys_process_variable(pid, "PSHARE_RUNTIME_DIR", words->dir, sizeof(words->dir)) &&
	    *words->dir)
		return;
	if (uid && !words->user &&
	    !sys_process_variable(pid, "XDG_RUNTIME_DIR", base, sizeof(base)) && *base)
		snprintf(words->dir, sizeof(words->dir), "%.*s/pshare", PATH_MAX - 8, base);
	else
		snprintf(words->dir, sizeof(words->dir), SYSTEM_DIR);
}

static int take_daemon(pid_t pid, void *arg)
{
	struct audit *audit = arg;
	struct words words = {.next = false};
	char name[PATH_MAX];
	uid_t uid = 0;
	int r;

	audit_program_name(pid, name);
	if (strcmp(name, "pshared") != 0 || sys_process_uid(pid, &uid))
		return 0;
	folder_of(pid, uid, &words);
	r = words.dir[0] == '/' ? add_daemon(audit, words.dir, uid, false) : -ENOENT;
	if (r == -ENOENT)
		audit_say(audit, "daemon", AUDIT_UNKNOWN, json_pack("[i]", (int)pid), 1,
			  "give --runtime-dir DIR",
			  "daemon %d does not answer in %s: its books are not known", (int)pid,
			  words.dir);
	else if (r == -ETIME)
		audit_say(audit, "daemon", AUDIT_UNKNOWN, json_pack("[i]", (int)pid), 1,
			  "end those that do not answer, or give --runtime-dir DIR",
			  "daemon %d of user %u was not asked: daemons of users took %u ms to "
			  "answer, all that they have",
			  (int)pid, uid, PATIENCE_MS);
	return r == -ENOMEM ? r : 0;
}

int audit_find_daemons(struct audit *audit)
{
	struct runtime runtime;
	int r = runtime_find(&runtime, audit->args);

	if (r)
		return -EINVAL;
	if (!runtime.chosen)
		return sys_each_process(take_daemon, audit);
	r = add_daemon(audit, runtime.dir, 0, true);
	if (r == -ENOENT)
		audit_say(audit, "daemon", AUDIT_UNKNOWN, NULL, 0, NULL,
			  "no daemon answers in %s, or it is not ours to ask: its books are not "
			  "known",
			  runtime.dir);
	return r == -ENOMEM ? r : 0;
}

void audit_ask_daemons(struct audit *audit)
{
	for (size_t i = 0; i < audit->ndaemons; i++) {
		struct audit_daemon *d = &audit->daemons[i];
		json_t *books = NULL;

		if (ask_daemon(audit, d, &books))
			continue; /* it has ended: what it said last stands */
		json_decref(d->books);
		d->books = books;
		(void)keep_own_stores(d);
	}
}

void audit_free_daemons(struct audit *audit)
{
	for (size_t i = 0; i < audit->ndaemons; i++)
		daemon_free(&audit->daemons[i]);
	free(audit->daemons);
}
