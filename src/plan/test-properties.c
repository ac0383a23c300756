/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What has to hold of every fleet, on many made-up ones; and small ones against every way. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/harness.h"
#include "plan/generate.h"
#include "plan/outcome.h"

#define FLEETS 60u
#define SMALL_VMS 6u
#define SMALL_HOSTS 3u
#define GIB ((1u << 30) / PLAN_PAGE)

static void fleet(struct plan *plan, uint64_t hosts, uint64_t vms, uint64_t seed, uint64_t memory)
{
	struct plan_generate what = {hosts, vms, seed, memory};

	REQUIRE_OK(plan_init(plan));
	REQUIRE_OK(plan_generate(plan, &what));
	/* small fleets are to have few tenants, so that there is something to share */
	for (uint32_t i = 0; i < plan->nvms; i++) {
		plan->vms[i].salt = plan->vms[i].salt == PLAN_NONE ? PLAN_NONE :
								     (uint32_t)((i * 7 + seed) % 3);
		plan->parts[plan->vms[i].part].id = 1 + (uint32_t)((i + seed) % 4);
	}
	REQUIRE_OK(plan_finish(plan));
}

static void check_need(const struct plan_need *need)
{
	static const enum plan_basis order[] = {PLAN_WITH, PLAN_ALONE, PLAN_WITHOUT, PLAN_WHOLE};

	for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++) {
		enum plan_basis less = order[i - 1], more = order[i];

		CHECK(need->used[less] <= need->used[more]);
		CHECK(need->homeless[less] <= need->homeless[more]);
		CHECK(need->needed[less] <= need->needed[more]);
	}
}

TEST("to switch sharing off never saves: not memory, not a host, not a place for a VM")
{
	for (uint64_t seed = 1; seed <= FLEETS; seed++) {
		struct plan_question question = {seed % 5, seed % 3, NULL};
		struct plan_outcome out;
		struct plan plan;

		fleet(&plan, 3 + seed % 6, 10 + seed * 3, seed, 64 * GIB);
		REQUIRE_OK(plan_work_out(&plan, &question, &out));
		for (uint32_t i = 0; i < out.ncases; i++)
			check_need(&out.cases[i].need);
		CHECK(out.all.between[0] >= out.all.between[1]);
		CHECK(out.all.between[1] >= out.all.between[2]);
		CHECK(out.all.between[2] >= 0);
		CHECK(out.gain >= 0);
		plan_outcome_free(&out);
		plan_free(&plan);
	}
}

TEST("more memory never fits fewer VMs")
{
	for (uint64_t seed = 1; seed <= FLEETS; seed++) {
		uint64_t last[PLAN_BASES] = {0}, more[PLAN_BASES];

		for (uint64_t memory = 32; memory <= 96; memory += 4) {
			struct plan plan;

			fleet(&plan, 5, 20, seed, memory * GIB);
			REQUIRE_OK(plan_room_for_more(&plan, 1000, (uint32_t)(seed % 3), more));
			for (int basis = 0; basis < PLAN_BASES; basis++) {
				CHECK(more[basis] >= last[basis]);
				last[basis] = more[basis];
			}
			plan_free(&plan);
		}
	}
}

/* ---- every way, of small fleets ------------------------------------------------------------ */

/* Pages saved between VMs if VM i lives on host (way / hosts^i) % hosts; below 0: it does not fit.
 * Counted anew, in the dullest way: by comparing all parts. */
static double saved_by(const struct plan *plan, uint64_t way, enum plan_basis basis)
{
	uint32_t host[SMALL_VMS];
	double saved = 0;

	for (uint32_t i = 0; i < plan->nvms; i++, way /= plan->nhosts)
		host[i] = (uint32_t)(way % plan->nhosts);
	for (uint32_t h = 0; h < plan->nhosts; h++) {
		double used = 0, here = 0;

		for (uint32_t i = 0; i < plan->nvms; i++) {
			const struct plan_vm *vm = &plan->vms[i];

			if (host[i] != h)
				continue;
			used += plan_size(plan, vm, basis == PLAN_WITH ? PLAN_ALONE : basis);
			/* of each part, what an earlier VM of the domain has of it too */
			for (uint32_t k = 0; k < vm->nparts && basis == PLAN_WITH; k++) {
				float most = 0, own = plan->parts[vm->part + k].pages;

				for (uint32_t j = 0; j < i; j++) {
					const struct plan_vm *other = &plan->vms[j];

					if (host[j] != h ||
					    plan_domain(plan, i, plan->hosts[h].mode) !=
						    plan_domain(plan, j, plan->hosts[h].mode))
						continue;
					for (uint32_t m = 0; m < other->nparts; m++)
						if (plan->parts[other->part + m].id ==
						    plan->parts[vm->part + k].id)
							most = fmaxf(
								most,
								plan->parts[other->part + m].pages);
				}
				here += (double)fminf(most, own);
			}
		}
		if (used - here > (double)plan->hosts[h].usable)
			return -1;
		saved += here;
	}
	return saved;
}

