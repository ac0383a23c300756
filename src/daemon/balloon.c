/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: VMs have balloons, and no QEMU ever talks with this process.
 *
 * pshare-balloon is started before the system calls are limited, by a process of its own that
 * starts it again when it dies (sys_keep_running): after that nothing can be executed here. For a
 * VM whose agent offers a monitor the agent is asked for a connection (it alone may open what its
 * user may open, so nobody is talked into connecting to another's socket), and connection and one
 * end of a channel go to pshare-balloon, which makes a worker. A worker that ends is followed by
 * another, after a pause that doubles.
 *
 * What is wanted is state, said again and again (an order is 48 bytes); what is known is the last
 * report, each checked. A report is that VM's own figures: it moves no other VM.
 *
 * A VM that is held (it stands still) has to be let go whatever dies: the worker does it when we
 * end or fall silent; another worker, when it dies; the VM's agent, when all of us do, since it is
 * told before the VM is stopped, and when pshare-balloon is gone for good.
 */
#include "daemon/balloon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/session.h"
#include "policy/balloon.h"
#include "sys/cleanup.h"
#include "sys/launch.h"
#include "sys/proc.h"
#include "sys/process.h"
#include "sys/self.h"
#include "sys/sock.h"
#include "sys/stream.h"

#define BEAT_BUSY (1 * SEC)
#define PAUSE_MAX (60 * SEC)
#define PAUSE_HELD (250 * MSEC) /* a VM that stands still is not to wait */
#define REPORTS_SLICE 16u
#define PATH_BYTES 4096u

/* ---- pshare-balloon ------------------------------------------------------------------------- */

/* Beside pshared, or where the build put it. */
static int find_program(char *path, size_t size)
{
	static const char *const places[] = {"pshare-balloon", "../balloon/pshare-balloon"};
	char folder[PATH_BYTES / 2];
	int r = sys_self_folder(folder, sizeof(folder));

	for (unsigned int i = 0; r == 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		int n = snprintf(path, size, "%s/%s", folder, places[i]);

		if (n > 0 && (size_t)n < size && sys_can_read(path) == 0)
			return 0;
	}
	return r < 0 ? r : -ENOENT;
}

void balloon_start(struct daemon *d)
{
	static const char *const argv[] = {"pshare-balloon", NULL};
	char path[PATH_BYTES];
	int pair[2], r = find_program(path, sizeof(path));
	pid_t keeper;

	d->balloon_fd = -1;
	d->balloon.fd = -1;
	if (r == 0)
		r = sys_message_pair(pair);
	if (r == 0) {
		r = sys_keep_running(path, argv, pair[1], PS_BALLOON_KEEPER_FD, &keeper);
		d->balloon_fd = pair[0];
	}
	if (r == 0)
		r = loop_watch(&d->loop, &d->balloon, LOOP_BALLOON, d->balloon_fd, LOOP_READ);
	if (r < 0) {
		close_fd(&d->balloon_fd);
		log_warn("pshare-balloon cannot be started: %s: no balloons", strerror(-r));
	}
}

void balloon_keeper_event(struct daemon *d)
{
	loop_unwatch(&d->loop, &d->balloon);
	close_fd(&d->balloon_fd);
	log_error("pshare-balloon is gone for good: no balloons until pshared is started anew");
	list_for_each(vm, &d->vms, struct vm, link) {
		if (!vm->balloon.told_held || !vm->session)
			continue;
		vm->session->say_held = true; /* its agent lets it go */
		session_mark(vm->session);
	}
}

static void let_go_of_worker(struct vm *vm)
{
	loop_unwatch(&vm->daemon->loop, &vm->balloon.source);
	close_fd(&vm->balloon.channel);
	vm->balloon.reported = false;
}

void balloon_stop(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link)
		let_go_of_worker(vm);
	loop_unwatch(&d->loop, &d->balloon);
	close_fd(&d->balloon_fd);
}

/* ---- what is wanted -------------------------------------------------------------------------- */

