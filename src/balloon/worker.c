/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: the balloon of one VM follows pshared's orders as far as its guest can bear it, the VM
 * stands still only while pshared says so, and whatever its QEMU does costs this process alone.
 *
 * One loop: hear pshared's last order; ask QEMU how the guest is; let the policy say what is next
 * (policy/balloon.c); do it; report. Each question to QEMU has a deadline, so no turn is longer
 * than a few of them. A QEMU that does not keep to QMP is left: the last report says why.
 *
 * Held (QMP stop), a VM is let go again
 *  - when pshared orders it, or falls silent for PS_BALLOON_HEAR_MS (stopped, hung),
 *  - when pshared ends: its end of the channel is closed, which is seen at once,
 *  - when this process is killed: pshared starts another with PS_BALLOON_WAS_HELD, which lets go of
 *    what it finds standing still,
 *  - when QEMU falls silent after it was told to stop: in the same way. So pshared is told before
 *    QEMU is, and what may have been stopped counts as held until QEMU says that it runs,
 *  - when all of them are killed: the VM's agent, which was told before (PS_MSG_HELD).
 * What stood still before we held it stays so.
 *
 * When pshared ends, a balloon that the guest itself can deflate when it is short (deflate-on-oom)
 * stays for the next pshared; any other is given back: nobody would watch over that guest.
 */
#include "balloon/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "balloon/confine.h"
#include "balloon/guest.h"
#include "sys/proc.h"
#include "sys/sock.h"
#include "sys/wait.h"

#define MS 1000000ull
#define GREETING_MS 10000u /* QEMU may be starting, or lose its former client just now */
#define LOOK_MS 1000u
#define SIZES_EVERY 10u /* looks */
#define NO_DEVICE_MS 5000u

struct worker {
	const char *name;
	int channel;
	struct guest guest;
	struct balloon policy;
	struct ps_balloon_order order;
	bool ordered, over; /* an order has come; the channel has ended */
	uint64_t heard_at;  /* ns */
	bool was_held;	    /* by an earlier worker: to be let go */
	bool held, runs;
	unsigned int looks;
	struct ps_balloon_report report;
};

static enum ps_balloon_state state_of_error(int r)
{
	switch (r) {
	case -ETIMEDOUT:
		return PS_BALLOON_STALLED;
	case -EPROTO:
	case -EMSGSIZE:
	case -E2BIG:
	case -ENOBUFS:
	case -ENOMEM: /* of what it may have; QEMU's answers are small */
		return PS_BALLOON_LIES;
	case -EREMOTEIO:
		return PS_BALLOON_REFUSED;
	default:
		return PS_BALLOON_LOST;
	}
}

static void say_report(struct worker *w)
{
	/* who does not read gets the next one */
	(void)sys_send_fds(w->channel, &w->report, sizeof(w->report), NULL, 0);
}

static void note_text(struct worker *w, const char *text)
{
	memset(w->report.text, 0, sizeof(w->report.text));
	snprintf(w->report.text, sizeof(w->report.text), "%.*s", (int)PS_BALLOON_TEXT - 1, text);
}

/* ---- pshared --------------------------------------------------------------------------------- */

static bool hear_one(struct worker *w)
{
	struct ps_balloon_order order;
	int fds[SYS_FDS_MAX];
	unsigned int nfds = 0;
	size_t got = 0;
	int r = sys_recv_fds(w->channel, &order, sizeof(order), &got, fds, &nfds);

	while (nfds)
		close_fd(&fds[--nfds]);
	if (r == -EAGAIN)
		return false;
	if (r < 0 || got == 0 || ps_balloon_check(&order, (uint32_t)got, PS_BALLOON_ORDER) < 0) {
		w->over = true;
		return false;
	}
	w->order = order;
	w->ordered = true;
	w->heard_at = sys_now();
	return true;
}

static void hear(struct worker *w)
{
	while (!w->over && hear_one(w))
		;
}

static bool hold_wanted(const struct worker *w)
{
	return w->ordered && !w->over && (w->order.flags & PS_BALLOON_HOLD) &&
	       sys_now() - w->heard_at < PS_BALLOON_HEAR_MS * MS;
}

/* ---- holding --------------------------------------------------------------------------------- */

/* What an earlier worker left standing still. */
static int let_go_former(struct worker *w)
{
	int r;

	if (!w->was_held)
		return 0;
	r = guest_runs(&w->guest, &w->runs);
	if (r == 0 && !w->runs)
		r = guest_go_on(&w->guest);
	if (r == 0 || r == -EREMOTEIO)
		w->was_held = false;
	return r;
}

