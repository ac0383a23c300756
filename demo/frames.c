/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * frames: counts the page frames that VMs really use, and looks for frames across groups.
 *
 * Every page of the VMs that is anonymous or of a memfd is read from /proc/PID/pagemap (as root:
 * frame numbers are not for everybody) and the frames are sorted. A frame that processes of two
 * groups map has crossed; the kernel's zero pages, small and huge, are left out by their flag in
 * /proc/kpageflags. VMs run while they are read, and a frame given back here may turn up there a
 * moment later: so a suspect is read again, both sides, several times, and has crossed only if
 * both sides had it each time.
 *
 * With --ram the guests' RAM is counted:
 *
 *	vm=NAME group=G pages=P zero=Z frames=F saved=S
 *		P pages have content, Z more are the zero page; they lie in F frames of their own or
 *		of this group; S: each page whose frame holds n pages counts as 1 - 1/n saved
 *	total pages=P zero=Z frames=F saved=S crossed=C
 *		F distinct frames; S = P - F
 *
 * Exit status 0; 1 if a frame has crossed; 2 if it could not count.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ram.h"
#include "sys/cleanup.h"

#define CHUNK 4096u
#define FLAG_ZERO_PAGE (1ull << 24) /* KPF_ZERO_PAGE */
#define RECHECKS 5
#define RECHECK_US 2000
#define SHOWN_MAX 5

struct page {
	uint64_t frame;
	uint64_t address;
	uint32_t vm;
	bool ram;
	bool zero;
};

struct pages {
	struct page *at;
	size_t count, room;
};

/* Two pages of different groups that were seen in one frame. */
struct suspect {
	const struct page *a, *b;
};

struct suspects {
	struct suspect *at;
	size_t count;
};

struct count {
	uint64_t pages, zero, frames;
	double saved;
};

static int add_page(struct pages *pages, struct page page)
{
	if (pages->count == pages->room) {
		size_t room = pages->room ? 2 * pages->room : 1u << 16;
		struct page *grown = reallocarray(pages->at, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		pages->at = grown;
		pages->room = room;
	}
	pages->at[pages->count++] = page;
	return 0;
}

static int read_range(const struct vm *vm, uint32_t number, struct range range, struct pages *pages)
{
	uint64_t entries[CHUNK];

	while (range.start < range.end) {
		uint64_t want = (range.end - range.start) / PAGE_BYTES;
		size_t got = vm_pagemap(vm, range.start, entries, want < CHUNK ? want : CHUNK);

		if (!got)
			return -ESRCH;
		for (size_t i = 0; i < got; i++) {
			uint64_t address = range.start + i * PAGE_BYTES;
			struct page page = {
				.frame = entry_frame(entries[i]),
				.address = address,
				.vm = number,
				.ram = address >= vm->ram.start && address < vm->ram.end,
			};

			if (page.frame && add_page(pages, page) < 0)
				return -ENOMEM;
		}
		range.start += got * PAGE_BYTES;
	}
	return 0;
}

static int read_vm(const struct vm *vm, uint32_t number, struct pages *pages)
{
	struct ranges ranges = {NULL, 0};
	int r = vm_memory(vm, &ranges);

	for (size_t i = 0; r == 0 && i < ranges.count; i++)
		r = read_range(vm, number, ranges.at[i], pages);
	free(ranges.at);
	return r;
}

static int by_frame(const void *a, const void *b)
{
	const struct page *x = a, *y = b;

	if (x->frame != y->frame)
		return x->frame < y->frame ? -1 : 1;
	return x->vm < y->vm ? -1 : x->vm > y->vm;
}

/* Marks the pages that are a zero page. The pages are sorted by frame, so flags come in chunks. */
static int mark_zero(struct pages *pages)
{
	_cleanup_close_ int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t flags[CHUNK], first = 0;
	size_t have = 0;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < pages->count; i++) {
		struct page *page = &pages->at[i];

		if (page->frame - first >= have) {
			ssize_t n = pread(fd, flags, sizeof(flags), (off_t)(page->frame * 8));

			if (n < 8)
				return n < 0 ? -errno : -EIO;
			first = page->frame;
			have = (size_t)n / 8;
		}
		page->zero = flags[page->frame - first] & FLAG_ZERO_PAGE;
	}
	return 0;
}

static uint64_t frame_now(const struct vm *vm, const struct page *page)
{
	uint64_t entry;

	return vm_pagemap(vm, page->address, &entry, 1) ? entry_frame(entry) : 0;
}

/* The first page among a[1] .. a[n-1], which have one frame, that is of another group than a[0];
 * 0: none. */
static size_t other_group(const struct vm *vms, const struct page *a, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (a[i].vm != a->vm && strcmp(vms[a->vm].group, vms[a[i].vm].group) != 0)
			return i;
	return 0;
}

