/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * footprint: where the memory of VMs' processes is, beside guest RAM.
 *
 *	footprint [--ram MIB] GROUP:PID[:NAME]...
 *
 *	vm=NAME inside=P frames=P anonymous=P mappings=N tables=KIB
 *
 *	inside		pages of guest RAM that are anonymous, the zero page among them
 *	frames		pages of guest RAM that lie in a memfd
 *	anonymous	anonymous pages of the process, shared ones too, the zero page not
 *	mappings	lines of /proc/PID/maps
 *	tables		its page tables
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../demo/ram.h"
#include "sys/cleanup.h"

#define CHUNK 4096u
#define ENTRY_FILE (1ull << 61) /* of a file, or of shared memory */
#define PATH_BYTES 64
#define LINE_BYTES 512

struct footprint {
	uint64_t inside, frames, mappings;
	unsigned long long anonymous_kib, tables_kib;
};

static FILE *open_proc(const struct vm *vm, const char *name)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)vm->pid, name);
	return fopen(path, "re");
}

static int read_tables(const struct vm *vm, struct footprint *fp)
{
	static uint64_t entries[CHUNK];
	uint64_t at = vm->ram.start;

	while (at < vm->ram.end) {
		uint64_t want = (vm->ram.end - at) / PAGE_BYTES;
		size_t got = vm_pagemap(vm, at, entries, want < CHUNK ? want : CHUNK);

		if (!got)
			return -ESRCH;
		for (size_t i = 0; i < got; i++)
			if (entries[i] & PAGEMAP_PRESENT) {
				fp->frames += (entries[i] & ENTRY_FILE) != 0;
				fp->inside += (entries[i] & ENTRY_FILE) == 0;
			}
		at += got * PAGE_BYTES;
	}
	return 0;
}

static int read_status(const struct vm *vm, struct footprint *fp)
{
	_cleanup_fclose_ FILE *status = open_proc(vm, "status");
	char line[LINE_BYTES];

	if (!status)
		return -errno;
	while (fgets(line, sizeof(line), status)) {
		sscanf(line, "RssAnon: %llu", &fp->anonymous_kib);
		sscanf(line, "VmPTE: %llu", &fp->tables_kib);
	}
	return 0;
}

static int count_mappings(const struct vm *vm, struct footprint *fp)
{
	_cleanup_fclose_ FILE *maps = open_proc(vm, "maps");
	int c;

	if (!maps)
		return -errno;
	while ((c = getc_unlocked(maps)) != EOF)
		fp->mappings += c == '\n';
	return 0;
}

int main(int argc, char **argv)
{
	struct vm *vms;
	size_t n = vms_from_arguments(argc, argv, "counts memory beside guest RAM", &vms);

	for (size_t i = 0; i < n; i++) {
		struct footprint fp = {0};
		int r = read_tables(&vms[i], &fp);

		if (r == 0)
			r = read_status(&vms[i], &fp);
		if (r == 0)
			r = count_mappings(&vms[i], &fp);
		if (r < 0) {
			fprintf(stderr, "%s: %s: %s\n", argv[0], vms[i].name, strerror(-r));
			return 2;
		}
		printf("vm=%s inside=%llu frames=%llu anonymous=%llu mappings=%llu tables=%llu\n",
		       vms[i].name, (unsigned long long)fp.inside, (unsigned long long)fp.frames,
		       fp.anonymous_kib / 4, (unsigned long long)fp.mappings, fp.tables_kib);
	}
	return 0;
}
