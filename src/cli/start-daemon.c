/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * start-daemon: one private pshared for a folder, however many 'pshare run' want it at once.
 *
 * Who finds no daemon locks the folder, looks again, and only then starts one; the lock is held
 * until it answers. So of two runs one starts it and the other, having waited for the lock, finds
 * it. The lock is on the folder itself (flock) and leaves nothing behind when its holder dies.
 *
 * The daemon is nobody's child here: this process is about to become the VMM, which must not get
 * a SIGCHLD that it cannot explain. It ends by itself some time after its last VM; every request
 * starts that time anew, so it does not end between our look and the agent's HELLO.
 */
#include "cli/start-daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/agent-path.h"
#include "sys/launch.h"
#include "sys/path.h"
#include "sys/proc.h"

#define IDLE_SECONDS "30"
#define WAIT_NS 10000000000ull
#define LOOK_MS 20u
#define LOG_TAIL 4096u
#define LOG_MAX (1u << 20)

/* The last line of a log, for the one line that we print. */
static void last_line(const char *path, char line[256])
{
	_cleanup_free_ char *text = NULL;
	char *start;
	size_t length;

	line[0] = '\0';
	if (sys_read_text(path, LOG_MAX, &text))
		return;
	length = strlen(text);
	while (length && text[length - 1] == '\n')
		text[--length] = '\0';
	start = strrchr(text, '\n');
	snprintf(line, 256, "%s", start ? start + 1 : text);
}

static int say_failed(const char *log, const char *what)
{
	char line[256];

	last_line(log, line);
	return say_error(CLI_FAILED, "a private pshared %s%s%s; its log is %s", what,
			 *line ? ": " : "", line, log);
}

static int wait_for(const struct runtime *runtime, pid_t pid, const char *log)
{
	uint64_t end = sys_now() + WAIT_NS;

	while (!runtime_answers(runtime->dir)) {
		if (!sys_process_lives(pid))
			return say_failed(log, "ended at once");
		if (sys_now() > end)
			return say_failed(log, "does not answer");
		sys_sleep_ms(LOOK_MS);
	}
	return 0;
}

static int start(const struct runtime *runtime)
{
	char program[PATH_MAX], log[PATH_MAX + 16];
	const char *argv[] = {"pshared",	  "--runtime-dir", runtime->dir,
			      "--exit-when-idle", IDLE_SECONDS,	   NULL};
	pid_t pid;
	int r = daemon_look(program);

	if (r)
		return say_error(CLI_FAILED,
				 "no daemon answers in %s, and no pshared is found to start one",
				 runtime->dir);
	snprintf(log, sizeof(log), "%s/pshared.log", runtime->dir);
	r = sys_spawn_detached(program, argv, log, &pid);
	if (r)
		return say_error(CLI_FAILED, "cannot start %s: %s", program, strerror(-r));
	return wait_for(runtime, pid, log);
}

int start_daemon(const struct runtime *runtime)
{
	_cleanup_close_ int lock = -1;
	int r;

	if (runtime_answers(runtime->dir))
		return 0;
	r = sys_make_folder_if_none(runtime->dir, 0700);
	if (r)
		return say_error(CLI_FAILED, "cannot make the runtime folder %s: %s", runtime->dir,
				 strerror(-r));
	lock = sys_lock_folder(runtime->dir);
	if (lock < 0)
		return say_error(CLI_FAILED, "cannot lock the runtime folder %s: %s", runtime->dir,
				 strerror(-lock));
	return runtime_answers(runtime->dir) ? 0 : start(runtime);
}
