/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Admission by hand-worked cases, by properties, and packing against every way there is. */
#include "harness/harness.h"
#include "policy/admission.h"
#include "policy/test-random.h"

#define GIB (1ull << 30)
#define MANY 64

static uint64_t slots[MANY];
static uint32_t order[MANY];

static struct admission_verdict judge(const struct admission_host *hosts, uint32_t nhosts,
				      const struct admission_vm *vms, uint32_t nvms,
				      struct admission_vm vm, struct admission_rules rules)
{
	struct admission_verdict v;

	admission_judge(hosts, nhosts, vms, nvms, &vm, &rules, slots, order, &v);
	return v;
}

/* Three hosts of 9, 9 and 6 GiB, a VM of 2 GiB and two of 1: the worked example of the manual. */
static const struct admission_host three[] = {{.memory = 9 * GIB},
					      {.memory = 9 * GIB},
					      {.memory = 6 * GIB}};
static const struct admission_vm few[] = {{0, 2 * GIB, GIB}, {1, GIB, 0}, {2, GIB, 0}};

TEST("slots: 4 + 4 + 3 of 2 GiB; with the largest host gone 7 are left, for 7 VMs and no eighth")
{
	struct admission_rules rules = {.policy = ADMISSION_SLOTS, .failures = 1};
	struct admission_vm vms[8] = {{0, 2 * GIB, 0}, {1, GIB, 0}, {2, GIB, 0}, {0, GIB, 0},
				      {1, GIB, 0},     {2, GIB, 0}, {0, GIB, 0}};
	struct admission_verdict v = judge(three, 3, vms, 6, vms[6], rules);

	CHECK_EQ(v.answer, ADMISSION_YES);
	CHECK_EQ(v.slot, 2 * GIB);
	CHECK_EQ(v.slots_left, 7u);
	CHECK_EQ(v.slots_needed, 7u);
	CHECK_EQ(v.failures_tolerated, 1u);
	v = judge(three, 3, vms, 7, (struct admission_vm){1, GIB, 0}, rules);
	CHECK_EQ(v.answer, ADMISSION_NO_FAILOVER);
	CHECK_EQ(v.slots_needed, 8u);
	rules.failures = 0;
	CHECK_EQ(judge(three, 3, vms, 7, vms[6], rules).answer, ADMISSION_YES);
}

TEST("slots: one large VM makes all slots large; a cap on slots has it take several")
{
	struct admission_rules rules = {.policy = ADMISSION_SLOTS, .failures = 1};
	struct admission_vm large = {0, 6 * GIB, 0};
	struct admission_verdict v = judge(three, 3, few, 3, large, rules);

	CHECK_EQ(v.slot, 6 * GIB); /* 1 + 1 + 1 slots, one host gone: 2, for 4 VMs */
	CHECK_EQ(v.slots_left, 2u);
	CHECK_EQ(v.answer, ADMISSION_NO_FAILOVER);
	rules.slot_max = GIB; /* 9 + 9 + 6, one gone: 15; needed 2 + 1 + 1 + 6 */
	v = judge(three, 3, few, 3, large, rules);
	CHECK_EQ(v.slots_left, 15u);
	CHECK_EQ(v.slots_needed, 10u);
	CHECK_EQ(v.answer, ADMISSION_YES);
}

TEST("percent: of 24 GiB a quarter stays unused: up to 18 GiB, and not a byte more")
{
	struct admission_rules rules = {.policy = ADMISSION_PERCENT, .percent = 25};
	struct admission_vm vms[] = {{0, 4 * GIB, 0}, {1, 8 * GIB, 0}, {2, 2 * GIB, 0}};

	CHECK_EQ(judge(three, 3, vms, 3, (struct admission_vm){0, 4 * GIB, 0}, rules).answer,
		 ADMISSION_YES);
	CHECK_EQ(judge(three, 3, vms, 3, (struct admission_vm){0, 4 * GIB + 1, 0}, rules).answer,
		 ADMISSION_NO_FAILOVER);
}

