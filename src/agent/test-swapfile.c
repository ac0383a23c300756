// SPDX-License-Identifier: LGPL-2.1-or-later
/* The swap file: what comes back, what is found damaged, what a full or broken disk costs. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cipher.h"
#include "agent/swapfile.h"
#include "harness/harness.h"
#include "policy/test-random.h"
#include "sys/events.h"

#define SLOTS 2048u

static int file_in(const char *folder)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/swap", folder);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	REQUIRE_SYS(fd);
	REQUIRE_SYS(unlink(path));
	return fd;
}

struct fixture {
	struct swapfile *file;
	int fd; /* the same file, opened anew, for damage */
};

static struct fixture open_over(int fd, uint32_t slots)
{
	struct fixture x = {0};
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	x.fd = open(path, O_RDWR | O_CLOEXEC);
	REQUIRE_SYS(x.fd);
	REQUIRE_OK(swapfile_new(&x.file, fd, (uint64_t)slots * PS_PAGE_SIZE, -1));
	return x;
}

static struct fixture open_file(uint32_t slots)
{
	return open_over(file_in(test_dir()), slots);
}

static void close_file(struct fixture *x)
{
	x->file = swapfile_free(x->file);
	close(x->fd);
}

static void fill(char *content, uint32_t page, uint32_t version)
{
	struct rng rng = {(uint64_t)version << 32 | page};
	uint64_t word;

	for (uint32_t i = 0; i < PS_PAGE_SIZE; i += sizeof(word)) {
		word = rng_next(&rng);
		memcpy(content + i, &word, sizeof(word));
	}
}

/* Pages page..page+n-1, of that version, in one batch; how it ended. */
static struct swapfile_done write_pages(struct swapfile *file, uint32_t page, uint32_t n,
					uint32_t version, uint32_t *slots)
{
	char(*content)[PS_PAGE_SIZE] = malloc((size_t)n * PS_PAGE_SIZE); /* no stack is as large */
	const void *contents[SWAPFILE_BATCH];
	uint32_t pages[SWAPFILE_BATCH];
	struct swapfile_done done = {0};
	long batch;

	for (uint32_t i = 0; i < n; i++) {
		pages[i] = page + i;
		contents[i] = content[i];
		fill(content[i], page + i, version);
	}
	do
		batch = swapfile_submit(file, n, pages, contents, slots);
	while (batch == -EAGAIN); /* space is being given back */
	REQUIRE_GT(batch, 0);
	memset(content, 0xee, (size_t)n * PS_PAGE_SIZE); /* it was taken */
	free(content);
	REQUIRE_EQ(swapfile_wait(file, &done), 1);
	REQUIRE_EQ(done.batch, batch);
	REQUIRE_EQ(done.n, n);
	return done;
}

static int read_page(struct swapfile *file, uint32_t slot, uint32_t page, uint32_t version)
{
	_Alignas(PS_PAGE_SIZE) char out[PS_PAGE_SIZE];
	char expected[PS_PAGE_SIZE] = {0};
	int result = 1;

	(void)swapfile_read(file, slot, 1, &page, out, &result);
	if (!result)
		fill(expected, page, version);
	REQUIRE_MEM(out, expected, PS_PAGE_SIZE); /* zeros, where it is not right */
	return result;
}

static struct swapfile_figures figures(struct swapfile *file)
{
	struct swapfile_figures f;

	swapfile_count(file, &f);
	return f;
}

