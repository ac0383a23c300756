/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rewrite: a program that offers its memory for sharing and writes all of it anew, again and again:
 * nothing of it is ever worth a look. What do faults and speed say of who looks all the same?
 *
 *	rewrite MIB SECONDS	ok passes= mib_per_cpu_s= faults= wrong=
 *
 *	mib_per_cpu_s	MiB written for each second of CPU of the writing thread
 *	faults		minor faults of that thread
 *	wrong		words that were not what the last pass wrote
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "guest/latency.h"

#define STEP 8u /* words: one of each cache line */

static double cpu_s(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
	       (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

static uint64_t word(uint64_t pass, size_t i)
{
	return (pass * 77 + 1) * (i + 1);
}

static void write_all(volatile uint64_t *memory, size_t words, uint64_t pass)
{
	for (size_t i = 0; i < words; i += STEP)
		memory[i] = word(pass, i);
}

static size_t count_wrong(const volatile uint64_t *memory, size_t words, uint64_t pass)
{
	size_t wrong = 0;

	for (size_t i = 0; i < words; i += STEP)
		wrong += memory[i] != word(pass, i);
	return wrong;
}

static int measure(size_t mib, uint64_t seconds)
{
	size_t size = mib << 20, words = size / sizeof(uint64_t);
	uint64_t *memory =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t start, passes = 0;
	struct rusage before, after;

	if (memory == MAP_FAILED || madvise(memory, size, MADV_NOHUGEPAGE) ||
	    madvise(memory, size, MADV_MERGEABLE))
		return -errno;
	write_all(memory, words, passes);
	getrusage(RUSAGE_THREAD, &before);
	start = now_ns();
	while (now_ns() - start < seconds * 1000000000u)
		write_all(memory, words, ++passes);
	getrusage(RUSAGE_THREAD, &after);
	printf("ok passes=%llu mib_per_cpu_s=%.1f faults=%ld wrong=%zu\n",
	       (unsigned long long)passes,
	       (double)(passes * mib) / (cpu_s(&after) - cpu_s(&before)),
	       after.ru_minflt - before.ru_minflt, count_wrong(memory, words, passes));
	return 0;
}

int main(int argc, char **argv)
{
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: %s MIB SECONDS\n", argv[0]);
		return 2;
	}
	r = measure(strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10));
	if (r < 0)
		fprintf(stderr, "%s: no memory to measure with: %s\n", argv[0], strerror(-r));
	return r < 0;
}
