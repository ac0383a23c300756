/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit-frames: which page frames do VMs have in common that may not share?
 *
 * Of every page of a VM that is in memory the kernel says, in /proc/PID/pagemap, in which frame it
 * lies, and whether anybody else maps that frame (bit 56). What nobody else maps cannot cross, so
 * only the rest is kept, 16 bytes a page, and sorted by frame. The kernel's zero pages are left
 * out, small and huge.
 *
 * VMs run while they are read: a frame that one has given back may turn up in another a moment
 * later. So what seems to cross is looked at again, both sides, LOOKS times, and has crossed only
 * if both had it each time. Of each pair of VMs SAMPLES are looked at again.
 *
 * Limits: pages in swap have no frame; they are shared between processes only by a fork. A frame
 * that crosses for less than some milliseconds is not seen.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "sys/launch.h"
#include "sys/pagemap.h"

#define CHUNK 4096u
#define RANGES 256
#define VM_BITS 20u
#define LOOKS 5
#define LOOK_AGAIN_MS 3
#define SAMPLES 128u
#define PAIRS_MAX 1024u

struct page {
	uint64_t key; /* frame, and in the low VM_BITS the VM */
	uint64_t address;
};

struct pages {
	struct page *at;
	size_t count, room;
	uint64_t done, all; /* bytes of mappings */
};

/* What two VMs have in common and should not. */
struct pair {
	uint32_t a, b;
	uint64_t frames, samples;
	uint64_t ksm; /* of the frames */
	struct {
		uint64_t frame, a, b; /* addresses */
	} sample[SAMPLES];
};

struct pairs {
	struct pair *at;
	size_t count;
	uint64_t lost; /* pairs for which there was no room */
};

static uint64_t frame_of(const struct page *page)
{
	return page->key >> VM_BITS;
}

static uint32_t vm_of(const struct page *page)
{
	return (uint32_t)(page->key & ((1u << VM_BITS) - 1));
}

/* ---- reading -------------------------------------------------------------------------------- */