TEST("what is written comes back, one by one and with its neighbours")
{
	struct fixture x = open_file(SLOTS);
	static _Alignas(PS_PAGE_SIZE) char out[SWAPFILE_NEIGHBOURS][PS_PAGE_SIZE];
	uint32_t slots[SWAPFILE_BATCH], pages[SWAPFILE_NEIGHBOURS];
	int results[SWAPFILE_NEIGHBOURS];
	char expected[PS_PAGE_SIZE];
	struct swapfile_done done = write_pages(x.file, 100, SWAPFILE_BATCH, 1, slots);

	CHECK_EQ(done.good, SWAPFILE_BATCH);
	CHECK_EQ(done.error, 0);
	for (uint32_t i = 0; i < SWAPFILE_BATCH; i++) {
		CHECK_EQ(slots[i], slots[0] + i); /* neighbours */
		CHECK_EQ(read_page(x.file, slots[i], 100 + i, 1), 0);
	}
	for (uint32_t i = 0; i < SWAPFILE_NEIGHBOURS; i++)
		pages[i] = i % 2 ? 100 + i : PS_FRAME_NONE;
	CHECK_EQ(swapfile_read(x.file, slots[0], SWAPFILE_NEIGHBOURS, pages, out, results),
		 SWAPFILE_NEIGHBOURS / 2);
	for (uint32_t i = 0; i < SWAPFILE_NEIGHBOURS; i++) {
		CHECK_EQ(results[i], i % 2 ? 0 : -ENOENT);
		fill(expected, 100 + i, 1);
		if (i % 2)
			CHECK_MEM(out[i], expected, PS_PAGE_SIZE);
	}
	CHECK_EQ(figures(x.file).used, SWAPFILE_BATCH);
	CHECK_EQ(figures(x.file).writes, SWAPFILE_BATCH);
	close_file(&x);
}

TEST("nothing of a page can be read in the file, nor that two pages are equal")
{
	struct fixture x = open_file(SLOTS);
	char content[PS_PAGE_SIZE], block[2][PS_PAGE_SIZE];
	const void *contents[2] = {content, content};
	uint32_t pages[2] = {5, 6}, slots[2];
	struct swapfile_done done;

	memset(content, 0, sizeof(content));
	strcpy(content, "the password of the guest");
	REQUIRE_GT(swapfile_submit(x.file, 2, pages, contents, slots), 0);
	REQUIRE_EQ(swapfile_wait(x.file, &done), 1);
	REQUIRE_EQ(pread(x.fd, block[0], PS_PAGE_SIZE, (off_t)slots[0] * PS_PAGE_SIZE),
		   PS_PAGE_SIZE);
	REQUIRE_EQ(pread(x.fd, block[1], PS_PAGE_SIZE, (off_t)slots[1] * PS_PAGE_SIZE),
		   PS_PAGE_SIZE);
	CHECK(!memmem(block[0], PS_PAGE_SIZE, "password", 8));
	CHECK(memcmp(block[0], block[1], PS_PAGE_SIZE) != 0);
	CHECK(memcmp(block[0] + 2048, content + 2048, 16) != 0);
	close_file(&x);
}

static void flip(int fd, uint32_t slot, uint32_t byte)
{
	char b;

	REQUIRE_EQ(pread(fd, &b, 1, (off_t)slot * PS_PAGE_SIZE + byte), 1);
	b ^= 0x10;
	REQUIRE_EQ(pwrite(fd, &b, 1, (off_t)slot * PS_PAGE_SIZE + byte), 1);
}

TEST("one flipped bit is found, wherever it is")
{
	struct fixture x = open_file(SLOTS);
	uint32_t slots[4];

	write_pages(x.file, 0, 4, 1, slots);
	flip(x.fd, slots[0], 0);
	flip(x.fd, slots[1], 4095);
	flip(x.fd, slots[2], 1234);
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(read_page(x.file, slots[i], i, 1), -EBADMSG);
	CHECK_EQ(read_page(x.file, slots[3], 3, 1), 0);
	CHECK_EQ(figures(x.file).damaged, 3);
	CHECK_EQ(figures(x.file).read_error, -EBADMSG);
	flip(x.fd, slots[1], 4095); /* back */
	CHECK_EQ(read_page(x.file, slots[1], 1, 1), 0);
	close_file(&x);
}

static void copy_block(int from_fd, uint32_t from, int to_fd, uint32_t to)
{
	char block[PS_PAGE_SIZE];

	REQUIRE_EQ(pread(from_fd, block, sizeof(block), (off_t)from * PS_PAGE_SIZE), PS_PAGE_SIZE);
	REQUIRE_EQ(pwrite(to_fd, block, sizeof(block), (off_t)to * PS_PAGE_SIZE), PS_PAGE_SIZE);
}

