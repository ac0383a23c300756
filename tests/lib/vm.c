/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A sanitizer's runtime, for an agent that needs one: before the agent, whose mmap() it calls while
 * it is not ready to see anybody. */
#ifndef TEST_PRELOAD_FIRST
#define TEST_PRELOAD_FIRST ""
#endif

static int salt_fd(const char *salt)
{
	int fd = t_sys(memfd_create("salt", MFD_ALLOW_SEALING)); /* inherited: no CLOEXEC */
	size_t len = strlen(salt);

	t_check(write(fd, salt, len) == (ssize_t)len, "%m");
	t_sys(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
	return fd;
}

static void set_env(const char *name, const char *value)
{
	if (value && setenv(name, value, 1))
		_exit(126);
}

/* Another user who may open a userfaultfd: the capability is kept as an ambient one, which exec
 * does not count as a gain, so the loader honours LD_PRELOAD. */
static void become(uid_t uid)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	uint32_t bit = 1u << CAP_SYS_PTRACE;

	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(uid, uid, uid) ||
	    setresuid(uid, uid, uid))
		_exit(125);
	data[0].permitted = data[0].effective = data[0].inheritable = bit;
	if (syscall(SYS_capset, &head, data) ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_PTRACE, 0, 0))
		_exit(124);
}

static void child(const struct t_daemon *d, const struct t_vm_opts *o, char *const argv[])
{
	char path[PATH_MAX], preload[PATH_MAX + 32], number[16];

	unsetenv("LD_PRELOAD");
	set_env("PSHARE_RUNTIME_DIR", d->dir);
	set_env("PSHARE_NAME", o->name);
	set_env("PSHARE_TEST_UNSAFE", o->unsafe);
	if (o->salt) {
		snprintf(number, sizeof(number), "%d", salt_fd(o->salt));
		set_env("PSHARE_SALT_FD", number);
	}
	if (o->no_share)
		set_env("PSHARE_NO_SHARE", "1");
	for (const char *const *e = o->env; e && *e; e++)
		if (putenv((char *)(uintptr_t)*e))
			_exit(126);
	if (o->uid)
		become(o->uid);
	/* the kernel forgets this one when a process changes its user */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	t_build_path("src/agent/libpshare-agent.so", path, sizeof(path));
	snprintf(preload, sizeof(preload), TEST_PRELOAD_FIRST "%s", path);
	if (!o->bare)
		set_env("LD_PRELOAD", preload);
	if (o->stderr_fd)
		dup2(o->stderr_fd, STDERR_FILENO);
	if (o->keep_fd)
		fcntl(o->keep_fd, F_SETFD, 0);
	execv(argv[0], argv);
	_exit(127);
}

pid_t t_vm_spawn(const struct t_daemon *d, const struct t_vm_opts *opts, char *const argv[])
{
	pid_t parent = getpid();
	pid_t pid = t_sys(fork());

	if (pid)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(123);
	child(d, opts, argv);
	_exit(123);
}
