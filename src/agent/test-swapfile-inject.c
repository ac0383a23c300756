// SPDX-License-Identifier: LGPL-2.1-or-later
/* The swap file when every call of the system fails once: no wrong byte, no page lost unsaid. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/swapfile.h"
#include "harness/harness.h"
#include "sys/inject.h"

#define PAGES 40u

static int new_file(void)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/swap", test_dir());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE_SYS(fd);
	REQUIRE_SYS(unlink(path));
	return fd;
}

/* What became of each page is known: on disk and right, or still the caller's, or an error. */
static void write_and_read(struct swapfile *file, int error)
{
	static char content[PAGES][PS_PAGE_SIZE];
	static _Alignas(PS_PAGE_SIZE) char out[PS_PAGE_SIZE];
	const void *contents[PAGES];
	uint32_t pages[PAGES], slots[PAGES];
	struct swapfile_done done = {0};
	int result;

	for (uint32_t i = 0; i < PAGES; i++) {
		pages[i] = i;
		contents[i] = content[i];
		memset(content[i], (int)i + 1, PS_PAGE_SIZE);
	}
	REQUIRE_GT(swapfile_submit(file, PAGES, pages, contents, slots), 0);
	REQUIRE_EQ(swapfile_wait(file, &done), 1);
	REQUIRE_EQ(done.n, PAGES);
	REQUIRE(done.error == 0 || done.error == error);
	REQUIRE_EQ(done.good == PAGES, done.error == 0);
	for (uint32_t i = 0; i < PAGES; i++) {
		(void)swapfile_read(file, slots[i], 1, &pages[i], out, &result);
		if (i >= done.good)
			REQUIRE_EQ(result, -ENOENT);
		else if (result)
			REQUIRE_EQ(result, error);
		else
			REQUIRE_MEM(out, content[i], PS_PAGE_SIZE);
	}
}

static void every_call(int error)
{
	bool fired = true;
	uint64_t n = 1;

	for (; fired; n++) {
		int fd = new_file(), made;
		struct swapfile *file = NULL;

		ps_inject_set(n, 0, -error);
		made = swapfile_new(&file, fd, 1024 * PS_PAGE_SIZE, -1);
		if (made) {
			REQUIRE(made == error || made == -ENOMEM);
			close(fd);
		} else {
			write_and_read(file, error);
			swapfile_free(file);
		}
		fired = ps_inject_fired();
		ps_inject_set(0, 0, EIO);
		REQUIRE_LT(n, 10000u);
	}
	CHECK_GT(n, 50u); /* there were calls to fail */
}

TEST("whichever call fails with an I/O error, what is read is what was written")
{
	every_call(-EIO);
}

TEST("the same where the disk is full")
{
	every_call(-ENOSPC);
}