TEST("two exchanged blocks are found, and a slot read as another page's")
{
	struct fixture x = open_file(SLOTS);
	uint32_t slots[2];

	write_pages(x.file, 0, 2, 1, slots);
	CHECK_EQ(read_page(x.file, slots[0], 1, 1), -EBADMSG);
	CHECK_EQ(read_page(x.file, slots[0], 0, 1), 0);
	copy_block(x.fd, slots[0], x.fd, 1000);
	copy_block(x.fd, slots[1], x.fd, slots[0]);
	copy_block(x.fd, 1000, x.fd, slots[1]);
	CHECK_EQ(read_page(x.file, slots[0], 0, 1), -EBADMSG);
	CHECK_EQ(read_page(x.file, slots[1], 1, 1), -EBADMSG);
	CHECK_EQ(read_page(x.file, slots[0], 1, 1), -EBADMSG);
	close_file(&x);
}

TEST("a stale block of the same page in the same slot is found")
{
	struct fixture x = open_file(64);
	uint32_t slots[64], again[64];

	write_pages(x.file, 0, 64, 1, slots);
	copy_block(x.fd, slots[7], x.fd, 64 + 7); /* kept for later, beyond the slots */
	for (uint32_t i = 0; i < 64; i++)
		swapfile_drop(x.file, slots[i]);
	write_pages(x.file, 0, 64, 2, again);
	REQUIRE_EQ(again[7], slots[7]);
	CHECK_EQ(read_page(x.file, again[7], 7, 2), 0);
	copy_block(x.fd, 64 + 7, x.fd, again[7]);
	CHECK_EQ(read_page(x.file, again[7], 7, 1), -EBADMSG);
	close_file(&x);
}

TEST("a block of another VM is found, even of the same slot, page and content")
{
	struct fixture x = open_file(64), y = open_file(64);
	uint32_t a[1], b[1];

	write_pages(x.file, 3, 1, 1, a);
	write_pages(y.file, 3, 1, 1, b);
	REQUIRE_EQ(a[0], b[0]);
	copy_block(x.fd, a[0], y.fd, b[0]);
	CHECK_EQ(read_page(y.file, b[0], 3, 1), -EBADMSG);
	close_file(&x);
	close_file(&y);
}

TEST("a slot that was dropped, or never written, is no content")
{
	struct fixture x = open_file(64);
	uint32_t slots[1];

	write_pages(x.file, 3, 1, 1, slots);
	CHECK_EQ(read_page(x.file, slots[0] + 1, 4, 1), -ENOENT);
	CHECK_EQ(read_page(x.file, 70, 4, 1), -ENOENT);
	swapfile_drop(x.file, slots[0]);
	swapfile_drop(x.file, slots[0]);
	swapfile_drop(x.file, 4000000000u);
	CHECK_EQ(read_page(x.file, slots[0], 3, 1), -ENOENT);
	CHECK_EQ(figures(x.file).used, 0);
	CHECK_EQ(figures(x.file).damaged, 0);
	close_file(&x);
}

TEST("a file that was cut off is an error of the disk, for the pages behind the cut alone")
{
	struct fixture x = open_file(SLOTS);
	static _Alignas(PS_PAGE_SIZE) char out[4][PS_PAGE_SIZE];
	uint32_t slots[4], pages[4] = {0, 1, 2, 3};
	int results[4];

	write_pages(x.file, 0, 4, 1, slots);
	REQUIRE_SYS(ftruncate(x.fd, (off_t)(slots[0] + 2) * PS_PAGE_SIZE));
	CHECK_EQ(swapfile_read(x.file, slots[0], 4, pages, out, results), 2);
	CHECK_EQ(results[0], 0);
	CHECK_EQ(results[1], 0);
	CHECK_EQ(results[2], -EIO);
	CHECK_EQ(results[3], -EIO);
	close_file(&x);
}

