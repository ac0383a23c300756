/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How few VMs are out, and how many hosts would do: small fleets against every way. */
#include <stdio.h>
#include <stdlib.h>

#include "harness/harness.h"
#include "plan/outcome.h"

#define FLEETS 150u
#define HOSTS 3u
#define VMS 6u
#define MIB ((1u << 20) / PLAN_PAGE)
#define OUT UINT32_MAX

static uint32_t below(uint64_t *state, uint32_t n)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * 2685821657736338717ull >> 32) % n);
}

static void small_fleet(struct plan *plan, uint64_t seed, uint32_t hosts, uint32_t vms)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
	char name[16];

	REQUIRE_OK(plan_init(plan));
	plan->rules.value[FLEETRULE_HOST_RESERVE] = 0;
	plan->rules.value[FLEETRULE_VM_OVERHEAD_MB] = below(&state, 2) * 64;
	for (uint32_t h = 0; h < hosts; h++) {
		snprintf(name, sizeof(name), "h%u", h);
		REQUIRE_EQ(plan_add_host(plan, name), h);
		plan->hosts[h].memory = (1 + below(&state, 8)) * 512 * MIB;
		plan->hosts[h].mode = (uint8_t)below(&state, 3);
	}
	for (uint32_t i = 0; i < vms; i++) {
		struct plan_vm *vm;

		REQUIRE_EQ(plan_add_vm(plan, NULL, below(&state, hosts)), i);
		vm = &plan->vms[i];
		vm->size = (1 + below(&state, 7)) * 256 * MIB;
		vm->touched = vm->size / (1 + below(&state, 2));
		vm->self = below(&state, 3) ? 0 : vm->touched / 8;
		vm->salt = below(&state, 4) ? below(&state, 2) : PLAN_NONE;
		for (uint32_t k = 1; k <= 2; k++)
			REQUIRE_OK(plan_add_part(plan, k, below(&state, vm->touched / 3)));
	}
	REQUIRE_OK(plan_finish(plan));
}

/* ---- every way ----------------------------------------------------------------------------- */

/* What the VMs that are on a host take, by comparing all their parts. */
static double used_on(const struct plan *plan, const uint32_t *on, uint32_t h, unsigned int mode,
		      enum plan_basis basis)
{
	double used = 0;

	for (uint32_t i = 0; i < plan->nvms; i++) {
		const struct plan_vm *vm = &plan->vms[i];

		if (on[i] != h)
			continue;
		used += plan_size(plan, vm, basis);
		for (uint32_t k = 0; k < vm->nparts && basis == PLAN_WITH; k++) {
			float own = plan->parts[vm->part + k].pages, most = 0;

			for (uint32_t j = 0; j < i; j++)
				if (on[j] == h &&
				    plan_domain(plan, i, mode) == plan_domain(plan, j, mode) &&
				    plan->parts[plan->vms[j].part + k].pages > most)
					most = plan->parts[plan->vms[j].part + k].pages;
			used -= (double)(own < most ? own : most);
		}
	}
	return used;
}

struct every {
	const struct plan *plan;
	const double *capacity; /* 0: gone */
	enum plan_basis basis;
	bool full[HOSTS]; /* VMs that stay there are too many */
};

static uint32_t stays_on(const struct every *e, uint32_t vm)
{
	uint32_t host = e->plan->vms[vm].host;

	return host < HOSTS && e->capacity[host] > 0 ? host : OUT;
}

/* The fewest that are out, of VMs that all have to leave this host (or all the others, OUT), among
 * all ways to put each on a host that may have it or on none. */
static uint64_t fewest(const struct every *e, uint32_t leaving)
{
	uint64_t ways = 1, best = VMS + 1;

	for (uint32_t i = 0; i < e->plan->nvms; i++)
		ways *= HOSTS + 1;
	for (uint64_t way = 0; way < ways; way++) {
		uint32_t on[VMS];
		uint64_t rest = way, out = 0;
		bool good = true;

		for (uint32_t i = 0; i < e->plan->nvms; i++, rest /= HOSTS + 1) {
			uint32_t to = (uint32_t)(rest % (HOSTS + 1)), stays = stays_on(e, i);

			on[i] = to == HOSTS ? OUT : to;
			if (stays != leaving)
				good &= on[i] == stays;
			else if (leaving != OUT)
				good &= on[i] == OUT || on[i] == leaving;
			else
				good &= on[i] == OUT || (e->capacity[to] > 0 && !e->full[to]);
			out += stays == leaving && on[i] == OUT;
		}
		for (uint32_t h = 0; h < HOSTS && good && out < best; h++)
			if (leaving == OUT ? e->capacity[h] > 0 && !e->full[h] : h == leaving)
				good = used_on(e->plan, on, h, e->plan->hosts[h].mode, e->basis) <=
				       e->capacity[h];
		if (good && out < best)
			best = out;
	}
	return best;
}

