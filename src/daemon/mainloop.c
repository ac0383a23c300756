/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A turn of the loop: wait; deal with each event; a slice of every ring that has entries, of
 * every member that is being dropped, of every region that went; say what is to be said; answer
 * changes that became true; free what ended. Slices are bounded, and whoever has more gets the next
 * turn, so one VM with a full ring costs the others a fraction of a millisecond.
 *
 * Whoever has a deadline calls daemon_wake_at(); the loop waits no longer than for the earliest.
 * When it has come every kind of deadline is looked at, and those to come are set again. No tick
 * where there is nothing to wait for. A timerfd was there first: had it failed once, all
 * deadlines were lost.
 */
#include "daemon/mainloop.h"

#include <limits.h>
#include <signal.h>
#include <string.h>

#include "daemon/accept.h"
#include "daemon/admission.h"
#include "daemon/api.h"
#include "daemon/balloon.h"
#include "daemon/change.h"
#include "daemon/device.h"
#include "daemon/grant.h"
#include "daemon/holes.h"
#include "daemon/image.h"
#include "daemon/match.h"
#include "daemon/member.h"
#include "daemon/notify.h"
#include "daemon/pressure.h"
#include "daemon/rehint.h"
#include "daemon/rehome.h"
#include "daemon/reload.h"
#include "daemon/saved.h"
#include "daemon/session-end.h"
#include "daemon/session-hear.h"
#include "daemon/session-say.h"
#include "daemon/session.h"
#include "daemon/user.h"
#include "daemon/verify.h"
#include "daemon/vm-end.h"
#include "daemon/vm-region.h"
#include "daemon/vm.h"
#include "sys/events.h"
#include "sys/process.h"

static void on_signal(struct daemon *d)
{
	struct sys_signal signal;
	struct view_peer from = {.login_uid = VIEW_NO_UID};

	switch (sys_signalfd_read(d->signal_fd, &signal)) {
	case SIGHUP:
		from.uid = signal.uid;
		from.pid = signal.pid;
		reload(d, &from);
		break;
	case SIGTERM:
	case SIGINT:
		d->stop = true;
		break;
	default:
		break;
	}
}

static void check_idle(struct daemon *d)
{
	uint64_t limit = d->options->exit_when_idle_s * SEC, since = d->idle_since;

	if (!limit || d->nvms)
		return;
	if (api_last_request(d->api) > since)
		since = api_last_request(d->api);
	if (d->now - since >= limit) {
		log_info("no VM for %u seconds: ends", d->options->exit_when_idle_s);
		d->stop = true;
	} else {
		daemon_wake_at(d, since + limit);
	}
}

/* Milliseconds that the loop may wait, rounded up. */
static int time_to_wait(const struct daemon *d)
{
	uint64_t ms;

	if (!d->wake_at)
		return -1;
	if (d->wake_at <= d->now)
		return 0;
	ms = (d->wake_at - d->now + MSEC - 1) / MSEC;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Looks at every kind of deadline; those that are still to come are set again. */
static void deadlines(struct daemon *d)
{
	if (!d->wake_at || d->wake_at > d->now)
		return;
	d->wake_at = 0;
	pressure_tick(d);
	admissions_tick(d);
	accept_tick(d);
	sessions_tick(d);
	match_tick(d);
	domains_tick(d);
	holes_tick(d);
	rehome_tick(d);
	changes_tick(d);
	grants_tick(d);
	images_tick(d);
	rehint_tick(d);
	verify_tick(d);
	users_tick(d);
	balloon_tick(d);
	check_idle(d);
}

/* All its references go back. */
static void process_ended(struct vm *vm)
{
	vm->ended = true;
	loop_unwatch(&vm->daemon->loop, &vm->process);
	if (vm->session)
		session_end(vm->session);
	else
		vm_end(vm);
}

static void handle(void *arg, struct loop_source *source, unsigned int events)
{
	struct daemon *d = arg;

	d->now = sys_now();
	switch (source->kind) {
	case LOOP_SIGNAL:
		on_signal(d);
		break;
	case LOOP_LISTEN:
		sessions_accept(d);
		break;
	case LOOP_API:
		api_dispatch(d->api);
		break;
	case LOOP_DEVICE:
		device_hand_out(d);
		break;
	case LOOP_SESSION:
		session_event(list_entry(source, struct session, source), events);
		break;
	case LOOP_BELL:
		session_bell(list_entry(source, struct session, bell));
		break;
	case LOOP_PROCESS:
		process_ended(list_entry(source, struct vm, process));
		break;
	case LOOP_BALLOON:
		balloon_keeper_event(d);
		break;
	case LOOP_BALLOON_VM:
		balloon_event(list_entry(source, struct vm, balloon.source));
		break;
	}
}

/* Those that are ready now, each one slice; who becomes ready meanwhile has the next turn. */
static void work_on_rings(struct daemon *d)
{
	struct list now;

	if (list_empty(&d->ready))
		return;
	now = d->ready;
	now.next->prev = now.prev->next = &now;
	list_init(&d->ready);
	while (!list_empty(&now))
		session_ring_work(list_entry(now.next, struct session, ready));
}

void daemon_free_ended(struct daemon *d)
{
	list_for_each(s, &d->gone_sessions, struct session, gone)
		session_free(s);
	list_for_each(vm, &d->gone_vms, struct vm, gone)
		vm_free(vm);
}

static bool work_slices(struct daemon *d)
{
	bool more;

	work_on_rings(d);
	more = members_work(d);
	more |= images_work(d);
	list_for_each(vm, &d->vms, struct vm, link) {
		more |= vm_sweep_work(vm);
		more |= rehint_work(vm);
	}
	more |= saved_work(d);
	if (!list_empty(&d->changes))
		changes_check(d);
	list_for_each(s, &d->unsent, struct session, unsent)
		session_flush(s);
	daemon_free_ended(d);
	return more || !list_empty(&d->ready) || !list_empty(&d->unsent);
}

int daemon_turn(struct daemon *d, bool wait, bool *more)
{
	int r = loop_turn(&d->loop, *more || !wait ? 0 : time_to_wait(d), handle, d);

	d->now = sys_now();
	deadlines(d);
	*more = work_slices(d);
	return r;
}

int daemon_run(struct daemon *d)
{
	bool more = false;
	int r = 0;

	log_info("version %s, process %d, runtime folder %s", PSHARE_VERSION, (int)sys_self_pid(),
		 d->options->runtime_dir);
	notify_manager("READY=1");
	check_idle(d);
	while (!d->stop && r == 0)
		r = daemon_turn(d, true, &more);
	if (r < 0)
		log_error("the event loop: %s", strerror(-r));
	notify_manager("STOPPING=1");
	return r;
}
