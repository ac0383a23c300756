/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/entitle.h"
#include "policy/test-random.h"

#define MB 256ull /* pages */
#define VMS 12u

static const struct idle_tax flat = {75, false}, rising = {75, true}, none = {0, false};

TEST("shares are 5, 10 and 20 for each MB of a VM, or a number")
{
	CHECK_EQ(entitle_shares(SHARES_LOW, 512), 2560);
	CHECK_EQ(entitle_shares(SHARES_NORMAL, 512), 5120);
	CHECK_EQ(entitle_shares(SHARES_HIGH, 512), 10240);
	CHECK_EQ(entitle_shares(777, 512), 777);
	CHECK_EQ(entitle_shares(SHARES_NORMAL, 0), 1);
	CHECK_EQ(entitle_shares(SHARES_HIGH, UINT64_MAX), SHARES_MAX);
}

TEST("with a tax of 75 % an idle page costs four times an active one")
{
	CHECK_EQ(entitle_cost(100, 100, &flat), 100.0);
	CHECK_EQ(entitle_cost(100, 0, &flat), 400.0);
	CHECK_EQ(entitle_cost(100, 50, &flat), 250.0);
	CHECK_EQ(entitle_cost(100, 0, &none), 100.0);
	CHECK_EQ(entitle_cost(0, 0, &flat), 0.0);
}

TEST("the variable tax is the whole rate where all is idle, and half of it where half is")
{
	struct idle_tax half = {50, true};

	CHECK_EQ(entitle_cost(100, 0, &rising), 400.0);
	CHECK_EQ(entitle_cost(100, 50, &half), 50 + 50 / 0.75);
	CHECK_EQ(entitle_cost(100, 100, &rising), 100.0);
}

/* Two VMs of 256 MB with equal shares in 360 MB, one idle, one busy: the published example. */
TEST("an idle VM gives to a busy one as the tax says, and nothing without a tax")
{
	struct entitle_vm vm[2] = {
		{.shares = 2560, .has = 256 * MB, .active = 0, .max = 256 * MB},
		{.shares = 2560, .has = 256 * MB, .active = 256 * MB, .max = 256 * MB},
	};

	entitle(vm, 2, 360 * MB, &none);
	CHECK_EQ(vm[0].target, 180 * MB);
	CHECK_EQ(vm[1].target, 180 * MB);
	entitle(vm, 2, 360 * MB, &flat);
	CHECK_EQ(vm[0].target, 104 * MB); /* 72 and 288, but 256 is all that it can have */
	CHECK_EQ(vm[1].target, 256 * MB);
	entitle(vm, 2, 300 * MB, &flat);
	CHECK_EQ(vm[0].target, 60 * MB);
	CHECK_EQ(vm[1].target, 240 * MB);
}

TEST("twice the shares give twice the memory where all is in use")
{
	struct entitle_vm vm[2] = {
		{.shares = 1000, .has = 500 * MB, .active = 500 * MB, .max = 500 * MB},
		{.shares = 2000, .has = 500 * MB, .active = 500 * MB, .max = 500 * MB},
	};

	entitle(vm, 2, 300 * MB, &flat);
	CHECK_EQ(vm[0].target, 100 * MB);
	CHECK_EQ(vm[1].target, 200 * MB);
}

TEST("a reservation that was touched is never taken, the rest of it is anybody's")
{
	struct entitle_vm vm[3] = {
		{.shares = 1, .has = 200 * MB, .min = 150 * MB, .max = 512 * MB},
		{.shares = 5000, .has = 300 * MB, .active = 300 * MB, .max = 512 * MB},
		{.shares = 5000, .has = 40 * MB, .min = 400 * MB, .max = 512 * MB},
	};

	entitle(vm, 3, 300 * MB, &flat);
	CHECK_EQ(vm[0].target, 150 * MB);
	CHECK_EQ(vm[1].target, 110 * MB);
	CHECK_EQ(vm[2].target, 40 * MB);
	entitle(vm, 3, 100 * MB, &flat); /* they do not fit: they are kept all the same */
	CHECK_EQ(vm[0].target, 150 * MB);
	CHECK_EQ(vm[1].target, 0);
	CHECK_EQ(vm[2].target, 40 * MB);
}