TEST("dedicated: nothing starts on a standby host, and one host must fit on the standby ones")
{
	struct admission_host hosts[] = {
		{.memory = 9 * GIB}, {.memory = 9 * GIB}, {.memory = 6 * GIB, .failover = true}};
	struct admission_rules rules = {.policy = ADMISSION_DEDICATED};
	struct admission_verdict v;

	CHECK_EQ(judge(hosts, 3, few, 2, (struct admission_vm){2, GIB, 0}, rules).answer,
		 ADMISSION_STANDBY);
	CHECK_EQ(judge(hosts, 3, few, 2, (struct admission_vm){0, 4 * GIB, 0}, rules).answer,
		 ADMISSION_YES);
	CHECK_EQ(judge(hosts, 3, few, 2, (struct admission_vm){0, 5 * GIB, 0}, rules).answer,
		 ADMISSION_NO_FAILOVER);
	/* 1 GiB runs on the standby host already */
	v = judge(hosts, 3, few, 3, (struct admission_vm){0, 4 * GIB, 0}, rules);
	CHECK_EQ(v.answer, ADMISSION_NO_FAILOVER);
	CHECK_EQ(v.failover_needed, 6 * GIB);
	CHECK_EQ(v.failover_left, 5 * GIB);
	hosts[2].out = true;
	v = judge(hosts, 3, few, 2, (struct admission_vm){0, GIB, 0}, rules);
	CHECK_EQ(v.answer, ADMISSION_NO_FAILOVER);
	CHECK_EQ(v.failover_left, 0u);
}

TEST("sharing counts for nothing, unless the rules say how much of it does")
{
	struct admission_rules rules = {.policy = ADMISSION_PERCENT, .percent = 0};
	struct admission_vm vm = {0, 8 * GIB, 4 * GIB};

	CHECK_EQ(admission_size(&vm, &rules), 8 * GIB);
	rules.count_sharing = 50;
	CHECK_EQ(admission_size(&vm, &rules), 6 * GIB);
	rules.vm_min = 7 * GIB;
	CHECK_EQ(admission_size(&vm, &rules), 7 * GIB);
	vm.saved = 100 * GIB; /* what a host claims is no more than there is */
	rules.vm_min = 0;
	rules.count_sharing = 100;
	CHECK_EQ(admission_size(&vm, &rules), 0u);
}

TEST("a host without room refuses whatever the policy says; one that is out counts for nothing")
{
	struct admission_host hosts[] = {
		{.memory = 2 * GIB}, {.memory = 90 * GIB}, {.memory = GIB}};
	struct admission_rules rules = {.policy = ADMISSION_PERCENT, .percent = 10};
	struct admission_vm vms[] = {{0, GIB, 0}, {1, 30 * GIB, 0}};
	struct admission_verdict v =
		judge(hosts, 3, vms, 2, (struct admission_vm){0, GIB + 1, 0}, rules);

	CHECK_EQ(v.answer, ADMISSION_NO_ROOM);
	CHECK_EQ(v.host_used, 2 * GIB + 1);
	CHECK_EQ(v.memory, 93 * GIB);
	hosts[1].out = true;
	v = judge(hosts, 3, vms, 2, (struct admission_vm){0, GIB, 0}, rules);
	CHECK_EQ(v.memory, 3 * GIB);
	CHECK_EQ(v.used, 2 * GIB);
	CHECK_EQ(v.hosts, 2u);
	CHECK_EQ(v.free_permille, 333u);
}

/* ---- properties ---------------------------------------------------------------------------- */

struct fleet {
	struct admission_host hosts[6];
	struct admission_vm vms[12];
	uint32_t nhosts, nvms;
	struct admission_rules rules;
};

static struct fleet random_fleet(struct rng *seed)
{
	struct fleet f = {.nhosts = 1 + (uint32_t)rng_below(seed, 6),
			  .nvms = (uint32_t)rng_below(seed, 12)};

	for (uint32_t h = 0; h < f.nhosts; h++)
		f.hosts[h] = (struct admission_host){
			.memory = (1 + (uint32_t)rng_below(seed, 32)) * GIB,
			.out = !(uint32_t)rng_below(seed, 8),
			.failover = !(uint32_t)rng_below(seed, 4),
		};
	for (uint32_t i = 0; i < f.nvms; i++) {
		f.vms[i].host = (uint32_t)rng_below(seed, f.nhosts);
		f.vms[i].bytes = (1 + (uint32_t)rng_below(seed, 64)) * (GIB / 8);
		f.vms[i].saved = (uint32_t)rng_below(seed, 9) * (f.vms[i].bytes / 8);
	}
	f.rules = (struct admission_rules){
		.policy = (enum admission_policy)(uint32_t)rng_below(seed, 3),
		.failures = (uint32_t)rng_below(seed, 3),
		.percent = (uint32_t)rng_below(seed, 60),
		.slot_max = (uint32_t)rng_below(seed, 2) * 2 * GIB,
		.vm_min = (uint32_t)rng_below(seed, 2) * GIB,
		.count_sharing = (uint32_t)rng_below(seed, 101),
	};
	return f;
}

