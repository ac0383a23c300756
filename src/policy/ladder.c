/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: ESX's order of preference.
 *
 *	state	breaks, shares	balloon		takes out	holds back
 *	high	-		may shrink	-		-
 *	clear	yes		may shrink	-		-
 *	soft	yes		yes		what it lacks	-
 *	hard	yes		the rest	yes		-
 *	low	yes		the rest	yes		yes
 *
 * In *soft* the balloon is asked for all that a VM has above its target; what it cannot give,
 * since there is none, it does not answer, or it is at its maximum, is taken out. In *hard* it is
 * too slow: it keeps what it has, and pages go out. Only what cannot be taken out (shared pages:
 * the guest's page cache for the most part) is asked of it there too: else a VM all of whose own
 * pages are out would stay above its target for ever. A VM above its own limit gives the difference
 * in every state, by balloon first.
 *
 * Sharing comes first, always: as long as a block somewhere is worth breaking, nothing is
 * ballooned and nothing taken out. That cannot hold a host up: the caller says when breaking has
 * had its time.
 *
 * Nothing of it remembers anything. Each plan is made of what is true now, from what the VM has
 * and what is out: nothing winds up while the agent or the guest is slow, and a daemon that starts
 * anew goes on where the last one was. What was asked for is never asked for again on top:
 * out = what is out now + what is still missing.
 *
 * SLACK keeps a VM that is at its target from handing out single pages all the time.
 *
 * Held back is who is furthest above its target, one more every few seconds, for as long as the
 * state is low; never all, and none for long at a time, for a guest that stands still for minutes
 * loses its connections and its clock.
 *
 * Blocks: an average over a VM's blocks says what one of them gives; the agent takes its best ones
 * first, so it is a lower bound. A VM's worth is weighed by its idle part: breaking a block in use
 * costs TLB misses for as long as it is used.
 */
#include "policy/ladder.h"

#define SLACK_PART 256u
#define SLACK_MIN 64u

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t above(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* What is missing to so many pages, beyond what is not worth a move. */
static uint64_t excess(const struct ladder_vm *vm, uint64_t target)
{
	uint64_t slack = target / SLACK_PART + SLACK_MIN, more = above(vm->has, target);

	return more > slack ? more : 0;
}

/* What the VM is to give in this state, and why not if it is nothing. */
static uint64_t to_give(enum memstate state, const struct ladder_vm *vm, enum ladder_why *why)
{
	uint64_t give = excess(vm, vm->limit);

	if (vm->push > give)
		give = vm->push;
	if (state >= MEMSTATE_SOFT && excess(vm, vm->target) > give)
		give = excess(vm, vm->target);
	*why = give ? LADDER_USED : state < MEMSTATE_SOFT ? LADDER_STATE : LADDER_ENOUGH;
	return give;
}

/* The balloon's size, and how much of give is still missing then. */
static uint64_t use_balloon(enum memstate state, const struct ladder_vm *vm, uint64_t give,
			    struct ladder_plan *plan)
{
	uint64_t room = above(vm->balloon_max, vm->balloon);
	bool inflates = state == MEMSTATE_SOFT || (state < MEMSTATE_SOFT && give);

	plan->balloon = vm->balloon;
	if (!vm->can_balloon) {
		plan->why_balloon = LADDER_NO_DEVICE;
		return give;
	}
	if (!give && state <= MEMSTATE_CLEAR) {
		/* it may have back what it is entitled to */
		plan->balloon = above(vm->balloon, above(vm->target, vm->has));
		return 0;
	}
	if (!give)
		return 0;
	if (!inflates) {
		plan->why_balloon = LADDER_STATE;
		return give;
	}
	plan->why_balloon = room ? LADDER_USED : LADDER_AT_MAX;
	plan->balloon = vm->balloon + least(room, give);
	return give - least(room, give);
}

/* In hard and low: what cannot be taken out. */
static void use_balloon_for_rest(const struct ladder_vm *vm, uint64_t rest,
				 struct ladder_plan *plan)
{
	uint64_t room = above(vm->balloon_max, vm->balloon);

	if (!vm->can_balloon || rest <= SLACK_MIN)
		return;
	plan->why_balloon = room ? LADDER_USED : LADDER_AT_MAX;
	plan->balloon = vm->balloon + least(room, rest);
}

struct ladder_plan ladder_plan(enum memstate state, const struct ladder_vm *vm, bool share_first)
{
	struct ladder_plan plan = {.may_break = state > MEMSTATE_HIGH, .balloon = vm->balloon};
	enum ladder_why why;
	uint64_t give = to_give(state, vm, &why), goes;

	plan.why_balloon = plan.why_out = why;
	plan.out = state <= MEMSTATE_CLEAR && !give ? 0 : vm->out;
	plan.may_break |= give > 0;
	if (give && share_first) {
		plan.why_balloon = plan.why_out = LADDER_SHARE_FIRST;
		return plan;
	}
	give = use_balloon(state, vm, give, &plan);
	if (!give)
		return plan;
	goes = vm->can_out ? least(give, vm->guest) : 0;
	plan.why_out = goes ? LADDER_USED : vm->can_out ? LADDER_AT_MAX : LADDER_NO_DEVICE;
	plan.may_out = goes > 0;
	plan.out = vm->out + goes;
	if (state >= MEMSTATE_HARD)
		use_balloon_for_rest(vm, give - goes, &plan);
	return plan;
}

uint64_t ladder_goal(enum memstate state, uint64_t min_free, const struct memstate_levels *levels)
{
	/* as much as lets the state be left upwards, up to clear: from there on balloons may give
	 * back, and do so only while there is twice as much */
	uint64_t goal = memstate_part(min_free, levels->pct[MEMSTATE_CLEAR]);

	return state < MEMSTATE_SOFT ? goal * 2 : goal + goal / 16;
}

static const struct {
	const char *name, *text;
} whys[LADDER_WHY_END] = {
	[LADDER_USED] = {"used", "it is used when it is called for"},
	[LADDER_STATE] = {"state", "the state of the host does not call for it"},
	[LADDER_SHARE_FIRST] = {"share-first", "there is still something to share"},
	[LADDER_ENOUGH] = {"at-target", "the VM has no more than its target"},
	[LADDER_NO_DEVICE] = {"none", "there is none"},
	[LADDER_AT_MAX] = {"at-max", "it has given all that it may"},
};

const char *ladder_why_name(enum ladder_why why)
{
	return (unsigned int)why < LADDER_WHY_END ? whys[why].name : "unknown";
}

const char *ladder_why_text(enum ladder_why why)
{
	return (unsigned int)why < LADDER_WHY_END ? whys[why].text : "";
}

/* ---- low ----------------------------------------------------------------------------------- */

static bool is_above(const struct ladder_held *vm)
{
	return vm->has > vm->target + vm->target / SLACK_PART + SLACK_MIN;
}

bool ladder_let_go(enum memstate state, const struct ladder_held *vm)
{
	return vm->held && (state != MEMSTATE_LOW || vm->held_ms >= HOLD_MAX_MS || !is_above(vm));
}

/* Does a come before b? Who has rested, before who has not; then who is furthest above. */
static bool comes_first(const struct ladder_held *a, const struct ladder_held *b)
{
	bool a_rested = a->rested_ms >= HOLD_REST_MS, b_rested = b->rested_ms >= HOLD_REST_MS;

	if (a_rested != b_rested)
		return a_rested;
	return a->has - a->target > b->has - b->target;
}

size_t ladder_hold(const struct ladder_held *vm, size_t n, uint64_t since_ms)
{
	size_t found = HOLD_NONE, held = 0;

	for (size_t i = 0; i < n; i++) {
		held += vm[i].held;
		if (vm[i].held || !vm[i].can_hold || !is_above(&vm[i]) ||
		    vm[i].rested_ms < HOLD_REST_MIN_MS)
			continue;
		if (found == HOLD_NONE || comes_first(&vm[i], &vm[found]))
			found = i;
	}
	if (held && (since_ms < HOLD_STEP_MS || held + 1 >= n))
		return HOLD_NONE;
	return found;
}

/* ---- large blocks -------------------------------------------------------------------------- */

bool ladder_worth_breaking(const struct ladder_large *vm)
{
	return vm->blocks && vm->worth / vm->blocks >= BREAK_WORTH;
}

/* What a block of this VM gives, as seen from here. */
static double value_of(const struct ladder_large *vm)
{
	double idle = vm->has > vm->active ? 1 - (double)vm->active / (double)vm->has : 0;

	return (double)vm->worth / (double)vm->blocks * (0.25 + idle);
}

void ladder_break(struct ladder_large *vm, size_t n, uint64_t pages, uint64_t most)
{
	for (size_t i = 0; i < n; i++)
		vm[i].breaks = 0;
	for (size_t round = 0; round < n && pages && most; round++) {
		struct ladder_large *best = NULL;
		uint64_t each, want;

		for (size_t i = 0; i < n; i++)
			if (!vm[i].breaks && ladder_worth_breaking(&vm[i]) &&
			    (!best || value_of(&vm[i]) > value_of(best)))
				best = &vm[i];
		if (!best)
			return;
		each = best->worth / best->blocks;
		want = pages == UINT64_MAX ? best->blocks : pages / each + 1;
		best->breaks = least(least(want, best->blocks), most);
		most -= best->breaks;
		if (pages != UINT64_MAX)
			pages = above(pages, best->breaks * each);
	}
}
