/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * counted-vm: a "VM" for tests of the counters.
 *
 *	counted-vm CONTENT SEED
 *
 * CONTENT is a number of enum counted; the store is stdin. Says "r" when its memory is laid out
 * as QEMU does it, a page without access behind guest RAM, and then waits to be killed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/counted.h"
#include "guest/model.h"

static uint8_t *map_ram(enum counted content)
{
	uint8_t *area = mmap(NULL, 3 * COUNTED_RAM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *ram = area + COUNTED_RAM - (uintptr_t)area % COUNTED_RAM;
	int flags = MAP_PRIVATE | MAP_FIXED | (content == STORE ? 0 : MAP_ANONYMOUS);
	int fd = content == STORE ? STDIN_FILENO : -1;

	if (area == MAP_FAILED ||
	    mmap(ram, COUNTED_RAM, PROT_READ | PROT_WRITE, flags, fd, 0) != ram)
		exit(1);
	madvise(ram, COUNTED_RAM, MADV_NOHUGEPAGE);
	return ram;
}

static void fill(uint8_t *page, enum counted content, uint64_t seed, size_t number)
{
	switch (content) {
	case STORE:
	case ZERO_READ:
		(void)*(volatile uint8_t *)page;
		break;
	case ZERO_WRITTEN:
		memset(page, 0, MODEL_PAGE);
		break;
	case EQUAL:
		model_fill(page, model_seed("equal"), number, 0);
		break;
	case OWN:
		model_fill(page, seed, number, 0);
		break;
	case HALF_TWIN:
		model_fill(page, seed, number / 2, 0);
		break;
	}
}

int main(int argc, char **argv)
{
	enum counted content;
	uint64_t seed;
	uint8_t *ram;

	if (argc != 3)
		return 2;
	content = (enum counted)atoi(argv[1]);
	seed = strtoull(argv[2], NULL, 10);
	ram = map_ram(content);
	for (size_t i = 0; i < COUNTED_PAGES; i++)
		fill(ram + i * MODEL_PAGE, content, seed, i);
	if (write(STDOUT_FILENO, "r", 1) != 1)
		return 1;
	for (;;)
		pause();
}