TEST("where the cap is reached nothing is written, and every slot can be used")
{
	struct fixture x = open_file(100);
	uint32_t slots[2][64], pages[64];
	const void *contents[64];
	static char content[PS_PAGE_SIZE];
	bool seen[100] = {false};

	for (uint32_t i = 0; i < 64; i++) {
		pages[i] = i;
		contents[i] = content;
	}
	write_pages(x.file, 0, 64, 1, slots[0]);
	CHECK_EQ(swapfile_submit(x.file, 64, pages, contents, slots[1]), -ENOSPC);
	CHECK_EQ(figures(x.file).used, 64);
	write_pages(x.file, 64, 36, 1, slots[1]);
	CHECK_EQ(swapfile_submit(x.file, 1, pages, contents, slots[1]), -ENOSPC);
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t slot = i < 64 ? slots[0][i] : slots[1][i - 64];

		REQUIRE_LT(slot, 100u);
		REQUIRE(!seen[slot]);
		seen[slot] = true;
		CHECK_EQ(read_page(x.file, slot, i, 1), 0);
	}
	for (uint32_t i = 0; i < 64; i += 2)
		swapfile_drop(x.file, slots[0][i]);
	write_pages(x.file, 200, 32, 2, slots[1]); /* into single slots */
	for (uint32_t i = 0; i < 32; i++)
		CHECK_EQ(read_page(x.file, slots[1][i], 200 + i, 2), 0);
	swapfile_set_cap(x.file, 10 * PS_PAGE_SIZE);
	swapfile_drop(x.file, slots[1][31]);
	CHECK_EQ(swapfile_submit(x.file, 1, pages, contents, slots[1]), -ENOSPC);
	CHECK_EQ(read_page(x.file, slots[0][63], 63, 1), 0); /* beyond the cap, and there */
	close_file(&x);
}

TEST("only a regular file with room for a page will do")
{
	struct swapfile *file = NULL;
	int fds[2], fd = file_in(test_dir());

	REQUIRE_SYS(pipe(fds));
	CHECK_EQ(swapfile_new(&file, fds[1], 1 << 20, -1), -EINVAL);
	CHECK_EQ(swapfile_new(&file, fd, 100, -1), -EINVAL);
	CHECK_EQ(swapfile_new(&file, -1, 1 << 20, -1), -EBADF);
	CHECK(!file);
	CHECK_SYS(fcntl(fd, F_GETFD)); /* the caller's still */
}

/* ---- disks that are full or broken ---------------------------------------------------------- */

TEST("RLIMIT_FSIZE costs the pages behind it, does not end the process, and what fits is good")
{
	struct fixture x = open_file(SLOTS);
	struct rlimit limit = {20 * PS_PAGE_SIZE, RLIM_INFINITY};
	uint32_t slots[64];
	struct swapfile_done done;

	signal(SIGXFSZ, SIG_DFL);
	REQUIRE_SYS(setrlimit(RLIMIT_FSIZE, &limit));
	done = write_pages(x.file, 0, 64, 1, slots);
	CHECK_EQ(done.good, 20);
	CHECK_EQ(done.error, -EFBIG);
	CHECK_EQ(figures(x.file).used, 20);
	CHECK_EQ(figures(x.file).failed, 44);
	CHECK_EQ(figures(x.file).write_error, -EFBIG);
	for (uint32_t i = 0; i < 20; i++)
		CHECK_EQ(read_page(x.file, slots[i], i, 1), 0);
	CHECK_EQ(read_page(x.file, slots[20], 20, 1), -ENOENT);
	limit.rlim_cur = RLIM_INFINITY;
	REQUIRE_SYS(setrlimit(RLIMIT_FSIZE, &limit));
	done = write_pages(x.file, 100, 64, 1, slots);
	CHECK_EQ(done.good, 64);
	CHECK_EQ(figures(x.file).write_error, 0);
	close_file(&x);
}

TEST("a limit in the middle of a page: a short write is no page")
{
	struct fixture x = open_file(SLOTS);
	struct rlimit limit = {3 * PS_PAGE_SIZE + 100, RLIM_INFINITY};
	uint32_t slots[8];
	struct swapfile_done done;

	REQUIRE_SYS(setrlimit(RLIMIT_FSIZE, &limit));
	done = write_pages(x.file, 0, 8, 1, slots);
	CHECK_EQ(done.good, 3);
	CHECK_LT(done.error, 0);
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(read_page(x.file, slots[i], i, 1), 0);
	close_file(&x);
}

/* Puts another file under the descriptor that the swap file has. */
static void replace_descriptor(int own, const char *path)
{
	int other = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	REQUIRE_SYS(other);
	REQUIRE_SYS(dup2(other, own));
	close(other);
}

