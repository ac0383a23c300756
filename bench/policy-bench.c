/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * policy-bench: what the daemon's books cost, in bytes an entry and ns a call.
 *
 *	policy-bench [PAGES...]		default 131072 1048576 8388608
 *
 * Time is this process's CPU time, so that a busy machine does not show. Bytes are resident memory
 * from /proc/self/statm beside what the books say of themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policy/frames.h"
#include "policy/index.h"
#include "policy/runs.h"
#include "policy/vmmap.h"

#define LOOKUPS 2000000u
#define ROUNDS 2000u

static volatile uint64_t sink; /* results go here, so that no call is left out */

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double resident(void)
{
	long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f) {
		if (fscanf(f, "%ld %ld", &size, &pages) != 2)
			pages = 0;
		fclose(f);
	}
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* The nth hash of a sequence without order. */
static uint64_t hash_of(uint64_t n)
{
	n += 0x9e3779b97f4a7c15ull;
	n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9ull;
	n = (n ^ (n >> 27)) * 0x94d049bb133111ebull;
	return n ^ (n >> 31);
}

static void line(const char *what, double value, const char *unit)
{
	printf("  %-44s %8.1f %s\n", what, value, unit);
}

static double lookups(const struct page_index *index, uint64_t first, uint64_t pages, bool known)
{
	double start = cpu_ns();
	uint64_t found = 0;

	for (uint64_t i = 0; i < LOOKUPS; i++) {
		uint64_t n = known ? hash_of(i) % pages : first + i;

		found += index_lookup(index, hash_of(n)).kind != INDEX_NONE;
	}
	sink += found;
	return (cpu_ns() - start) / LOOKUPS;
}

/* What a put took the place of. */
static struct index_entry had;

static void bench_index(uint32_t pages)
{
	double before = resident(), start = cpu_ns(), memory;
	struct page_index *index = index_new(pages, 0x6d656d6f7279);
	struct index_stats stats;
	uint64_t cursor = 0;

	if (!index)
		return;
	for (uint32_t i = 0; i < pages; i++)
		sink += (uint64_t)index_put_hint(index, hash_of(i), i % 8, i, &had);
	line("index: put a hint", (cpu_ns() - start) / pages, "ns");
	memory = resident() - before;
	stats = index_stats(index);
	line("index: bytes an entry, as it says", (double)stats.bytes / (double)stats.hints,
	     "bytes");
	line("index: bytes an entry, resident", memory / (double)stats.hints, "bytes");
	line("index: look up a known hash", lookups(index, 0, pages, true), "ns");
	line("index: look up an unknown hash", lookups(index, 1ull << 40, pages, false), "ns");
	start = cpu_ns();
	while (!index_sweep(index, 3, 0, UINT32_MAX, &cursor, 100000))
		continue;
	line("index: sweep one VM of eight, an entry", (cpu_ns() - start) / pages, "ns");
	index_free(index);
}

/* Half of the pages of two VMs shared: one frame, two references, two map entries for each pair. */
static void bench_books(uint32_t pages)
{
	struct frames *frames = frames_new(PS_FRAMES_MAX, PS_FRAMES_MAX);
	struct vmmap *map[2] = {vmmap_new(), vmmap_new()};
	uint32_t frame = PS_FRAME_NONE, shared = pages / 4;
	struct frames_stats stats;
	double start = cpu_ns();

	if (!frames || !map[0] || !map[1])
		return;
	for (uint32_t i = 0; i < shared; i++) {
		if (frames_alloc(frames, 0, 2 * i, PS_FRAME_NONE, &frame) ||
		    frames_set_live(frames, frame, hash_of(i)))
			return;
		for (int vm = 0; vm < 2; vm++)
			if (frames_ref(frames, frame) ||
			    vmmap_set(map[vm], 2 * i, VMMAP_MAPPED, frame))
				return;
	}
	line("frames, vmmap: share a page of two VMs", (cpu_ns() - start) / shared, "ns");
	stats = frames_stats(frames);
	line("frames: bytes a frame, every 2nd page shared", (double)stats.bytes / shared, "bytes");
	line("vmmap: bytes a shared page, likewise",
	     (double)(vmmap_bytes(map[0]) + vmmap_bytes(map[1])) / (2.0 * shared), "bytes");
	start = cpu_ns();
	sink += (uint64_t)vmmap_saved(map[0], frames);
	line("vmmap: SHRDSVD, a shared page", (cpu_ns() - start) / shared, "ns");
	vmmap_free(map[0]);
	vmmap_free(map[1]);
	frames_free(frames);
}

static void bench_runs(void)
{
	struct run_order orders[PS_BLOCK_PAGES];
	struct run runs[PS_BLOCK_PAGES];
	double start;

	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++)
		orders[i] = (struct run_order){i, i + (uint32_t)(hash_of(i / 3) % 1000) * 512};
	start = cpu_ns();
	for (uint32_t round = 0; round < ROUNDS; round++) {
		size_t n = runs_cut(orders, PS_BLOCK_PAGES, runs);

		runs_sort(runs, n);
		sink += n;
	}
	line("runs: cut and sort a block of 512 orders", (cpu_ns() - start) / ROUNDS, "ns");
}

/* In a process of its own: resident memory is not to hold what an earlier size left behind. */
static void bench_size(uint32_t pages)
{
	pid_t child;

	printf("%u pages (%.1f GiB)\n", pages, (double)pages / (1 << 18));
	fflush(stdout);
	child = fork();
	if (child < 0)
		perror("policy-bench: fork");
	if (child > 0)
		waitpid(child, NULL, 0);
	if (child)
		return;
	bench_index(pages);
	bench_books(pages);
	exit(0);
}

int main(int argc, char **argv)
{
	static const char *const usual[] = {"131072", "1048576", "8388608"};
	int n = argc > 1 ? argc - 1 : 3;

	for (int i = 0; i < n; i++) {
		const char *text = argc > 1 ? argv[i + 1] : usual[i];
		unsigned long pages = strtoul(text, NULL, 10);

		if (pages < 1024 || pages > PS_PAGES_MAX) {
			fprintf(stderr, "policy-bench: PAGES cannot be '%s': give 1024 to %u\n",
				text, PS_PAGES_MAX);
			return 1;
		}
		bench_size((uint32_t)pages);
	}
	bench_runs();
	return 0;
}
