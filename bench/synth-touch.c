/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Touches of shared pages by a paper VM, timed one by one.
 *
 * What is written is what is there already: content stays right, and yet it is a write. So a page
 * that was written is soon equal to its twins again, and shared anew: that is what stalls look at,
 * for whoever replaces a page makes those wait who write to it meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest/model.h"
#include "synth.h"
#include "sys/cleanup.h"

#define TRIES_PER_PAGE 64u
#define PERMILLE 1000u
#define STALL_NS 1e6	   /* a touch that took so long has waited for somebody */
#define ROUND_US 10000000u /* stalls: each page is written once in that time */

/* Up to n pages, none twice, that all VMs have and that are shared now. Returns how many. */
static uint32_t choose(struct synth *s, uint32_t *chosen, uint32_t n)
{
	_cleanup_free_ uint8_t *taken = calloc(s->layout.pages, 1);
	uint64_t tries = (uint64_t)n * TRIES_PER_PAGE;
	uint32_t count = 0;

	while (taken && count < n && tries--) {
		uint32_t page = (uint32_t)(synth_random(s) % s->layout.pages);

		if (taken[page] || !layout_equal(&s->layout, page) ||
		    layout_changes(&s->layout, page) ||
		    !page_is_shared(s->pagemap, synth_page(s, page)))
			continue;
		taken[page] = 1;
		chosen[count++] = page;
	}
	return count;
}

static double touch(struct synth *s, uint32_t page, bool write)
{
	volatile uint64_t *word = (volatile uint64_t *)(void *)synth_page(s, page);

	return write ? touch_write(word, layout_word(&s->layout, page, s->generation[page])) :
		       touch_read(word);
}

int do_touch(struct synth *s, bool write, uint32_t n, unsigned int apart_us, FILE *out)
{
	_cleanup_free_ uint32_t *chosen = calloc(n ? n : 1, sizeof(*chosen));
	struct latency l;

	if (!chosen || latency_init(&l, n) < 0)
		return -ENOMEM;
	n = choose(s, chosen, n);
	tick_ns();
	for (uint32_t i = 0; i < n; i++) {
		spin_ns(apart_us * 1000ull);
		latency_add(&l, touch(s, chosen[i], write));
	}
	latency_print(&l, out);
	latency_deinit(&l);
	return 0;
}

int do_dirty(struct synth *s, uint32_t permille, FILE *out)
{
	uint32_t shared = 0, written = 0;

	for (uint32_t page = 0; page < s->layout.pages; page++) {
		if (!layout_equal(&s->layout, page) ||
		    !page_is_shared(s->pagemap, synth_page(s, page)))
			continue;
		shared++;
		if (model_mix(page) % PERMILLE >= permille)
			continue;
		touch(s, page, true);
		written++;
	}
	fprintf(out, " shared=%u written=%u", shared, written);
	return 0;
}

static void print_stalls(const struct latency *all, FILE *out)
{
	struct latency stalls;

	if (latency_init(&stalls, all->count) < 0)
		return;
	for (size_t i = 0; i < all->count; i++)
		if (all->ns[i] >= STALL_NS)
			latency_add(&stalls, all->ns[i]);
	fprintf(out, " touches=%zu", all->count);
	latency_print(&stalls, out);
	latency_deinit(&stalls);
}

int do_stalls(struct synth *s, unsigned int ms, unsigned int apart_us, FILE *out)
{
	uint32_t n = ROUND_US / (apart_us ? apart_us : 1), count = 0;
	_cleanup_free_ uint32_t *chosen = calloc(n, sizeof(*chosen));
	uint64_t start, next, now;
	struct latency l;

	if (!chosen || latency_init(&l, (size_t)ms * 1000 / (apart_us ? apart_us : 1)) < 0)
		return -ENOMEM;
	n = choose(s, chosen, n);
	tick_ns();
	start = next = now_ns();
	while (n && (now = now_ns()) - start < ms * 1000000ull) {
		if (now < next) {
			usleep((useconds_t)((next - now) / 1000 + 1));
			continue;
		}
		latency_add(&l, touch(s, chosen[count++ % n], true));
		next += apart_us * 1000ull;
	}
	fprintf(out, " pages=%u", n);
	print_stalls(&l, out);
	latency_deinit(&l);
	return 0;
}
