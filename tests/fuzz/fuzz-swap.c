// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Swap blocks: the file is changed behind the agent's back in any way. What is read is the content
 * that was written, or an error: never anything else.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/swapfile.h"
#include "fuzz/fuzz.h"

#define PAGES 16u
#define FILE_SIZE (64u * PS_PAGE_SIZE)

static _Alignas(PS_PAGE_SIZE) uint8_t content[PAGES][PS_PAGE_SIZE];
static _Alignas(PS_PAGE_SIZE) uint8_t got[SWAPFILE_NEIGHBOURS][PS_PAGE_SIZE];

/* One change of the file, as whoever holds the disk could make it. */
static void damage(struct fuzz_input *in, int fd)
{
	uint8_t block[PS_PAGE_SIZE], other[PS_PAGE_SIZE], byte;
	off_t at = fuzz_u32(in) % (2 * FILE_SIZE);
	off_t a = (off_t)(fuzz_u8(in) % 64) * PS_PAGE_SIZE,
	      b = (off_t)(fuzz_u8(in) % 64) * PS_PAGE_SIZE;
	ssize_t n, m;

	switch (fuzz_u8(in) % 4) {
	case 0:
		byte = fuzz_u8(in);
		(void)!pwrite(fd, &byte, 1, at);
		break;
	case 1: /* two blocks exchanged */
		n = pread(fd, block, sizeof(block), a);
		m = pread(fd, other, sizeof(other), b);
		if (n > 0 && m > 0) {
			(void)!pwrite(fd, other, (size_t)m, a);
			(void)!pwrite(fd, block, (size_t)n, b);
		}
		break;
	case 2:
		(void)!ftruncate(fd, at);
		break;
	default: /* a block over another */
		n = pread(fd, block, sizeof(block), a);
		if (n > 0)
			(void)!pwrite(fd, block, (size_t)n, b);
		break;
	}
}

static void read_one(struct swapfile *file, uint32_t slot, uint32_t page, const uint8_t *is)
{
	int result = 1;

	swapfile_read(file, slot, 1, &page, got, &result);
	fuzz_check(result <= 0);
	if (result == 0)
		fuzz_check(memcmp(got[0], is, PS_PAGE_SIZE) == 0);
}

static void rounds(struct fuzz_input *in, struct swapfile *file, int fd)
{
	uint32_t slots[PAGES], pages[PAGES];
	const void *contents[PAGES];
	struct swapfile_done done;
	bool here[PAGES] = {false};

	while (in->left) {
		uint8_t fill = fuzz_u8(in);

		for (unsigned int i = 0; i < PAGES; i++) {
			memset(content[i], fill + (int)i, PS_PAGE_SIZE);
			contents[i] = content[i];
			pages[i] = (uint32_t)fill * 3 + i;
		}
		if (swapfile_submit(file, PAGES, pages, contents, slots) < 0)
			return;
		memset(here, 0, sizeof(here));
		if (swapfile_wait(file, &done) == 1)
			for (uint32_t i = 0; i < done.good; i++)
				here[i] = true;
		for (uint8_t n = fuzz_u8(in) % 8; n; n--)
			damage(in, fd);
		for (unsigned int i = 0; i < PAGES; i++) {
			if (!here[i])
				continue;
			read_one(file, slots[i], pages[i], content[i]);
			read_one(file, slots[i], pages[i] + 1, content[(i + 1) % PAGES]);
			if (fill & 1 || i & 1)
				swapfile_drop(file, slots[i]);
		}
		read_one(file, fuzz_u32(in), pages[0], content[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size < 512 ? size : 512};
	struct swapfile *file;
	int fd = memfd_create("swap", MFD_CLOEXEC), mine = fd < 0 ? -1 : dup(fd);

	if (mine < 0 || swapfile_new(&file, fd, FILE_SIZE, -1) < 0) {
		close(fd);
		close(mine);
		return 0;
	}
	rounds(&in, file, mine);
	swapfile_free(file);
	close(mine);
	return 0;
}
