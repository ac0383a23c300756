/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ideal: how much memory VMs could give back, counted from what is in it.
 *
 * Reads the guest RAM of each VM through /proc/PID/mem (pages that are not present are left
 * alone: reading would make them present), hashes every page in full (128 bits) and counts equal
 * pages in each group. It knows nothing of what is shared already: a shared page is read like any
 * other.
 *
 *	vm=NAME group=G pages=P zero=Z same=S
 *		P pages have content, Z more are all zero; S: a page of which there are n equal ones
 *		in the group counts as 1 - 1/n
 *	total pages=P zero=Z same=S across=A
 *		A: what one domain for all would give on top of that (and what salts forbid)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ram.h"
#include "sys/cleanup.h"

#define CHUNK 512u

struct page {
	XXH128_hash_t hash;
	uint32_t vm;
	uint32_t group;
};

struct pages {
	struct page *at;
	size_t count;
};

struct count {
	uint64_t pages, zero, unread;
	double same;
};

static XXH128_hash_t zero_hash;

static void take_page(struct pages *pages, uint32_t vm, uint32_t group, const uint8_t *content,
		      struct count *count)
{
	XXH128_hash_t hash = XXH3_128bits(content, PAGE_BYTES);

	if (XXH128_isEqual(hash, zero_hash)) {
		count->zero++;
		return;
	}
	count->pages++;
	pages->at[pages->count++] = (struct page){hash, vm, group};
}

/* Reads n present pages from address on, one by one where they cannot be read together. */
static void take_run(int mem, uint64_t address, size_t n, struct pages *pages, uint32_t vm,
		     uint32_t group, struct count *count)
{
	static uint8_t content[CHUNK * PAGE_BYTES];
	ssize_t got = pread(mem, content, n * PAGE_BYTES, (off_t)address);

	if (got == (ssize_t)(n * PAGE_BYTES)) {
		for (size_t i = 0; i < n; i++)
			take_page(pages, vm, group, content + i * PAGE_BYTES, count);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		got = pread(mem, content, PAGE_BYTES, (off_t)(address + i * PAGE_BYTES));
		if (got == PAGE_BYTES)
			take_page(pages, vm, group, content, count);
		else
			count->unread++;
	}
}

static int take_vm(const struct vm *vm, struct pages *pages, uint32_t number, uint32_t group,
		   struct count *count)
{
	_cleanup_close_ int mem = -1;
	uint64_t entries[CHUNK];
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)vm->pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	if (mem < 0)
		return -errno;
	for (uint64_t at = vm->ram.start; at < vm->ram.end; at += CHUNK * PAGE_BYTES) {
		size_t got = vm_pagemap(vm, at, entries, CHUNK), n;

		if (!got)
			return -ESRCH;
		for (size_t i = 0; i < got; i += n + 1) {
			for (n = 0; i + n < got && (entries[i + n] & PAGEMAP_PRESENT); n++)
				continue;
			if (n)
				take_run(mem, at + i * PAGE_BYTES, n, pages, number, group, count);
		}
	}
	return 0;
}

static int by_content(const void *a, const void *b)
{
	return XXH128_cmp(a, b); /* the hash is a page's first field */
}

static int by_group_and_content(const void *a, const void *b)
{
	const struct page *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return by_content(a, b);
}

/* Pages less distinct contents, of pages sorted by compare. of_vm may be NULL. */
static double count_same(const struct pages *pages, int (*compare)(const void *, const void *),
			 struct count *of_vm)
{
	double same = 0;
	size_t n;

	for (size_t i = 0; i < pages->count; i += n) {
		for (n = 1; i + n < pages->count; n++)
			if (compare(&pages->at[i], &pages->at[i + n]) != 0)
				break;
		same += (double)(n - 1);
		for (size_t k = 0; of_vm && k < n; k++)
			of_vm[pages->at[i + k].vm].same += 1 - 1.0 / (double)n;
	}
	return same;
}

/* Groups are numbered by the first VM that is in them. */
static uint32_t group_number(const struct vm *vms, size_t i)
{
	uint32_t number = 0;

	while (strcmp(vms[number].group, vms[i].group) != 0)
		number++;
	return number;
}

static int take_all(const struct vm *vms, size_t n, struct pages *pages, struct count *of_vm)
{
	size_t room = 0;

	for (size_t i = 0; i < n; i++)
		room += (vms[i].ram.end - vms[i].ram.start) / PAGE_BYTES;
	pages->at = calloc(room, sizeof(*pages->at));
	if (!pages->at)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = take_vm(&vms[i], pages, (uint32_t)i, group_number(vms, i), &of_vm[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct vm *vms;
	size_t n = vms_from_arguments(argc, argv, "counts equal pages; needs --ram", &vms);
	struct count *of_vm = calloc(n, sizeof(*of_vm)), total = {0};
	static const uint8_t zeros[PAGE_BYTES];
	struct pages pages = {NULL, 0};
	double everywhere;
	int r = of_vm ? 0 : -ENOMEM;

	zero_hash = XXH3_128bits(zeros, sizeof(zeros));
	if (r == 0)
		r = take_all(vms, n, &pages, of_vm);
	if (r < 0) {
		fprintf(stderr, "%s: cannot count: %s\n", argv[0], strerror(-r));
		return 2;
	}
	qsort(pages.at, pages.count, sizeof(*pages.at), by_group_and_content);
	total.same = count_same(&pages, by_group_and_content, of_vm);
	qsort(pages.at, pages.count, sizeof(*pages.at), by_content);
	everywhere = count_same(&pages, by_content, NULL);
	for (size_t i = 0; i < n; i++) {
		total.pages += of_vm[i].pages;
		total.zero += of_vm[i].zero;
		total.unread += of_vm[i].unread;
		printf("vm=%s group=%s pages=%llu zero=%llu same=%.0f\n", vms[i].name, vms[i].group,
		       (unsigned long long)of_vm[i].pages, (unsigned long long)of_vm[i].zero,
		       of_vm[i].same);
	}
	if (total.unread)
		fprintf(stderr, "%llu pages could not be read\n", (unsigned long long)total.unread);
	printf("total pages=%llu zero=%llu same=%.0f across=%.0f\n",
	       (unsigned long long)total.pages, (unsigned long long)total.zero, total.same,
	       everywhere - total.same);
	return 0;
}
