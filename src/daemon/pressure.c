/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One turn reads what is free and what VMs take (host.c, usage.c), takes at most one step of the
 * state, reckons targets if it is time or the state has changed (policy/entitle.c), and lays
 * down what each VM is to do (policy/ladder.c). A turn is a quarter of a second while memory is
 * not plentiful, else a second: memory fills by gigabytes a second, and each state is to have its
 * turn. No turn remembers what an earlier one ordered: orders are made of what is true now.
 *
 * Two sources may each say a state: the host's own memory, and the budget for VMs if there is one
 * (Mem.ManagedMB). The worse one counts. Targets are reckoned for whichever leaves less.
 *
 * Order of preference. Below high, blocks are ordered broken where most is to be had. What they
 * give is there when they have been shared and their quarantine is over: until then it counts as if
 * it had come. So in clear no more are ordered than are missing to high; below, all that are worth
 * it. What waits in quarantine is not taken out of VMs once more. While sharing gets on
 * nobody's balloon grows and nothing is taken out (share_first), but no longer than SHARE_MOST: a
 * host that is filling up cannot wait for ever.
 *
 * Low: who is furthest above its target is held back, through its monitor if there is one that
 * answers, else by its agent, which lets pages come in slowly. Nobody for longer than seconds.
 *
 * What is told to an agent (TARGET) is state: vm->memory.order; session-say.c says it when it
 * differs from what was said last. A VM without a session keeps what it has: nobody can ask it.
 */
#include "daemon/pressure.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/action.h"
#include "daemon/balloon.h"
#include "daemon/host.h"
#include "daemon/member.h"
#include "daemon/session.h"
#include "daemon/swapdir.h"
#include "daemon/usage.h"
#include "policy/entitle.h"
#include "sys/cleanup.h"

#define PAGES_PER_MB (1u << (20 - PS_PAGE_SHIFT))
#define TURN_HIGH (1 * SEC)
#define TURN_SHORT (250 * MSEC)
#define TURN_VM (SEC / 2000) /* of each VM: reading all of them is not to take a core */
#define RATES_NS (2 * SEC)
#define BALANCE_HARD (1 * SEC)
#define COMES_NS (60 * SEC)	 /* a guest boots, and grows */
#define SHARE_PATIENCE (3 * SEC) /* without getting on, over the time of a quarantine */
#define PATIENCE(d) \
	((uint64_t)(d)->settings.value[SETTING_SHARE_QUARANTINE_MS] * MSEC + SHARE_PATIENCE)
#define SHARE_PATIENCE_LOW (1 * SEC)
#define SHARE_MOST (45 * SEC)
#define BREAK_MOST 1024u /* blocks in a turn: 2 GiB */
#define BREAK_GOES_OUT (3 * SEC)