TEST("a descriptor that became another file's is not written to, and not read")
{
	int own = file_in(test_dir());
	struct fixture x = open_over(own, SLOTS);
	char path[256], disk[PS_PAGE_SIZE];
	uint32_t slots[4];
	struct swapfile_done done;

	write_pages(x.file, 0, 4, 1, slots);
	snprintf(path, sizeof(path), "%s/disk", test_dir());
	replace_descriptor(own, path);
	done = write_pages(x.file, 10, 4, 1, slots);
	CHECK_EQ(done.good, 0);
	CHECK_EQ(done.error, -EBADF);
	CHECK_EQ(pread(own, disk, sizeof(disk), 0), 0);
	CHECK_EQ(read_page(x.file, 0, 0, 1), -EBADF);
	x.file = swapfile_free(x.file);
	CHECK_SYS(fcntl(own, F_GETFD)); /* not ours to close */
}

/* A small file system: full after a few pages. */
static bool mount_small(char *path, size_t size)
{
	snprintf(path, size, "%s/small", test_dir());
	REQUIRE_SYS(mkdir(path, 0700));
	return TEST_RUN(NULL, 0, "mount", "-t", "tmpfs", "-o", "size=64k", "small", path) == 0;
}

TEST("a full disk costs the pages that do not fit; when there is room again they fit")
{
	char path[256];
	uint32_t slots[64], more[64];
	struct fixture x;
	struct swapfile_done done;
	int fd;

	if (!mount_small(path, sizeof(path)))
		SKIP("no file system can be mounted here");
	fd = file_in(path);
	(void)TEST_RUN(NULL, 0, "umount", "-l", path);
	x = open_over(fd, SLOTS);
	done = write_pages(x.file, 0, 64, 1, slots);
	CHECK_EQ(done.good, 16);
	CHECK_EQ(done.error, -ENOSPC);
	for (uint32_t i = 0; i < 16; i++)
		CHECK_EQ(read_page(x.file, slots[i], i, 1), 0);
	CHECK_EQ(figures(x.file).used, 16);
	for (uint32_t i = 0; i < 16; i++)
		swapfile_drop(x.file, slots[i]);
	done = write_pages(x.file, 100, 8, 1, more);
	CHECK_EQ(done.good, 8);
	close_file(&x);
}

/* ---- batches -------------------------------------------------------------------------------- */

TEST("a few batches are under way at once, end in their order, and ring the bell")
{
	int fd = file_in(test_dir()), bell = sys_eventfd_new();
	static char content[PS_PAGE_SIZE];
	const void *contents[1] = {content};
	uint32_t pages[1] = {9}, slots[1];
	struct swapfile *file = NULL;
	struct swapfile_done done;
	long first = 0, last = 0;
	uint32_t n = 0;

	REQUIRE_OK(bell);
	REQUIRE_OK(swapfile_new(&file, fd, SLOTS * PS_PAGE_SIZE, bell));
	for (;;) {
		long batch = swapfile_submit(file, 1, pages, contents, slots);

		if (batch == -EAGAIN)
			break;
		REQUIRE_GT(batch, 0);
		first = first ? first : batch;
		last = batch;
		n++;
	}
	CHECK_EQ(n, SWAPFILE_BATCHES); /* none is idle before it is reaped */
	REQUIRE_WITHIN(10000, sys_readable(bell) == 1);
	for (long batch = first; batch <= last; batch++) {
		REQUIRE_EQ(swapfile_wait(file, &done), 1);
		CHECK_EQ(done.batch, batch);
	}
	CHECK_EQ(swapfile_wait(file, &done), 0);
	CHECK_EQ(swapfile_reap(file, &done), 0);
	CHECK_EQ(swapfile_submit(file, 0, pages, contents, slots), -EINVAL);
	CHECK_EQ(swapfile_submit(file, SWAPFILE_BATCH + 1, pages, contents, slots), -EINVAL);
	swapfile_free(file);
	close(bell);
}

TEST("a slot dropped while it is written is free when the batch has ended")
{
	struct fixture x = open_file(SLOTS);
	static char content[PS_PAGE_SIZE];
	const void *contents[2] = {content, content};
	uint32_t pages[2] = {1, 2}, slots[2];
	struct swapfile_done done;

	for (uint32_t round = 0; round < 200; round++) {
		while (swapfile_submit(x.file, 2, pages, contents, slots) == -EAGAIN)
			;
		swapfile_drop(x.file, slots[0]);
		REQUIRE_EQ(swapfile_wait(x.file, &done), 1);
		REQUIRE_EQ(done.good, 2);
		REQUIRE_EQ(figures(x.file).used, 1);
		swapfile_drop(x.file, slots[1]);
		REQUIRE_EQ(figures(x.file).used, 0);
	}
	close_file(&x);
}

