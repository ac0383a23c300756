/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * io: DMA into guest memory. A region of its own, so that buffers can stay registered while all
 * else goes on:
 *
 *  - wait until pages of it are shared, then register them as io_uring fixed buffers: the kernel
 *    pins them for long, which must break the sharing (the pin goes to memory of the guest, never
 *    to a frame), and from then on nobody may take them out;
 *  - O_DIRECT reads into the fixed buffers, with pauses long enough for an agent to try its luck;
 *  - O_DIRECT reads with plain buffers, many in flight, pinned for the length of the request;
 *  - O_DIRECT writes from guest memory, read back from the file.
 */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#ifdef HAVE_LIBURING
#include <liburing.h>
#endif
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef HAVE_LIBURING

#define IO_PAGES 1024u
#define IO_BUFS 32u
#define IO_BUF_PAGES 4u
#define IO_ROUNDS 12
#define SHARED_WAIT 4.0

struct io {
	struct torture_self *self;
	struct hregion r;
	struct io_uring ring;
	int pagemap;
	int out_fd; /* a file to write to, -1: none */
	uint32_t first[IO_BUFS];
};

static struct mpage *model(struct io *io, uint32_t page)
{
	return &io->r.model[page];
}

static uint8_t *at(struct io *io, uint32_t page)
{
	return io->r.base + (size_t)page * T_PAGE;
}

static void check(struct io *io, const char *when)
{
	for (uint32_t p = 0; p < IO_PAGES; p++)
		mpage_check(model(io, p), at(io, p), when, p);
}

static void fill(struct io *io)
{
	uint32_t key = t_below(&io->self->rng, MODEL_POOL);

	for (uint32_t p = 0; p < IO_PAGES; p++)
		mpage_write(model(io, p), at(io, p), pool_key((key + p) % MODEL_POOL));
}

/* Waits until most pages are frames; goes on without after a while. */
static void wait_shared(struct io *io)
{
	double end = t_now() + (io->self->opts->bare ? 0.05 : SHARED_WAIT);

	while (!io->self->stop && t_now() < end) {
		if (pm_count(io->pagemap, (uintptr_t)io->r.base, IO_PAGES).file > IO_PAGES / 2)
			break;
		t_sleep(0.02);
	}
}

static void submit_read(struct io *io, uint32_t page, uint32_t block, int fixed)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);
	int fd = io->self->h.direct_fd;

	if (fixed >= 0)
		io_uring_prep_read_fixed(sqe, fd, at(io, page), T_PAGE, (uint64_t)block * T_PAGE,
					 fixed);
	else
		io_uring_prep_read(sqe, fd, at(io, page), T_PAGE, (uint64_t)block * T_PAGE);
}

static void complete(struct io *io, uint32_t n, const char *what)
{
	t_check(io_uring_submit_and_wait(&io->ring, n) >= 0, "%s: submit", what);
	while (n--) {
		struct io_uring_cqe *cqe;

		t_check(!io_uring_wait_cqe(&io->ring, &cqe), "%s: wait", what);
		if (cqe->res != (int)T_PAGE)
			t_fail("%s: %d (%s)", what, cqe->res, strerror(-cqe->res));
		io_uring_cqe_seen(&io->ring, cqe);
	}
}

/* One page of each of the buffers gets another block of the file. */
static void read_round(struct io *io, bool fixed)
{
	uint32_t page[IO_BUFS], block[IO_BUFS];

	for (uint32_t i = 0; i < IO_BUFS; i++) {
		page[i] = io->first[i] + t_below(&io->self->rng, IO_BUF_PAGES);
		block[i] = t_below(&io->self->rng, MODEL_POOL);
		mpage_begin(model(io, page[i]));
		submit_read(io, page[i], block[i], fixed ? (int)i : -1);
	}
	complete(io, IO_BUFS, fixed ? "READ_FIXED" : "O_DIRECT read in flight");
	for (uint32_t i = 0; i < IO_BUFS; i++)
		mpage_end(model(io, page[i]), pool_key(block[i]));
	if (fixed)
		io->self->vm->fixed_reads += IO_BUFS;
	else
		io->self->vm->async_reads += IO_BUFS;
}

