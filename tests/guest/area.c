/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "area.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "model.h"
#include "sys/cleanup.h"

#define TWIN_CONTENTS 64u
#define SEED_SAME "the same in every guest"

/* Fills `page` with what page `number` of the area is to hold in its generation. */
static void expected(const struct area *area, size_t number, void *page)
{
	uint32_t generation = area->generation[number];

	switch (area->kind) {
	case AREA_ZERO:
		if (generation % 2 == 0)
			memset(page, 0, MODEL_PAGE);
		else
			model_fill(page, area->seed, number, generation);
		return;
	case AREA_TWIN:
		model_fill(page, area->seed, number % TWIN_CONTENTS, generation);
		return;
	case AREA_BUSY:
		/* even: what every guest has there; odd: this guest's alone */
		if (generation % 2 == 0)
			model_fill(page, model_seed(SEED_SAME), number, 0);
		else
			model_fill(page, area->seed, number, generation);
		return;
	case AREA_SAME:
	case AREA_OWN:
		break;
	}
	model_fill(page, area->seed, number, generation);
}

static void write_page(struct area *area, size_t number)
{
	expected(area, number, area->memory + number * MODEL_PAGE);
}

static void record_sum(struct area *area)
{
	area->sum = XXH3_64bits(area->memory, area->pages * MODEL_PAGE);
}

static int map_area(struct area *area)
{
	size_t bytes = area->pages * MODEL_PAGE;
	int flags = area->path ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	_cleanup_close_ int fd = -1;
	void *memory;

	if (area->path) {
		fd = open(area->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
			return -errno;
	}
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	area->memory = memory;
	return 0;
}

int area_start(struct area *area, uint64_t memory_bytes, uint64_t own_seed)
{
	bool own = area->kind == AREA_OWN || area->kind == AREA_BUSY;
	int r;

	area->pages = memory_bytes / 1000 * area->permille / MODEL_PAGE;
	area->seed = model_mix(model_seed(area->name) ^ (own ? own_seed : 0));
	area->generation = calloc(area->pages, sizeof(*area->generation));
	if (!area->generation)
		return -ENOMEM;
	r = map_area(area);
	if (r < 0)
		return r;
	for (size_t i = 0; i < area->pages; i++) {
		if (area->kind == AREA_ZERO) /* a page that had content, then lost it */
			area->memory[i * MODEL_PAGE] = 1;
		write_page(area, i);
	}
	record_sum(area);
	return 0;
}

void area_work(struct area *area, uint32_t round)
{
	for (size_t i = 0; i < area->pages; i++) {
		uint64_t choice = model_mix(round ^ ((uint64_t)(i / TWIN_CONTENTS) << 32));

		/* twins go by the group, so that they are twins again afterwards */
		if (area->kind != AREA_TWIN)
			choice = model_mix(choice ^ i);
		if (choice % 2)
			continue;
		area->generation[i]++;
		write_page(area, i);
	}
	record_sum(area);
}

void area_touch(struct area *area, uint32_t tick, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		size_t number = ((size_t)tick * pages + i) % area->pages;

		area->generation[number]++;
		write_page(area, number);
	}
	record_sum(area);
}

static void report_wrong(const struct area *area, size_t number, const uint8_t *want)
{
	const uint8_t *have = area->memory + number * MODEL_PAGE;
	size_t first = 0, differing = 0;

	for (size_t i = MODEL_PAGE; i-- > 0;)
		if (have[i] != want[i]) {
			first = i;
			differing++;
		}
	fprintf(stderr,
		"area %s: page %zu (at %p, generation %u) is wrong from byte %zu on, %zu bytes "
		"differ: %02x, not %02x\n",
		area->name, number, (const void *)have, area->generation[number], first, differing,
		have[first], want[first]);
}

size_t area_check(const struct area *area, uint64_t *sum)
{
	uint64_t page[MODEL_PAGE / sizeof(uint64_t)];
	size_t wrong = 0;

	for (size_t i = 0; i < area->pages; i++) {
		expected(area, i, page);
		if (memcmp(page, area->memory + i * MODEL_PAGE, MODEL_PAGE) == 0)
			continue;
		if (!wrong++)
			report_wrong(area, i, (const uint8_t *)page);
	}
	*sum = XXH3_64bits(area->memory, area->pages * MODEL_PAGE);
	return wrong;
}
