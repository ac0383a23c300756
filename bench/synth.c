/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * synth: a VM of paper. Private anonymous memory with the content of a layout (layout.h), and
 * commands on stdin, a line each; the answers are "ok KEY=VALUE ..." or "bad WHY".
 *
 *	synth SEED VM PAGES RUN EQUAL CHANGE [FILE]
 *
 *	fill		writes all memory
 *	merge		madvise(MADV_MERGEABLE): KSM's, or the preloaded agent's, from here on
 *	change MS	from here on, what changes is written anew once in MS
 *	still		stops that: changed=PAGES
 *	load MS		three loads in turns for MS: memory= syscall= io= operations a second,
 *			cpu= ns that this thread worked
 *	read N US	first reads of N pages that are shared, US apart: n= p50= p99= p999= max=
 *	write N US	first writes, likewise
 *	dirty PERMILLE	writes so much of what is shared: shared= written=
 *	stalls MS US	for MS, writes pages that are shared, one every US, each once in 10 s:
 *			pages= touches=, and of those that took 1 ms or more n= p50= p99= max=
 *	twin N		makes N pages equal to other VMs': found= and the ms until they were shared
 *	verify		wrong=PAGES whose content is not what it should be
 *
 * Memory ends with an inaccessible page, as QEMU's does: the counters find it by that.
 */
#include "synth.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/model.h"
#include "sys/cleanup.h"

#define BLOCK_BYTES (2ul << 20)
#define LINE_BYTES 256
#define TWIN_WAIT_NS 30000000000ull
#define TWIN_APART_NS 130000000ull
#define TWIN_POLL_US 2000

uint64_t synth_random(struct synth *s)
{
	return s->random = model_mix(s->random);
}

/* Whole blocks, and what nobody may touch behind them; before them nothing of ours. No child gets
 * it, as with QEMU: what a fork costs that copies the tables of all RAM is another question. */