/* Locked guest memory is not given back by anybody; its agent says so. */
static bool is_locked(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->nregions; i++)
		if (vm->region[i].cause == PS_CAUSE_LOCKED)
			return true;
	return false;
}

uint64_t balloon_target(const struct vm *vm)
{
	const struct vm_balloon *b = &vm->balloon;

	return b->target > b->manual ? b->target : b->manual;
}

static uint32_t order_flags(const struct vm *vm)
{
	const struct vm_balloon *b = &vm->balloon;

	return (b->hold ? PS_BALLOON_HOLD : 0) |
	       (b->manual_force && b->manual >= b->target ? PS_BALLOON_FORCE : 0) |
	       (b->wanted || b->manual || is_locked(vm) ? 0 : PS_BALLOON_KEEP);
}

static void send_order(struct vm *vm)
{
	struct vm_balloon *b = &vm->balloon;
	const int64_t *value = vm->daemon->settings.value;
	struct ps_balloon_order order = {
		.head = ps_balloon_head(PS_BALLOON_ORDER),
		.flags = order_flags(vm),
		.max_percent = (uint32_t)value[SETTING_CTL_MAX_PERCENT],
		/* the guest of a child has been up as long as its parent's */
		.up_s = vm->parent_image ? 0 : (uint32_t)value[SETTING_CTL_UP_TIME],
		.target = is_locked(vm) ? 0 : balloon_target(vm),
		.max = b->limit,
	};

	if (b->channel < 0)
		return;
	if (sys_resident(vm->pid, &order.resident) < 0)
		order.resident = 0;
	/* a worker that does not read is told the next time, and ends if that lasts */
	(void)sys_send_fds(b->channel, &order, sizeof(order), NULL, 0);
	b->beat_at = 0;
	if (order.target || b->hold || balloon_size(vm)) {
		b->beat_at = vm->daemon->now + BEAT_BUSY;
		daemon_wake_at(vm->daemon, b->beat_at);
	}
}

void balloon_want(struct vm *vm, uint64_t target, uint64_t limit)
{
	struct vm_balloon *b = &vm->balloon;

	if (b->wanted && b->target == target && b->limit == limit)
		return;
	b->wanted = true;
	b->target = target;
	b->limit = limit;
	send_order(vm);
}

struct vm_balloon_wish balloon_wish_of(const struct vm *vm)
{
	const struct vm_balloon *b = &vm->balloon;

	return (struct vm_balloon_wish){b->wanted, b->manual_force, b->target, b->manual};
}

void balloon_inherit(struct vm *vm, const struct vm_balloon_wish *wish)
{
	struct vm_balloon *b = &vm->balloon;

	if (b->wanted || b->manual)
		return;
	b->wanted = wish->wanted;
	b->target = wish->target;
	b->manual = wish->manual;
	b->manual_force = wish->manual_force;
	send_order(vm);
}

void balloon_want_by_hand(struct vm *vm, uint64_t bytes, bool force)
{
	struct vm_balloon *b = &vm->balloon;

	if (!bytes)
		b->wanted = true; /* what was taken by hand, of an earlier daemon too, goes back */
	b->manual = bytes;
	b->manual_force = force && bytes;
	send_order(vm);
}

/* The agent has to know before the VM stands still, and until it does not any more. */
static void tell_agent(struct vm *vm, bool held)
{
	if (vm->balloon.told_held == held)
		return;
	vm->balloon.told_held = held;
	if (!vm->session)
		return;
	vm->session->say_held = true;
	session_mark(vm->session);
}

void balloon_hold(struct vm *vm, bool hold)
{
	struct vm_balloon *b = &vm->balloon;

	if (b->hold == hold)
		return;
	b->hold = hold;
	log_warn("%s: %s", vm->name,
		 hold ? "is held back: the host has too little memory" : "is let go");
	if (hold)
		tell_agent(vm, true);
	send_order(vm);
}

/* ---- what is known --------------------------------------------------------------------------- */

enum ps_balloon_state balloon_state(const struct vm *vm)
{
	const struct vm_balloon *b = &vm->balloon;

