/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/outside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/look.h"
#include "sys/shortfile.h"

#define NAME_BYTES 64

static uint64_t device_of(unsigned int major_number, unsigned int minor_number)
{
	return (uint64_t)major_number << 32 | minor_number;
}

/* ---- threads --------------------------------------------------------------------------------- */

static bool has_ended(pid_t thread)
{
	char path[NAME_BYTES], text[256];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", thread);
	if (sys_read_short(path, text, sizeof(text)) < 0)
		return true;
	state = strrchr(text, ')'); /* the name before it may hold anything */
	return !state || !state[1] || strchr("ZXx", state[2]);
}

pid_t sys_live_thread(pid_t pid)
{
	_cleanup_closedir_ DIR *folder = NULL;
	char path[NAME_BYTES];
	struct dirent *entry;

	if (!has_ended(pid))
		return pid;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	folder = opendir(path);
	while (folder && (entry = readdir(folder))) {
		pid_t thread = (pid_t)atoi(entry->d_name);

		if (thread > 0 && !has_ended(thread))
			return thread;
	}
	return pid;
}

static bool shares_files(pid_t a, pid_t b)
{
	return syscall(SYS_kcmp, a, b, KCMP_FILES, 0L, 0L) == 0;
}

int sys_each_fd_table(pid_t pid, int (*each)(pid_t thread, void *arg), void *arg)
{
	_cleanup_closedir_ DIR *folder = NULL;
	pid_t first = sys_live_thread(pid);
	char path[NAME_BYTES];
	struct dirent *entry;
	int r = each(first, arg);

	if (r)
		return r;
	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	folder = opendir(path);
	if (!folder)
		return -errno;
	while (!r && (entry = readdir(folder))) {
		pid_t thread = (pid_t)atoi(entry->d_name);

		if (thread > 0 && thread != first && !shares_files(first, thread))
			r = each(thread, arg);
	}
	return r;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* "start-end perms offset major:minor inode path" */
static bool parse_map(char *line, struct sys_map *map)
{
	char *at;
	unsigned int major_number, minor_number;

	map->start = strtoull(line, &at, 16);
	if (*at != '-')
		return false;
	map->end = strtoull(at + 1, &at, 16);
	if (*at != ' ' || strlen(at) < 6)
		return false;
	memcpy(map->access, at + 1, 4);
	map->access[4] = '\0';
	map->offset = strtoull(at + 6, &at, 16);
	major_number = (unsigned int)strtoul(at, &at, 16);
	if (*at != ':')
		return false;
	minor_number = (unsigned int)strtoul(at + 1, &at, 16);
	map->device = device_of(major_number, minor_number);
	map->inode = strtoull(at, &at, 10);
	while (*at == ' ')
		at++;
	map->path = at;
	return true;
}

int sys_each_map(pid_t pid, int (*each)(const struct sys_map *map, void *arg), void *arg)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *line = NULL;
	char path[NAME_BYTES];
	size_t room = 0;
	struct sys_map map;
	ssize_t n;
	int r = 0;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	errno = 0;
	while (!r && (n = getline(&line, &room, file)) > 0) {
		line[n - (line[n - 1] == '\n')] = '\0';
		if (parse_map(line, &map))
			r = each(&map, arg);
	}
	return !r && ferror(file) ? -(errno ? errno : EIO) : r;
}

int sys_pagemap_of(pid_t pid)
{
	char path[NAME_BYTES];
	int fd;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sys_pagemap_full(int fd, uint64_t start, uint64_t end, struct page_region *vec, int n,
		     uint64_t *walked)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)vec,
		.vec_len = (uint64_t)n,
		.category_inverted = PAGE_IS_PFNZERO,
		.category_mask = PAGE_IS_PRESENT | PAGE_IS_PFNZERO,
		.return_mask = PAGE_IS_PRESENT,
	};
	long r;

	SYS_INJECT();
	r = syscall(SYS_ioctl, fd, PAGEMAP_SCAN, &arg);
	if (r < 0)
		return -errno;
	*walked = arg.walk_end;
	return (int)r;
}

int sys_kpageflags_open(void)
{
	int fd;

	SYS_INJECT();
	fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sys_kpageflags(int fd, uint64_t frame, uint64_t *flags, uint32_t n)
{
	ssize_t got;

	SYS_INJECT();
	got = pread(fd, flags, n * sizeof(*flags), (off_t)(frame * sizeof(*flags)));
	return got < 0 ? -errno : (int)((size_t)got / sizeof(*flags));
}

static int look_at_fd(pid_t pid, const char *name, struct sys_open *open_file)
{
	char path[NAME_BYTES + NAME_MAX], info[256];
	const char *flags;
	struct stat st;
	ssize_t n;

	open_file->fd = atoi(name);
	snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, name);
	n = readlink(path, open_file->target, sizeof(open_file->target) - 1);
	if (n < 0 || stat(path, &st) < 0)
		return -errno;
	open_file->target[n] = '\0';
	open_file->device = device_of(major(st.st_dev), minor(st.st_dev));
	open_file->inode = st.st_ino;
	open_file->bytes = (uint64_t)st.st_blocks * 512;
	open_file->owner = st.st_uid;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, name);
	n = sys_read_short(path, info, sizeof(info));
	if (n < 0)
		return (int)n;
	flags = strstr(info, "flags:");
	open_file->flags = flags ? (unsigned int)strtoul(flags + 6, NULL, 8) : 0;
	return 0;
}

int sys_each_open(pid_t pid, int (*each)(const struct sys_open *open, void *arg), void *arg)
{
	_cleanup_closedir_ DIR *folder = NULL;
	char path[NAME_BYTES];
	struct sys_open one;
	struct dirent *entry;
	int r = 0;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	folder = opendir(path);
	if (!folder)
		return -errno;
	while (!r && (entry = readdir(folder)))
		if (entry->d_name[0] != '.' && !look_at_fd(pid, entry->d_name, &one))
			r = each(&one, arg);
	return r;
}

static int parent_line(const char *line, void *parent)
{
	if (strncmp(line, "PPid:", 5) != 0)
		return 0;
	*(pid_t *)parent = (pid_t)atoi(line + 5);
	return 1;
}

int sys_parent(pid_t pid, pid_t *parent)
{
	char path[NAME_BYTES];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	r = sys_each_line(path, parent_line, parent);
	return r == 1 ? 0 : r ? r : -ENODATA;
}

int sys_program(pid_t pid, char *path, size_t size)
{
	char link[NAME_BYTES];
	ssize_t n;

	SYS_INJECT();
	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, path, size - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	return 0;
}

int sys_each_name(const char *folder_path, const char *ending,
		  int (*each)(const char *path, void *arg), void *arg)
{
	_cleanup_closedir_ DIR *folder = NULL;
	size_t end = strlen(ending);
	char path[PATH_MAX];
	struct dirent *entry;
	int r = 0;

	SYS_INJECT();
	folder = opendir(folder_path);
	if (!folder)
		return -errno;
	while (!r && (entry = readdir(folder))) {
		size_t n = strlen(entry->d_name);

		if (n < end || strcmp(entry->d_name + n - end, ending) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder_path, entry->d_name);
		r = each(path, arg);
	}
	return r;
}
