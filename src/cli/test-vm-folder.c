/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose folder is cleared for a new VM of the same name, and whose is not. */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/vm-folder.h"
#include "harness/harness.h"

static char said[512];

int say_error(int code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(said, sizeof(said), format, list);
	va_end(list);
	return code;
}

uint64_t ask_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* A process that began with this folder in its environment, as a VMM does. */
static pid_t start(const char *folder)
{
	char variable[PATH_MAX + 32];
	char *words[] = {(char *)"sleep", (char *)"1000", NULL};
	char *environment[] = {variable, NULL};
	int ready[2];
	pid_t pid;
	char byte;

	snprintf(variable, sizeof(variable), VM_FOLDER_ENV "=%s", folder);
	REQUIRE_SYS(pipe2(ready, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		execve("/bin/sleep", words, environment);
		_exit(1);
	}
	close(ready[1]);
	(void)!read(ready[0], &byte, 1); /* the other end is closed by exec */
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void note(const char *folder, pid_t pid)
{
	json_t *record = json_pack("{s:i}", "pid", (int)pid);

	REQUIRE_OK(vm_record_write(folder, record));
	json_decref(record);
}

TEST("the folder of a VM that lives is not cleared; when it is gone, it is")
{
	struct runtime runtime = {0};
	char folder[PATH_MAX], again[PATH_MAX], record[PATH_MAX + 16];
	pid_t pid, stranger;

	snprintf(runtime.dir, sizeof(runtime.dir), "%s", test_dir());
	REQUIRE_OK(vm_folder_make(&runtime, "web1", folder));
	snprintf(record, sizeof(record), "%s/vm.json", folder);
	pid = start(folder);
	note(folder, pid);
	CHECK_EQ(vm_folder_make(&runtime, "web1", again), CLI_FAILED);
	CHECK_IN("a VM named web1 runs already, with pid", said);
	CHECK_STR(again, "");
	CHECK_OK(access(record, F_OK));

	/* its pid is another's by now */
	stranger = start("/elsewhere");
	note(folder, stranger);
	CHECK_OK(vm_folder_make(&runtime, "web1", again));
	CHECK_STR(again, folder);
	CHECK(access(record, F_OK));
	end(stranger);

	note(folder, pid);
	end(pid);
	CHECK_OK(vm_folder_make(&runtime, "web1", again));
	CHECK(access(record, F_OK));
}