TEST("where there is enough nobody loses a page, and what is left is split by shares")
{
	struct entitle_vm vm[2] = {
		{.shares = 1000, .has = 100 * MB, .max = 1000 * MB},
		{.shares = 3000, .has = 100 * MB, .max = 1000 * MB},
	};

	entitle(vm, 2, 400 * MB, &flat);
	CHECK_EQ(vm[0].target, 100 * MB);
	CHECK_EQ(vm[1].target, 300 * MB);
	entitle(vm, 2, 4000 * MB, &flat);
	CHECK_EQ(vm[0].target, 1000 * MB);
	CHECK_EQ(vm[1].target, 1000 * MB);
}

TEST("a limit holds where there is plenty")
{
	struct entitle_vm vm = {.shares = 10, .has = 500 * MB, .active = 500 * MB, .max = 200 * MB};

	entitle(&vm, 1, 10000 * MB, &flat);
	CHECK_EQ(vm.target, 200 * MB);
	entitle(&vm, 0, 0, &flat);
}

static struct entitle_vm random_vm(struct rng *rng)
{
	uint64_t size = rng_below(rng, 1u << (1 + rng_below(rng, 20)));
	struct entitle_vm vm = {
		.shares = rng_below(rng, 1u << rng_below(rng, 20)),
		.has = rng_below(rng, size + 1),
		.max = rng_below(rng, 4) ? size : rng_below(rng, size + 1),
		.min = rng_below(rng, 2) ? rng_below(rng, size + 1) : 0,
	};

	vm.active = rng_below(rng, vm.has + 1);
	return vm;
}

static uint64_t kept_of(const struct entitle_vm *vm)
{
	uint64_t kept = vm->min < vm->has ? vm->min : vm->has;

	return kept < vm->max ? kept : vm->max;
}

TEST("whatever the VMs: targets sum to what there is, no reservation is broken, no limit passed")
{
	struct rng rng = {test_seed()};

	for (int round = 0; round < 3000; round++) {
		size_t n = 1 + rng_below(&rng, VMS);
		struct idle_tax tax = {(uint32_t)rng_below(&rng, 100), rng_below(&rng, 2)};
		uint64_t all = 0, kept = 0, sum = 0, pages;
		struct entitle_vm vm[VMS];

		for (size_t i = 0; i < n; i++) {
			vm[i] = random_vm(&rng);
			all += vm[i].max;
			kept += kept_of(&vm[i]);
		}
		pages = rng_below(&rng, all + all / 4 + 2);
		entitle(vm, n, pages, &tax);
		for (size_t i = 0; i < n; i++) {
			sum += vm[i].target;
			CHECK_LE(vm[i].target, vm[i].max);
			CHECK_LE(kept_of(&vm[i]), vm[i].target);
		}
		CHECK_EQ(sum, pages > all ? all : pages < kept ? kept : pages);
	}
}

TEST("whatever the VMs: with more shares, or a larger working set, none gets less")
{
	struct rng rng = {test_seed()};

	for (int round = 0; round < 3000; round++) {
		size_t n = 1 + rng_below(&rng, VMS), who = rng_below(&rng, n);
		struct idle_tax tax = {(uint32_t)rng_below(&rng, 100), rng_below(&rng, 2)};
		struct entitle_vm vm[VMS];
		uint64_t all = 0, before, pages;

		for (size_t i = 0; i < n; i++) {
			vm[i] = random_vm(&rng);
			all += vm[i].max;
		}
		pages = rng_below(&rng, all + 2);
		entitle(vm, n, pages, &tax);
		before = vm[who].target;
		vm[who].shares += 1 + rng_below(&rng, 1u << rng_below(&rng, 20));
		entitle(vm, n, pages, &tax);
		CHECK_LE(before, vm[who].target);
		before = vm[who].target;
		vm[who].active += rng_below(&rng, vm[who].has - vm[who].active + 1);
		entitle(vm, n, pages, &tax);
		CHECK_LE(before, vm[who].target);
	}
}

TEST("where there is enough for all that they have, none is to give anything")
{
	struct rng rng = {test_seed()};

	for (int round = 0; round < 1000; round++) {
		size_t n = 1 + rng_below(&rng, VMS);
		struct entitle_vm vm[VMS];
		uint64_t owned = 0;

		for (size_t i = 0; i < n; i++) {
			vm[i] = random_vm(&rng);
			vm[i].max = vm[i].max > vm[i].has ? vm[i].max : vm[i].has;
			owned += vm[i].has;
		}
		entitle(vm, n, owned + rng_below(&rng, owned + 1), &rising);
		for (size_t i = 0; i < n; i++)
			CHECK_LE(vm[i].has, vm[i].target);
	}
}