static uint64_t disk_bytes(int fd)
{
	struct stat st;

	REQUIRE_SYS(fstat(fd, &st));
	return (uint64_t)st.st_blocks * 512;
}

TEST("the disk gets its space back where no slot is in use any more")
{
	struct fixture x = open_file(SLOTS);
	uint32_t slots[SLOTS];

	for (uint32_t i = 0; i < 1024; i += 64)
		REQUIRE_EQ(write_pages(x.file, i, 64, 1, slots + i).good, 64);
	REQUIRE_GE(disk_bytes(x.fd), 1024 * PS_PAGE_SIZE);
	for (uint32_t i = 0; i < 1024; i++)
		if (i != 700)
			swapfile_drop(x.file, slots[i]);
	REQUIRE_WITHIN(10000, disk_bytes(x.fd) < 600 * PS_PAGE_SIZE);
	CHECK_EQ(read_page(x.file, slots[700], 700, 1), 0);
	close_file(&x);
}

/* ---- threads -------------------------------------------------------------------------------- */

#define SHELF 128u

struct shelf {
	struct swapfile *file;
	pthread_mutex_t lock[SHELF];
	uint32_t slot[SHELF], version[SHELF];
	atomic_bool stop;
	atomic_uint threads, good;
};

static void *reader(void *arg)
{
	struct shelf *s = arg;
	struct rng rng = {99 + atomic_fetch_add(&s->threads, 1)};

	while (!s->stop) {
		uint32_t i = (uint32_t)rng_below(&rng, SHELF);

		pthread_mutex_lock(&s->lock[i]);
		if (s->slot[i] != SWAPFILE_SLOT_NONE) {
			REQUIRE_EQ(read_page(s->file, s->slot[i], i, s->version[i]), 0);
			atomic_fetch_add(&s->good, 1);
			swapfile_drop(s->file, s->slot[i]);
			s->slot[i] = SWAPFILE_SLOT_NONE;
		}
		pthread_mutex_unlock(&s->lock[i]);
	}
	return NULL;
}

TEST("many threads read while batches are written, and each page is what it was")
{
	struct shelf *s = calloc(1, sizeof(*s));
	struct fixture x = open_file(SHELF + 16);
	struct rng rng = {test_seed()};
	pthread_t thread[4];

	s->file = x.file;
	for (uint32_t i = 0; i < SHELF; i++) {
		pthread_mutex_init(&s->lock[i], NULL);
		s->slot[i] = SWAPFILE_SLOT_NONE;
	}
	for (uint32_t i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, reader, s);
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t i = (uint32_t)rng_below(&rng, SHELF);

		pthread_mutex_lock(&s->lock[i]);
		if (s->slot[i] == SWAPFILE_SLOT_NONE) {
			s->version[i]++;
			REQUIRE_EQ(write_pages(x.file, i, 1, s->version[i], &s->slot[i]).good, 1);
		}
		pthread_mutex_unlock(&s->lock[i]);
	}
	REQUIRE_WITHIN(20000, s->good > 100);
	s->stop = true;
	for (uint32_t i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	CHECK_EQ(figures(x.file).damaged, 0);
	close_file(&x);
	free(s);
}

/* ---- the key -------------------------------------------------------------------------------- */

TEST("two keys are never the same, and no page is opened under another name")
{
	struct cipher *a = NULL, *b = NULL;
	static _Alignas(PS_PAGE_SIZE) char in[PS_PAGE_SIZE], out[PS_PAGE_SIZE], copy[PS_PAGE_SIZE];
	struct cipher_name name = {1, 2, 3}, other;
	uint8_t tag[CIPHER_TAG];

	REQUIRE_OK(cipher_new(&a));
	REQUIRE_OK(cipher_new(&b));
	fill(in, 1, 1);
	cipher_seal(a, &name, in, out, tag);
	for (uint32_t i = 0; i < 4; i++) {
		other = name;
		other.version += i == 0;
		other.slot += i == 1;
		other.page += i == 2;
		memcpy(copy, out, sizeof(copy));
		CHECK_EQ(cipher_open(a, &other, copy, tag), i < 3 ? -EBADMSG : 0);
	}
	CHECK_MEM(copy, in, PS_PAGE_SIZE);
	memcpy(copy, out, sizeof(copy));
	CHECK_EQ(cipher_open(b, &name, copy, tag), -EBADMSG);
	cipher_free(a);
	cipher_free(b);
}

