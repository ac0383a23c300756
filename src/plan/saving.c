/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three times, once for each setting, the VMs of a host are put together by the domains that the
 * setting makes. Inside salts is what setting 2 saves; across them what setting 0 saves more.
 *
 * The error: a sketch has each page with a chance of 1/w and lets it stand for w. What a page of it
 * adds to the saving is c = (what its members would need alone) - (what they need together), and
 * the variance of the sum of such estimates is estimated by the sum of c^2 (1 - 1/w). Hosts are
 * sampled by one hash, so that their errors may go the same way: in a sum of hosts they are added
 * up, which is too careful, never too bold.
 */
#include "plan/saving.h"

#include <math.h>
#include <string.h>

#include "plan/books.h"

static double error_of(const struct plan_books *books)
{
	double variance = 0;

	for (size_t i = 0; i < books->room; i++) {
		const struct plan_entry *entry = &books->slots[i];
		double c = (double)entry->sum - (double)entry->pages;

		if ((entry->part & PLAN_SAMPLE) && entry->members > 1)
			variance += c * c * (1 - 1 / (double)entry->pages);
	}
	return sqrt(variance > 0 ? variance : 0);
}

static int count_mode(const struct plan *plan, uint32_t h, unsigned int mode,
		      struct plan_books *books, struct plan_saving *saving)
{
	plan_books_clear(books);
	for (uint32_t at = plan->first[h]; at < plan->first[h + 1]; at++) {
		const struct plan_vm *vm = &plan->vms[plan->by_host[at]];
		double saved = 0;
		int r = plan_books_join(books, h, plan_domain(plan, plan->by_host[at], mode),
					plan->parts + vm->part, vm->nparts, &saved);

		if (r)
			return r;
		saving->between[mode] += saved;
	}
	saving->error[mode] = error_of(books);
	return 0;
}

static int count_host(const struct plan *plan, uint32_t h, struct plan_books *books,
		      struct plan_saving *saving)
{
	int r = 0;

	*saving = (struct plan_saving){.vms = plan->first[h + 1] - plan->first[h]};
	for (uint32_t at = plan->first[h]; at < plan->first[h + 1]; at++) {
		saving->touched += plan->vms[plan->by_host[at]].touched;
		saving->self += plan->vms[plan->by_host[at]].self;
	}
	for (unsigned int mode = 0; mode < PLAN_MODES && !r; mode++)
		r = count_mode(plan, h, mode, books, saving);
	saving->now = saving->between[plan->hosts[h].mode];
	return r;
}

int plan_saving_count(const struct plan *plan, struct plan_saving *each, struct plan_saving *all)
{
	struct plan_books books = {0};
	int r = plan_books_init(&books, 256);

	*all = (struct plan_saving){0};
	for (uint32_t h = 0; h < plan->nhosts && !r; h++) {
		r = count_host(plan, h, &books, &each[h]);
		if (r || plan->hosts[h].state == PLAN_AWAY)
			continue;
		all->vms += each[h].vms;
		all->touched += each[h].touched;
		all->self += each[h].self;
		all->now += each[h].now;
		for (unsigned int mode = 0; mode < PLAN_MODES; mode++) {
			all->between[mode] += each[h].between[mode];
			all->error[mode] += each[h].error[mode];
		}
	}
	plan_books_free(&books);
	return r;
}