/* pshared knows before the VM stands still: whatever happens then, the next worker is told. */
static int stop_guest(struct worker *w)
{
	int r;

	w->held = true;
	w->report.flags = (w->report.flags & ~PS_BALLOON_PAUSED) | PS_BALLOON_HELD;
	say_report(w);
	r = guest_stop(&w->guest);
	if (r == -EREMOTEIO)
		w->held = false;
	return r; /* else it may have been stopped: held until it is seen to run */
}

/* Stops or lets go, as is wanted now. An answer of QEMU's that it cannot is noted, not an error. */
static int hold_or_let_go(struct worker *w)
{
	bool wanted = hold_wanted(w);
	int r = guest_runs(&w->guest, &w->runs);

	if (r == 0 && w->held && w->runs)
		w->held = false; /* somebody else let it go */
	if (r == 0 && wanted && w->runs) {
		r = stop_guest(w);
	} else if (r == 0 && !wanted && w->held) {
		r = guest_go_on(&w->guest);
		if (r == 0)
			w->held = false;
	} else {
		return r;
	}
	if (r == -EREMOTEIO) {
		note_text(w, qmp_error(w->guest.qmp));
		return 0;
	}
	return r == 0 ? guest_runs(&w->guest, &w->runs) : r;
}

/* ---- a look ---------------------------------------------------------------------------------- */

static struct balloon_wish wish_of(const struct worker *w, const struct balloon_look *look)
{
	struct balloon_wish wish = {
		.target = w->order.target,
		.max = w->order.max,
		.max_percent = w->order.max_percent,
		.up_s = w->order.up_s,
		.force = w->order.flags & PS_BALLOON_FORCE,
	};

	/* as it is, until pshared knows what it wants */
	if (!w->ordered || (w->order.flags & PS_BALLOON_KEEP)) {
		wish.target = look->actual < look->size ? look->size - look->actual : 0;
		wish.max = UINT64_MAX;
		wish.max_percent = 100;
	}
	return wish;
}

static void fill_report(struct worker *w, const struct balloon_look *look,
			const struct balloon_next *next)
{
	struct ps_balloon_report *r = &w->report;

	r->state = next->state;
	r->flags = (w->guest.device[0] ? PS_BALLOON_DEVICE : 0) |
		   (w->guest.oom ? PS_BALLOON_OOM : 0) |
		   (w->guest.reporting ? PS_BALLOON_REPORTING : 0) |
		   (next->fresh ? PS_BALLOON_FRESH : 0) |
		   (next->guest_short ? PS_BALLOON_GUEST_SHORT : 0) |
		   (w->held ? PS_BALLOON_HELD :
		    w->runs ? 0 :
			      PS_BALLOON_PAUSED);
	r->size = w->guest.base + w->guest.plugged;
	r->actual = look->actual;
	r->goal = next->goal;
	r->max = next->max;
	r->most = next->most;
	r->total = look->figures.total;
	r->available = look->figures.available;
	r->free = look->figures.free;
	r->swap_in = next->swap_in;
	r->major_faults = next->major_faults;
	r->stalls = next->stalls;
	r->age_ms = next->age_ms;
}

/* One that has no balloon is only shown, held and let go. */
static void fill_no_device(struct worker *w)
{
	struct balloon_look look = {.actual = w->guest.base + w->guest.counted,
				    .figures = {.total = BALLOON_UNKNOWN,
						.available = BALLOON_UNKNOWN,
						.free = BALLOON_UNKNOWN}};
	struct balloon_next next = {.state = PS_BALLOON_NO_DEVICE,
				    .swap_in = BALLOON_UNKNOWN,
				    .major_faults = BALLOON_UNKNOWN,
				    .stalls = BALLOON_UNKNOWN,
				    .age_ms = BALLOON_UNKNOWN};

	fill_report(w, &look, &next);
}

static int do_next(struct worker *w, const struct balloon_next *next)
{
	int r = 0;

	if (next->set)
		r = guest_leave(&w->guest, next->value);
	if (r == -EREMOTEIO) {
		note_text(w, qmp_error(w->guest.qmp));
		balloon_refused(&w->policy, sys_now() / MS);
		w->report.state = PS_BALLOON_REFUSED;
		r = 0;
	}
	if (r == 0 && next->poll_s)
		r = guest_poll(&w->guest, next->poll_s);
	return r == -EREMOTEIO ? 0 : r; /* the device went meanwhile */
}

