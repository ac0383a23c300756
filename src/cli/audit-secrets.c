/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit-secrets: salts that others can read. Who knows a salt, and may use it, joins its domain.
 *
 * Looked at are the files in /etc/pshare, those that `pshare libvirt` made, and the one that each
 * VM was started with; the command lines of all processes for what stands in those files; and the
 * descriptors of salts in processes that are neither a VM nor whom the salt was given to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "sys/look.h"
#include "sys/memfd.h"
#include "sys/saltfile.h"

#define SALT_MIN 8u /* bytes; what is shorter is found everywhere */
#define FILES_MAX 1024u

struct secrets {
	struct audit *audit;
	char **paths;
	size_t npaths;
	unsigned int found;
	/* the salt that is looked for now */
	const char *path;
	const unsigned char *salt;
	size_t length;
	pid_t pid;
};

static int add_path(const char *path, void *arg)
{
	struct secrets *s = arg;

	for (size_t i = 0; i < s->npaths; i++)
		if (!strcmp(s->paths[i], path))
			return 0;
	if (s->npaths == FILES_MAX)
		return 0;
	s->paths[s->npaths] = strdup(path);
	return s->paths[s->npaths] ? (s->npaths++, 0) : -ENOMEM;
}

static int find_paths(struct secrets *s)
{
	static const char *const folders[] = {"/etc/pshare", "/var/lib/pshare-libvirt"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (sys_each_name(folders[i], ".salt", add_path, s) == -ENOMEM)
			return -ENOMEM;
	for (size_t i = 0; i < s->audit->nvms; i++)
		if (!sys_process_variable(s->audit->vms[i].pid, "PSHARE_SALT_FILE", path,
					  sizeof(path)) &&
		    path[0] == '/' && add_path(path, s))
			return -ENOMEM;
	return 0;
}

static void judge_file(struct secrets *s, const char *path)
{
	struct sys_secret_file file;

	if (sys_secret_look(path, &file))
		return;
	if (file.mode & 06) {
		s->found++;
		audit_say(s->audit, "salts", AUDIT_VIOLATION, NULL, 1,
			  "chmod o= it, and make a new salt: the old one is known",
			  "%s: every user of this host may read or write it (mode %04o)", path,
			  file.mode);
	} else if ((file.mode & 060) && file.gid) {
		audit_say(s->audit, "salts", AUDIT_NOTE, NULL, 1, NULL,
			  "%s: group %u may read it (mode %04o)", path, file.gid, file.mode);
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
			  "the command line of process %d holds the salt of %s", (int)pid, s->path);
	}
	return 0;
}

/* The salt of a file on the command line of anybody. */
static int judge_commands(struct secrets *s, const char *path)
{
	void *salt = NULL;
	bool locked;
	int r = sys_secret_new(PS_SALT_MAX, &salt, &locked);

	if (r)
		return r;
	s->path = path;
	s->salt = salt;
	s->length = 0;
	r = sys_salt_read_file(path, salt, &s->length);
	if (!r && s->length >= SALT_MIN)
		(void)sys_each_process(take_command, s);
	sys_secret_free(salt, PS_SALT_MAX);
	return 0;
}

static int take_target(const char *target, void *arg)
{
	(void)arg;
	return strncmp(target, "/memfd:pshare-salt", 18) == 0;
}

/* A wrapper that was given the salt for the VMM that it is going to execute has it by right. */
static bool was_given(pid_t pid)
{
	char from[64];

	return !sys_process_variable(pid, "PSHARE_SALT_FROM", from, sizeof(from)) &&
	       atoi(from) == (int)pid;
}

static int take_holder(pid_t pid, void *arg)
{
	struct secrets *s = arg;
	char comm[SYS_COMM_MAX] = "?";

	if (audit_vm_of(s->audit, pid) || sys_each_fd(pid, take_target, NULL) != 1 ||
	    was_given(pid))
		return 0;
	for (size_t i = 0; i < s->audit->ndaemons; i++)
		if (s->audit->daemons[i].pid == pid)
			return 0; /* for the moment of a greeting */
	(void)sys_comm(pid, comm);
	s->found++;
	audit_say(s->audit, "salts", AUDIT_VIOLATION, json_pack("[i]", (int)pid), 1,
		  "end that process, and make a new salt",
		  "%s (process %d) holds the descriptor of a salt and is no VM", comm, (int)pid);
	return 0;
}

int audit_secrets(struct audit *audit)
{
	struct secrets s = {.audit = audit, .paths = calloc(FILES_MAX, sizeof(char *))};
	int r = s.paths ? find_paths(&s) : -ENOMEM;

	for (size_t i = 0; !r && i < s.npaths; i++) {
		judge_file(&s, s.paths[i]);
		r = judge_commands(&s, s.paths[i]);
	}
	if (!r)
		(void)sys_each_process(take_holder, &s);
	if (!r && !s.found)
		audit_say(audit, "salts", AUDIT_OK, NULL, s.npaths, NULL,
			  "no salt can be read by users whom it is not for; %zu files looked at",
			  s.npaths);
	for (size_t i = 0; i < s.npaths; i++)
		free(s.paths[i]);
	free(s.paths);
	return r;
}
