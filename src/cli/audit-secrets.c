/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit-secrets: salts that others can read. Who knows a salt, and may use it, joins its domain.
 *
 * Looked at are the files of salts (salt-files.c), by mode and access control list; the command
 * lines of all processes for what stands in those files; and who has a salt open (audit-salts.c).
 */
#include <errno.h>
#include <string.h>

#include "cli/audit-salts.h"
#include "sys/look.h"
#include "sys/memfd.h"

#define SALT_MIN 8u /* bytes; what is shorter is found everywhere */

struct secrets {
	struct audit *audit;
	unsigned int found;
	/* the salt that is looked for now */
	const char *path;
	const unsigned char *salt;
	size_t length;
};

static json_t *pids_of(const struct salt_file *file)
{
	return file->of ? json_pack("[i]", (int)file->of) : NULL;
}

/* What a user names that is none is his own affair; in a folder of salts it has been overlooked. */
static void say_unread(struct secrets *s, const struct salt_file *file, const char *why)
{
	audit_say(s->audit, "salts", file->of ? AUDIT_NOTE : AUDIT_UNKNOWN, pids_of(file), 1, NULL,
		  "%.300s: is named as a salt's file, and was not read: %s", file->path, why);
}

static void judge_file(struct secrets *s, const struct salt_file *file)
{
	const struct sys_secret_file *is = &file->is;
	struct salt_open open;

	if (salt_file_is_open(is, &open)) {
		s->found++;
		audit_say(s->audit, "salts", AUDIT_VIOLATION, pids_of(file), 1, open.mend,
			  "%.300s: %s", file->path, open.text);
	} else if (is->group && is->gid) {
		audit_say(s->audit, "salts", AUDIT_NOTE, pids_of(file), 1, NULL,
			  "%.300s: group %u may read it (mode %04o)", file->path, is->gid,
			  is->mode);
	}
}

static int take_word(const char *word, void *arg)
{
	struct secrets *s = arg;

	return memmem(word, strlen(word), s->salt, s->length) != NULL;
}

static int take_command(pid_t pid, void *arg)
{
	struct secrets *s = arg;

	if (sys_each_argument(pid, take_word, s) == 1) {
		s->found++;
		audit_say(s->audit, "salts", AUDIT_VIOLATION, json_pack("[i]", (int)pid), 1,
			  "give it by --salt-file, and make a new salt: the old one is known",
			  "the command line of process %d holds the salt of %.300s", (int)pid,
			  s->path);
	}
	return 0;
}

/* The salt of a file on the command line of anybody. */
static int judge_commands(struct secrets *s, const struct salt_file *file)
{
	void *salt = NULL;
	bool locked;
	int r = sys_secret_new(PS_SALT_MAX, &salt, &locked);

	if (r)
		return r;
	s->path = file->path;
	s->salt = salt;
	s->length = 0;
	r = salt_file_read(file, salt, &s->length);
	if (!r && s->length >= SALT_MIN)
		(void)sys_each_process(take_command, s);
	else if (r == -EFBIG || r == -EWOULDBLOCK)
		say_unread(s, file, strerror(-r));
	sys_secret_free(salt, PS_SALT_MAX);
	return 0;
}

static int judge(struct secrets *s, const struct salt_file *file)
{
	if (file->error)
		say_unread(s, file, strerror(-file->error));
	else if (!file->is.plain)
		say_unread(s, file, "it is no plain file");
	if (file->error || !file->is.plain)
		return 0;
	judge_file(s, file);
	return judge_commands(s, file);
}

int audit_secrets(struct audit *audit)
{
	struct secrets s = {.audit = audit};
	struct salt_files files = {NULL, 0, 0};
	int r = salt_files_find(&files);

	for (size_t i = 0; !r && i < audit->nvms; i++)
		r = salt_files_add_vm(&files, audit->vms[i].pid);
	for (size_t i = 0; !r && i < files.count; i++)
		r = judge(&s, &files.at[i]);
	if (!r)
		r = audit_salts(audit, &files, &s.found);
	if (!r && !s.found)
		audit_say(audit, "salts", AUDIT_OK, NULL, files.count, NULL,
			  "no salt can be read by users whom it is not for; %zu files looked at",
			  files.count);
	salt_files_free(&files);
	return r;
}
