/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a hint that the daemon could not keep is not lost for good.
 *
 * An agent hints a page that does not change once. Where its hint was dropped (the VM's quota was
 * reached, its user's account full, no memory, too many waited, the agent too slow to bring a
 * content), nobody would ever come back to that page. So what is lost is counted (hints.h), and
 * after some time all that the index has of that VM is thrown away and its agent told to hint
 * everything anew: what is still true comes back, and what filled the place without being true
 * does not. That costs the agent one pass of hashing. It waits twice as long before the next time
 * when it has lost hints again since, so a VM that never has room enough hardly notices.
 *
 * While the old hints are being swept out, slice by slice, new ones are not taken: they come again.
 */
#include "daemon/rehint.h"

#include "daemon/member.h"
#include "daemon/session.h"
#include "daemon/vm.h"

#define REHINT_MAX (640 * SEC)
#define SLICE 16384u

static bool may_begin(const struct member *m)
{
	struct daemon *d = m->domain->daemon;

	return !d->memory_short && !d->books_short && !m->crowded && !m->parked_count &&
	       m->free_slots == PS_CONTENT_SLOTS && user_has_room(d, m->user);
}

static void schedule(struct vm *vm)
{
	struct daemon *d = vm->daemon;
	struct member *m = vm->member;

	if (m->restarting)
		return;
	if (!hints_may_return(&m->hints)) {
		if (m->rehint_at && m->rehint_at <= d->now) { /* all went well since */
			m->rehint_at = 0;
			m->rehint_ns = REHINT_MIN;
		}
		return;
	}
	if (!m->rehint_at)
		m->rehint_at = d->now + m->rehint_ns;
	if (m->rehint_at <= d->now && may_begin(m)) {
		m->restarting = true;
		m->restart_page = 0;
		m->restart_cursor = 0;
	}
	daemon_wake_at(d, m->rehint_at > d->now ? m->rehint_at : d->now + 1 * SEC);
}

void rehint_tick(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link)
		if (vm->session && vm->member && vm->member->state == MEMBER_ACTIVE)
			schedule(vm);
}

bool rehint_work(struct vm *vm)
{
	struct daemon *d = vm->daemon;
	struct member *m = vm->member;

	if (!m || !m->restarting)
		return false;
	if (!hints_restart(&m->hints, &m->restart_page, SLICE) ||
	    !index_sweep(m->domain->index, m->slot, 0, PS_PAGES_MAX - 1, &m->restart_cursor, SLICE))
		return true;
	member_charge(m);
	m->restarting = false;
	if (m->rehint_ns < REHINT_MAX)
		m->rehint_ns *= 2;
	m->rehint_at = d->now + m->rehint_ns;
	COUNT(vm, rehints);
	log_debug("%s: hints were lost, it is told to hint everything anew", vm->name);
	vm->session->say_rehint = true;
	session_mark(vm->session);
	return false;
}