	if (is_locked(vm) && (b->offered || b->channel >= 0))
		return PS_BALLOON_LOCKED;
	return b->state;
}

bool balloon_of_use(const struct vm *vm)
{
	return vm->balloon.reported && balloon_usable(balloon_state(vm)) && !balloon_holds(vm);
}

bool balloon_can_hold(const struct vm *vm)
{
	return vm->balloon.reported && !(vm->balloon.report.flags & PS_BALLOON_PAUSED);
}

bool balloon_holds(const struct vm *vm)
{
	return vm->balloon.reported && (vm->balloon.report.flags & PS_BALLOON_HELD);
}

uint64_t balloon_size(const struct vm *vm)
{
	const struct ps_balloon_report *r = &vm->balloon.report;

	if (!vm->balloon.reported || !(r->flags & PS_BALLOON_DEVICE) || r->actual > r->size)
		return 0;
	return r->size - r->actual;
}

uint64_t balloon_max(const struct vm *vm)
{
	return vm->balloon.reported ? vm->balloon.report.max : 0;
}

uint64_t balloon_most(const struct vm *vm)
{
	return balloon_of_use(vm) ? vm->balloon.report.most : balloon_size(vm);
}

/* Logged where a reader has to do something, or wonders: not each step. */
static void note_state(struct vm *vm, enum ps_balloon_state state, const char *text)
{
	struct vm_balloon *b = &vm->balloon;
	bool was = balloon_usable(b->state), is = balloon_usable(state);
	enum ps_balloon_state before = b->state;

	b->state = state;
	if (state == before)
		return;
	if (state == PS_BALLOON_SHORT)
		log_info("%s: balloon: %s", vm->name, balloon_state_text(state));
	else if (was != is || !is)
		log_debug("%s: balloon: %s%s%s", vm->name, balloon_state_text(state),
			  *text ? ": " : "", text);
}

static void take_report(struct vm *vm, const struct ps_balloon_report *report)
{
	struct vm_balloon *b = &vm->balloon;
	bool first = !b->reported;

	b->report = *report;
	b->reported = true;
	b->was_held = false;
	if (balloon_usable(report->state))
		b->pause = BALLOON_PAUSE_MIN;
	note_state(vm, report->state, report->text);
	if (!b->hold && !(report->flags & PS_BALLOON_HELD))
		tell_agent(vm, false);
	if (first)
		send_order(vm);
	if (!b->beat_at && (balloon_size(vm) || (report->flags & PS_BALLOON_HELD)))
		send_order(vm);
}

/* Another one is tried, after a pause. */
static void worker_ended(struct vm *vm)
{
	struct vm_balloon *b = &vm->balloon;

	if (b->reported && (b->report.flags & PS_BALLOON_HELD))
		b->was_held = true;
	if (b->state < PS_BALLOON_NO_SOCKET || b->state >= PS_BALLOON_NO_DEVICE)
		note_state(vm, PS_BALLOON_LOST, "");
	let_go_of_worker(vm);
	b->try_at = vm->daemon->now + b->pause;
	b->pause = b->pause * 2 < PAUSE_MAX ? b->pause * 2 : PAUSE_MAX;
	if ((b->hold || b->was_held) && b->try_at > vm->daemon->now + PAUSE_HELD)
		b->try_at = vm->daemon->now + PAUSE_HELD;
	daemon_wake_at(vm->daemon, b->try_at);
}

void balloon_event(struct vm *vm)
{
	struct vm_balloon *b = &vm->balloon;

	for (unsigned int i = 0; i < REPORTS_SLICE; i++) {
		struct ps_balloon_report report;
		int fds[SYS_FDS_MAX];
		unsigned int nfds = 0;
		size_t got = 0;
		int r = sys_recv_fds(b->channel, &report, sizeof(report), &got, fds, &nfds);

		while (nfds)
			close_fd(&fds[--nfds]);
		if (r == -EAGAIN)
			return;
		if (r == -ECONNRESET)
			continue; /* orders were left unread: said once, before its last reports */
		if (r == 0 && got)
			r = ps_balloon_check(&report, (uint32_t)got, PS_BALLOON_REPORT);
		if (r == 0 && got)
			r = ps_balloon_report_check(&report);
		if (r == 0 && got) {
			take_report(vm, &report);
			continue;
		}
		if (r == -EPROTO)
			note_state(vm, PS_BALLOON_LIES, "a report that cannot be");
		worker_ended(vm);
		return;
	}
}

