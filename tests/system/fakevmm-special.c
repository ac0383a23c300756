/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands of the VMM under remote control that play devices, eat mappings, or misuse memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

#include "fakevmm-main.h"
#include "lib/hunt.h"

static long max_map_count(void)
{
	char text[32];

	return t_slurp("/proc/sys/vm/max_map_count", text, sizeof(text)) > 0 ? atol(text) : 65530;
}

static uint8_t *eaten;
static size_t eaten_bytes;

/* Pages of alternating protection: each is a mapping of its own. */
static int do_eat(struct fv_cmd *c, uint64_t *value)
{
	long want = max_map_count() - c->arg - pm_mappings(getpid());

	if (want <= 2)
		return -ERANGE;
	eaten_bytes = ((size_t)want + 2) * T_PAGE;
	eaten = mmap(NULL, eaten_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		     0);
	if (eaten == MAP_FAILED)
		return -errno;
	for (long i = 1; i < want; i += 2)
		if (mprotect(eaten + (size_t)i * T_PAGE, T_PAGE, PROT_READ))
			break;
	*value = (uint64_t)pm_mappings(getpid());
	return 0;
}

static int do_spit(void)
{
	if (eaten)
		munmap(eaten, eaten_bytes);
	eaten = NULL;
	return 0;
}

/*
 * malloc's own book-keeping in shared pages. Step 0: a heap of equal-looking blocks is made and the
 * heap offered for sharing. Step 1: malloc and free at speed: their book-keeping words lie in pages
 * that may be shared, so write faults come while malloc's lock is held. If whoever settles the
 * faults used malloc, both would wait for ever.
 */
#define HEAP_BLOCKS 8192u
#define HEAP_BLOCK 1000u
static char *heap_block[HEAP_BLOCKS];

static int do_heap(struct fv_cmd *c, uint64_t *value)
{
	uintptr_t start, end;

	mallopt(M_ARENA_MAX, 1); /* one lock for all threads */
	for (uint32_t i = 0; c->arg == 0 && i < HEAP_BLOCKS; i++) {
		heap_block[i] = malloc(HEAP_BLOCK);
		memset(heap_block[i], 'h', HEAP_BLOCK);
	}
	start = (uintptr_t)heap_block[0] & ~(uintptr_t)(T_PAGE - 1);
	end = (uintptr_t)heap_block[HEAP_BLOCKS - 1] & ~(uintptr_t)(T_PAGE - 1);
	*value = start;
	if (c->arg == 0)
		return madvise((void *)start, end - start, MADV_MERGEABLE) ? -errno : 0;
	for (uint32_t i = 0; i < HEAP_BLOCKS; i++) {
		for (uint32_t k = 0; k < HEAP_BLOCK; k++)
			if (heap_block[i][k] != 'h')
				t_fail("heap block %u, byte %u is %02x", i, k, heap_block[i][k]);
		free(heap_block[i]);
		heap_block[i] = malloc(HEAP_BLOCK - 8 * (i % 3));
		memset(heap_block[i], 'h', HEAP_BLOCK - 8 * (i % 3));
		heap_block[i] = realloc(heap_block[i], HEAP_BLOCK);
		memset(heap_block[i], 'h', HEAP_BLOCK);
	}
	return 0;
}

/* A device's late write: see lib/hunt.h. */
static int do_late(struct hregion *r, struct fv_cmd *c, uint64_t *value)
{
	static uint64_t pfn;
	uint8_t *page = r->base + (size_t)c->page * T_PAGE, *found;

	if (!c->arg) {
		pfn = hunt_pfn_at(page);
		*value = pfn;
		return pfn ? 0 : -ENOENT;
	}
	found = hunt_pfn(pfn);
	if (!found || found == page)
		return -ESRCH;
	*(volatile uint64_t *)(void *)(found + 128) = c->key;
	if (hunt_pfn_at(found) != pfn)
		return -EAGAIN;
	/* the page must come to show it */
	mpage_begin(&r->model[c->page]);
	mpage_end(&r->model[c->page], r->model[c->page].key);
	r->model[c->page].npatch = 1;
	r->model[c->page].off[0] = 128;
	r->model[c->page].len[0] = 8;
	r->model[c->page].val[0] = c->key;
	return 0;
}