static void choose_buffers(struct io *io)
{
	uint32_t stride = IO_PAGES / IO_BUFS;

	for (uint32_t i = 0; i < IO_BUFS; i++)
		io->first[i] = i * stride + t_below(&io->self->rng, stride - IO_BUF_PAGES);
}

static void fixed_buffers(struct io *io)
{
	struct iovec vec[IO_BUFS];

	choose_buffers(io);
	for (uint32_t i = 0; i < IO_BUFS; i++) {
		vec[i] = (struct iovec){at(io, io->first[i]), IO_BUF_PAGES * T_PAGE};
		io->self->vm->shared_when_registered +=
			pm_count(io->pagemap, (uintptr_t)vec[i].iov_base, IO_BUF_PAGES).file;
	}
	errno = -io_uring_register_buffers(&io->ring, vec, IO_BUFS);
	t_check(!errno, "registering fixed buffers: %m");
	check(io, "after registering fixed buffers");
	for (int round = 0; round < IO_ROUNDS && !io->self->stop; round++) {
		read_round(io, true);
		check(io, "after READ_FIXED");
		/* the guest writes there too */
		mpage_patch(model(io, io->first[0]), at(io, io->first[0]), 64, 8, (uint64_t)round);
		t_sleep(0.001 * t_below(&io->self->rng, 150));
		check(io, "with fixed buffers, a moment after READ_FIXED");
	}
	t_check(!io_uring_unregister_buffers(&io->ring), "unregistering fixed buffers");
}

static void plain_buffers(struct io *io)
{
	for (int round = 0; round < IO_ROUNDS && !io->self->stop; round++) {
		choose_buffers(io);
		read_round(io, false);
		check(io, "after O_DIRECT reads");
		t_sleep(0.001 * t_below(&io->self->rng, 30));
	}
}

/* Guest memory to the file through pins, and back by another way. */
static void direct_writes(struct io *io)
{
	uint8_t copy[T_PAGE];

	for (uint32_t i = 0; io->out_fd >= 0 && i < 16; i++) {
		uint32_t page = t_below(&io->self->rng, IO_PAGES);

		if (pwrite(io->out_fd, at(io, page), T_PAGE, 0) != T_PAGE)
			t_fail("O_DIRECT write from guest memory: %m");
		if (pread(io->out_fd, at(io, (page + 1) % IO_PAGES), T_PAGE, 0) != T_PAGE)
			t_fail("O_DIRECT read back: %m");
		memcpy(copy, at(io, (page + 1) % IO_PAGES), T_PAGE);
		mpage_check(model(io, page), copy, "O_DIRECT write and read back", page);
		mpage_begin(model(io, (page + 1) % IO_PAGES));
		mpage_end(model(io, (page + 1) % IO_PAGES), 0);
		*model(io, (page + 1) % IO_PAGES) = *model(io, page);
		io->self->vm->direct_writes++;
	}
}

static void open_out(struct io *io)
{
	char path[320];

	snprintf(path, sizeof(path), "%s.out-%d", io->self->opts->file, (int)getpid());
	io->out_fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	unlink(path);
}

void *torture_io(void *arg)
{
	static struct io io;

	io.self = arg;
	io.r = (struct hregion){
		.npages = IO_PAGES, .dontfork = true, .nohuge = io.self->h.seed & 2};
	io.r.model = mmap(NULL, IO_PAGES * sizeof(struct mpage), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	t_check(io.r.model != MAP_FAILED, "%m");
	errno = -io_uring_queue_init(64, &io.ring, 0);
	if (errno) {
		t_note("no io_uring here (%m): its part is left out");
		return NULL;
	}
	io.pagemap = pm_open(0);
	open_out(&io);
	hammer_map(&io.r, NULL);
	while (!io.self->stop) {
		fill(&io);
		wait_shared(&io);
		fixed_buffers(&io);
		plain_buffers(&io);
		direct_writes(&io);
		check(&io, "after a turn of I/O");
	}
	io_uring_queue_exit(&io.ring);
	check(&io, "after all I/O");
	t_sys(munmap(io.r.base, IO_PAGES * T_PAGE));
	close(io.pagemap);
	if (io.out_fd >= 0)
		close(io.out_fd);
	return NULL;
}

#else

void *torture_io(void *arg)
{
	(void)arg;
	t_note("built without liburing: its part is left out");
	return NULL;
}

#endif
