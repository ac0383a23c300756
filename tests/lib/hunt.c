/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hunt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HUNT_RANGES 256u
#define HUNT_BATCH 512u

/* Looks through [start, end), all of it present. */
static uint8_t *hunt_present(int fd, uintptr_t start, uintptr_t end, uint64_t pfn)
{
	uint64_t entry[HUNT_BATCH];

	while (start < end) {
		uint32_t n = (uint32_t)((end - start) / T_PAGE);

		n = pm_read(fd, start, entry, n < HUNT_BATCH ? n : HUNT_BATCH);
		if (!n)
			return NULL;
		for (uint32_t i = 0; i < n; i++)
			if (pm_pfn(entry[i]) == pfn && !(entry[i] & PM_FILE))
				return (uint8_t *)start + (size_t)i * T_PAGE;
		start += (uintptr_t)n * T_PAGE;
	}
	return NULL;
}

static uint8_t *hunt_mapping(int fd, uintptr_t start, uintptr_t end, uint64_t pfn)
{
	struct page_region range[HUNT_RANGES];
	uint32_t n;

	while ((n = pm_present(fd, &start, end, range, HUNT_RANGES)))
		for (uint32_t i = 0; i < n; i++) {
			uint8_t *found = hunt_present(fd, range[i].start, range[i].end, pfn);

			if (found)
				return found;
		}
	return NULL;
}

uint8_t *hunt_pfn(uint64_t pfn)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end;
	uint8_t *found = NULL;
	char line[512], perm[8];
	int fd = pm_open(0);

	while (pfn && fd >= 0 && !found && maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %7s", &start, &end, perm) == 3 && !strcmp(perm, "rw-p"))
			found = hunt_mapping(fd, start, end, pfn);
	if (maps)
		fclose(maps);
	if (fd >= 0)
		close(fd);
	return found;
}

uint64_t hunt_pfn_at(const void *addr)
{
	int fd = pm_open(0);
	uint64_t entry = 0;

	if (fd >= 0) {
		pm_read(fd, (uintptr_t)addr, &entry, 1);
		close(fd);
	}
	return pm_pfn(entry);
}
