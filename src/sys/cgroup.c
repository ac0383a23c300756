/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A memory limit may stand at the process's own group or at any above it, and the kernel ends
 * whoever goes over it. So all groups are read, up to where the hierarchy is mounted, and the one
 * that leaves least counts. What is used is the charge less the page cache of files, which the
 * kernel drops by itself; shmem (stores are) is on no file list, so it stays in.
 *
 * Version 1 and 2 differ in the names of the files and in who has the sum of a tree: 1 calls it
 * total_*, 2 knows nothing else. A limit of version 1 that was never set is a very large number.
 */
#include "sys/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/mapping.h"

#define TEXT_MAX (64u << 10)
#define TEXT_BYTES (TEXT_MAX + 4096u) /* the rest is zeros: the end of a text */

static void free_text(char **text)
{
	map_free(*text, TEXT_BYTES);
}
#define _cleanup_text_ __attribute__((cleanup(free_text)))
#define NO_LIMIT (1ull << 62)

/* The line's field number n (from 0), separated by blanks: its start, *len its length. */
static const char *field(const char *line, unsigned int n, size_t *len)
{
	for (; n; n--) {
		line += strcspn(line, " \n");
		if (*line != ' ')
			return NULL;
		line++;
	}
	*len = strcspn(line, " \n");
	return line;
}

static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line && line[1] ? line + 1 : NULL;
}

/* Is the word one of a list separated by commas? */
static bool in_list(const char *list, size_t len, const char *word)
{
	size_t n = strlen(word);

	for (size_t at = 0; at + n <= len; at++)
		if ((!at || list[at - 1] == ',') && !strncmp(list + at, word, n) &&
		    (at + n == len || list[at + n] == ','))
			return true;
	return false;
}

/* The group's path in /proc/self/cgroup: "4:memory:/path", or "0::/path" of version 2. */
static const char *group_path(const char *groups, bool v2, size_t *len)
{
	for (const char *line = groups; line && *line; line = next_line(line)) {
		const char *first = strchr(line, ':');
		const char *second = first ? strchr(first + 1, ':') : NULL;

		if (!second)
			continue;
		if (v2 ? second != first + 1 || strncmp(line, "0:", 2) != 0 :
			 !in_list(first + 1, (size_t)(second - first - 1), "memory"))
			continue;
		*len = strcspn(second + 1, "\n");
		return second + 1;
	}
	return NULL;
}

/* Is it the mount of a hierarchy that may have the memory controller? The fields that follow " - "
 * are: file system, source, options. */
static bool is_mount(const char *line, bool v2)
{
	const char *dash = strstr(line, " - "), *end = strchr(line, '\n'), *options;
	size_t len = 0, n = 0;

	if (!dash || (end && dash > end))
		return false;
	if (v2)
		return strncmp(dash + 3, "cgroup2 ", 8) == 0;
	options = field(dash + 3, 2, &len);
	(void)field(dash + 3, 0, &n);
	return n == 6 && !strncmp(dash + 3, "cgroup", 6) && options &&
	       in_list(options, len, "memory");
}

/* Not from malloc(): in a VMM a thread of ours reads this, and malloc() would give it an arena of
 * its own, 64 MiB of address space. */
