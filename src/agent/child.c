/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * child: fork(), _Fork(), and clone() without CLONE_VM.
 *
 * A child would map our frames, and nobody would count its references: the frame could be given
 * back, and filled anew, under its eyes. So before it is made every page that it would get is the
 * VMM's own again; what a device has pinned is, in the child, as soon as that begins. In the child
 * the agent is dead: every call passes through, its descriptors are closed (they belong to the
 * parent's memory), and signals are open again as they were.
 *
 * In the parent sharing goes on. A fork marks every page as shared with the child, for good: the
 * region notes that there was one, and region_reown() sees to its pages when they are to be taken
 * out and the child has gone.
 *
 * fork() runs the handlers of pthread_atfork(); _Fork() and clone() do not, and are interposed.
 *
 * Limit: a child made by the system call's number, past libc, maps the frames that its parent had,
 * uncounted: it is right for as long as the parent keeps them.
 */
#include "agent/child.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/bringback.h"
#include "agent/leftover.h"
#include "agent/pagein.h"
#include "sys/cleanup.h"
#include "sys/mapping.h"
#include "sys/unsafe.h"

void child_before(struct agent *a)
{
	agent_lock(a);
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		if (r->life != REGION_MANAGED || !r->forks)
			continue;
		pthread_mutex_unlock(&a->settle);
		pagein_range(a, r, r->first, r->end - r->first, a->cold.act_room);
		bring_back_all(a, r);
		pthread_mutex_lock(&a->settle);
		leftover_note(a, r);
		r->forked = true;
	}
}

void child_in_parent(struct agent *a)
{
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		const struct region *r = &a->region[i];

		if (r->life == REGION_MANAGED && r->forks)
			leftover_drop(a, r->start, r->start + r->len);
	}
	agent_unlock(a);
}

/* The child's own copy of what lies in a store's mapping, as plain memory. */
static void make_plain(const struct leftover *l)
{
	char *addr = (char *)l->start;
	size_t len = l->end - l->start;
	char *copy = map_anon(NULL, len);

	if (!copy)
		return;
	map_mprotect(addr, len, PROT_READ);
	memcpy(copy, addr, len);
	if (!map_zeros(addr, len, PROT_READ | PROT_WRITE))
		memcpy(addr, copy, len);
	map_mprotect(addr, len, l->prot);
	map_free(copy, len);
}

/* What the parent could not bring back for the child's sake, pinned pages most of all, the child
 * can: nobody holds a pin into its copies, and there is no other thread. */
static void make_all_plain(struct agent *a)
{
	for (uint32_t i = 0; i < a->leftovers.n; i++)
		if (!a->leftovers.of[i].dontfork)
			make_plain(&a->leftovers.of[i]);
	a->leftovers.n = 0;
}

void child_in_child(struct agent *a, bool shares_files)
{
	struct sigblock blocked = a->blocked;

	a->dead = true;
	if (!shares_files) {
		close_fd(&a->tracker);
		close_fd(&a->guard);
		for (size_t i = 0; i < STORES_MAX; i++)
			close_fd(&a->stores.store[i].fd);
		close_fd(&a->link.sock);
		close_fd(&a->link.up_bell);
		close_fd(&a->link.down_bell);
		close_fd(&a->link.salt_fd);
		close_fd(&a->link.swap_fd);
	}
	make_all_plain(a);
	pthread_mutex_init(&a->act, NULL);
	pthread_mutex_init(&a->settle, NULL);
	sigblock_restore(&blocked);
}

static struct agent *forking(void)
{
	return ps_without(DEFENCE_FORK_WAITS) ? NULL : agent_alive();
}

/* Who has taken the locks: the agent may come to life between a thread's before() and its parent(),
 * which would let go what it has not got, or another thread has. */
static _Atomic(pthread_t) forker;

static void before(void)
{
	struct agent *a = forking();

	if (!a)
		return;
	child_before(a);
	atomic_store(&forker, pthread_self());
}

static void parent(void)
{
	struct agent *a = forking();

	if (!a || !pthread_equal(atomic_load(&forker), pthread_self()))
		return;
	atomic_store(&forker, 0);
	child_in_parent(a);
}

static void child(void)
{
	struct agent *a = agent_alive();

	atomic_store(&forker, 0);
	if (a)
		child_in_child(a, false);
}

void child_init(void)
{
	pthread_atfork(before, parent, child);
}
