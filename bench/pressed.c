/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pressed: a VMM's memory with a guest's content and a guest's habits, without a guest: what
 * bench/pressure puts under a limit by the dozen.
 *
 *	pressed IMAGE MIB SEED PACE [small|bystander]
 *
 * MIB of anonymous memory, offered for sharing as QEMU does (MADV_MERGEABLE), are filled with the
 * pages of IMAGE (a real guest's RAM) at PACE MiB a second, in huge pages unless "small"; a
 * "bystander" offers none. Seven of twenty pages, told by SEED, are changed so that they are this
 * VM's own: two real Debian guests have so many that differ. Three tenths of the pages are its
 * working set, in runs of 16 spread over all of its memory; two thirds of it lie where the other
 * VMs' do.
 *
 * Commands on standard input, an answer on standard output:
 *	work MS		works for so long: ops= ms= queued_ms= (ready to run, without a CPU)
 *			wrong= n= p50= p99= ... (ns, of each 16th)
 *	touch N		N pages one after the other, in no order: the same
 *	verify		all of it against the model: wrong=N
 *	quit
 *
 * An operation reads a page of the working set whole and checks it; every eighth writes to one of
 * the VM's own pages there too, every twenty thousandth reads any page instead: some hundred a
 * second, of memory that is cold.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "guest/latency.h"
#include "guest/model.h"

#define PAGE MODEL_PAGE
#define WORDS (PAGE / sizeof(uint64_t))
#define OWN_OF_20 7u
#define RUN 16u
#define HOT_OF_10 3u
#define ANY_IN 20000u
#define WRITE_IN 8u

struct vm {
	uint64_t *memory;
	uint64_t pages, seed;
	uint32_t *hot, *own;
	uint64_t hots, owns;
	uint32_t *written; /* of each page: how often */
	uint64_t *check;   /* of each page's content, but for its first word */
	uint64_t random;
	unsigned long pace; /* MiB a second */
};

static uint64_t next(struct vm *vm)
{
	return vm->random = model_mix(vm->random);
}

static uint64_t *page_at(const struct vm *vm, uint64_t page)
{
	return vm->memory + page * WORDS;
}

/* Of all words but the first, which counts writes. */
static uint64_t sum(const uint64_t *page)
{
	uint64_t s = 0;

	for (size_t i = 1; i < WORDS; i++)
		s = (s << 7 | s >> 57) ^ page[i];
	return s;
}

static bool is_own(const struct vm *vm, uint64_t page)
{
	return model_mix(vm->seed ^ model_mix(page)) % 20 < OWN_OF_20;
}

/* Places of the working set are those of the system's hot pages, so alike in all VMs, but for a
 * third that is each VM's own. */
static bool is_hot(const struct vm *vm, uint64_t page)
{
	uint64_t run = page / RUN, salt = run % 3 ? 1 : vm->seed;

	return model_mix(salt ^ model_mix(run + 77)) % 10 < HOT_OF_10;
}

static bool fill(struct vm *vm, int image)
{
	for (uint64_t page = 0; page < vm->pages; page++) {
		uint64_t *at = page_at(vm, page);

		if (pread(image, at, PAGE, (off_t)(page * PAGE)) < 0)
			return false;
		if (page % 256 == 255)
			usleep((useconds_t)(1000000 / vm->pace));
		if (is_own(vm, page)) {
			/* As compressible as it was. */
			for (size_t i = 0; i < WORDS; i++)
				at[i] = at[i] ? at[i] ^ (vm->seed << 8 & 0xffffff00) : at[i];
			at[0] = 0;
			if (is_hot(vm, page))
				vm->own[vm->owns++] = (uint32_t)page;
		}
		if (is_hot(vm, page))
			vm->hot[vm->hots++] = (uint32_t)page;
		vm->check[page] = sum(at);
	}
	return vm->owns && vm->hots;
}

static bool make(struct vm *vm, int image, uint64_t mib, const char *kind)
{
	size_t size = mib << 20, align = 2 << 20;
	char *at = mmap(NULL, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	vm->pages = size / PAGE;
	vm->hot = calloc(vm->pages, sizeof(*vm->hot));
	vm->own = calloc(vm->pages, sizeof(*vm->own));
	vm->written = calloc(vm->pages, sizeof(*vm->written));
	vm->check = calloc(vm->pages, sizeof(*vm->check));
	if (at == MAP_FAILED || !vm->hot || !vm->own || !vm->written || !vm->check)
		return false;
	vm->memory = (uint64_t *)(((uintptr_t)at + align - 1) & ~(uintptr_t)(align - 1));
	madvise(vm->memory, size, strcmp(kind, "small") ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	/* As QEMU does: offered when it is made, filled while the guest boots. */
	if (strcmp(kind, "bystander") && madvise(vm->memory, size, MADV_MERGEABLE))
		return false;
	return fill(vm, image);
}

/* Reads a page whole: is it what it was? */
static void look(struct vm *vm, uint64_t page, uint64_t *wrong)
{
	*wrong += sum(page_at(vm, page)) != vm->check[page];
}

static bool begin(struct latency *l, size_t room)
{
	if (latency_init(l, room) == 0)
		return true;
	printf("error=memory\n");
	return false;
}

static void end(struct latency *l, uint64_t wrong)
{
	printf(" wrong=%llu", (unsigned long long)wrong);
	latency_print(l, stdout);
	printf("\n");
	latency_deinit(l);
}

/* Time that this thread was ready to run and had no CPU, ns. */
static uint64_t queued_ns(void)
{
	unsigned long long ran = 0, queued = 0;
	FILE *stat = fopen("/proc/thread-self/schedstat", "re");

	if (stat && fscanf(stat, "%llu %llu", &ran, &queued) != 2)
		queued = 0;
	if (stat)
		fclose(stat);
	return queued;
}

static void work(struct vm *vm, unsigned int ms)
{
	uint64_t ops = 0, wrong = 0, queued = queued_ns(), start = tick(), at = start;
	double ns = tick_ns();
	struct latency l;

	if (!begin(&l, 1 << 16))
		return;
	for (; (double)(at - start) * ns < ms * 1e6; ops++) {
		uint64_t page = ops % ANY_IN == ANY_IN - 1 ? next(vm) % vm->pages :
							     vm->hot[next(vm) % vm->hots];
		uint64_t now;

		look(vm, page, &wrong);
		if (ops % WRITE_IN == 0) {
			page = vm->own[next(vm) % vm->owns];
			*(volatile uint64_t *)page_at(vm, page) = ++vm->written[page];
		}
		now = tick();
		if (ops % 16 == 0)
			latency_add(&l, (double)(now - at) * ns);
		at = now;
	}
	printf("ops=%llu ms=%.1f queued_ms=%.1f", (unsigned long long)ops,
	       (double)(at - start) * ns / 1e6, (double)(queued_ns() - queued) / 1e6);
	end(&l, wrong);
}

static void touch(struct vm *vm, uint64_t n)
{
	uint64_t wrong = 0;
	struct latency l;

	if (!begin(&l, n))
		return;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t page = next(vm) % vm->pages;

		latency_add(&l, touch_read(page_at(vm, page)));
		look(vm, page, &wrong);
	}
	printf("touched=%llu", (unsigned long long)n);
	end(&l, wrong);
}

static void verify(struct vm *vm)
{
	uint64_t wrong = 0;

	for (uint64_t page = 0; page < vm->pages; page++) {
		look(vm, page, &wrong);
		wrong += vm->written[page] && *page_at(vm, page) != vm->written[page];
	}
	printf("wrong=%llu\n", (unsigned long long)wrong);
}

static void serve(struct vm *vm)
{
	char line[64], word[16];
	unsigned long n;

	while (fgets(line, sizeof(line), stdin)) {
		n = 0;
		if (sscanf(line, "%15s %lu", word, &n) < 1)
			continue;
		if (!strcmp(word, "work"))
			work(vm, (unsigned int)n);
		else if (!strcmp(word, "touch"))
			touch(vm, n);
		else if (!strcmp(word, "verify"))
			verify(vm);
		else if (!strcmp(word, "quit"))
			return;
		else
			printf("error=command\n");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	unsigned long mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	struct vm vm = {.seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 0};
	int image = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	vm.pace = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	if (!mib || !vm.seed || !vm.pace || image < 0) {
		fprintf(stderr, "usage: pressed IMAGE MIB SEED PACE [small|bystander]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	vm.random = model_mix(vm.seed);
	tick_ns();
	if (!make(&vm, image, mib, argc > 5 ? argv[5] : "")) {
		fprintf(stderr, "pressed: the memory cannot be made: %s\n", strerror(errno));
		return 1;
	}
	close(image);
	printf("ready=1 pages=%llu hot=%llu own=%llu\n", (unsigned long long)vm.pages,
	       (unsigned long long)vm.hots, (unsigned long long)vm.owns);
	fflush(stdout);
	serve(&vm);
	return 0;
}
