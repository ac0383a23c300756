/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

uint64_t guest_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void fill_page(uint8_t *page, uint64_t seed)
{
	uint64_t *word = (uint64_t *)(void *)page;

	for (unsigned int i = 0; i < GUEST_PAGE / sizeof(*word); i++)
		word[i] = guest_mix(seed ^ guest_mix(i));
}

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Whole blocks, 4 KiB pages, offered. */
static uint8_t *memory(size_t bytes)
{
	uint8_t *at;
	uint64_t own;

	if (posix_memalign((void **)&at, GUEST_BLOCK, bytes) ||
	    getrandom(&own, sizeof(own), 0) != sizeof(own))
		fail("memory");
	if (madvise(at, bytes, MADV_NOHUGEPAGE))
		fail("madvise");
	for (size_t i = 0; i < bytes; i += GUEST_PAGE)
		fill_page(at + i, own + i);
	(void)madvise(at, bytes, MADV_MERGEABLE);
	return at;
}

void guest_init(struct guest *guest, const char *file)
{
	uint8_t *pages = memory(GUEST_BLOCK);
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	guest->tables = (struct aes_tables *)(void *)pages;
	guest->probes = memory((size_t)GUEST_PROBES * GUEST_PAGE);
	if (fd < 0 || pread(fd, pages, AES_FILE_BYTES, 0) != AES_FILE_BYTES)
		fail(file);
	close(fd);
}

void guest_fill(struct guest *guest, uint64_t seed, uint32_t i)
{
	uint8_t *page = guest->probes + (size_t)i * GUEST_PAGE;

	if (seed)
		fill_page(page, guest_mix(seed) + i);
	else
		memset(page, 0, GUEST_PAGE);
}

void guest_copy(struct guest *guest, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		memcpy(guest->probes + (size_t)i * GUEST_PAGE, guest->tables->last, GUEST_PAGE);
}

void guest_rewrite(void *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += GUEST_PAGE) {
		volatile uint8_t *byte = (uint8_t *)at + i;

		*byte = *byte;
	}
}

bool guest_is_there(const void *at)
{
	uintptr_t page = (uintptr_t)at / GUEST_PAGE * GUEST_PAGE;
	unsigned char there = 0;

	if (mincore((void *)page, GUEST_PAGE, &there))
		fail("mincore");
	return there & 1;
}

void guest_own(void *at, uint32_t pages)
{
	for (uint32_t i = 0; i < pages; i++) {
		uint8_t *page = (uint8_t *)at + (size_t)i * GUEST_PAGE;

		if (guest_is_there(page))
			guest_rewrite(page, GUEST_PAGE);
	}
}

uint32_t guest_probes_of(const char *text)
{
	unsigned long n = strtoul(text, NULL, 10);

	return n < GUEST_PROBES ? (uint32_t)n : GUEST_PROBES;
}