static int look_at_balloon(struct worker *w)
{
	struct balloon_look look = {
		.now_ms = sys_now() / MS, .resident = w->order.resident, .paused = !w->runs};
	struct balloon_wish wish;
	struct balloon_next next;
	int r = guest_actual(&w->guest, &look.actual);

	if (r == 0 && look.actual > w->guest.base + w->guest.counted)
		r = guest_sizes(&w->guest); /* memory was plugged in */
	if (r == 0)
		r = guest_figures(&w->guest, &look.figures);
	if (r < 0)
		return r;
	look.size = w->guest.base + w->guest.counted;
	wish = wish_of(w, &look);
	balloon_step(&w->policy, &look, &wish, &next);
	if (w->ordered) /* what is kept may be more */
		next.max = balloon_max_of(look.size, w->order.max, w->order.max_percent);
	fill_report(w, &look, &next);
	return do_next(w, &next);
}

/* 0 or -errno: the connection is of no use any more. */
static int look(struct worker *w)
{
	struct qmp_message event;
	int r;

	while ((r = qmp_event(w->guest.qmp, &event)) == 1)
		qmp_message_clear(&event); /* nothing is told that is not asked for as well */
	if (r == 0)
		r = let_go_former(w);
	if (r == 0 || r == -EREMOTEIO)
		r = hold_or_let_go(w);
	if (r == 0 && w->looks++ % SIZES_EVERY == 0)
		r = guest_sizes(&w->guest);
	if (r == 0 && !w->guest.device[0])
		r = guest_find_balloon(&w->guest);
	if (r == 0)
		r = w->guest.device[0] ? look_at_balloon(w) : -ENODEV;
	if (r == -ENODEV) { /* none yet, or unplugged */
		w->guest.device[0] = '\0';
		fill_no_device(w);
		r = 0;
	}
	return r;
}

/* Until pshared says something, or it is time. QEMU's events are taken at the next look. */
static void wait_for_more(struct worker *w, unsigned int ms)
{
	unsigned int ready = 0;

	(void)sys_wait_readable(&w->channel, 1, (long)ms * 1000, &ready);
}

/* ---- its life -------------------------------------------------------------------------------- */

/* pshared has ended, or wants no more of this VM. */
static void end_well(struct worker *w)
{
	if (w->was_held)
		(void)let_go_former(w);
	if (w->held)
		(void)guest_go_on(&w->guest);
	if (w->guest.device[0] && !w->guest.oom &&
	    (w->policy.goal || w->report.actual < w->guest.base + w->guest.counted))
		(void)guest_leave(&w->guest, w->guest.base + w->guest.counted);
}

static enum ps_balloon_state end_badly(struct worker *w, int r)
{
	w->report.state = state_of_error(r);
	w->report.flags &= PS_BALLOON_OOM | PS_BALLOON_REPORTING;
	if (w->held || w->was_held) /* the next worker has to let it go */
		w->report.flags |= PS_BALLOON_HELD;
	note_text(w, r == -EREMOTEIO ? qmp_error(w->guest.qmp) : strerror(-r));
	say_report(w);
	return w->report.state;
}

static enum ps_balloon_state talk(struct worker *w)
{
	while (!w->over) {
		int r;

		note_text(w, "");
		r = look(w);
		if (r < 0)
			return end_badly(w, r);
		say_report(w);
		wait_for_more(w, w->guest.device[0] || w->held ? LOOK_MS : NO_DEVICE_MS);
		hear(w);
	}
	end_well(w);
	return w->report.state;
}

enum ps_balloon_state worker_run(const struct ps_balloon_start *start, int qmp_fd, int channel)
{
	struct qmp_limits limits = {.deadline_ms = GREETING_MS};
	struct worker w = {
		.name = start->name,
		.channel = channel,
		.was_held = start->flags & PS_BALLOON_WAS_HELD,
		.runs = true,
		.report = {.head = ps_balloon_head(PS_BALLOON_REPORT),
			   .state = PS_BALLOON_CONNECTING},
	};
	enum ps_balloon_state state;
	int r;

	confine_worker();
	balloon_init(&w.policy, sys_now() / MS);
	r = qmp_new(qmp_fd, &limits, &w.guest.qmp);
	if (r == 0)
		r = guest_sizes(&w.guest);
	hear(&w);
	state = r < 0 ? end_badly(&w, r) : talk(&w);
	w.guest.qmp = qmp_free(w.guest.qmp);
	close_fd(&w.channel);
	return state;
}
