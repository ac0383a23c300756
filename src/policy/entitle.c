/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Min-funding revocation takes a page from the VM that pays least for a page of its own: shares
 * over pages, where an idle page counts k = 1 / (1 - tax) times:
 *
 *	rho = S / (P * (f + k * (1 - f)))	S shares, P pages, f the active part of them
 *
 * Repeated until nobody would give more than another takes, it ends where the p-th page of each VM
 * was worth at least as much to its owner as any that was taken. So the end can be computed at
 * once: page p of a VM is worth S / cost(p), cost(p) = p while p <= active, else
 * active + k * (p - active); of all pages of all VMs the dearest are granted, as many as there are.
 * That is found by halving the price, 64 steps whatever the sizes; pages of the very price at the
 * end go by the order of the VMs. Since each VM's pages are ranked by price alone, more
 * shares move all pages of a VM up in that ranking, and it cannot get less.
 *
 * The flat tax has one k. The variable one rises with the idle part: tax * (1 - active / p), so a
 * VM that is half idle pays half of the rate. (The sources name the behaviour, not the formula.)
 *
 * Two rounds. First what VMs have: nobody is given what he has not yet asked for while another
 * would have to hand it over. If all that fits, the second round splits what is left by shares,
 * without a tax, since nobody's memory is idle there.
 *
 * The reservation protects what was touched of it, idle or not; the part not touched is anybody's.
 */
#include "policy/entitle.h"

#include <string.h>

uint64_t entitle_shares(int64_t set, uint64_t megabytes)
{
	uint64_t per_mb = set == SHARES_LOW  ? SHARES_LOW_PER_MB :
			  set == SHARES_HIGH ? SHARES_HIGH_PER_MB :
					       SHARES_NORMAL_PER_MB;
	uint64_t shares = megabytes < SHARES_MAX ? megabytes * per_mb : SHARES_MAX;

	if (set > 0)
		shares = (uint64_t)set;
	shares = shares < SHARES_MAX ? shares : SHARES_MAX;
	return shares ? shares : 1;
}

double entitle_cost(uint64_t pages, uint64_t active, const struct idle_tax *tax)
{
	double p = (double)pages, a = (double)active, rate;

	if (pages <= active || !tax)
		return p;
	rate = (double)(tax->percent < IDLE_TAX_MAX ? tax->percent : IDLE_TAX_MAX) / 100;
	if (tax->variable)
		rate *= (p - a) / p;
	return a + (p - a) / (1 - rate);
}

/* One round: from floor up to roof, pages in all. */
struct round {
	const struct entitle_vm *vm;
	const struct idle_tax *tax; /* NULL: none */
	bool owned;		    /* the roof is what they have; else their max */
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t floor_of(const struct round *r, const struct entitle_vm *vm)
{
	return r->owned ? least(least(vm->min, vm->has), vm->max) : least(vm->has, vm->max);
}

static uint64_t roof_of(const struct round *r, const struct entitle_vm *vm)
{
	return r->owned ? least(vm->has, vm->max) : vm->max;
}

static double price(const struct round *r, const struct entitle_vm *vm, uint64_t page)
{
	return (double)(vm->shares ? vm->shares : 1) / entitle_cost(page, vm->active, r->tax);
}

/* The pages of a VM that are worth at least so much, its floor among them. */
static uint64_t worth(const struct round *r, const struct entitle_vm *vm, double at_least)
{
	uint64_t low = floor_of(r, vm), high = roof_of(r, vm);

	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (price(r, vm, middle) >= at_least)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Positive doubles are ordered as their bits are. */
static double from_bits(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint64_t to_bits(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static uint64_t sum_worth(const struct round *r, size_t n, double at_least)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += worth(r, &r->vm[i], at_least);
	return sum;
}

static void settle_round(const struct round *r, struct entitle_vm *vm, size_t n, uint64_t pages)
{
	/* low: a price at which they want more than there is; high: one at which they do not */
	uint64_t low = 0, high = to_bits(2.0 * SHARES_MAX), sum = 0;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (sum_worth(r, n, from_bits(middle)) > pages)
			low = middle;
		else
			high = middle;
	}
	for (size_t i = 0; i < n; i++)
		sum += vm[i].target = worth(r, &vm[i], from_bits(high));
	for (size_t i = 0; i < n && sum < pages; i++) {
		uint64_t more = worth(r, &vm[i], from_bits(low));

		more = more > vm[i].target ? least(more - vm[i].target, pages - sum) : 0;
		vm[i].target += more;
		sum += more;
	}
}

void entitle(struct entitle_vm *vm, size_t n, uint64_t pages, const struct idle_tax *tax)
{
	struct round r = {.vm = vm, .tax = tax, .owned = true};
	uint64_t floors = 0, owned = 0, roofs = 0;

	for (size_t i = 0; i < n; i++) {
		floors += floor_of(&r, &vm[i]);
		owned += roof_of(&r, &vm[i]);
		roofs += vm[i].max;
	}
	if (pages >= owned)
		r = (struct round){.vm = vm};
	for (size_t i = 0; i < n; i++)
		vm[i].target = pages >= roofs ? vm[i].max : floor_of(&r, &vm[i]);
	if (pages < roofs && pages > floors)
		settle_round(&r, vm, n, pages);
}
