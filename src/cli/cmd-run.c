/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run: puts a VMM in this process's place, with the agent preloaded and a daemon to talk to.
 *
 * Everything that can be wrong is found before anything is changed: the program (LD_PRELOAD is
 * silently ignored by static programs, and by those that gain rights), the agent's library, the
 * salt, the daemon. Then the environment is set and the program executed: no process of ours
 * stays, so pid, signals, exit status and parent are those of the VMM alone.
 *
 * The salt goes over in a sealed memfd by its number, to this process alone (agent/saltpass.c).
 * Neither the command line nor the environment of the VMM ever holds it; the variable of --salt-env
 * has been removed (salt.c). The path of its file, which is no secret, stays in the environment, so
 * that an audit can see later how the file is kept (salt-files.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admission.h"
#include "cli/agent-path.h"
#include "cli/cli.h"
#include "cli/program.h"
#include "cli/qmp-option.h"
#include "cli/run-forkable.h"
#include "cli/salt-files.h"
#include "cli/start-daemon.h"
#include "policy/settings.h"
#include "sys/launch.h"
#include "sys/process.h"
#include "sys/salt.h"
#include "sys/saltfile.h"
#include "sys/uffdprobe.h"

#define SCRIPTS_MAX 4 /* a script whose interpreter is a script ...: as many as the kernel takes */

static int say_program(const char *path, int r)
{
	if (r == -ENOENT)
		return say_error(CLI_NOT_FOUND, "%s: no such program", path);
	return say_error(CLI_CANNOT_RUN, "%s: cannot be run: %s", path, strerror(-r));
}

static int check_kind(const char *path, enum program_kind kind)
{
	switch (kind) {
	case PROGRAM_STATIC:
		return say_error(CLI_CANNOT_RUN,
				 "%s is a static program: LD_PRELOAD has no effect on it, nothing "
				 "would be shared; a dynamic one is needed",
				 path);
	case PROGRAM_FOREIGN:
		return say_error(CLI_CANNOT_RUN,
				 "%s is of another architecture: the agent cannot be loaded into "
				 "it, nothing would be shared",
				 path);
	case PROGRAM_UNKNOWN:
		return say_error(CLI_CANNOT_RUN, "%s is no program that can be run", path);
	default:
		return 0;
	}
}

/* Would the agent be loaded into this program? 0, or an exit code, said. */
static int check_program(const char *name, int depth)
{
	struct sys_program program;
	char interpreter[PATH_MAX];
	enum program_kind kind;
	int r = sys_program_look(name, &program);

	if (r == -EACCES)
		return 0; /* may be executed, not read: nobody can tell, so let it run */
	if (r)
		return say_program(name, r);
	if (program.gains_rights)
		return say_error(CLI_CANNOT_RUN,
				 "%s is set-user-ID, set-group-ID or has capabilities: LD_PRELOAD "
				 "has no effect on it, nothing would be shared; run it as the user "
				 "that it becomes",
				 name);
	kind = program_kind(program.head, program.length);
	if (kind != PROGRAM_SCRIPT)
		return check_kind(name, kind);
	if (depth == SCRIPTS_MAX ||
	    program_interpreter(program.head, program.length, interpreter, sizeof(interpreter)))
		return check_kind(name, PROGRAM_UNKNOWN);
	return check_program(interpreter, depth + 1);
}

/* A name that runs already would make two VMs hard to tell apart. */
static int check_name(struct client *client, const char *name)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *vm;
	size_t i;

	if (!name || client_try(client, &answer, "/v1/vms"))
		return 0;
	json_array_foreach(json_object_get(answer, "vms"), i, vm)
	{
		if (!strcmp(ask_text(vm, "name"), name))
			return say_error(CLI_FAILED, "a VM named %s runs already, with pid %llu",
					 name, (unsigned long long)ask_number(vm, "pid"));
	}
	return 0;
}

