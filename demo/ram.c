/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/cleanup.h"

#define BLOCK_BYTES (2ull << 20)
#define PATH_BYTES 64

struct mapping {
	struct range range;
	char access[5]; /* "rw-p" */
	bool memory;	/* anonymous or a memfd */
};

/* The next line of /proc/PID/maps; false at the end. */
static bool next_mapping(FILE *maps, struct mapping *mapping)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	unsigned long long start, end;
	int path = 0;

	if (getline(&line, &size, maps) < 0)
		return false;
	if (sscanf(line, "%llx-%llx %4s %*s %*s %*s %n", &start, &end, mapping->access, &path) != 3)
		return false;
	mapping->range = (struct range){start, end};
	mapping->memory = line[path] == '\0' || strncmp(line + path, "/memfd:", 7) == 0 ||
			  strncmp(line + path, "[heap]", 6) == 0 ||
			  strncmp(line + path, "[stack", 6) == 0 ||
			  strncmp(line + path, "[anon", 5) == 0;
	return true;
}

static FILE *open_maps(const struct vm *vm)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)vm->pid);
	return fopen(path, "re");
}

static bool guest_like(const struct mapping *mapping)
{
	return mapping->memory && strncmp(mapping->access, "rw", 2) == 0 &&
	       mapping->access[3] == 'p';
}

/* Guest RAM, if it is the end of a stretch without a gap; a guard behind it decides between
 * several. Pieces of a store lie in it: it is one mapping only as long as nothing is shared. */
static int find_ram(struct vm *vm, uint64_t bytes)
{
	_cleanup_fclose_ FILE *maps = open_maps(vm);
	struct range stretch = {0, 0}, found = {0, 0};
	struct mapping mapping;
	bool more;

	if (!maps)
		return -errno;
	do {
		more = next_mapping(maps, &mapping);
		if (more && guest_like(&mapping) && mapping.range.start == stretch.end) {
			stretch.end = mapping.range.end;
			continue;
		}
		if (stretch.end - stretch.start >= bytes &&
		    (stretch.end - bytes) % BLOCK_BYTES == 0) {
			bool guarded = more && mapping.range.start == stretch.end &&
				       strncmp(mapping.access, "---", 3) == 0;

			if (guarded || !found.end)
				found = (struct range){stretch.end - bytes, stretch.end};
			if (guarded)
				break;
		}
		stretch = (struct range){0, 0};
		if (more && guest_like(&mapping))
			stretch = mapping.range;
	} while (more);
	if (!found.end)
		return -ENOENT;
	vm->ram = found;
	return 0;
}

static int vm_find(struct vm *vm, uint64_t ram_bytes)
{
	char path[PATH_BYTES];
	int r = 0;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)vm->pid);
	vm->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (vm->pagemap < 0) {
		r = -errno;
		fprintf(stderr, "cannot open %s: %s\n", path, strerror(-r));
	} else if (ram_bytes) {
		r = find_ram(vm, ram_bytes);
		if (r < 0)
			fprintf(stderr, "cannot find %llu MiB of guest RAM in process %d: %s\n",
				(unsigned long long)(ram_bytes >> 20), (int)vm->pid, strerror(-r));
	}
	return r;
}

int vm_open(struct vm *vm, char *text, uint64_t ram_bytes)
{
	char *rest = NULL, *end = NULL;
	char *group = strtok_r(text, ":", &rest);
	const char *pid = strtok_r(NULL, ":", &rest);
	const char *name = strtok_r(NULL, ":", &rest);

	*vm = (struct vm){.group = group, .pagemap = -1};
	if (pid)
		vm->pid = (pid_t)strtol(pid, &end, 10);
	if (!group || !end || *end || vm->pid <= 0) {
		fprintf(stderr, "\"%s\" is not a VM: expected GROUP:PID[:NAME]\n", text);
		return -EINVAL;
	}
	vm->name = name ? name : pid;
	return vm_find(vm, ram_bytes);
}

void vm_close(struct vm *vm)
{
	close_fd(&vm->pagemap);
}

static int add_range(struct ranges *ranges, struct range range)
{
	struct range *grown;

	if (ranges->count && ranges->at[ranges->count - 1].end == range.start) {
		ranges->at[ranges->count - 1].end = range.end;
		return 0;
	}
	grown = reallocarray(ranges->at, ranges->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ranges->at = grown;
	ranges->at[ranges->count++] = range;
	return 0;
}

int vm_memory(const struct vm *vm, struct ranges *ranges)
{
	_cleanup_fclose_ FILE *maps = open_maps(vm);
	struct ranges all = {NULL, 0};
	struct mapping mapping;
	int r = 0;

	if (!maps)
		return -errno;
	while (r == 0 && next_mapping(maps, &mapping))
		if (mapping.memory)
			r = add_range(&all, mapping.range);
	if (r < 0) {
		free(all.at);
		return r;
	}
	*ranges = all;
	return 0;
}

size_t vm_pagemap(const struct vm *vm, uint64_t address, uint64_t *entries, size_t count)
{
	ssize_t n = pread(vm->pagemap, entries, count * sizeof(*entries),
			  (off_t)(address / PAGE_BYTES * sizeof(*entries)));

	return n < 0 ? 0 : (size_t)n / sizeof(*entries);
}

size_t vms_from_arguments(int argc, char **argv, const char *what, struct vm **vms)
{
	uint64_t ram = 0;
	int first = 1;
	struct vm *all;

	if (argc > 2 && strcmp(argv[1], "--ram") == 0) {
		ram = strtoull(argv[2], NULL, 10) << 20;
		first = 3;
	}
	if (first >= argc || (first == 3 && !ram)) {
		fprintf(stderr, "usage: %s [--ram MIB] GROUP:PID[:NAME]...\n%s\n", argv[0], what);
		exit(2);
	}
	all = calloc((size_t)(argc - first), sizeof(*all));
	if (!all) {
		fprintf(stderr, "%s: no memory\n", argv[0]);
		exit(2);
	}
	for (int i = first; i < argc; i++)
		if (vm_open(&all[i - first], argv[i], ram) < 0)
			exit(2);
	*vms = all;
	return (size_t)(argc - first);
}