/* ---- connections ----------------------------------------------------------------------------- */

void balloon_offered(struct vm *vm, bool held)
{
	struct vm_balloon *b = &vm->balloon;

	b->offered = true;
	b->asked = false;
	b->was_held |= held && b->channel < 0;
	b->told_held |= held;
	if (b->channel >= 0)
		return;
	b->state = PS_BALLOON_CONNECTING;
	b->try_at = vm->daemon->now;
	daemon_wake_at(vm->daemon, b->try_at);
}

void balloon_vm_gone(struct vm *vm)
{
	let_go_of_worker(vm);
	vm->balloon.try_at = vm->balloon.beat_at = 0;
	vm->balloon.offered = false;
}

static int start_worker(struct vm *vm, int qmp)
{
	struct daemon *d = vm->daemon;
	struct vm_balloon *b = &vm->balloon;
	struct ps_balloon_start start = {
		.head = ps_balloon_head(PS_BALLOON_START),
		.flags = b->was_held ? PS_BALLOON_WAS_HELD : 0,
	};
	_cleanup_close_ int ours = -1;
	_cleanup_close_ int theirs = -1;
	int pair[2], r = sys_message_pair(pair);

	if (r < 0)
		return r;
	ours = pair[0];
	theirs = pair[1];
	memcpy(start.name, vm->name, sizeof(start.name));
	r = sys_send_fds(d->balloon_fd, &start, sizeof(start), (int[]){qmp, theirs}, 2);
	if (r == 0)
		r = loop_watch(&d->loop, &b->source, LOOP_BALLOON_VM, ours, LOOP_READ);
	if (r < 0)
		return r;
	b->channel = TAKE_FD(ours);
	b->reported = false;
	send_order(vm);
	return 0;
}

/* The balloon that an earlier daemon asked for is ours: to keep, and to give back. */
static void adopt(struct vm_balloon *b, uint32_t asked)
{
	if (b->wanted || !asked)
		return;
	b->wanted = true;
	b->target = (uint64_t)(asked - 1) * PS_PAGE_SIZE;
}

void balloon_connected(struct vm *vm, int error, int fd, uint32_t asked)
{
	_cleanup_close_ int qmp = fd;
	struct vm_balloon *b = &vm->balloon;
	int r = 0;

	if (!b->asked || b->channel >= 0 || vm->daemon->balloon_fd < 0)
		return;
	b->asked = false;
	adopt(b, asked);
	if (error || qmp < 0) {
		note_state(vm, PS_BALLOON_NO_SOCKET, error ? strerror(error) : "no descriptor");
		worker_ended(vm);
		return;
	}
	r = start_worker(vm, qmp);
	if (r < 0) {
		log_debug("%s: no worker for its balloon: %s", vm->name, strerror(-r));
		worker_ended(vm);
	}
}

static void ask_agent(struct vm *vm)
{
	struct vm_balloon *b = &vm->balloon;

	b->try_at = 0;
	if (!vm->session || !b->offered || b->channel >= 0 || vm->daemon->balloon_fd < 0)
		return;
	b->asked = true;
	vm->session->say_qmp = true;
	session_mark(vm->session);
}

void balloon_tick(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link) {
		struct vm_balloon *b = &vm->balloon;

		if (b->try_at && b->try_at <= d->now)
			ask_agent(vm);
		if (b->beat_at && b->beat_at <= d->now)
			send_order(vm);
		if (b->try_at)
			daemon_wake_at(d, b->try_at);
		if (b->beat_at)
			daemon_wake_at(d, b->beat_at);
	}
}