/* What the daemon is to set for the VM that this process becomes, as a body for it. 0, or an exit
 * code, said. */
static int wishes_of(const struct args *args, json_t **body)
{
	_cleanup_json_ json_t *settings = json_object();

	for (int i = 0; i < args->nsets; i++) {
		const char *equals = strchr(args->sets[i], '=');
		char name[64], line[POLICY_ERROR_MAX];
		struct setting_value value;
		int id;

		snprintf(name, sizeof(name), "%.*s", (int)(equals - args->sets[i]), args->sets[i]);
		id = setting_find(name, true, line);
		if (id < 0)
			return say_error(CLI_USAGE, "--set: %s", line);
		if (id == SETTING_PSHARE_SALT)
			return say_error(CLI_USAGE,
					 "--set: a salt is a secret, and others can read "
					 "a command line: give --salt-file F");
		if (setting_parse((enum setting_id)id, equals + 1, strlen(equals + 1), &value,
				  line))
			return say_error(CLI_USAGE, "--set: %s", line);
		if (!settings ||
		    json_object_set_new(settings, setting_get((enum setting_id)id)->name,
					json_string(equals + 1)))
			return say_error(CLI_FAILED, "out of memory");
	}
	*body = json_pack("{s:O}", "settings", settings);
	return *body ? 0 : say_error(CLI_FAILED, "out of memory");
}

/* The daemon keeps the reservation for this process id until the VM says that it is there. */
static int admit(const struct args *args, struct client *client)
{
	_cleanup_json_ json_t *body = NULL, *answer = NULL;
	int r;

	if (!args->nsets)
		return 0;
	r = wishes_of(args, &body);
	return r ? r : client_put(client, &answer, body, NULL, "/v1/admission", NULL, NULL);
}

static int set_preload(const char *agent)
{
	char text[PATH_MAX * 2];
	const char *before = getenv("LD_PRELOAD");
	int r = preload_value(text, sizeof(text), agent, before);

	if (r)
		return say_error(CLI_FAILED, "LD_PRELOAD is too long already");
	return setenv("LD_PRELOAD", text, 1) ? say_error(CLI_FAILED, "out of memory") : 0;
}

/* What another run or a libvirt wrapper left in the environment is not for this VM. */
static int set_environment(const struct args *args, const struct runtime *runtime, const char *qmp)
{
	bool bad = false;

	bad |= unsetenv("PSHARE_SALT_FD") != 0;
	bad |= unsetenv("PSHARE_SALT_FROM") != 0;
	bad |= unsetenv("PSHARE_SALT_FILE") != 0;
	bad |= unsetenv(SALT_PATH_ENV) != 0;
	bad |= unsetenv("PSHARE_NAME") != 0;
	bad |= unsetenv("PSHARE_NO_SHARE") != 0;
	bad |= unsetenv("PSHARE_VM_DIR") != 0;
	bad |= unsetenv("PSHARE_FORK_RAM") != 0;
	bad |= unsetenv("PSHARE_FORK_IMAGE") != 0;
	bad |= unsetenv("PSHARE_QMP") != 0;
	bad |= setenv("PSHARE_RUNTIME_DIR", runtime->dir, 1) != 0;
	if (args->name)
		bad |= setenv("PSHARE_NAME", args->name, 1) != 0;
	if (args->no_share)
		bad |= setenv("PSHARE_NO_SHARE", "1", 1) != 0;
	if (*qmp)
		bad |= setenv("PSHARE_QMP", qmp, 1) != 0;
	return bad ? say_error(CLI_FAILED, "out of memory") : 0;
}