#ifdef HAVE_LIBURING
static struct io_uring ring;
static int pool_fd = -1;

static int do_fixed(struct hregion *r, struct fv_cmd *c)
{
	struct iovec vec = {r->base + (size_t)c->page * T_PAGE, (size_t)c->n * T_PAGE};
	int error;

	if (!c->arg) {
		io_uring_queue_exit(&ring);
		close(pool_fd);
		return 0;
	}
	pool_fd = vmm_pool_file();
	error = pool_fd < 0 ? pool_fd : io_uring_queue_init(8, &ring, 0);
	return error ? error : io_uring_register_buffers(&ring, &vec, 1);
}

static int do_fixed_read(struct hregion *r, struct fv_cmd *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;
	int result;

	mpage_begin(&r->model[c->page]);
	io_uring_prep_read_fixed(sqe, pool_fd, r->base + (size_t)c->page * T_PAGE, T_PAGE,
				 c->key * T_PAGE, 0);
	result = io_uring_submit_and_wait(&ring, 1);
	if (result < 0 || io_uring_wait_cqe(&ring, &cqe))
		return result < 0 ? result : -EIO;
	result = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	mpage_end(&r->model[c->page], pool_key((uint32_t)c->key));
	return result == (int)T_PAGE ? 0 : result < 0 ? result : -EIO;
}
#else
static int do_fixed(struct hregion *r, struct fv_cmd *c)
{
	(void)r, (void)c;
	return -ENOSYS;
}

static int do_fixed_read(struct hregion *r, struct fv_cmd *c)
{
	(void)r, (void)c;
	return -ENOSYS;
}
#endif

/* Any mapping of a file can be grown over what follows in the file. What may be read so? Only
 * contents of this VM's own domain: counts pages whose first word is the key, a secret of another
 * domain. */
static int do_grow(struct hregion *r, struct fv_cmd *c, uint64_t *value)
{
	uint8_t *page = r->base + (size_t)c->page * T_PAGE;
	size_t n = (size_t)c->arg, grown = n * T_PAGE;
	uint8_t *room = mmap(NULL, grown, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *p;
	int fds[2];

	if (room == MAP_FAILED || pipe(fds))
		return -errno;
	/* the bare system call: who means harm does not ask the agent */
	p = (uint8_t *)syscall(SYS_mremap, page, (size_t)T_PAGE, grown,
			       MREMAP_MAYMOVE | MREMAP_FIXED, room);
	if (p == MAP_FAILED)
		return -errno;
	/* nor does the agent know of the hole, and may look there at any moment */
	if (syscall(SYS_mmap, page, (size_t)T_PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != (long)(uintptr_t)page)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		uint64_t word;

		/* past the end of the file a read would raise SIGBUS: the kernel reads for us */
		if (write(fds[1], p + i * T_PAGE, 8) == 8 && read(fds[0], &word, 8) == 8)
			*value += word == c->key;
	}
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* As a VMM that closes all that it does not know. */
static int do_close(uint64_t *value)
{
	char path[32], link[64];

	*value = 0;
	for (int fd = 3; fd < 1024; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = '\0';
		if (!strcmp(link, "anon_inode:[userfaultfd]") && !close(fd))
			++*value;
	}
	return 0;
}

int vmm_special(struct hregion *r, struct fv_cmd *c, uint64_t *value)
{
	switch (c->op) {
	case FV_EAT:
		return do_eat(c, value);
	case FV_SPIT:
		return do_spit();
	case FV_HEAP:
		return do_heap(c, value);
	case FV_LATE:
		return do_late(r, c, value);
	case FV_FIXED:
		return do_fixed(r, c);
	case FV_FIXED_READ:
		return do_fixed_read(r, c);
	case FV_DIRECT:
		return vmm_direct(c);
	case FV_DIRECT_READ:
		return vmm_direct_read(r, c);
	case FV_HOLD:
		return vmm_hold(r, c);
	case FV_SANDBOX:
		return vmm_sandbox();
	case FV_GROW:
		return do_grow(r, c, value);
	case FV_CLOSE:
		return do_close(value);
	default:
		return -EINVAL;
	}
}