static int add_page(struct pages *pages, uint64_t frame, uint32_t vm, uint64_t address)
{
	if (pages->count == pages->room) {
		size_t room = pages->room ? 2 * pages->room : 1u << 16;
		struct page *grown = reallocarray(pages->at, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		pages->at = grown;
		pages->room = room;
	}
	pages->at[pages->count++] = (struct page){frame << VM_BITS | vm, address};
	return 0;
}

static int read_range(struct audit *audit, uint32_t number, uint64_t at, uint64_t end,
		      struct pages *pages)
{
	struct audit_vm *vm = &audit->vms[number];
	static uint64_t entries[CHUNK];

	while (at < end) {
		uint64_t left = (end - at) / AUDIT_PAGE;
		uint32_t n = left < CHUNK ? (uint32_t)left : CHUNK;

		if (pagemap_read(vm->pagemap, at, entries, n))
			return -ESRCH;
		for (uint32_t i = 0; i < n; i++) {
			uint64_t frame = entries[i] & PM_PFRAME_MASK;

			if (!(entries[i] & PM_PRESENT) || !frame)
				continue;
			vm->pages++;
			if (!(entries[i] & PM_MMAP_EXCLUSIVE) &&
			    add_page(pages, frame, number, at + (uint64_t)i * AUDIT_PAGE))
				return -ENOMEM;
		}
		at += (uint64_t)n * AUDIT_PAGE;
	}
	return 0;
}

/* Where something is, of a stretch of mappings: most address space is empty. */
static int read_stretch(struct audit *audit, uint32_t number, uint64_t at, uint64_t end,
			struct pages *pages)
{
	struct page_region range[RANGES];
	uint64_t walked = at;
	int r = 0;

	while (!r && at < end) {
		int n = sys_pagemap_full(audit->vms[number].pagemap, at, end, range, RANGES,
					 &walked);

		if (n < 0)
			return n;
		for (int i = 0; !r && i < n; i++)
			r = read_range(audit, number, range[i].start, range[i].end, pages);
		if (walked <= at)
			break;
		pages->done += walked - at;
		at = walked;
		audit_progress(audit, "MiB of mappings", pages->done >> 20, pages->all >> 20);
	}
	return r;
}

static int read_vm(struct audit *audit, uint32_t number, struct pages *pages)
{
	const struct audit_vm *vm = &audit->vms[number];
	int r = 0;

	for (size_t i = 0, next; !r && i < vm->nmaps; i = next) {
		for (next = i + 1; next < vm->nmaps; next++)
			if (vm->maps[next].start != vm->maps[next - 1].end)
				break;
		r = read_stretch(audit, number, vm->maps[i].start, vm->maps[next - 1].end, pages);
	}
	return r;
}

static int read_all(struct audit *audit, struct pages *pages)
{
	for (uint32_t i = 0; i < audit->nvms; i++)
		for (size_t k = 0; k < audit->vms[i].nmaps; k++)
			pages->all += audit->vms[i].maps[k].end - audit->vms[i].maps[k].start;
	for (uint32_t i = 0; i < audit->nvms; i++) {
		struct audit_vm *vm = &audit->vms[i];
		int r = vm->pagemap < 0 ? 0 : read_vm(audit, i, pages);

		if (r == -ENOMEM)
			return r;
		vm->gone = r == -ESRCH;
		if (r && r != -ESRCH)
			audit_say(audit, "frames", AUDIT_UNKNOWN, json_pack("[i]", (int)vm->pid), 1,
				  "run Linux 6.7 or newer",
				  "the page tables of %s cannot be read: %s", vm->name,
				  strerror(-r));
	}
	audit_progress(audit, "", 0, 0);
	return 0;
}

/* ---- judging -------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	const struct page *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

struct flags {
	int fd;
	uint64_t at[CHUNK], first;
	uint64_t have;
};

/* The flags of a frame; frames are asked for in rising order. 0 where they cannot be read. */
static uint64_t flags_of(struct flags *flags, uint64_t frame)
{
	if (frame - flags->first >= flags->have) {
		int n = flags->fd < 0 ? -1 : sys_kpageflags(flags->fd, frame, flags->at, CHUNK);

		flags->first = frame;
		flags->have = n > 0 ? (uint64_t)n : 0;
		if (!flags->have)
			return 0;
	}
	return flags->at[frame - flags->first];
}

static struct pair *pair_of(struct pairs *pairs, uint32_t a, uint32_t b)
{
	struct pair *grown;

	for (size_t i = 0; i < pairs->count; i++)
		if (pairs->at[i].a == a && pairs->at[i].b == b)
			return &pairs->at[i];
	if (pairs->count == PAIRS_MAX)
		return NULL;
	grown = reallocarray(pairs->at, pairs->count + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	pairs->at = grown;
	pairs->at[pairs->count] = (struct pair){.a = a, .b = b};
	return &pairs->at[pairs->count++];
}

static void add_suspect(struct pairs *pairs, const struct page *a, const struct page *b, bool ksm)
{
	struct pair *pair = pair_of(pairs, vm_of(a), vm_of(b));
	uint64_t n;

	if (!pair) {
		pairs->lost++;
		return;
	}
	n = pair->frames++;
	pair->ksm += ksm;
	if (n >= SAMPLES) /* spread over what there is, not the first ones */
		n = n * 2654435761u % pair->frames;
	if (n >= SAMPLES)
		return;
	pair->sample[n].frame = frame_of(a);
	pair->sample[n].a = a->address;
	pair->sample[n].b = b->address;
	if (pair->samples < n + 1)
		pair->samples = n + 1;
}

/* Guest memory in one file: audit-files.c has more to say of it. */
static bool in_files(const struct audit *audit, const struct page *a, const struct page *b)
{
	const struct audit_map *x = audit_map_at(&audit->vms[vm_of(a)], a->address);
	const struct audit_map *y = audit_map_at(&audit->vms[vm_of(b)], b->address);

	return x && y && x->kind == AUDIT_FILE && y->kind == AUDIT_FILE;
}

/* Pages a[0] .. a[n-1] lie in one frame, in the order of their VMs. */
static void judge_frame(struct audit *audit, const struct page *a, size_t n, bool ksm,
			struct pairs *pairs)
{
	const struct audit_vm *first = &audit->vms[vm_of(a)];
	bool several = false;

	for (size_t i = 1; i < n && !several; i++)
		several = audit->vms[vm_of(&a[i])].root != first->root;
	audit->frames_common += several;
	for (size_t i = 0; i < n; i++) {
		audit->vms[vm_of(&a[i])].common += several;
		audit->vms[vm_of(&a[i])].ksm += ksm;
	}
	for (size_t i = 1; several && i < n; i++)
		if (vm_of(&a[i]) != vm_of(&a[i - 1]) &&
		    audit->vms[vm_of(&a[i])].group != first->group && !in_files(audit, a, &a[i]))
			add_suspect(pairs, a, &a[i], ksm);
}

static void judge_all(struct audit *audit, const struct pages *pages, struct pairs *pairs)
{
	static struct flags flags;
	size_t n;

	flags = (struct flags){.fd = sys_kpageflags_open()};
	for (size_t i = 0; i < pages->count; i += n) {
		const struct page *a = &pages->at[i];
		uint64_t is = flags_of(&flags, frame_of(a));

		for (n = 1; i + n < pages->count && frame_of(&a[n]) == frame_of(a); n++)
			continue;
		if (!(is & SYS_KPF_ZERO_PAGE))
			judge_frame(audit, a, n, is & SYS_KPF_KSM, pairs);
	}
	if (flags.fd < 0)
		audit_say(audit, "frames", AUDIT_UNKNOWN, NULL, 0, NULL,
			  "/proc/kpageflags cannot be read: %s", strerror(-flags.fd));
	close_fd(&flags.fd);
}

static uint64_t frame_now(const struct audit_vm *vm, uint64_t address)
{
	uint64_t entry;

	if (pagemap_read(vm->pagemap, address, &entry, 1) || !(entry & PM_PRESENT))
		return 0;
	return entry & PM_PFRAME_MASK;
}

/* Drops the samples of which a side no longer has the frame that both had. */
static void look_again(const struct audit *audit, struct pair *pair)
{
	uint64_t left = 0;

	for (uint64_t i = 0; i < pair->samples; i++)
		if (audit->vms[pair->a].group != audit->vms[pair->b].group &&
		    frame_now(&audit->vms[pair->a], pair->sample[i].a) == pair->sample[i].frame &&
		    frame_now(&audit->vms[pair->b], pair->sample[i].b) == pair->sample[i].frame)
			pair->sample[left++] = pair->sample[i];
	pair->samples = left;
}

/* Two VMs of one user that share by a store, and no daemon that was asked knows either. */
static bool is_unasked(const struct audit_vm *a, const struct audit_vm *b,
		       const struct audit_map *map)
{
	return !a->account && !b->account && a->uid == b->uid && map && map->kind == AUDIT_STORE;
}

static void say_pair(struct audit *audit, const struct pair *pair)
{
	const struct audit_vm *a = &audit->vms[pair->a], *b = &audit->vms[pair->b];
	const struct audit_map *map = audit_map_at(a, pair->sample[0].a);
	static const char *const where[] = {
		[AUDIT_ANONYMOUS] = "anonymous memory",
		[AUDIT_MEMFD] = "memory with a name",
		[AUDIT_STORE] = "a store",
		[AUDIT_FILE] = "a file",
	};

	if (is_unasked(a, b, map)) {
		audit_say(
			audit, "frames", AUDIT_UNKNOWN,
			json_pack("[i, i]", (int)a->pid, (int)b->pid), pair->frames,
			"give --runtime-dir DIR of their daemon",
			"%s and %s share by a daemon that was not asked, or has gone: whether they "
			"may is not known",
			a->name, b->name);
		return;
	}
	audit_say(audit, "frames", AUDIT_VIOLATION, json_pack("[i, i]", (int)a->pid, (int)b->pid),
		  pair->frames,
		  pair->ksm ? "as root: echo 2 > /sys/kernel/mm/ksm/run" :
			      "end one of the two, and tell us how it came about (SECURITY.md)",
		  "%s (process %d, user %u) and %s (process %d, user %u) may not share and have "
		  "%llu frames in common%s: frame %#llx, in %s at %#llx and %#llx",
		  a->name, (int)a->pid, a->uid, b->name, (int)b->pid, b->uid,
		  (unsigned long long)pair->frames, pair->ksm ? ", merged by KSM" : "",
		  (unsigned long long)pair->sample[0].frame, map ? where[map->kind] : "memory",
		  (unsigned long long)pair->sample[0].a, (unsigned long long)pair->sample[0].b);
}

/* How many pairs have crossed. */
static uint64_t say_crossed(struct audit *audit, struct pairs *pairs)
{
	uint64_t crossed = 0;

	if (pairs->count) /* a setting may have let them meet meanwhile */
		audit_read_books(audit);
	for (int look = 0; pairs->count && look < LOOKS; look++) {
		sys_sleep_ms(LOOK_AGAIN_MS);
		for (size_t i = 0; i < pairs->count; i++)
			look_again(audit, &pairs->at[i]);
	}
	for (size_t i = 0; i < pairs->count; i++)
		if (pairs->at[i].samples) {
			say_pair(audit, &pairs->at[i]);
			crossed++;
		}
	return crossed;
}

int audit_frames(struct audit *audit)
{
	struct pages pages = {0};
	struct pairs pairs = {0};
	int r = read_all(audit, &pages);

	if (!r) {
		qsort(pages.at, pages.count, sizeof(*pages.at), by_key);
		judge_all(audit, &pages, &pairs);
		if (!say_crossed(audit, &pairs))
			audit_say(
				audit, "frames", AUDIT_OK, NULL, audit->frames_common, NULL,
				"no frame is mapped by VMs that may not share; %llu by VMs that may",
				(unsigned long long)audit->frames_common);
		if (pairs.lost)
			audit_say(
				audit, "frames", AUDIT_UNKNOWN, NULL, pairs.lost, NULL,
				"more pairs of VMs have frames in common than could be looked at");
	}
	free(pages.at);
	free(pairs.at);
	return r;
}
