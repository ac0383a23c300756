/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: take what the guest can spare, and no more; see when it cannot spare it any more, and give
 * back; see when nothing comes of it, and let another technique take over.
 *
 * The floor is not what the guest calls "used". The measure is its available memory: what it could
 * have without swapping. While it has more than the reserve the balloon may grow by what is beyond
 * it. Told so, and not as "total - available + reserve", the floor is the same where the balloon
 * lowers the guest's total and where it does not (deflate-on-oom).
 *
 * One step: a part of what can be spared; wait until the balloon is there; wait for figures that
 * are younger than that; look again. A guest that is short is given back in one step as much as it
 * lacks to twice the reserve, at each of its answers, whatever the host's state; then nothing is
 * taken for a while, and for longer not again as much as was too much.
 *
 * Statistics are hints. They are used after the first that came while we were looking (those before
 * are of the moment at which the driver was loaded), while they are fresh, and only against the
 * VM's own interest to have memory taken: a guest that says it has much available is believed at
 * its own risk; one that says it has none keeps all, and is passed over.
 *
 * Success is judged by the host: QEMU's actual may equal the target while not one page was freed
 * (locked memory, a discard that fails). If the VMM holds more than its guest is left with, and has
 * given back less than a quarter of what the balloon took, it is "not freed": all of it goes back
 * to the guest, since it suffers for nothing, and it is left alone for long.
 *
 * Rejected: "total - free" as the floor (page cache counts as used: a guest would never shrink);
 * steps by a fixed rate (ESX's driver is polled once a second: so are we, while there is something
 * to do); trusting QEMU's balloon event instead of asking.
 */
#include "policy/balloon.h"

#include <string.h>

#define MIB (1ull << 20)
#define SECOND 1000u
#define RESERVE_MIN (64 * MIB)
#define RESERVE_PART 16u
#define SLACK MIB /* a balloon within this is there */
#define STEP_MIN (4 * MIB)
#define STEP_PART 8u /* of the guest's size, at most, in a step */
#define GIVE_MIN (32 * MIB)

#define POLL_BUSY_S 1u
#define POLL_IDLE_S 5u
#define STALE_MS (15 * SECOND) /* three polls of an idle one */
#define SLOW_MS (10 * SECOND)  /* no nearer to the goal for so long */
#define SLOW_PAUSE_MS (60 * SECOND)
#define QUIET_MS (15 * SECOND)
#define LEARNED_MS (120 * SECOND)
#define REFUSED_MS (30 * SECOND)
#define STRANGE_LOOKS 3u

#define JUDGE_MS (5 * SECOND) /* pages are in the agent's quarantine for two seconds first */
#define JUDGE_MIN (32 * MIB)
#define JUDGE_SLACK (64 * MIB) /* what a VMM has beside the guest's memory, and an 8th of that */
#define NOT_FREED_MS (600 * SECOND)