static int pass_salt(const struct salt *salt)
{
	_cleanup_close_ int fd = -1;
	char number[16], from[48];
	uint64_t inode = 0;
	int r;

	if (!salt->bytes)
		return 0;
	fd = sys_salt_memfd(salt->bytes, salt->length);
	r = fd < 0 ? fd : sys_keep_over_exec(fd);
	if (!r)
		r = sys_salt_inode(fd, &inode);
	if (r < 0)
		return say_error(CLI_FAILED, "cannot hand the salt over: %s", strerror(-r));
	snprintf(number, sizeof(number), "%d", fd);
	snprintf(from, sizeof(from), "%d:%" PRIu64, (int)sys_self_pid(), inode);
	if (setenv("PSHARE_SALT_FD", number, 1) || setenv("PSHARE_SALT_FROM", from, 1) ||
	    (salt->path && setenv(SALT_PATH_ENV, salt->path, 1)))
		return say_error(CLI_FAILED, "out of memory");
	(void)TAKE_FD(fd); /* the VMM's from here on */
	return 0;
}

/* The VMM runs the same without sharing; but who asked for sharing should know. */
static void warn_of_rights(void)
{
	int r = uffd_allowed();

	if (r == -EPERM || r == -EACCES)
		say_error(0, "warning: this user may not use userfaultfd, so nothing will be "
			     "shared; see 'pshare doctor'");
}

static int prepare(const struct args *args, struct runtime *runtime, char agent[PATH_MAX])
{
	_cleanup_client_ struct client *client = NULL;
	int r = agent_find(agent);

	if (!r)
		r = runtime_find_usable(runtime, args);
	if (r || args->dry_run)
		return r;
	r = start_daemon(runtime);
	if (!r)
		r = client_new(&client, runtime);
	if (!r)
		r = check_name(client, args->name);
	return r ? r : admit(args, client);
}

/* A word as a shell would read it back. */
static void print_word(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "%+,-./:=@_";

	if (*word && strspn(word, plain) == strlen(word)) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word; word++)
		printf(*word == '\'' ? "'\\''" : "%c", *word);
	putchar('\'');
}

static int print_command(char *const *words)
{
	for (size_t i = 0; words[i]; i++) {
		if (i)
			putchar(' ');
		print_word(words[i]);
	}
	putchar('\n');
	return CLI_OK;
}

/* All that the VMM finds when it is executed. 0, or an exit code, said. */
static int hand_over(const struct args *args, const struct runtime *runtime, const char *agent,
		     const struct salt *salt, struct qmp_option *qmp, struct forkable *forkable,
		     const char *program)
{
	int r = set_environment(args, runtime, qmp->path);

	if (!r)
		r = set_preload(agent);
	if (!r)
		r = pass_salt(salt);
	if (!r)
		r = forkable_record(forkable, program, qmp->words);
	return r;
}

int cmd_run(struct args *args)
{
	_cleanup_salt_ struct salt salt = {0};
	_cleanup_forkable_ struct forkable forkable = {.rams = 0};
	_cleanup_qmp_option_ struct qmp_option qmp = {.words = NULL};
	struct runtime runtime;
	char program[PATH_MAX], agent[PATH_MAX];
	int r = salt_read(&salt, args);

	if (r)
		return r;
	r = sys_find_program(args->operands[0], program, sizeof(program));
	if (r)
		return say_program(args->operands[0], r);
	r = check_program(program, 0);
	if (!r)
		r = prepare(args, &runtime, agent);
	if (!r)
		r = forkable_apply(&forkable, args, &runtime);
	if (!r)
		r = qmp_option_apply(&qmp, args, &runtime);
	if (!r && args->dry_run)
		return print_command(qmp.words);
	/* children are in their parent's domain: it needs a salt to hand on */
	if (!r && args->forkable && !salt.bytes)
		r = salt_make(&salt);
	if (!r)
		r = admission_ask(args, &runtime);
	if (!r)
		r = hand_over(args, &runtime, agent, &salt, &qmp, &forkable, program);
	if (!r) {
		warn_of_rights();
		salt_wipe(&salt);
		r = say_program(program, sys_exec(program, qmp.words));
	}
	forkable_undo(&forkable);
	return r;
}