static int read_text(const char *path, size_t max, char **text)
{
	_cleanup_close_ int fd = -1;
	_cleanup_text_ char *buf = NULL;
	size_t len = 0;
	ssize_t n;

	SYS_INJECT();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	buf = map_anon(NULL, TEXT_BYTES);
	if (!buf)
		return -ENOMEM;
	while (len < max && (n = read(fd, buf + len, max - len)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	}
	*text = TAKE_PTR(buf);
	return 0;
}

/* The process's group below the mount, whose root is the group `root`. */
static int make_dir(struct sys_cgroup *cgroup, const char *line, const char *path, size_t path_len)
{
	size_t root_len = 0, mount_len = 0;
	const char *root = field(line, 3, &root_len), *mount = field(line, 4, &mount_len);

	if (!root || !mount || mount_len >= sizeof(cgroup->mount))
		return -ENOENT;
	snprintf(cgroup->mount, sizeof(cgroup->mount), "%.*s", (int)mount_len, mount);
	if (root_len == 1)
		root_len = 0; /* "/" */
	if (path_len < root_len || strncmp(path, root, root_len) != 0)
		path_len = root_len = 0; /* a group that is not seen from here */
	if (path_len == root_len + 1)
		path_len = root_len; /* "/" again */
	if (snprintf(cgroup->dir, sizeof(cgroup->dir), "%s%.*s", cgroup->mount,
		     (int)(path_len - root_len), path + root_len) >= (int)sizeof(cgroup->dir))
		return -ENAMETOOLONG;
	return 0;
}

int sys_cgroup_parse(const char *groups, const char *mounts, struct sys_cgroup *cgroup)
{
	/* version 1 first: where both are mounted, the memory controller is there */
	for (int v2 = 0; v2 <= 1; v2++) {
		size_t len = 0;
		const char *path = group_path(groups, v2, &len);

		for (const char *line = mounts; path && line && *line; line = next_line(line)) {
			if (!is_mount(line, v2))
				continue;
			cgroup->v2 = v2;
			return make_dir(cgroup, line, path, len);
		}
	}
	return -ENOENT;
}

static int find(const char *path, struct sys_cgroup *cgroup)
{
	_cleanup_text_ char *groups = NULL, *mounts = NULL;
	struct sys_cgroup got = {0};
	int r = read_text(path, TEXT_MAX, &groups);

	if (r == 0)
		r = read_text("/proc/self/mountinfo", TEXT_MAX, &mounts);
	if (r == 0)
		r = sys_cgroup_parse(groups, mounts, &got);
	if (r == 0)
		*cgroup = got;
	return r;
}

int sys_cgroup_find(struct sys_cgroup *cgroup)
{
	return find("/proc/self/cgroup", cgroup);
}

int sys_cgroup_of(pid_t pid, struct sys_cgroup *cgroup)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	return find(path, cgroup);
}

static int read_file(const char *dir, const char *name, char **text)
{
	char path[SYS_CGROUP_PATH + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return read_text(path, TEXT_MAX, text);
}

/* A file of one number; "max" is UINT64_MAX. */
static int read_number(const char *dir, const char *name, uint64_t *value)
{
	_cleanup_text_ char *text = NULL;
	int r = read_file(dir, name, &text);
	char *end;

	if (r < 0)
		return r;
	*value = strtoull(text, &end, 10);
	if (end == text)
		*value = UINT64_MAX;
	return 0;
}

/* "name N" in memory.stat. */
static uint64_t stat_of(const char *stat, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = stat; line && *line; line = next_line(line))
		if (!strncmp(line, name, n) && line[n] == ' ')
			return strtoull(line + n + 1, NULL, 10);
	return 0;
}

/* One group. A group without the files (the root of version 2) has no limit. */
static int read_group(bool v2, const char *dir, struct sys_cgroup_memory *memory)
{
	_cleanup_text_ char *stat = NULL;
	uint64_t cache;

	*memory = (struct sys_cgroup_memory){.limit = UINT64_MAX};
	if (read_number(dir, v2 ? "memory.max" : "memory.limit_in_bytes", &memory->limit) < 0 ||
	    memory->limit >= NO_LIMIT) {
		memory->limit = UINT64_MAX;
		return 0;
	}
	if (read_number(dir, v2 ? "memory.current" : "memory.usage_in_bytes", &memory->used) < 0)
		return -EIO;
	if (read_file(dir, "memory.stat", &stat) < 0)
		return 0;
	cache = stat_of(stat, v2 ? "inactive_file" : "total_inactive_file") +
		stat_of(stat, v2 ? "active_file" : "total_active_file");
	memory->used -= cache < memory->used ? cache : memory->used;
	return 0;
}

/* Tells one group from another. */
static uint64_t inode_of(const char *dir)
{
	struct stat st;

	return stat(dir, &st) < 0 ? 0 : st.st_ino;
}

static uint64_t left(const struct sys_cgroup_memory *memory)
{
	return memory->limit > memory->used ? memory->limit - memory->used : 0;
}

int sys_cgroup_memory(const struct sys_cgroup *cgroup, struct sys_cgroup_memory *memory)
{
	struct sys_cgroup_memory least = {.limit = UINT64_MAX}, group;
	char dir[SYS_CGROUP_PATH];
	size_t top = strlen(cgroup->mount);

	SYS_INJECT();
	memcpy(dir, cgroup->dir, sizeof(dir));
	for (;;) {
		char *slash;
		int r = read_group(cgroup->v2, dir, &group);

		if (r < 0)
			return r;
		if (left(&group) < left(&least)) {
			least = group;
			least.id = inode_of(dir);
		}
		slash = strrchr(dir, '/');
		if (!slash || (size_t)(slash - dir) < top)
			break;
		*slash = '\0';
	}
	*memory = least;
	return 0;
}