/* A guest is short below three quarters of the reserve, or if it ... */
#define SHORT_SWAP_IN (256u << 10) /* bytes/s: reads its swap */
#define SHORT_FAULTS 100u	   /* /s: waits for pages from disk, with little available */
#define SHORT_STALLS 1u		   /* /s: waits for memory to be freed */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t more(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* a - b, or 0 */
static uint64_t beyond(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint64_t balloon_reserve(uint64_t size)
{
	return more(RESERVE_MIN, size / RESERVE_PART);
}

uint64_t balloon_max_of(uint64_t size, uint64_t max, uint32_t max_percent)
{
	return less(max, size / 100 * less(max_percent, 100));
}

bool balloon_usable(enum ps_balloon_state state)
{
	return state >= PS_BALLOON_READY && state < PS_BALLOON_STATE_END;
}

void balloon_init(struct balloon *b, uint64_t now_ms)
{
	*b = (struct balloon){
		.begun_ms = now_ms,
		.swap_in = BALLOON_UNKNOWN,
		.major_faults = BALLOON_UNKNOWN,
		.stalls = BALLOON_UNKNOWN,
	};
}

/* ---- figures --------------------------------------------------------------------------------- */

/* Growth a second, times 1; a counter that fell (the guest booted anew) is as one not known. */
static uint64_t rate_of(uint64_t before, uint64_t now, uint64_t ms)
{
	if (before == BALLOON_UNKNOWN || now == BALLOON_UNKNOWN || now < before || !ms)
		return BALLOON_UNKNOWN;
	return (now - before) / ms * SECOND + (now - before) % ms * SECOND / ms;
}

static void take_figures(struct balloon *b, const struct balloon_look *look)
{
	const struct balloon_figures *now = &look->figures;

	if (!now->stamp || now->stamp == BALLOON_UNKNOWN || now->stamp == b->last.stamp)
		return;
	if (b->looked) { /* they came while we were looking */
		uint64_t ms = look->now_ms - b->last_ms;

		if (!b->first_ms)
			b->first_ms = look->now_ms;
		if (b->answers) {
			b->swap_in = rate_of(b->last.swap_in, now->swap_in, ms);
			b->major_faults = rate_of(b->last.major_faults, now->major_faults, ms);
			b->stalls = rate_of(b->last.stalls, now->stalls, ms);
		}
		b->answers++;
		b->last_ms = look->now_ms;
	}
	b->last = *now;
}

/* What it says it could use without swapping; an old driver knows free memory alone. */
static uint64_t available(const struct balloon *b, uint64_t actual)
{
	uint64_t says = b->last.available != BALLOON_UNKNOWN ? b->last.available : b->last.free;

	return says == BALLOON_UNKNOWN ? says : less(says, actual);
}

static bool at_least(uint64_t rate, uint64_t least)
{
	return rate != BALLOON_UNKNOWN && rate >= least;
}

static bool guest_short(const struct balloon *b, const struct balloon_look *look)
{
	uint64_t reserve = balloon_reserve(look->size), has = available(b, look->actual);

	if (has == BALLOON_UNKNOWN)
		return false;
	return has < reserve / 4 * 3 || at_least(b->swap_in, SHORT_SWAP_IN) ||
	       at_least(b->stalls, SHORT_STALLS) ||
	       (at_least(b->major_faults, SHORT_FAULTS) && has < 2 * reserve);
}

/* ---- what was got ---------------------------------------------------------------------------- */

static void judge_from_here(struct balloon *b, uint64_t balloon, uint64_t resident)
{
	b->from_balloon = balloon;
	b->from_resident = resident;
}

/* True: what QEMU calls done has freed nothing. */
static bool nothing_freed(struct balloon *b, const struct balloon_look *look, uint64_t balloon)
{
	uint64_t took = beyond(balloon, b->from_balloon);
	uint64_t freed = beyond(b->from_resident, look->resident);

	/* nothing taken yet: what the VMM has before it begins */
	if (!look->resident || !b->from_resident || took <= SLACK) {
		judge_from_here(b, balloon, look->resident);
		return false;
	}
	if (took < JUDGE_MIN || !b->reached_ms || look->now_ms - b->reached_ms < JUDGE_MS)
		return false;
	if (freed < took / 4 && look->resident > look->actual + JUDGE_SLACK + look->size / 8)
		return true;
	judge_from_here(b, balloon, look->resident);
	return false;
}

/* Is so much unproven that no further step is to be made before it was judged? */
static bool too_much_unproven(const struct balloon *b, uint64_t size, uint64_t balloon)
{
	return b->from_resident && beyond(balloon, b->from_balloon) > size / 4;
}

/* ---- one step -------------------------------------------------------------------------------- */

static void set_goal(struct balloon *b, uint64_t goal, uint64_t now_ms, struct balloon_next *next)
{
	if (goal == b->goal)
		return;
	b->goal = goal;
	b->goal_ms = b->moved_ms = now_ms;
	b->reached_ms = 0;
	b->nearest = UINT64_MAX;
	next->set = true;
}

/* How far the balloon has come; true: it does not come nearer. */
static bool follow(struct balloon *b, uint64_t balloon, uint64_t now_ms)
{
	uint64_t away = balloon > b->goal ? balloon - b->goal : b->goal - balloon;

	if (away <= SLACK) {
		if (!b->reached_ms)
			b->reached_ms = now_ms;
		b->moved_ms = now_ms;
		b->nearest = 0;
		return false;
	}
	if (b->nearest == UINT64_MAX || away + SLACK <= b->nearest) {
		b->nearest = away;
		b->moved_ms = now_ms;
	}
	return now_ms - b->moved_ms >= SLOW_MS;
}

/* It was there, and is smaller now, and nobody told it: the guest took it (deflate-on-oom). */
static bool was_taken_back(const struct balloon *b, uint64_t balloon)
{
	return b->reached_ms && balloon + SLACK < b->goal;
}

static void give_back(struct balloon *b, const struct balloon_look *look, uint64_t balloon,
		      struct balloon_next *next)
{
	uint64_t reserve = balloon_reserve(look->size), has = available(b, look->actual);
	uint64_t lacks = has == BALLOON_UNKNOWN ? 0 : beyond(2 * reserve, has);
	uint64_t goal = beyond(less(b->goal, balloon), more(GIVE_MIN, lacks));

	/* once for each answer: figures older than the last gift say nothing of it */
	if (b->last_ms > b->goal_ms || was_taken_back(b, balloon) || b->goal > balloon)
		set_goal(b, goal, look->now_ms, next);
	b->learned = less(b->goal, goal);
	b->learned_until = look->now_ms + LEARNED_MS;
	b->quiet_until = look->now_ms + QUIET_MS;
}

/* Towards wanted, which is more than there is: how far this time. */
static uint64_t step_up(const struct balloon_look *look, uint64_t balloon, uint64_t wanted,
			uint64_t spare, bool force)
{
	uint64_t step = look->size / STEP_PART;

	if (!force)
		step = less(step, spare / 2);
	return less(wanted, balloon + more(step, STEP_MIN));
}

/* May the next step up be made? The last is there, and the guest has said how it is since. */
static bool may_go_on(const struct balloon *b, const struct balloon_look *look, uint64_t balloon)
{
	return b->reached_ms && b->last_ms > b->reached_ms && look->now_ms >= b->slow_until &&
	       look->now_ms >= b->quiet_until && !too_much_unproven(b, look->size, balloon);
}

static enum ps_balloon_state name_state(const struct balloon *b, const struct balloon_next *next,
					const struct balloon_wish *wish, uint64_t balloon)
{
	if (balloon > b->goal + SLACK)
		return PS_BALLOON_DEFLATING;
	if (!wish->target)
		return PS_BALLOON_READY;
	if (balloon + SLACK >= wish->target)
		return PS_BALLOON_AT_TARGET;
	if (balloon + SLACK >= next->max)
		return PS_BALLOON_AT_MAX;
	if (balloon + SLACK >= next->most && !wish->force)
		return PS_BALLOON_AT_FLOOR;
	return PS_BALLOON_INFLATING;
}

/* The guest answers, is up for long, runs, and its figures are good. */
static enum ps_balloon_state work(struct balloon *b, const struct balloon_look *look,
				  const struct balloon_wish *wish, uint64_t balloon,
				  struct balloon_next *next)
{
	uint64_t spare = beyond(available(b, look->actual), balloon_reserve(look->size));
	uint64_t wanted = less(wish->target, next->most);
	bool slow;

	if (nothing_freed(b, look, balloon)) {
		b->not_freed_until = look->now_ms + NOT_FREED_MS;
		set_goal(b, 0, look->now_ms, next);
		return PS_BALLOON_NOT_FREED;
	}
	if (!wish->force && balloon > SLACK && (next->guest_short || was_taken_back(b, balloon))) {
		give_back(b, look, balloon, next);
		return PS_BALLOON_SHORT;
	}
	if (wanted < b->goal) {
		/* what was once reached is not given up for figures that wobble */
		if (wish->target < b->goal || next->max < b->goal)
			set_goal(b, less(wish->target, next->max), look->now_ms, next);
	} else if (wanted > balloon + SLACK && may_go_on(b, look, balloon)) {
		set_goal(b, step_up(look, balloon, wanted, spare, wish->force), look->now_ms, next);
	}
	slow = follow(b, balloon, look->now_ms);
	if (slow && b->goal > balloon) {
		b->slow_until = look->now_ms + SLOW_PAUSE_MS;
		set_goal(b, balloon, look->now_ms, next);
	}
	if (look->now_ms < b->slow_until && wish->target > balloon + SLACK)
		return PS_BALLOON_SLOW;
	if (look->now_ms < b->quiet_until && wish->target > balloon + SLACK)
		return PS_BALLOON_SHORT;
	return name_state(b, next, wish, balloon);
}

/* What stands against any growth; READY: nothing. */
static enum ps_balloon_state obstacle(const struct balloon *b, const struct balloon_look *look,
				      const struct balloon_wish *wish)
{
	if (!b->answers)
		return PS_BALLOON_NO_DRIVER;
	if (look->now_ms - b->last_ms > STALE_MS)
		return PS_BALLOON_STALE;
	if (available(b, look->actual) == BALLOON_UNKNOWN)
		return PS_BALLOON_NO_FIGURES;
	if (look->now_ms - b->first_ms < (uint64_t)wish->up_s * SECOND)
		return PS_BALLOON_EARLY;
	if (look->now_ms < b->not_freed_until)
		return PS_BALLOON_NOT_FREED;
	if (look->now_ms < b->refused_until)
		return PS_BALLOON_REFUSED;
	return PS_BALLOON_READY;
}

/* It can only get smaller: what is wanted smaller, or what did no good. */
static void shrink_only(struct balloon *b, const struct balloon_look *look,
			const struct balloon_wish *wish, uint64_t balloon,
			enum ps_balloon_state why, struct balloon_next *next)
{
	uint64_t goal = less(less(wish->target, next->max), less(b->goal, balloon));

	if (why == PS_BALLOON_NOT_FREED)
		goal = 0;
	if (why == PS_BALLOON_REFUSED)
		return;
	if (goal < b->goal)
		set_goal(b, goal, look->now_ms, next);
	(void)follow(b, balloon, look->now_ms);
	if (next->guest_short && !wish->force && next->fresh && balloon > SLACK &&
	    why != PS_BALLOON_NOT_FREED)
		give_back(b, look, balloon, next);
}

static void set_limits(struct balloon *b, const struct balloon_look *look,
		       const struct balloon_wish *wish, uint64_t balloon, struct balloon_next *next)
{
	uint64_t has = available(b, look->actual);

	next->max = balloon_max_of(look->size, wish->max, wish->max_percent);
	next->most = next->max;
	if (wish->force)
		return;
	next->most = has == BALLOON_UNKNOWN ?
			     less(balloon, next->max) :
			     less(next->max, balloon + beyond(has, balloon_reserve(look->size)));
	if (look->now_ms < b->learned_until)
		next->most = less(next->most, b->learned);
}

static bool is_strange(struct balloon *b, const struct balloon_look *look)
{
	bool strange = !look->size || look->actual > look->size || !look->actual;

	b->strange = strange ? b->strange + 1 : 0;
	return b->strange >= STRANGE_LOOKS;
}

/* The first look takes over what it finds, of an earlier daemon or of somebody else. */
static void take_over(struct balloon *b, const struct balloon_look *look, uint64_t balloon)
{
	b->looked = true;
	b->goal = balloon;
	b->size = look->size;
	b->goal_ms = b->moved_ms = b->reached_ms = look->now_ms;
	judge_from_here(b, balloon, look->resident);
}

void balloon_step(struct balloon *b, const struct balloon_look *look,
		  const struct balloon_wish *wish, struct balloon_next *next)
{
	uint64_t balloon = beyond(look->size, look->actual);
	enum ps_balloon_state state;

	*next = (struct balloon_next){.state = PS_BALLOON_NO_DRIVER};
	take_figures(b, look);
	if (is_strange(b, look)) {
		next->state = PS_BALLOON_LIES;
		return;
	}
	if (b->strange) { /* memory was plugged in between two questions: next time */
		next->state = PS_BALLOON_READY;
		next->goal = b->goal;
		return;
	}
	if (!b->looked)
		take_over(b, look, balloon);
	if (look->paused && b->answers) /* who stands still is not late */
		b->last_ms = b->moved_ms = look->now_ms;
	next->age_ms = b->answers ? look->now_ms - b->last_ms : BALLOON_UNKNOWN;
	next->fresh = b->answers && next->age_ms <= STALE_MS;
	next->guest_short = next->fresh && guest_short(b, look);
	set_limits(b, look, wish, balloon, next);
	state = obstacle(b, look, wish);
	if (state != PS_BALLOON_READY)
		shrink_only(b, look, wish, balloon, state, next);
	else if (!look->paused)
		state = work(b, look, wish, balloon, next);
	else
		state = name_state(b, next, wish, balloon);
	if (look->size != b->size) { /* QEMU keeps what is left, we keep the balloon ... */
		b->goal = less(b->goal, next->max); /* ... as far as it may still be so large */
		next->set |= b->goal != 0;
	}
	b->size = look->size;
	next->state = state;
	next->goal = b->goal;
	next->value = beyond(look->size, b->goal);
	next->swap_in = b->swap_in;
	next->major_faults = b->major_faults;
	next->stalls = b->stalls;
	next->poll_s = wish->target || b->goal || balloon > SLACK || b->answers < 2 ? POLL_BUSY_S :
										      POLL_IDLE_S;
}

void balloon_refused(struct balloon *b, uint64_t now_ms)
{
	b->refused_until = now_ms + REFUSED_MS;
}

/* ---- words ----------------------------------------------------------------------------------- */

static const struct {
	const char *text, *mend;
} words[PS_BALLOON_STATE_END] = {
	[PS_BALLOON_NONE] = {"no QMP socket of the VM is known",
			     "start it with pshare run, which adds one, or with --qmp PATH"},
	[PS_BALLOON_CONNECTING] = {"QEMU's monitor is being asked", NULL},
	[PS_BALLOON_NO_SOCKET] = {"the VM's agent cannot connect to the QMP socket",
				  "see that the path of --qmp is one that this QEMU listens on"},
	[PS_BALLOON_LOST] = {"the connection to QEMU's monitor was lost: it is tried again", NULL},
	[PS_BALLOON_STALLED] =
		{"QEMU's monitor does not answer, or another client has it",
		 "leave the socket of --qmp to pshare, or let pshare run add its own"},
	[PS_BALLOON_LIES] = {"what QEMU's monitor says cannot be true, or is no QMP", NULL},
	[PS_BALLOON_NO_DEVICE] = {"QEMU has no virtio-balloon",
				  "pshare run --balloon, or -device virtio-balloon-pci,"
				  "deflate-on-oom=on,free-page-reporting=on"},
	[PS_BALLOON_NO_DRIVER] = {"the guest has not answered: no balloon driver, or it boots still",
				  "load virtio_balloon in the guest"},
	[PS_BALLOON_STALE] = {"the guest's driver does not answer any more", NULL},
	[PS_BALLOON_NO_FIGURES] = {"the guest's driver does not say how much memory is available",
				   "a newer kernel, or driver, in the guest"},
	[PS_BALLOON_EARLY] = {"the guest is not up for long enough (Mem.CtlUpTime)", NULL},
	[PS_BALLOON_LOCKED] = {"the guest's memory is locked: a balloon would free nothing",
			       "no -overcommit mem-lock=on, no <memoryBacking><locked/>"},
	[PS_BALLOON_NOT_FREED] =
		{"QEMU said that it shrank, but the host did not get the pages",
		 "see QEMU's log; locked or pinned memory (VFIO) is the usual cause"},
	[PS_BALLOON_REFUSED] = {"QEMU refused the order", NULL},
	[PS_BALLOON_SLOW] = {"the guest does not follow the target", NULL},
	[PS_BALLOON_READY] = {"nothing is asked of it", NULL},
	[PS_BALLOON_INFLATING] = {"takes memory, step by step", NULL},
	[PS_BALLOON_DEFLATING] = {"gives memory back", NULL},
	[PS_BALLOON_AT_TARGET] = {"has what was asked", NULL},
	[PS_BALLOON_AT_FLOOR] = {"the guest needs the rest", NULL},
	[PS_BALLOON_AT_MAX] = {"as large as Mem.CtlMaxPercent or sched.mem.maxmemctl allows", NULL},
	[PS_BALLOON_SHORT] = {"the guest is, or was just, short of memory: it is given back", NULL},
};

const char *balloon_state_text(unsigned int state)
{
	return state < PS_BALLOON_STATE_END ? words[state].text : "unknown";
}

const char *balloon_state_mend(unsigned int state)
{
	return state < PS_BALLOON_STATE_END ? words[state].mend : NULL;
}