static uint64_t pages_of_mb(int64_t mb)
{
	return (uint64_t)mb << (20 - PS_PAGE_SHIFT);
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- the state ----------------------------------------------------------------------------- */

static void step_budget(struct daemon *d)
{
	struct memstate_input in = {.free = d->budget.free, .min_free = d->budget.min_free};
	struct memstate_levels levels = host_levels(d);

	if (d->budget.managed)
		d->budget.state = memstate_step(d->budget.state, &in, &levels);
}

/* True if it is another one now. */
static bool step_state(struct daemon *d)
{
	enum memstate before = d->memstate;
	const struct mem_source *source;

	host_step(d);
	step_budget(d);
	d->memstate = d->host_memory.state;
	if (d->budget.managed && d->budget.state > d->memstate)
		d->memstate = d->budget.state;
	if (d->memstate == before)
		return false;
	d->state_since = d->now;
	source = d->budget.managed && d->budget.state >= d->host_memory.state ? &d->budget :
										&d->host_memory;
	log_info("memory: %s state (it was %s): %llu of %llu MiB %s are free, minFree %llu",
		 memstate_name(d->memstate), memstate_name(before),
		 (unsigned long long)(source->free >> 20),
		 (unsigned long long)(source->managed >> 20),
		 source == &d->budget ? "for VMs" : "of the host",
		 (unsigned long long)(source->min_free >> 20));
	return true;
}

/* ---- targets ------------------------------------------------------------------------------- */

/* Pages that all VMs together are to have, by this source. */
static uint64_t share_of_source(const struct daemon *d, const struct mem_source *source)
{
	struct memstate_levels levels = host_levels(d);
	uint64_t goal = ladder_goal(d->memstate, source->min_free, &levels);
	/* of the budget less than nothing may be free */
	uint64_t all = source == &d->budget ? source->managed : d->vm_bytes + source->free;

	return less(all, goal) / PS_PAGE_SIZE;
}

static uint64_t pages_for_vms(const struct daemon *d)
{
	uint64_t pages = share_of_source(d, &d->host_memory);

	if (d->budget.managed)
		pages = least(pages, share_of_source(d, &d->budget));
	return pages;
}

/* sched.mem.max with what the VMM needs beside its guest; UINT64_MAX: none. */
static uint64_t limit_of(const struct vm *vm)
{
	int64_t max = vm_setting(vm, SETTING_MEM_MAX);
	uint64_t limit = max < 0 ? UINT64_MAX : pages_of_mb(max) + vm->memory.overhead;

	return least(limit, vm->memory.group_limit);
}

static struct entitle_vm entitlement(struct vm *vm)
{
	struct vm_memory *memory = &vm->memory;
	uint64_t size = vm->pages + memory->overhead;
	uint64_t known = least(vm->pages, memory->peak);
	struct entitle_vm in = {
		.has = memory->settled,
		.active = memory->active,
		.min = pages_of_mb(vm_setting(vm, SETTING_MEM_MIN)) + memory->overhead,
		.max = least(limit_of(vm), size > memory->has ? size : memory->has),
	};

	/* by the size that it was seen to have: a claim of size gives nothing. A part of a MiB
	 * counts as one: with no shares it would have to be given first. */
	memory->shares = entitle_shares(vm_setting(vm, SETTING_MEM_SHARES),
					(known + PAGES_PER_MB - 1) / PAGES_PER_MB);
	in.shares = memory->shares;
	if (!vm->session)
		in.min = in.max = memory->has; /* nobody there who could give anything */
	return in;
}

static void balance(struct daemon *d)
{
	_cleanup_free_ struct entitle_vm *all = calloc(d->nvms + 1, sizeof(*all));
	struct idle_tax tax = {
		.percent = (uint32_t)d->settings.value[SETTING_IDLE_TAX],
		.variable = d->settings.value[SETTING_IDLE_TAX_TYPE] != 0,
	};
	uint32_t n = 0, i = 0;

	d->balanced_at = d->now;
	d->balance_at = d->now + (uint64_t)d->settings.value[SETTING_BALANCE_PERIOD] * SEC;
	if (!all)
		return; /* the targets of the last time are good enough */
	list_for_each(vm, &d->vms, struct vm, link)
		if (n < d->nvms)
			all[n++] = entitlement(vm);
	entitle(all, n, pages_for_vms(d), &tax);
	list_for_each(vm, &d->vms, struct vm, link) {
		if (i >= n)
			break;
		vm->memory.had = all[i].has;
		vm->memory.target = all[i++].target;
	}
}

/* By what who has just come has grown since, he is not told to give: his target knows nothing of
 * it, and may be from before he had anything. */
static uint64_t target_of(const struct vm *vm, uint64_t has)
{
	bool comes = vm->session && vm->daemon->now - vm->memory.came < COMES_NS;

	return vm->memory.target + (comes ? less(has, vm->memory.had) : 0);
}

/* ---- sharing comes first ------------------------------------------------------------------- */

/* Has it left its large pages whole, and may it share? */
static bool leaves_whole(const struct vm *vm)
{
	return vm->session && vm->member && vm->enable &&
	       vm->daemon->settings.value[SETTING_ALLOC_GUEST_LARGE_PAGE] &&
	       !vm->daemon->settings.value[SETTING_SHARE_ZERO_ONLY];
}

static struct ladder_large large_of(const struct vm *vm, const struct ps_agent_stats *stats)
{
	struct ladder_large large = {.has = vm->memory.has, .active = vm->memory.active};

	if (!leaves_whole(vm))
		return large;
	/* no more than it has, by the kernel's word: claims of more would get all the breaking */
	large.blocks = least(stats->large, least(vm->pages, vm->memory.anonymous)) / PS_BLOCK_PAGES;
	large.worth = least(stats->cowh, large.blocks * PS_BLOCK_PAGES);
	return large;
}

/* What breaking blocks would give in all, and what waits in quarantine to be given back. */
static uint64_t worth_of_all(struct daemon *d, uint64_t *waiting)
{
	uint64_t worth = 0;

	*waiting = 0;
	list_for_each(vm, &d->vms, struct vm, link) {
		struct ps_agent_stats stats;
		struct ladder_large large;

		vm_stats(vm, &stats);
		large = large_of(vm, &stats);
		if (ladder_worth_breaking(&large))
			worth += large.worth;
		if (vm->session)
			*waiting += least(stats.quarantined, vm->pages);
	}
	return worth;
}

/* Bytes of the source that says the worse state which are missing to so many percent of minFree. */
static uint64_t missing(const struct daemon *d, enum memstate to)
{
	struct memstate_levels levels = host_levels(d);
	uint64_t host =
		less(memstate_part(d->host_memory.min_free, levels.pct[to]), d->host_memory.free);
	uint64_t budget =
		d->budget.managed ?
			less(memstate_part(d->budget.min_free, levels.pct[to]), d->budget.free) :
			0;

	return host > budget ? host : budget;
}

/* Is there still something to share, and does it get on? */
static bool share_first(struct daemon *d)
{
	struct share_watch *watch = &d->share;
	uint64_t waiting, worth = worth_of_all(d, &waiting), patience;

	if (d->memstate == MEMSTATE_HIGH) {
		*watch = (struct share_watch){0};
		return true;
	}
	if (!watch->began)
		*watch = (struct share_watch){.began = d->now, .moved = d->now, .worth = worth};
	if (worth + PS_BLOCK_PAGES <= watch->worth) {
		watch->worth = worth;
		watch->moved = d->now;
	}
	if (d->now - watch->began >= SHARE_MOST)
		return false;
	patience = d->memstate == MEMSTATE_LOW ? SHARE_PATIENCE_LOW : PATIENCE(d);
	if (d->now - watch->moved >= patience)
		return false;
	return worth || waiting * PS_PAGE_SIZE >= missing(d, MEMSTATE_CLEAR);
}

/* Blocks that were ordered broken and are not yet. */
static uint64_t breaks_left(const struct vm *vm, const struct ps_agent_stats *stats)
{
	uint64_t done = less(stats->breaks, vm->memory.breaks_then);

	return less(vm->memory.break_order, done);
}

/* Its large blocks, less those that are to be broken already. */
static struct ladder_large large_unordered(const struct vm *vm, const struct ps_agent_stats *stats)
{
	struct ladder_large large = large_of(vm, stats);
	uint64_t left = less(large.blocks, breaks_left(vm, stats));

	if (left < large.blocks)
		large.worth = large.worth / large.blocks * left;
	large.blocks = left;
	return large;
}

/* In clear so many that, with what was ordered a moment ago, the state gets to high. */
static void order_breaks(struct daemon *d)
{
	uint64_t wait = (uint64_t)d->settings.value[SETTING_SHARE_QUARANTINE_MS] * MSEC + SEC;
	_cleanup_free_ struct ladder_large *all = NULL;
	uint64_t pages = UINT64_MAX;
	uint32_t n = 0, i = 0;

	if (d->memstate == MEMSTATE_HIGH) {
		/* what was ordered and was not worth breaking is not to be broken when it is */
		list_for_each(vm, &d->vms, struct vm, link)
			vm->memory.break_order = 0;
		return;
	}
	if (d->now - d->share.ordered >= wait) {
		d->share.coming[0] = d->share.coming[1];
		d->share.coming[1] = 0;
		d->share.ordered = d->now;
	}
	if (d->memstate == MEMSTATE_CLEAR) {
		pages = less(missing(d, MEMSTATE_HIGH) / PS_PAGE_SIZE,
			     d->share.coming[0] + d->share.coming[1]);
		if (!pages)
			return;
	}
	all = calloc(d->nvms + 1, sizeof(*all));
	if (!all)
		return;
	list_for_each(vm, &d->vms, struct vm, link) {
		struct ps_agent_stats stats;

		vm_stats(vm, &stats);
		if (n < d->nvms)
			all[n++] = large_unordered(vm, &stats);
	}
	ladder_break(all, n, pages, BREAK_MOST);
	list_for_each(vm, &d->vms, struct vm, link) {
		struct ps_agent_stats stats;

		if (i >= n || !all[i++].breaks)
			continue;
		vm_stats(vm, &stats);
		d->share.coming[1] += all[i - 1].worth / all[i - 1].blocks * all[i - 1].breaks;
		vm->memory.break_order = breaks_left(vm, &stats) + all[i - 1].breaks;
		vm->memory.breaks_then = stats.breaks;
	}
}

/* ---- what each VM is to do ----------------------------------------------------------------- */

/* Of the balloon's size, what is there because we asked for it. What an administrator asked for is
 * his to take back. */
static uint64_t own_balloon(const struct vm *vm)
{
	return vm->balloon.wanted ? least(balloon_size(vm), vm->balloon.target) : 0;
}

static struct ladder_vm ladder_of(struct vm *vm, const struct ps_agent_stats *stats)
{
	const char *why;

	return (struct ladder_vm){
		.has = vm->memory.settled,
		.target = target_of(vm, vm->memory.settled),
		.limit = limit_of(vm),
		.guest = vm->memory.guest,
		.out = least(stats->twin + stats->zipped + stats->swapped, vm->pages),
		.can_out = vm->daemon->settings.value[SETTING_MEM_ZIP_ENABLE] ||
			   swapdir_ready(vm, &why),
		.can_balloon = balloon_of_use(vm),
		.balloon = own_balloon(vm) / PS_PAGE_SIZE,
		.balloon_max = action_balloons(vm) ?
				       least(balloon_max(vm), balloon_most(vm)) / PS_PAGE_SIZE :
				       0,
		.push = action_push(vm),
	};
}

static uint32_t out_flags(const struct vm *vm)
{
	uint32_t flags = PS_TARGET_STAGE | PS_TARGET_TWIN;
	const char *why;

	if (vm->daemon->settings.value[SETTING_MEM_ZIP_ENABLE])
		flags |= PS_TARGET_ZIP;
	if (swapdir_ready(vm, &why))
		flags |= PS_TARGET_SWAP;
	return flags;
}

/* Blocks that give nothing by sharing are broken only for what their pages give by going out: as
 * many as that takes, when the agent has found too little in small pages. What was broken a moment
 * ago has not had the time to go out: it counts as if it had. */
static uint64_t breaks_to_go_out(struct vm *vm, const struct ps_agent_stats *stats)
{
	const struct ladder_plan *plan = &vm->memory.plan;
	struct vm_breaks *lately = &vm->memory.lately;
	uint64_t out = stats->twin + stats->zipped + stats->swapped + stats->staged;
	uint64_t large = least(least(stats->large_left, stats->large), vm->pages);

	if (!plan->may_out || !large || plan->out <= out)
		return 0;
	if (vm->daemon->now - lately->since >= BREAK_GOES_OUT)
		*lately = (struct vm_breaks){.since = vm->daemon->now, .then = stats->breaks};
	return less(least(plan->out - out, large) / PS_BLOCK_PAGES + 1,
		    less(stats->breaks, lately->then));
}

/* May blocks of resident pages become huge again? */
static bool may_collapse(const struct daemon *d)
{
	uint64_t after = (uint64_t)d->settings.value[SETTING_LPAGE_DEFRAG_AFTER] * SEC;

	return d->memstate == MEMSTATE_HIGH && d->settings.value[SETTING_LPAGE_DEFRAG] &&
	       d->settings.value[SETTING_ALLOC_GUEST_LARGE_PAGE] &&
	       d->now - d->state_since >= after;
}

static uint32_t clip(uint64_t pages)
{
	return pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

/* sched.mem.maxmemctl, bytes. */
static uint64_t balloon_limit(const struct vm *vm)
{
	int64_t most = vm_setting(vm, SETTING_MAXMEMCTL);

	return most < 0 ? UINT64_MAX : (uint64_t)most << 20;
}

static void plan_vm(struct vm *vm, bool shares)
{
	struct daemon *d = vm->daemon;
	struct vm_memory *memory = &vm->memory;
	struct ps_agent_stats stats;
	struct ps_msg_target order = {.state = d->memstate};
	struct ladder_vm in;
	struct ladder_large large;
	uint64_t to_share, to_go_out;
	bool back;

	vm_stats(vm, &stats);
	in = ladder_of(vm, &stats);
	large = large_of(vm, &stats);
	/* above its limit, or told to give, on a host that has plenty: its own blocks first */
	if (d->memstate < MEMSTATE_SOFT)
		shares = ladder_worth_breaking(&large) && d->now - memory->gives_at < PATIENCE(d);
	memory->plan = ladder_plan(d->memstate, &in, shares);
	if (memory->plan.why_out == LADDER_STATE)
		memory->gives_at = d->now;
	if (memory->plan.may_out || action_is(vm, VM_ACT_SUSPEND))
		order.flags |= out_flags(vm);
	to_share = breaks_left(vm, &stats);
	to_go_out = breaks_to_go_out(vm, &stats);
	order.break_blocks = clip(to_share > to_go_out ? to_share : to_go_out);
	if (d->memstate == MEMSTATE_HIGH && memory->plan.may_break && leaves_whole(vm))
		order.break_blocks = clip(large.blocks);
	if (action_is(vm, VM_ACT_SUSPEND))
		order.break_blocks = clip(stats.large / PS_BLOCK_PAGES + 1);
	if (order.break_blocks)
		order.flags |= PS_TARGET_BREAK;
	if (may_collapse(d) && !vm->memory.suspended)
		order.flags |= PS_TARGET_COLLAPSE;
	if (action_is(vm, VM_ACT_SUSPEND))
		order.flags |= PS_TARGET_SUSPEND;
	/* what is out when a VM is forked comes back in the pause: so before */
	back = action_is(vm, VM_ACT_RESUME) || (vm->publishing && d->memstate != MEMSTATE_LOW);
	if (back) {
		order.flags = PS_TARGET_RESUME;
		memory->suspended = false;
	}
	if (memory->slowed)
		order.flags |= PS_TARGET_SLOW;
	order.out_pages = back ? 0 : clip(memory->plan.out);
	if (d->settings.value[SETTING_MEM_ZIP_ENABLE])
		order.zip_max_pages = clip(
			vm->pages * (uint64_t)d->settings.value[SETTING_MEM_ZIP_MAX_PCT] / 100);
	/* where the host is about to run out it does not count whom it hurts */
	if (d->memstate != MEMSTATE_LOW && !in.push)
		order.promote_max = (uint32_t)d->settings.value[SETTING_PAGE_IN_RATE_MAX];
	/* one that we never asked anything of stays as it is: somebody else put it there. While
	 * nobody says how large it is (its worker has just ended, or not yet spoken) it is to stay
	 * what it was to be: a plan made of nothing would give all of it back at once. */
	if (vm->balloon.reported && (memory->plan.balloon || vm->balloon.wanted))
		balloon_want(vm, memory->plan.balloon * PS_PAGE_SIZE, balloon_limit(vm));
	if (vm->balloon.wanted)
		order.balloon = clip(vm->balloon.target / PS_PAGE_SIZE + 1);
	memory->order = order;
	vm->session->say_target = true;
	session_mark(vm->session);
}

/* ---- low: who is held back ----------------------------------------------------------------- */

static void set_held(struct vm *vm, bool held)
{
	struct daemon *d = vm->daemon;

	vm->memory.held = held;
	vm->memory.slowed = held && !balloon_can_hold(vm);
	balloon_hold(vm, held && !vm->memory.slowed);
	*(held ? &vm->memory.held_at : &vm->memory.freed_at) = d->now;
	if (held) {
		d->held_at = d->now;
		d->nheld++;
		log_warn(
			"%s: held back (%s): memory is in low state, and it has %llu MiB more than "
			"its target",
			vm->name, vm->memory.slowed ? "its agent is slow" : "paused",
			(unsigned long long)(less(vm->memory.has, vm->memory.target) >>
					     (20 - PS_PAGE_SHIFT)));
	} else {
		d->nheld--;
		log_info("%s: let go", vm->name);
	}
}

/* A guest that stands still can give nothing. */
static bool gives_by_balloon(const struct vm *vm)
{
	return vm->memory.plan.why_balloon == LADDER_USED &&
	       vm->memory.plan.balloon > own_balloon(vm) / PS_PAGE_SIZE;
}

static struct ladder_held held_of(const struct vm *vm)
{
	const struct vm_memory *memory = &vm->memory;
	uint64_t now = vm->daemon->now;

	return (struct ladder_held){
		.has = memory->has,
		.target = target_of(vm, memory->has),
		.can_hold = vm->session && !gives_by_balloon(vm),
		.held = memory->held,
		.held_ms = (now - memory->held_at) / MSEC,
		.rested_ms = memory->freed_at ? (now - memory->freed_at) / MSEC : UINT64_MAX,
	};
}

static void let_go(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link) {
		struct ladder_held held = held_of(vm);

		if (ladder_let_go(d->memstate, &held))
			set_held(vm, false);
	}
}

/* Then nobody's turn is waited for: a control group that is full ends a VM. */
static bool nothing_left(const struct daemon *d)
{
	return !usage_source(d)->free;
}

static void hold_back(struct daemon *d)
{
	_cleanup_free_ struct ladder_held *all = NULL;
	uint32_t n = 0;
	size_t who;

	if (d->memstate != MEMSTATE_LOW)
		return;
	all = calloc(d->nvms + 1, sizeof(*all));
	if (!all)
		return;
	list_for_each(vm, &d->vms, struct vm, link)
		if (n < d->nvms)
			all[n++] = held_of(vm);
	who = ladder_hold(
		all, n, d->held_at && !nothing_left(d) ? (d->now - d->held_at) / MSEC : UINT64_MAX);
	list_for_each(vm, &d->vms, struct vm, link)
		if (who != HOLD_NONE && who-- == 0)
			set_held(vm, true);
}

/* ---- a turn -------------------------------------------------------------------------------- */

static void count_rates(struct vm *vm)
{
	struct vm_rates *rates = &vm->memory.rates;
	uint64_t now = vm->daemon->now;
	struct ps_agent_stats stats;
	double s;

	if (rates->at && now - rates->at < RATES_NS)
		return;
	vm_stats(vm, &stats);
	s = rates->at ? (double)(now - rates->at) / (double)SEC : 0;
	if (s > 0) {
		rates->zip_s = (double)less(stats.zips, rates->zips) / s;
		rates->unzip_s = (double)less(stats.unzips, rates->unzips) / s;
		rates->swapout_s = (double)less(stats.swapouts, rates->swapouts) / s;
		rates->swapin_s = (double)less(stats.swapins, rates->swapins) / s;
		rates->wait = (double)less(stats.wait_ns, rates->wait_ns) / s / (double)SEC;
		rates->wait = rates->wait < 1 ? rates->wait : 1;
	}
	rates->at = now;
	rates->zips = stats.zips;
	rates->unzips = stats.unzips;
	rates->swapouts = stats.swapouts;
	rates->swapins = stats.swapins;
	rates->wait_ns = stats.wait_ns;
}

/* Who has come a moment ago takes what the others' targets leave him none of: in hard and low
 * they are not to wait for the end of the period, and in soft he is not: he grows. */
static bool balances_now(const struct daemon *d)
{
	if (d->memstate < MEMSTATE_SOFT || d->now - d->balanced_at < BALANCE_HARD)
		return false;
	if (d->memstate >= MEMSTATE_HARD)
		return true;
	list_for_each(vm, &d->vms, struct vm, link)
		if (vm->session && d->now - vm->memory.came < COMES_NS)
			return true;
	return false;
}

static void turn(struct daemon *d)
{
	bool shares, changed;

	usage_read(d);
	changed = step_state(d);
	if (host_maps_changed(d) || changed)
		sessions_configure_soon(d);
	if (changed || d->balance_at <= d->now || balances_now(d))
		balance(d);
	let_go(d);
	shares = share_first(d);
	order_breaks(d);
	list_for_each(vm, &d->vms, struct vm, link) {
		if (!vm->session)
			continue;
		count_rates(vm);
		swapdir_offer(vm);
		action_look(vm);
		plan_vm(vm, shares);
	}
	hold_back(d); /* whose balloon has just got where the last plan wanted it has another now */
}

static uint64_t turn_of(const struct daemon *d)
{
	uint64_t turn = d->memstate == MEMSTATE_HIGH ? TURN_HIGH : TURN_SHORT;

	return turn > d->nvms * TURN_VM ? turn : d->nvms * TURN_VM;
}

void pressure_tick(struct daemon *d)
{
	if (!d->nvms && d->memstate == MEMSTATE_HIGH)
		return;
	if (d->pressure_at <= d->now) {
		turn(d);
		d->pressure_at = d->now + turn_of(d);
	}
	daemon_wake_at(d, d->pressure_at);
}

void pressure_now(struct daemon *d)
{
	d->balance_at = 0;
	d->pressure_at = 0;
	daemon_wake_at(d, d->now);
}