static uint64_t out_by_every_way(const struct plan *plan, const double *capacity,
				 enum plan_basis basis)
{
	struct every e = {plan, capacity, basis, {false}};
	uint64_t gone = 0;

	for (uint32_t h = 0; h < HOSTS; h++) {
		uint64_t some = capacity[h] > 0 ? fewest(&e, h) : 0;

		e.full[h] = some > 0;
		gone += some;
	}
	return gone + fewest(&e, OUT);
}

static void take_largest(const struct plan *plan, uint32_t fail, double *capacity)
{
	for (uint32_t h = 0; h < HOSTS; h++)
		capacity[h] = (double)plan->hosts[h].usable;
	for (; fail; fail--) {
		uint32_t largest = 0;

		for (uint32_t h = 1; h < HOSTS; h++)
			if (capacity[h] > capacity[largest])
				largest = h;
		capacity[largest] = 0;
	}
}

TEST("as few VMs are out as trying every way says, today and when hosts fail")
{
	unsigned int none = 0, some = 0;

	for (uint64_t seed = 1; seed <= FLEETS; seed++) {
		struct plan_case what = {.fail = (uint32_t)(seed % 3)};
		double capacity[HOSTS];
		struct plan_need need;
		struct plan plan;

		small_fleet(&plan, seed, HOSTS, VMS - seed % 2);
		take_largest(&plan, what.fail, capacity);
		REQUIRE_OK(plan_need_count(&plan, &what, &need));
		for (int basis = 0; basis < PLAN_BASES; basis++) {
			uint64_t out = out_by_every_way(&plan, capacity, (enum plan_basis)basis);

			if (need.homeless[basis] != out)
				NOTE_FAIL("fleet %llu, %u failed, basis %d: %llu out, not %llu",
					  (unsigned long long)seed, what.fail, basis,
					  (unsigned long long)need.homeless[basis],
					  (unsigned long long)out);
			none += out == 0;
			some += out > 0;
		}
		plan_free(&plan);
	}
	CHECK_GT(none, FLEETS / 3);
	CHECK_GT(some, FLEETS);
}

static void never_more_out(uint32_t hosts, uint32_t vms, uint64_t seed)
{
	struct plan_case what = {.fail = (uint32_t)(seed % 3), .add = seed % 4};
	uint64_t last[PLAN_BASES] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};

	for (uint32_t more = 0; more < 24; more++) {
		struct plan_need need;
		struct plan plan;

		small_fleet(&plan, seed, hosts, vms);
		for (uint32_t h = 0; h < hosts; h++) /* one after the other gets more */
			plan.hosts[h].memory += (more + hosts - 1 - h) / hosts * 100 * MIB;
		REQUIRE_OK(plan_finish(&plan));
		REQUIRE_OK(plan_need_count(&plan, &what, &need));
		for (int basis = 0; basis < PLAN_BASES; basis++) {
			if (need.homeless[basis] > last[basis])
				NOTE_FAIL("fleet %llu, step %u, basis %d: %llu out, %llu before",
					  (unsigned long long)seed, more, basis,
					  (unsigned long long)need.homeless[basis],
					  (unsigned long long)last[basis]);
			last[basis] = need.homeless[basis];
		}
		plan_free(&plan);
	}
}

TEST("more memory never has more VMs out")
{
	for (uint64_t seed = 1; seed <= FLEETS; seed++)
		never_more_out(HOSTS, VMS, seed);
	for (uint64_t seed = 1; seed <= FLEETS / 10; seed++)
		never_more_out(4 + (uint32_t)(seed % 5), 12 + (uint32_t)(seed % 20), seed);
}

/* ---- hosts --------------------------------------------------------------------------------- */

#define BUYABLE (HOSTS + 2u)
#define FEW_VMS 4u

/* The fleet's hosts, and some more of the kind of which there are most, of those the largest. */
struct shop {
	double capacity[BUYABLE];
	unsigned int mode[BUYABLE];
};

static void fill_shop(const struct plan *plan, struct shop *shop)
{
	uint32_t best = 0, most = 0;

	for (uint32_t h = 0; h < HOSTS; h++) {
		const struct plan_host *host = &plan->hosts[h], *kept = &plan->hosts[best];
		uint32_t same = 0;

		for (uint32_t i = 0; i < HOSTS; i++)
			same += plan->hosts[i].usable == host->usable &&
				plan->hosts[i].mode == host->mode;
		if (same > most ||
		    (same == most && (host->usable > kept->usable ||
				      (host->usable == kept->usable && host->mode < kept->mode)))) {
			most = same;
			best = h;
		}
	}
	for (uint32_t h = 0; h < BUYABLE; h++) {
		shop->capacity[h] = (double)plan->hosts[h < HOSTS ? h : best].usable;
		shop->mode[h] = plan->hosts[h < HOSTS ? h : best].mode;
	}
}

