/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The work of a paper VM: pages that change all the time, and three small loads. Touches that are
 * timed one by one are in synth-touch.c.
 *
 * The loads take turns, so that all three see the same weather:
 *	memory	reads a random word of all memory, seven times; writes one to the scratch pages
 *	syscall	getppid(), and a read of one byte of /dev/zero into a scratch page
 *	io	reads 64 KiB of a file into scratch pages, by DMA where that is possible
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "synth.h"
#include "sys/cleanup.h"

#define TURN_NS 50000000ull
#define READS_PER_WRITE 7
#define BATCH 64 /* operations between two looks at the clock */
#define SLICE_MS 10u
#define WORDS (MEASURE_PAGE / sizeof(uint64_t))

enum kind { LOAD_MEMORY, LOAD_SYSCALL, LOAD_IO, LOAD_KINDS };

static const char *const kind_names[LOAD_KINDS] = {"memory", "syscall", "io"};

struct load {
	struct synth *s;
	int zero, file;
	uint64_t file_bytes;
	uint64_t last_offset; /* of what the I/O pages hold */
	uint64_t sum;
	uint64_t done[LOAD_KINDS], ns[LOAD_KINDS];
	bool failed;
};

/* ---- the three loads ---------------------------------------------------------------- */

static void load_memory(struct load *load)
{
	struct synth *s = load->s;
	uint64_t *scratch = (uint64_t *)(void *)synth_page(s, s->pages - SCRATCH_PAGES);
	uint64_t words = s->pages * WORDS, own = (SCRATCH_PAGES - IO_PAGES) * WORDS;
	const volatile uint64_t *ram = (const volatile uint64_t *)(const void *)s->ram;

	for (int i = 0; i < BATCH; i++) {
		uint64_t at = 0;

		for (int k = 0; k < READS_PER_WRITE; k++)
			load->sum += ram[synth_random(s) % words];
		at = synth_random(s) % own;
		scratch[at] = s->shadow[at] = s->random;
	}
	load->done[LOAD_MEMORY] += (uint64_t)BATCH * (READS_PER_WRITE + 1);
}

static void load_syscall(struct load *load)
{
	struct synth *s = load->s;
	uint8_t *byte = synth_page(s, s->pages - 1);

	for (int i = 0; i < BATCH; i++) {
		load->sum += (uint64_t)syscall(SYS_getppid);
		load->failed |= read(load->zero, byte, 1) != 1;
	}
	load->done[LOAD_SYSCALL] += 2 * (uint64_t)BATCH;
}

static void load_io(struct load *load)
{
	struct synth *s = load->s;
	size_t size = (size_t)IO_PAGES * MEASURE_PAGE;
	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): load_open() takes no shorter file */
	uint64_t offset = synth_random(s) % (load->file_bytes / size) * size;

	load->failed |= pread(load->file, synth_page(s, s->pages - IO_PAGES), size,
			      (off_t)offset) != (ssize_t)size;
	load->last_offset = offset;
	load->done[LOAD_IO]++;
}

static void (*const kinds[LOAD_KINDS])(struct load *) = {load_memory, load_syscall, load_io};

/* Whether memory holds what the last read was to bring. */
static int check_io(struct load *load)
{
	static uint8_t want[IO_PAGES * MEASURE_PAGE];
	_cleanup_close_ int file = open(load->s->file, O_RDONLY | O_CLOEXEC);
	const uint8_t *have = synth_page(load->s, load->s->pages - IO_PAGES);

	load_io(load); /* a system call may have written a byte since */
	if (file < 0 ||
	    pread(file, want, sizeof(want), (off_t)load->last_offset) != (ssize_t)sizeof(want))
		return -EIO;
	return memcmp(want, have, sizeof(want)) ? -EILSEQ : 0;
}

static int load_open(struct load *load)
{
	struct stat st;

	load->zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (load->zero < 0)
		return -errno;
	if (!load->s->file)
		return 0;
	load->file = open(load->s->file, O_RDONLY | O_CLOEXEC | O_DIRECT);
	if (load->file < 0)
		load->file = open(load->s->file, O_RDONLY | O_CLOEXEC);
	if (load->file < 0 || fstat(load->file, &st) < 0)
		return -errno;
	load->file_bytes = (uint64_t)st.st_size;
	return load->file_bytes < (uint64_t)IO_PAGES * MEASURE_PAGE ? -EINVAL : 0;
}

static void take_turn(struct load *load, enum kind kind)
{
	uint64_t start = now_ns(), now = start;

	while (now - start < TURN_NS) {
		kinds[kind](load);
		now = now_ns();
	}
	load->ns[kind] += now - start;
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int do_load(struct synth *s, unsigned int ms, FILE *out)
{
	struct load load = {.s = s, .zero = -1, .file = -1};
	uint64_t start = now_ns(), cpu = thread_cpu_ns();
	int r = load_open(&load);

	while (r == 0 && now_ns() - start < ms * 1000000ull)
		for (int kind = 0; kind < LOAD_KINDS; kind++)
			if (kind != LOAD_IO || load.file >= 0)
				take_turn(&load, (enum kind)kind);
	cpu = thread_cpu_ns() - cpu;
	if (r == 0 && load.file >= 0)
		r = check_io(&load);
	if (r == 0 && load.failed)
		r = -EIO;
	for (int kind = 0; kind < LOAD_KINDS; kind++)
		if (load.ns[kind])
			fprintf(out, " %s=%.0f", kind_names[kind],
				(double)load.done[kind] * 1e9 / (double)load.ns[kind]);
	fprintf(out, " cpu=%llu", (unsigned long long)cpu);
	close_fd(&load.zero);
	close_fd(&load.file);
	return r;
}

/* ---- what changes all the time ------------------------------------------------------ */

/* Writes up to n pages that change, from page *at on; returns when it has, or has been round. */
static void change_some(struct synth *s, uint32_t *at, uint32_t n)
{
	uint32_t pages = s->layout.pages;

	for (uint32_t looked = 0; n && looked < pages; looked++) {
		uint32_t page = *at;

		*at = page + 1 < pages ? page + 1 : 0;
		if (!layout_changes(&s->layout, page))
			continue;
		s->generation[page]++;
		layout_fill(&s->layout, page, s->generation[page], synth_page(s, page));
		s->changed++;
		n--;
	}
}

static void *changer_main(void *arg)
{
	struct synth *s = arg;
	uint64_t start = now_ns(), done = 0;
	uint32_t at = 0, each = 0;

	for (uint32_t page = 0; page < s->layout.pages; page++)
		each += layout_changes(&s->layout, page);
	while (each && !s->stop) {
		uint64_t due = (now_ns() - start) / 1000000u * each / s->period_ms;

		/* never more than once round, if this thread was kept waiting */
		change_some(s, &at, (uint32_t)(due - done < each ? due - done : each));
		done = due;
		usleep(SLICE_MS * 1000);
	}
	return NULL;
}

int do_change(struct synth *s, unsigned int period_ms)
{
	int r;

	if (s->changing || !period_ms)
		return -EINVAL;
	s->period_ms = period_ms;
	s->stop = false;
	s->changed = 0;
	r = pthread_create(&s->changer, NULL, changer_main, s);
	s->changing = r == 0;
	return -r;
}

void do_still(struct synth *s, FILE *out)
{
	s->stop = true;
	if (s->changing)
		pthread_join(s->changer, NULL);
	s->changing = false;
	fprintf(out, " changed=%llu", (unsigned long long)s->changed);
}