static int add_suspect(struct suspects *suspects, const struct page *a, const struct page *b)
{
	struct suspect *grown;

	if (suspects->count % CHUNK == 0) {
		grown = reallocarray(suspects->at, suspects->count + CHUNK, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		suspects->at = grown;
	}
	suspects->at[suspects->count++] = (struct suspect){a, b};
	return 0;
}

/* Drops the suspects of which a side no longer has the frame in which both were seen. */
static void recheck(const struct vm *vms, struct suspects *suspects)
{
	size_t left = 0;

	for (size_t i = 0; i < suspects->count; i++) {
		struct suspect s = suspects->at[i];

		if (frame_now(&vms[s.a->vm], s.a) == s.a->frame &&
		    frame_now(&vms[s.b->vm], s.b) == s.a->frame)
			suspects->at[left++] = s;
	}
	suspects->count = left;
}

/* Looks again, several times, at what seems to have crossed, and shows some of what has. */
static uint64_t crossed(const struct vm *vms, struct suspects *suspects)
{
	for (int i = 0; suspects->count && i < RECHECKS; i++) {
		usleep(RECHECK_US);
		recheck(vms, suspects);
	}
	for (size_t i = 0; i < suspects->count && i < SHOWN_MAX; i++) {
		const struct page *a = suspects->at[i].a, *b = suspects->at[i].b;

		fprintf(stderr, "frame %#llx has crossed: %s/%s page %#llx, %s/%s page %#llx\n",
			(unsigned long long)a->frame, vms[a->vm].group, vms[a->vm].name,
			(unsigned long long)a->address, vms[b->vm].group, vms[b->vm].name,
			(unsigned long long)b->address);
	}
	return suspects->count;
}

/* Counts the pages of guest RAM among a .. a + n-1, which have one frame. */
static void count_frame(const struct page *a, size_t n, struct count *of_vm, struct count *total)
{
	size_t mapped = 0;

	for (size_t i = 0; i < n; i++)
		mapped += a[i].ram;
	if (!mapped)
		return;
	total->frames++;
	total->pages += mapped;
	total->saved += (double)(mapped - 1);
	for (size_t i = 0; i < n; i++) {
		struct count *count = &of_vm[a[i].vm];

		if (!a[i].ram)
			continue;
		count->pages++;
		count->frames += i == 0 || a[i].vm != a[i - 1].vm;
		count->saved += 1 - 1.0 / (double)mapped;
	}
}

static int count_all(const struct vm *vms, const struct pages *pages, struct count *of_vm,
		     struct count *total, struct suspects *suspects)
{
	int r = 0;
	size_t n;

	for (size_t i = 0; r == 0 && i < pages->count; i += n) {
		const struct page *a = &pages->at[i];
		size_t other;

		for (n = 1; i + n < pages->count && a[n].frame == a->frame; n++)
			continue;
		for (size_t k = 0; a->zero && k < n; k++) {
			of_vm[a[k].vm].zero += a[k].ram;
			total->zero += a[k].ram;
		}
		if (a->zero)
			continue;
		count_frame(a, n, of_vm, total);
		other = other_group(vms, a, n);
		if (other)
			r = add_suspect(suspects, a, &a[other]);
	}
	return r;
}

static void print_count(const struct count *count)
{
	printf(" pages=%llu zero=%llu frames=%llu saved=%.0f", (unsigned long long)count->pages,
	       (unsigned long long)count->zero, (unsigned long long)count->frames, count->saved);
}

int main(int argc, char **argv)
{
	struct vm *vms;
	size_t n = vms_from_arguments(argc, argv, "counts page frames; as root", &vms);
	struct count *of_vm = calloc(n, sizeof(*of_vm)), total = {0};
	struct pages pages = {NULL, 0, 0};
	struct suspects suspects = {NULL, 0};
	uint64_t found;
	int r = of_vm ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = read_vm(&vms[i], (uint32_t)i, &pages);
	if (r == 0 && !pages.count) {
		fprintf(stderr, "%s: no frame numbers to be read: root is needed\n", argv[0]);
		return 2;
	}
	if (r == 0) {
		qsort(pages.at, pages.count, sizeof(*pages.at), by_frame);
		r = mark_zero(&pages);
	}
	if (r == 0)
		r = count_all(vms, &pages, of_vm, &total, &suspects);
	if (r < 0) {
		fprintf(stderr, "%s: cannot count: %s\n", argv[0], strerror(-r));
		return 2;
	}
	found = crossed(vms, &suspects);
	for (size_t i = 0; i < n; i++) {
		printf("vm=%s group=%s", vms[i].name, vms[i].group);
		print_count(&of_vm[i]);
		putchar('\n');
	}
	printf("total");
	print_count(&total);
	printf(" crossed=%llu\n", (unsigned long long)found);
	return found ? 1 : 0;
}