/* Can the VMs live on these hosts? */
static bool all_fit(const struct plan *plan, const struct shop *shop, uint32_t set,
		    enum plan_basis basis)
{
	uint64_t ways = 1;

	for (uint32_t i = 0; i < plan->nvms; i++)
		ways *= BUYABLE;
	for (uint64_t way = 0; way < ways; way++) {
		uint32_t on[FEW_VMS];
		uint64_t rest = way;
		bool good = true;

		for (uint32_t i = 0; i < plan->nvms; i++, rest /= BUYABLE) {
			on[i] = (uint32_t)(rest % BUYABLE);
			good &= set >> on[i] & 1;
		}
		for (uint32_t h = 0; h < BUYABLE && good; h++)
			good = used_on(plan, on, h, shop->mode[h], basis) <= shop->capacity[h];
		if (good)
			return true;
	}
	return false;
}

/* The smallest number of hosts whose rest suffices when the largest of them fail; 0: none does. */
static uint32_t fewest_hosts(const struct plan *plan, uint32_t fail, enum plan_basis basis)
{
	struct shop shop;
	uint32_t best = 0;

	fill_shop(plan, &shop);
	for (uint32_t set = 1; set < 1u << BUYABLE; set++) {
		uint32_t n = (uint32_t)__builtin_popcount(set), left = set;

		if (n <= fail || (best && n >= best))
			continue;
		for (uint32_t i = 0; i < fail; i++) {
			uint32_t largest = OUT;

			for (uint32_t h = 0; h < BUYABLE; h++)
				if (left >> h & 1 &&
				    (largest == OUT || shop.capacity[h] > shop.capacity[largest]))
					largest = h;
			left &= ~(1u << largest);
		}
		if (all_fit(plan, &shop, left, basis))
			best = n;
	}
	return best;
}

TEST("no fewer hosts are said to do than trying every set of them says")
{
	unsigned int same = 0, more = 0;

	for (uint64_t seed = 1; seed <= FLEETS; seed++) {
		struct plan_case what = {.fail = (uint32_t)(seed % 2)};
		struct plan_need need;
		struct plan plan;

		small_fleet(&plan, seed, HOSTS, FEW_VMS);
		REQUIRE_OK(plan_need_count(&plan, &what, &need));
		for (int basis = 0; basis < PLAN_BASES; basis++) {
			uint32_t least = fewest_hosts(&plan, what.fail, (enum plan_basis)basis);

			if (!need.homeless[basis])
				CHECK(need.needed[basis] <= need.hosts + what.fail);
			if (!least) /* it takes more than there are in this shop */
				continue;
			if (need.needed[basis] < least)
				NOTE_FAIL("fleet %llu, %u failed, basis %d: %u hosts, not %u",
					  (unsigned long long)seed, what.fail, basis,
					  need.needed[basis], least);
			same += need.needed[basis] == least;
			more += need.needed[basis] > least;
		}
		plan_free(&plan);
	}
	CHECK_GT(same, 3 * more); /* largest first, packed in one way: one more at times */
}

/* The fleet with its hosts named in another order. */
static void turn(struct plan *plan, uint32_t by)
{
	struct plan_host hosts[HOSTS];

	for (uint32_t h = 0; h < HOSTS; h++)
		hosts[(h + by) % HOSTS] = plan->hosts[h];
	memcpy(plan->hosts, hosts, sizeof(hosts));
	for (uint32_t i = 0; i < plan->nvms; i++)
		plan->vms[i].host = (plan->vms[i].host + by) % HOSTS;
	REQUIRE_OK(plan_finish(plan));
}

TEST("how many hosts would do does not depend on the order in which they are named")
{
	for (uint64_t seed = 1; seed <= FLEETS; seed++) {
		struct plan_case what = {.fail = (uint32_t)(seed % 2)};
		struct plan_need first, other;
		struct plan plan;

		small_fleet(&plan, seed, HOSTS, VMS);
		REQUIRE_OK(plan_need_count(&plan, &what, &first));
		for (uint32_t by = 1; by < HOSTS; by++) {
			turn(&plan, 1);
			REQUIRE_OK(plan_need_count(&plan, &what, &other));
			for (int basis = 0; basis < PLAN_BASES; basis++)
				CHECK_EQ(other.needed[basis], first.needed[basis]);
		}
		plan_free(&plan);
	}
}