static double best_way(const struct plan *plan, enum plan_basis basis)
{
	uint64_t ways = 1;
	double best = -1;

	for (uint32_t i = 0; i < plan->nvms; i++)
		ways *= plan->nhosts;
	for (uint64_t way = 0; way < ways; way++)
		best = fmax(best, saved_by(plan, way, basis));
	return best;
}

TEST("what is saved today is what comparing all parts gives")
{
	for (uint64_t seed = 1; seed <= FLEETS; seed++) {
		struct plan_saving each[SMALL_HOSTS], all;
		uint64_t way = 0, unit = 1;
		struct plan plan;

		fleet(&plan, SMALL_HOSTS, SMALL_VMS, seed, 4096 * GIB);
		for (uint32_t i = 0; i < plan.nvms; i++, unit *= SMALL_HOSTS)
			way += plan.vms[i].host * unit;
		for (uint8_t mode = 0; mode < PLAN_MODES; mode++) {
			for (uint32_t h = 0; h < plan.nhosts; h++)
				plan.hosts[h].mode = mode;
			REQUIRE_OK(plan_saving_count(&plan, each, &all));
			CHECK(fabs(all.now - saved_by(&plan, way, PLAN_WITH)) < 1);
		}
		plan_free(&plan);
	}
}

/* One host, emptied into the others: do they fit by policy as by trying every way? */
TEST("whether the VMs of a failed host fit elsewhere is what trying every way says")
{
	unsigned int fitted = 0, not_fitted = 0;

	for (uint64_t seed = 1; seed <= 4 * FLEETS; seed++) {
		struct plan_case what = {.fail = 1};
		struct plan_need need;
		struct plan plan, moved;
		bool fits = false;

		fleet(&plan, SMALL_HOSTS, SMALL_VMS, seed, (16 + seed % 24) * GIB);
		plan.hosts[0].memory += GIB; /* the largest: it fails */
		REQUIRE_OK(plan_finish(&plan));
		REQUIRE_OK(plan_need_count(&plan, &what, &need));
		moved = plan;
		for (uint64_t way = 0; way < 729 && !fits; way++) {
			uint64_t rest = way;
			double left[SMALL_HOSTS] = {0, (double)moved.hosts[1].usable,
						    (double)moved.hosts[2].usable};
			bool stays = true;

			for (uint32_t i = 0; i < plan.nvms; i++, rest /= SMALL_HOSTS) {
				uint32_t to = (uint32_t)(rest % SMALL_HOSTS);

				stays &= to != 0 &&
					 (plan.vms[i].host == 0 || plan.vms[i].host == to);
				left[to] -= plan_size(&plan, &plan.vms[i], PLAN_WITHOUT);
			}
			fits = stays && left[1] >= 0 && left[2] >= 0;
		}
		CHECK_EQ(need.homeless[PLAN_WITHOUT] == 0, fits);
		fitted += fits;
		not_fitted += !fits;
		plan_free(&plan);
	}
	CHECK_GT(fitted, 20);
	CHECK_GT(not_fitted, 20);
}

TEST("placement by likeness is never better than the best way, and seldom much worse")
{
	double got = 0, best = 0, plain = 0;
	unsigned int placed = 0;

	for (uint64_t seed = 1; seed <= FLEETS; seed++) {
		double capacity[SMALL_HOSTS], most;
		struct plan_result result = {0}, first = {0};
		struct plan plan;
		struct plan_task task = {.plan = &plan,
					 .capacity = capacity,
					 .n = SMALL_HOSTS,
					 .basis = PLAN_WITH,
					 .way = PLAN_LIKENESS};

		fleet(&plan, SMALL_HOSTS, SMALL_VMS, seed, (24 + seed % 16) * GIB);
		task.nvms = plan.nvms;
		for (uint32_t h = 0; h < SMALL_HOSTS; h++)
			capacity[h] = (double)plan.hosts[h].usable;
		REQUIRE_OK(plan_place(&task, &result));
		most = best_way(&plan, PLAN_WITH);
		if (result.homeless == 0) {
			CHECK(most >= 0);
			CHECK(result.saved <= most + 1);
			task.way = PLAN_FIRST_FIT;
			REQUIRE_OK(plan_place(&task, &first));
			got += result.saved;
			best += most;
			plain += first.homeless ? 0 : first.saved;
			placed++;
		}
		plan_free(&plan);
	}
	CHECK_GT(placed, FLEETS / 2);
	if (got < 0.9 * best || got < plain)
		FAIL("by likeness %.0f pages are shared, at best %.0f, by first fit %.0f", got,
		     best, plain);
}

