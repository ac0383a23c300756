/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * creds: a child takes another's root folder, groups and ids, and tries. Modes, access control
 * lists, missing devices, folders that may not be entered: the kernel knows all of it.
 *
 * Limits: the child stays in this process's cgroup and under its security label, so a device list
 * of a cgroup and AppArmor say nothing here.
 */
#include "sys/creds.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/path.h"

#define STATUS_MAX 16384u

/* The effective one of "Uid:\treal effective saved file". */
static int take_id(const char *status, const char *line, unsigned int *id)
{
	const char *at = strstr(status, line);

	return at && sscanf(at + strlen(line), "%*u %u", id) == 1 ? 0 : -ENODATA;
}

static void take_groups(const char *status, struct sys_creds *creds)
{
	const char *at = strstr(status, "\nGroups:");
	char *end;

	for (at = at ? at + 8 : ""; creds->ngroups < SYS_GROUPS_MAX; at = end) {
		unsigned long gid;

		at += strspn(at, " \t");
		gid = strtoul(at, &end, 10);
		if (end == at)
			return;
		creds->groups[creds->ngroups++] = (gid_t)gid;
	}
}

int sys_creds_of_process(pid_t pid, struct sys_creds *creds)
{
	_cleanup_free_ char *status = NULL;
	struct sys_creds found = {.root_of = pid};
	char path[64];
	int r;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	r = sys_read_text(path, STATUS_MAX, &status);
	if (r)
		return r == -ENOENT ? -ESRCH : r;
	r = take_id(status, "\nUid:", &found.uid);
	if (!r)
		r = take_id(status, "\nGid:", &found.gid);
	if (r)
		return r;
	take_groups(status, &found);
	*creds = found;
	return 0;
}

int sys_creds_of_user(uid_t uid, gid_t gid, struct sys_creds *creds)
{
	struct passwd *user;
	int n = SYS_GROUPS_MAX;

	SYS_INJECT();
	*creds = (struct sys_creds){.uid = uid, .gid = gid, .groups = {gid}, .ngroups = 1};
	user = getpwuid(uid);
	if (!user)
		return 0; /* a number without a name: no other groups */
	if (getgrouplist(user->pw_name, gid, creds->groups, &n) < 0)
		n = SYS_GROUPS_MAX;
	creds->ngroups = (size_t)n;
	return 0;
}

static int try_it(const char *path, enum sys_try what)
{
	int fd;

	if (what == SYS_TRY_CONNECT)
		return access(path, W_OK) < 0 ? -errno : 0;
	fd = open(path, (what == SYS_TRY_OPEN ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Becomes them as far as it must and can; false: cannot. */
static bool become(const struct sys_creds *creds)
{
	char root[64];

	if (creds->root_of) {
		snprintf(root, sizeof(root), "/proc/%d/root", (int)creds->root_of);
		if (chdir(root) < 0 || chroot(".") < 0)
			return false;
	}
	return setgroups(creds->ngroups, creds->groups) == 0 &&
	       setresgid(creds->gid, creds->gid, creds->gid) == 0 &&
	       setresuid(creds->uid, creds->uid, creds->uid) == 0;
}

/* Without root: as oneself, where that is who is meant; through /proc where the root may differ. */
static int try_as_self(const struct sys_creds *creds, const char *path, enum sys_try what,
		       int *result)
{
	char whole[4352];

	if (creds->uid != geteuid())
		return -EPERM;
	if (creds->root_of)
		snprintf(whole, sizeof(whole), "/proc/%d/root%s", (int)creds->root_of, path);
	*result = try_it(creds->root_of ? whole : path, what);
	return 0;
}

int sys_try_as(const struct sys_creds *creds, const char *path, enum sys_try what, int *result)
{
	int status;
	pid_t pid;

	SYS_INJECT();
	if (geteuid() != 0)
		return try_as_self(creds, path, what, result);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) /* an errno fits; 255 is none */
		_exit(become(creds) ? -try_it(path, what) : 255);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 255)
		return -EPERM;
	*result = -WEXITSTATUS(status);
	return 0;
}