static int map_ram(struct synth *s)
{
	size_t size = (size_t)s->pages * MEASURE_PAGE;
	uint8_t *all = mmap(NULL, size + 2 * BLOCK_BYTES, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (all == MAP_FAILED)
		return -errno;
	s->ram = (uint8_t *)(((uintptr_t)all + BLOCK_BYTES) & ~(BLOCK_BYTES - 1));
	if (munmap(all, (size_t)(s->ram - all)) < 0 ||
	    mprotect(s->ram, size, PROT_READ | PROT_WRITE) < 0 ||
	    madvise(s->ram, size, MADV_NOHUGEPAGE) < 0 || madvise(s->ram, size, MADV_DONTFORK) < 0)
		return -errno;
	return 0;
}

static int synth_init(struct synth *s)
{
	int r;

	s->layout.pages = (s->pages - SCRATCH_PAGES) / s->layout.run * s->layout.run;
	s->random = model_mix(s->layout.seed ^ ~(uint64_t)s->layout.vm);
	s->generation = calloc(s->layout.pages, sizeof(*s->generation));
	s->shadow = calloc(SCRATCH_PAGES - IO_PAGES, MEASURE_PAGE);
	if (!s->generation || !s->shadow)
		return -ENOMEM;
	s->pagemap = pagemap_self();
	if (s->pagemap < 0)
		return s->pagemap;
	r = layout_init(&s->layout);
	return r < 0 ? r : map_ram(s);
}

/* What is behind the layout is the VM's own: the scratch pages, and what no slot fits into. */
static void fill_rest(struct synth *s, uint32_t page)
{
	layout_fill_other(&s->layout, s->layout.vm, page, synth_page(s, page));
}

static void do_fill(struct synth *s)
{
	uint32_t first = s->pages - SCRATCH_PAGES;

	for (uint32_t page = 0; page < s->layout.pages; page++)
		layout_fill(&s->layout, page, s->generation[page], synth_page(s, page));
	for (uint32_t page = s->layout.pages; page < s->pages; page++)
		fill_rest(s, page);
	memcpy(s->shadow, synth_page(s, first), (size_t)(SCRATCH_PAGES - IO_PAGES) * MEASURE_PAGE);
}

/* ---- how soon a newly equal page is shared ----------------------------------------- */

/* A page of this VM alone that does not change and is no twin yet. */
static uint32_t own_page(struct synth *s)
{
	for (;;) {
		uint32_t page = (uint32_t)(synth_random(s) % s->layout.pages);
		bool taken = layout_equal(&s->layout, page) || layout_changes(&s->layout, page);

		for (uint32_t i = 0; i < s->ntwins; i++)
			taken |= s->twins[i].page == page;
		if (!taken)
			return page;
	}
}

/* Looks at twins[from..]; notes when each was first seen shared. Returns how many are not yet. */
static uint32_t poll_twins(struct synth *s, uint32_t from, const uint64_t *since, double *ms)
{
	uint32_t waiting = 0;

	for (uint32_t i = from; i < s->ntwins; i++) {
		if (ms[i] > 0)
			continue;
		if (page_is_shared(s->pagemap, synth_page(s, s->twins[i].page)))
			ms[i] = (double)(now_ns() - since[i]) / 1e6;
		else
			waiting++;
	}
	return waiting;
}

static void print_twins(const struct synth *s, uint32_t from, const double *ms, FILE *out)
{
	struct latency l;
	uint32_t found = 0;

	if (latency_init(&l, s->ntwins) < 0)
		return;
	for (uint32_t i = from; i < s->ntwins; i++)
		if (ms[i] > 0) {
			latency_add(&l, ms[i]);
			found++;
		}
	fprintf(out, " asked=%u found=%u", s->ntwins - from, found);
	latency_print(&l, out);
	latency_deinit(&l);
}

int do_twin(struct synth *s, uint32_t n, FILE *out)
{
	uint32_t from = s->ntwins, range = s->layout.pages - layout_equal_end(&s->layout);
	uint64_t since[TWINS_MAX], start = now_ns(), next = start, now;
	double ms[TWINS_MAX] = {0};

	if (from + n > TWINS_MAX || range < 2 * TWINS_MAX)
		return -EINVAL;
	do {
		now = now_ns();
		if (now >= next && s->ntwins < from + n) {
			struct twin *twin = &s->twins[s->ntwins];

			twin->page = own_page(s);
			twin->number = s->layout.pages - 1 - (uint32_t)(synth_random(s) % range);
			layout_fill_other(&s->layout, !s->layout.vm, twin->number,
					  synth_page(s, twin->page));
			since[s->ntwins++] = now_ns();
			next = now + TWIN_APART_NS;
		}
		usleep(TWIN_POLL_US);
	} while ((poll_twins(s, from, since, ms) || s->ntwins < from + n) &&
		 now - start < TWIN_WAIT_NS);
	print_twins(s, from, ms, out);
	return 0;
}

/* ---- whether all is as it should be ------------------------------------------------- */

static void expected(const struct synth *s, uint32_t page, void *at)
{
	for (uint32_t i = 0; i < s->ntwins; i++)
		if (s->twins[i].page == page) {
			layout_fill_other(&s->layout, !s->layout.vm, s->twins[i].number, at);
			return;
		}
	layout_fill(&s->layout, page, s->generation[page], at);
}

/* All that could tell why, for whoever has to find out: this must not happen. */
static void tell_wrong(const struct synth *s, uint32_t page, const uint8_t *want)
{
	uint32_t differ = 0, first = MEASURE_PAGE, zeros = 0;
	static uint8_t got[MEASURE_PAGE];
	uint64_t entry = 0;

	memcpy(got, synth_page(s, page), MEASURE_PAGE);
	for (uint32_t i = 0; i < MEASURE_PAGE; i++) {
		zeros += got[i] == 0;
		differ += got[i] != want[i];
		if (got[i] != want[i] && first == MEASURE_PAGE)
			first = i;
	}
	if (pread(s->pagemap, &entry, sizeof(entry),
		  (off_t)((uintptr_t)synth_page(s, page) / MEASURE_PAGE * sizeof(entry))) < 0)
		entry = 0;
	fprintf(stderr,
		"synth: VM %u: page %u (equal to another's: %d) at %p is wrong: at a second look "
		"%u bytes differ, from %u on; %u are zero; pagemap %016llx\n",
		s->layout.vm, page, page < s->layout.pages && layout_equal(&s->layout, page),
		synth_page(s, page), differ, first, zeros, (unsigned long long)entry);
}

static uint32_t is_wrong(const struct synth *s, uint32_t page, const void *want)
{
	if (memcmp(want, synth_page(s, page), MEASURE_PAGE) == 0)
		return 0;
	tell_wrong(s, page, want);
	return 1;
}

uint32_t do_verify(struct synth *s)
{
	static _Alignas(8) uint8_t want[MEASURE_PAGE];
	uint32_t scratch = s->pages - SCRATCH_PAGES, wrong = 0;

	for (uint32_t page = 0; page < s->layout.pages; page++) {
		expected(s, page, want);
		wrong += is_wrong(s, page, want);
	}
	for (uint32_t page = s->layout.pages; page < scratch; page++) {
		layout_fill_other(&s->layout, s->layout.vm, page, want);
		wrong += is_wrong(s, page, want);
	}
	for (uint32_t i = 0; i < SCRATCH_PAGES - IO_PAGES; i++)
		wrong += is_wrong(s, scratch + i, (uint8_t *)s->shadow + (size_t)i * MEASURE_PAGE);
	return wrong;
}

/* ---- commands ----------------------------------------------------------------------- */

static int command(struct synth *s, const char *name, unsigned int n, unsigned int m, FILE *out)
{
	if (!strcmp(name, "fill"))
		do_fill(s);
	else if (!strcmp(name, "merge"))
		return madvise(s->ram, (size_t)s->pages * MEASURE_PAGE, MADV_MERGEABLE) ? -errno :
											  0;
	else if (!strcmp(name, "change"))
		return do_change(s, n);
	else if (!strcmp(name, "still"))
		do_still(s, out);
	else if (!strcmp(name, "load"))
		return do_load(s, n, out);
	else if (!strcmp(name, "read") || !strcmp(name, "write"))
		return do_touch(s, *name == 'w', n, m, out);
	else if (!strcmp(name, "dirty"))
		return do_dirty(s, n, out);
	else if (!strcmp(name, "stalls"))
		return do_stalls(s, n, m, out);
	else if (!strcmp(name, "twin"))
		return do_twin(s, n, out);
	else if (!strcmp(name, "verify"))
		fprintf(out, " wrong=%u", do_verify(s));
	else
		return -EINVAL;
	return 0;
}

/* An answer is one line, so it is made whole before a word of it is said. */
static void obey(struct synth *s, const char *line)
{
	_cleanup_free_ char *text = NULL;
	char name[16] = "";
	unsigned int n = 0, m = 0;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		abort();
	sscanf(line, "%15s %u %u", name, &n, &m);
	r = command(s, name, n, m, out);
	fclose(out);
	if (r < 0)
		printf("bad %s: %s\n", name, strerror(-r));
	else
		printf("ok%s\n", text);
	fflush(stdout);
}

static uint32_t number(const char *text, uint32_t least)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n < least || n > UINT32_MAX) {
		fprintf(stderr, "synth: \"%s\" is no number from %u on\n", text, least);
		exit(2);
	}
	return (uint32_t)n;
}

static void *another(void *arg)
{
	for (;;)
		pause();
	return arg;
}

int main(int argc, char **argv)
{
	static struct synth s;
	char line[LINE_BYTES];
	pthread_t thread;
	int r;

	if (argc < 7 || argc > 8) {
		fprintf(stderr, "usage: synth SEED VM PAGES RUN EQUAL CHANGE [FILE]\n");
		return 2;
	}
	s.pages = number(argv[3], 2 * SCRATCH_PAGES);
	s.layout = (struct layout){
		.seed = number(argv[1], 0),
		.vm = number(argv[2], 0),
		.run = number(argv[4], 1),
		.equal = number(argv[5], 0),
		.change = number(argv[6], 0),
	};
	s.file = argc > 7 ? argv[7] : NULL;
	r = synth_init(&s);
	/* As every VMM has: for a process of one thread alone the kernel takes short cuts at each
	 * system call on a descriptor, which would seem to end with the agent's threads. */
	if (r == 0)
		r = -pthread_create(&thread, NULL, another, NULL);
	if (r < 0) {
		fprintf(stderr, "synth: cannot start: %s\n", strerror(-r));
		return 1;
	}
	while (fgets(line, sizeof(line), stdin))
		obey(&s, line);
	return 0;
}
