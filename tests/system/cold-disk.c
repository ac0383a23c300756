/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cold-disk: a disk that is slow, full, or changes what is on it; a VMM that closes what tells of
 * accesses.
 */
#include "cold.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/memstate.h"

/* ---- what a disk may do -------------------------------------------------------------------- */

static int swap_file(void)
{
	int fd = paper_swap_file();

	paper_swap(&p, fd, SWAP_CAP);
	return fd;
}

/* It says why, and ends, when all of it is read. */
static void must_stop(const char *why)
{
	char said[4096] = "";
	int status = 0;

	fv_send(&v, (struct fv_cmd){FV_CHECK, 0, 0, PAGES, 0, 0});
	if (t_wait(v.pid, 30, &status))
		FAIL("the VMM goes on with a page that cannot be read");
	v.pid = 0;
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	REQUIRE_GE(pread(said_fd, said, sizeof(said) - 1, 0), 0);
	REQUIRE_IN(why, said);
}

static void out_to_disk(int *fd)
{
	said_fd = t_sys(memfd_create("said", MFD_CLOEXEC));
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	*fd = swap_file();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_SWAP, PAGES, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.swapped >= PAGES * 9 / 10);
}

TEST_SECONDS("a flipped bit in the swap file stops the VM before it sees a wrong byte", 60)
{
	_Alignas(T_PAGE) uint8_t block[T_PAGE];
	int fd;

	out_to_disk(&fd);
	/* whole blocks: the descriptor goes past the page cache by now */
	for (off_t at = 0; pread(fd, block, T_PAGE, at) == T_PAGE; at += T_PAGE) {
		block[1000] ^= 4;
		REQUIRE_EQ(pwrite(fd, block, T_PAGE, at), T_PAGE);
	}
	must_stop("damaged");
	paper_end(&p);
	t_rmdir(d.dir);
}

TEST_SECONDS("two blocks that were exchanged in the swap file stop the VM", 60)
{
	_Alignas(T_PAGE) uint8_t one[T_PAGE], two[T_PAGE];
	int fd;

	out_to_disk(&fd);
	for (off_t at = 0;
	     pread(fd, one, T_PAGE, at) == T_PAGE && pread(fd, two, T_PAGE, at + T_PAGE) == T_PAGE;
	     at += 2 * T_PAGE) {
		REQUIRE_EQ(pwrite(fd, two, T_PAGE, at), T_PAGE);
		REQUIRE_EQ(pwrite(fd, one, T_PAGE, at + T_PAGE), T_PAGE);
	}
	must_stop("damaged");
	paper_end(&p);
	t_rmdir(d.dir);
}

TEST_SECONDS("a VMM that closes the descriptor of accesses is stopped, and reads no zeros", 60)
{
	said_fd = t_sys(memfd_create("said", MFD_CLOEXEC));
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	fv_do(&v, FV_DISCARD, 0, 0, 8, 0, 0);
	stage_all();
	REQUIRE_GE(fv_do(&v, FV_CLOSE, 0, 0, 0, 0, 0), 1);
	must_stop("was closed");
	paper_end(&p);
	t_rmdir(d.dir);
}

/* The gate stays on for a while when all has come back: a hole behind it is somebody's to fill. */
TEST_SECONDS("a VMM that closes it while nothing is out goes on, and nobody in it waits for ever",
	     60)
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	stage_all();
	all_back();
	REQUIRE_GE(fv_do(&v, FV_CLOSE, 0, 0, 0, 0, 0), 1);
	fv_do(&v, FV_DISCARD, 0, 0, FEW, 0, 0);
	fv_do(&v, FV_PATCH, 0, 0, PAGES, 8, 3);
	fv_check(&v, 0);
	fv_end(&v);
	paper_end(&p);
	t_rmdir(d.dir);
}

/* Linux 6.18 moves pages and says that it did not; see agent/move.c, and dangers-unsafe.c. */
TEST("4 what was moved is whole, whatever was said of it")
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_SWAP, PAGES, MEMSTATE_SOFT);
	t_sleep(3); /* long enough for all of them to be taken out */
	fv_check(&v, 0);
	stage_all();
	fv_check(&v, 0);
	finish();
}

/* ---- a disk that is full, a file that may not grow, little memory -------------------------- */

/* Reclaim stands still, and the guest goes on. */
static void no_room(void)
{
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_SWAP, PAGES, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.staged >= PAGES / 2 && s.swap_error);
	fv_check(&v, 0);
	fv_do(&v, FV_PATCH, 0, 0, PAGES, 8, 3);
	fv_check(&v, 0);
}

TEST("a swap file that is full costs the reclaim, not the guest")
{
	int fd = paper_swap_file();

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	paper_swap(&p, fd, 256 * T_PAGE);
	close(fd);
	no_room();
	finish();
}

TEST("a disk that is full costs the reclaim, not the guest")
{
	int fd = t_sys(open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	/* the process may write no file larger than that: the kernel's answer comes as a full
	 * disk's does, in the middle of a batch */
	t_sys(prlimit(v.pid, RLIMIT_FSIZE, &(struct rlimit){100 * T_PAGE + 2048, RLIM_INFINITY},
		      NULL));
	paper_swap(&p, fd, SWAP_CAP);
	close(fd);
	no_room();
	finish();
}