static bool admits(const struct fleet *f, struct admission_vm vm)
{
	return judge(f->hosts, f->nhosts, f->vms, f->nvms, vm, f->rules).answer == ADMISSION_YES;
}

TEST("more memory, more sharing counted, fewer failures never refuse what was admitted before")
{
	struct rng seed = {test_seed()};

	for (int round = 0; round < 20000; round++) {
		struct fleet f = random_fleet(&seed), more = f;
		struct admission_vm vm = {(uint32_t)rng_below(&seed, f.nhosts), GIB, 0};

		if (!admits(&f, vm))
			continue;
		more.hosts[(uint32_t)rng_below(&seed, f.nhosts)].memory += GIB;
		CHECK(admits(&more, vm));
		more = f;
		more.rules.percent /= 2;
		more.rules.failures /= 2;
		CHECK(admits(&more, vm));
		more = f;
		if (f.nvms)
			more.vms[(uint32_t)rng_below(&seed, f.nvms)] = more.vms[--more.nvms];
		CHECK(admits(&more, vm));
		vm.bytes /= 2;
		if (f.rules.policy == ADMISSION_PERCENT)
			CHECK(admits(&f, vm));
	}
}

/* ---- packing ------------------------------------------------------------------------------- */

/* The fewest VMs that find no place, by every way there is. */
static uint32_t fewest_homeless(uint64_t *free, uint32_t nhosts, const uint64_t *size, uint32_t n)
{
	uint32_t best;

	if (!n)
		return 0;
	best = 1 + fewest_homeless(free, nhosts, size + 1, n - 1);
	for (uint32_t h = 0; h < nhosts && best; h++) {
		uint32_t found;

		if (free[h] < size[0])
			continue;
		free[h] -= size[0];
		found = fewest_homeless(free, nhosts, size + 1, n - 1);
		free[h] += size[0];
		if (found < best)
			best = found;
	}
	return best;
}

TEST("what fits is found to fit, as by every way there is, and no host is overfull")
{
	struct rng seed = {test_seed()};

	for (int round = 0; round < 3000; round++) {
		uint32_t nhosts = 1 + (uint32_t)rng_below(&seed, 3),
			 n = (uint32_t)rng_below(&seed, 8), homeless;
		uint64_t free[3], left[3], size[8];
		uint32_t place[8];

		for (uint32_t h = 0; h < nhosts; h++)
			left[h] = free[h] = (uint32_t)rng_below(&seed, 20);
		for (uint32_t i = 0; i < n; i++)
			size[i] = 1 + (uint32_t)rng_below(&seed, 9);
		homeless = admission_fit(left, nhosts, size, n, order, place);
		CHECK_EQ(homeless == 0, fewest_homeless(free, nhosts, size, n) == 0);
		for (uint32_t i = 0; i < n; i++) {
			homeless -= place[i] == ADMISSION_NOWHERE;
			if (place[i] == ADMISSION_NOWHERE)
				continue;
			REQUIRE_LT(place[i], nhosts);
			REQUIRE_GE(free[place[i]], size[i]);
			free[place[i]] -= size[i];
		}
		CHECK_EQ(homeless, 0u);
		CHECK_MEM(free, left, nhosts * sizeof(*free));
	}
}

TEST("a thousand VMs on a hundred hosts are placed at once, or said not to fit")
{
	static uint64_t free[100], size[1000];
	static uint32_t place[1000], orders[1000];

	for (int h = 0; h < 100; h++)
		free[h] = 100;
	for (int i = 0; i < 1000; i++)
		size[i] = 10;
	CHECK_EQ(admission_fit(free, 100, size, 1000, orders, place), 0u);
	for (int h = 0; h < 100; h++)
		free[h] = 99;
	CHECK_EQ(admission_fit(free, 100, size, 1000, orders, place), 100u);
}