/* What smaps says of the mapping that holds addr. */
static bool flags_of(const void *addr, char *flags, size_t size)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[512];
	bool inside = false;

	REQUIRE(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= (uintptr_t)addr && (uintptr_t)addr < end;
		if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			snprintf(flags, size, "%s", line);
			fclose(smaps);
			return true;
		}
	}
	fclose(smaps);
	return false;
}

TEST("the key is in no core dump, and a child has none")
{
	struct cipher *c = NULL;
	char flags[512];
	int status;
	pid_t child;

	REQUIRE_OK(cipher_new(&c));
	REQUIRE(flags_of(c, flags, sizeof(flags)));
	CHECK_IN(" dd", flags);
	CHECK_IN(" wf", flags);
	child = fork();
	REQUIRE_SYS(child);
	if (!child) {
		const char *bytes = (const char *)c;

		for (size_t i = 0; i < 512; i++)
			if (bytes[i])
				_exit(1);
		_exit(0);
	}
	REQUIRE_SYS(waitpid(child, &status, 0));
	CHECK_EQ(status, 0);
	cipher_free(c);
}

static bool memory_has(const void *bytes, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	size_t size = 1 << 20;
	char *part = malloc(size);

	REQUIRE(maps && mem >= 0 && part);
	while (!found && fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char r, w;

		if (sscanf(line, "%lx-%lx %c%c", &start, &end, &r, &w) != 4 || r != 'r' ||
		    w != 'w' || end - start > 64 << 20)
			continue;
		for (unsigned long at = start; at < end && !found; at += size - 64) {
			size_t want = end - at < size ? end - at : size;
			ssize_t n = pread(mem, part, want, (off_t)at);
			char *hit = n > 0 ? memmem(part, (size_t)n, bytes, len) : NULL;

			found = hit && (const void *)(at + (uintptr_t)(hit - part)) != bytes &&
				!((uintptr_t)part - at < end - start); /* not where it is read to */
		}
	}
	free(part);
	close(mem);
	fclose(maps);
	return found;
}

TEST("when the file is closed nothing of the key is left in memory")
{
	static unsigned char key[32];
	struct cipher *c = NULL;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	SKIP("a sanitizer's memory is too large to be searched");
#endif
	REQUIRE_OK(cipher_new(&c));
	/* The key is random: 32 bytes of it are nowhere by chance. It stands behind the state. */
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = ((unsigned char *)c)[512 + i] ^ 0x5a;
	cipher_free(c);
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] ^= 0x5a;
	CHECK(!memory_has(key, sizeof(key)));
}

TEST("free slots below the edge do not stop the file from growing")
{
	struct fixture x = open_file(SLOTS);
	static char content[SWAPFILE_BATCH][PS_PAGE_SIZE];
	const void *contents[SWAPFILE_BATCH];
	uint32_t slots[SWAPFILE_BATCH], pages[SWAPFILE_BATCH], page = SWAPFILE_BATCH, all;
	struct swapfile_done done;
	long batch;

	write_pages(x.file, 0, SWAPFILE_BATCH, 1, slots);
	swapfile_drop(x.file, slots[SWAPFILE_BATCH - 1]);
	swapfile_drop(x.file, slots[SWAPFILE_BATCH - 2]);
	all = SWAPFILE_BATCH - 2;
	for (;;) {
		for (uint32_t i = 0; i < SWAPFILE_BATCH; i++) {
			pages[i] = page + i;
			fill(content[i], page + i, 1);
			contents[i] = content[i];
		}
		batch = swapfile_submit(x.file, SWAPFILE_BATCH, pages, contents, slots);
		if (batch == -EAGAIN)
			continue;
		if (batch < 0)
			break;
		swapfile_wait(x.file, &done);
		page += SWAPFILE_BATCH;
		all += done.good;
	}
	CHECK_GE(all, SLOTS - SWAPFILE_BATCH);
	close_file(&x);
}
