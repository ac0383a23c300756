/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bare: what a write-protect fault costs here when a userfaultfd's handler does nothing but let the
 * writer go on: the least that any sharing in user space can cost a first write.
 *
 *	bare N US	N faults, US apart: n= p50= p99= p999= max= in ns
 *
 * Where the handler sleeps on another core, waking that core is most of it, more so in a virtual
 * machine; so it is worth a second look with both on one core (taskset -c 0 bare ...).
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest/model.h"
#include "measure.h"
#include "sys/uffd.h"
#include "sys/wait.h"

#define MEMORY_PAGES 16384u

static void *handler(void *arg)
{
	int fd = *(int *)arg;
	unsigned int ready;

	for (;;) {
		struct uffd_msg msg;

		if (sys_wait_readable(&fd, 1, -1, &ready) || uffd_read(fd, &msg, 1) != 1)
			continue;
		uffd_protect(fd,
			     (void *)(uintptr_t)(msg.arg.pagefault.address &
						 ~(uint64_t)(MEASURE_PAGE - 1)),
			     MEASURE_PAGE, 0);
	}
	return NULL;
}

/* Writes to pages in an order without order; all are protected anew after each round. */
static int faults(int fd, uint8_t *memory, uint32_t n, unsigned int apart_us, struct latency *l)
{
	const size_t size = (size_t)MEMORY_PAGES * MEASURE_PAGE;

	for (uint32_t i = 0; i < n; i++) {
		size_t page = model_mix(1) % MEMORY_PAGES ^ (i % MEMORY_PAGES);
		uint64_t start;
		int r = i % MEMORY_PAGES ? 0 : uffd_protect(fd, memory, size, 1);

		if (r < 0)
			return r;
		spin_ns(apart_us * 1000ull);
		start = tick();
		*(volatile uint64_t *)(void *)(memory + page * MEASURE_PAGE) = i;
		latency_add(l, (double)(tick() - start) * tick_ns());
	}
	return 0;
}

static int measure(uint32_t n, unsigned int apart_us)
{
	const size_t size = (size_t)MEMORY_PAGES * MEASURE_PAGE;
	static int fd; /* the handler's, to the end */
	uint8_t *memory =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct latency l;
	pthread_t thread;
	int r;

	if (memory == MAP_FAILED)
		return -errno;
	madvise(memory, size, MADV_NOHUGEPAGE);
	memset(memory, 1, size);
	fd = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (fd < 0)
		return fd;
	r = uffd_register(fd, memory, size, UFFDIO_REGISTER_MODE_WP);
	if (r == 0)
		r = -pthread_create(&thread, NULL, handler, &fd);
	if (r == 0)
		r = latency_init(&l, n);
	if (r < 0)
		return r;
	tick_ns();
	r = faults(fd, memory, n, apart_us, &l);
	printf("ok");
	latency_print(&l, stdout);
	printf("\n");
	latency_deinit(&l);
	return r;
}

int main(int argc, char **argv)
{
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: %s N US\n", argv[0]);
		return 2;
	}
	r = measure((uint32_t)strtoul(argv[1], NULL, 10), (unsigned int)strtoul(argv[2], NULL, 10));
	if (r < 0)
		fprintf(stderr, "%s: no userfaultfd to measure with: %s\n", argv[0], strerror(-r));
	return r < 0;
}
