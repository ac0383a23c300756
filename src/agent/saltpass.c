/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: the salt reaches the VMM, and nobody else whom a wrapper starts.
 *
 * `pshare run` executes its command in its own place, and a wrapper does the same with the VMM. The
 * descriptor has to survive each exec of that one process. What the wrapper starts besides (a
 * helper for the network, a swtpm, whatever runs in a pipe) inherits descriptors as well, and is
 * not to have this one. So
 *
 *	PSHARE_SALT_FD		is its number,
 *	PSHARE_SALT_FROM	"PID:INODE": whom it was given to, and which memfd it is.
 *
 *  - In the process PID the library, when it is loaded, makes the descriptor close-on-exec, and
 *    takes that back for the moment in which this process itself executes a program: the exec calls
 *    of the C library come by here. A child, vfork()ed or not, is another process: its exec closes
 *    the descriptor, also if what it executes is static.
 *  - A VMM that is a child (`timeout 60 qemu ...`) therefore has none: it opens that of PID, which
 *    waits for it, in /proc/PID/fd, for which the kernel wants the rights of a debugger. The inode
 *    tells whether it is still the same memfd.
 *
 * Limits: a wrapper that executes the VMM past execve(), execv(), execvp() and execvpe() (by
 * execl() or by the call's number) loses the salt on the way, and a VMM that has become another
 * user cannot open it: both are said, and the VM shares with nobody. Until the library is loaded
 * into the first program of the way, the descriptor is open in it, and there is no child yet.
 *
 * Without PSHARE_SALT_FROM the descriptor is simply inherited.
 */
#include "agent/saltpass.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/nextexec.h"
#include "sys/process.h"
#include "sys/salt.h"

#define PUBLIC __attribute__((visibility("default")))

static int kept = -1; /* the descriptor, while it is to survive the exec calls of this process */

/* What the environment says. False: nothing, or nonsense. */
static bool read_way(int *fd, pid_t *pid, uint64_t *inode)
{
	const char *number = getenv("PSHARE_SALT_FD"), *from = getenv("PSHARE_SALT_FROM");
	char *end;

	if (!number || !from)
		return false;
	*fd = atoi(number);
	*pid = (pid_t)strtol(from, &end, 10);
	if (*end != ':' || *pid <= 0)
		return false;
	*inode = strtoull(end + 1, NULL, 10);
	return true;
}

__attribute__((constructor)) static void at_load(void)
{
	uint64_t inode;
	pid_t pid;
	int fd;

	if (!read_way(&fd, &pid, &inode) || sys_salt_check(fd, inode))
		return;
	if (pid != sys_self_pid())
		close_fd(&fd);
	else if (!sys_salt_heritable(fd, false))
		kept = fd;
}

bool saltpass_given(void)
{
	return getenv("PSHARE_SALT_FD") != NULL;
}

int saltpass_take(void)
{
	const char *number = getenv("PSHARE_SALT_FD");
	uint64_t inode;
	pid_t pid;
	int fd, r;

	if (read_way(&fd, &pid, &inode) && pid != sys_self_pid())
		r = sys_salt_of(pid, fd, inode);
	else
		r = number ? sys_salt_inherit(atoi(number)) : -EBADF;
	kept = -1;
	unsetenv("PSHARE_SALT_FD");
	unsetenv("PSHARE_SALT_FROM");
	return r;
}

/* ---- exec ----------------------------------------------------------------------------------- */

static bool is_on_the_way(void)
{
	uint64_t inode;
	pid_t pid;
	int fd;

	return kept >= 0 && read_way(&fd, &pid, &inode) && pid == sys_self_pid();
}

static int exec_with_salt(int (*next)(const char *, char *const[], char *const[]), const char *name,
			  char *const argv[], char *const envp[])
{
	bool on_the_way = is_on_the_way();
	int r, error;

	if (on_the_way)
		(void)sys_salt_heritable(kept, true);
	r = next(name, argv, envp);
	error = errno;
	if (on_the_way)
		(void)sys_salt_heritable(kept, false);
	errno = error;
	return r;
}

PUBLIC int execve(const char *path, char *const argv[], char *const envp[])
{
	return exec_with_salt(next_execve, path, argv, envp);
}

PUBLIC int execv(const char *path, char *const argv[])
{
	return exec_with_salt(next_execve, path, argv, environ);
}

PUBLIC int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return exec_with_salt(next_execvpe, file, argv, envp);
}

PUBLIC int execvp(const char *file, char *const argv[])
{
	return exec_with_salt(next_execvpe, file, argv, environ);
}
