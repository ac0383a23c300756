/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * forkram: QEMU gives its device state without its RAM (x-ignore-shared) when it believes RAM to be
 * a shared file. So a VMM that is to be forked is run with a file for RAM, and the library answers
 * the mapping of exactly that file with private anonymous memory, which is managed like any other:
 * it can be shared by the page, ballooned, discarded, swapped. The file stays empty.
 *
 *   PSHARE_FORK_RAM     the paths of the RAM files, with colons between
 *   PSHARE_FORK_IMAGE   of a child: the number of the image that its memory begins with (birth.c)
 *
 * QEMU reserves the whole range first and maps the file into it with MAP_FIXED; nothing but the
 * file and MAP_SHARED is looked at here. A file is known by device and inode, not by its name.
 * Every other mapping is left alone, and so is this one where PSHARE_FORK_RAM is not set.
 *
 * Limits: PS_FORK_RAMS_MAX files. What reads or writes the file by its descriptor sees nothing of
 * the guest: QEMU only punches holes in it when it discards memory, besides madvise().
 */
#include "agent/forkram.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/say.h"
#include "sys/self.h"
#include "wire/wire.h"

static struct {
	pthread_once_t once;
	uint32_t n;
	uint64_t image;
	struct {
		char path[256];
		uintptr_t start;
		size_t len;
	} ram[PS_FORK_RAMS_MAX];
} known = {.once = PTHREAD_ONCE_INIT};

static void read_environment(void)
{
	const char *at = getenv("PSHARE_FORK_RAM"), *image = getenv("PSHARE_FORK_IMAGE");

	for (; at && *at; at += strcspn(at, ":"), at += *at == ':') {
		size_t len = strcspn(at, ":");

		if (known.n == PS_FORK_RAMS_MAX || len >= sizeof(known.ram[0].path)) {
			agent_say("PSHARE_FORK_RAM names too many files, or too long ones", 0);
			break;
		}
		memcpy(known.ram[known.n++].path, at, len);
	}
	if (image)
		known.image = strtoull(image, NULL, 10);
}

int forkram_of(int fd)
{
	pthread_once(&known.once, read_environment);
	for (uint32_t i = 0; i < known.n; i++)
		if (sys_is_file(fd, known.ram[i].path))
			return (int)i;
	return -1;
}

void forkram_mapped(int ram, void *addr, size_t len)
{
	known.ram[ram].start = (uintptr_t)addr;
	known.ram[ram].len = len;
}

int forkram_at(uintptr_t start, size_t len)
{
	for (uint32_t i = 0; i < known.n; i++)
		if (known.ram[i].start == start && known.ram[i].len == len)
			return (int)i;
	return -1;
}

struct region *forkram_region(struct agent *a, int ram)
{
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		if (r->life == REGION_MANAGED && r->announced &&
		    forkram_at(r->start, r->len) == ram)
			return r;
	}
	return NULL;
}

uint32_t forkram_count(void)
{
	pthread_once(&known.once, read_environment);
	return known.n;
}

uint64_t forkram_image(void)
{
	pthread_once(&known.once, read_environment);
	return known.image;
}