TEST("where each VM should live fits, and saves what is said of the placement")
{
	unsigned int placed = 0, kept = 0;

	for (uint64_t seed = 1; seed <= FLEETS; seed++) {
		struct plan_question question = {0};
		struct plan_outcome out;
		struct plan_saving each[8], all;
		struct plan plan;

		fleet(&plan, 4 + seed % 4, 24, seed, 96 * GIB);
		REQUIRE_OK(plan_work_out(&plan, &question, &out));
		if (out.placed[PLAN_LIKENESS].homeless == 0) {
			kept += plan.nvms - plan_rehomed(&plan, &out);
			for (uint32_t i = 0; i < plan.nvms; i++)
				plan.vms[i].host = out.where[i];
			REQUIRE_OK(plan_finish(&plan));
			REQUIRE_OK(plan_saving_count(&plan, each, &all));
			CHECK(fabs(all.now - out.placed[PLAN_LIKENESS].saved) < 1);
			for (uint32_t h = 0; h < plan.nhosts; h++) {
				double used = -each[h].now;

				for (uint32_t at = plan.first[h]; at < plan.first[h + 1]; at++)
					used += plan_size(&plan, &plan.vms[plan.by_host[at]],
							  PLAN_ALONE);
				CHECK(used <= (double)plan.hosts[h].usable + 1);
			}
			placed++;
		}
		plan_outcome_free(&out);
		plan_free(&plan);
	}
	CHECK_GT(placed, FLEETS / 2);
	CHECK_GT(kept, 24 * placed / 5); /* by chance it would be a fifth or so of 4 to 7 hosts */
}

TEST("every move that is listed fits, and gains what it says")
{
	unsigned int moved = 0;

	for (uint64_t seed = 1; seed <= FLEETS; seed++) {
		struct plan_move moves[PLAN_MOVES_MAX];
		struct plan_saving each[8], all;
		struct plan plan;
		double before;
		int n;

		fleet(&plan, 4 + seed % 4, 24, seed, 96 * GIB);
		n = plan_moves_find(&plan, moves);
		REQUIRE(n >= 0);
		REQUIRE_OK(plan_saving_count(&plan, each, &all));
		for (int i = 0; i < n; i++) {
			uint32_t to = moves[i].to;
			double used = 0;

			before = all.now;
			REQUIRE_EQ(plan.vms[moves[i].vm].host, moves[i].from);
			plan.vms[moves[i].vm].host = to;
			REQUIRE_OK(plan_finish(&plan));
			REQUIRE_OK(plan_saving_count(&plan, each, &all));
			CHECK(fabs(all.now - before - moves[i].gain) < 1);
			for (uint32_t v = 0; v < plan.nvms; v++)
				used += plan.vms[v].host == to ?
						plan_size(&plan, &plan.vms[v], PLAN_ALONE) :
						0;
			CHECK(used - each[to].now <= (double)plan.hosts[to].usable + 1);
			moved++;
		}
		plan_free(&plan);
	}
	CHECK_GT(moved, 50);
}

TEST("the same seed makes the same fleet, another one another")
{
	struct plan_saving a[64], b[64], c[64], sum_a, sum_b, sum_c;
	struct plan x, y, z;

	fleet(&x, 64, 1000, 5, 0);
	fleet(&y, 64, 1000, 5, 0);
	fleet(&z, 64, 1000, 6, 0);
	REQUIRE_OK(plan_saving_count(&x, a, &sum_a));
	REQUIRE_OK(plan_saving_count(&y, b, &sum_b));
	REQUIRE_OK(plan_saving_count(&z, c, &sum_c));
	CHECK(sum_a.now == sum_b.now && sum_a.touched == sum_b.touched);
	CHECK(sum_a.touched != sum_c.touched);
	plan_free(&x);
	plan_free(&y);
	plan_free(&z);
}
