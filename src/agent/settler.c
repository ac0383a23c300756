/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * settler: write faults where frames are guarded.
 *
 * A first write to a frame waits for nobody: the kernel settles it. Threads wait that touch a page
 * which is out, or write to one that is closed; they are woken by the thread that took it out or
 * closed it. What is left here: write faults where frames are guarded (pins.h).
 *
 * Goal: there a writer waits for this thread and for nothing else: no daemon, no memory of the
 * daemon's, no lock that the writer might hold.
 *
 * One on a page that is closed (OUT) is left alone. `settle` is held across no wait but for the
 * kernel. What is missing is the readers' (reader.c).
 *
 * No malloc, no stdio, all signals blocked; it reads guest memory only where a frame is mapped.
 */
#include <errno.h>

#include "agent/agent.h"
#include "agent/guarded.h"
#include "agent/heldfds.h"
#include "agent/say.h"
#include "agent/worker.h"
#include "sys/proc.h"
#include "sys/thread.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"
#include "sys/wait.h"

#define FAULTS_PER_READ 16
#define LATE_PAUSES 1000u

static bool is_closed(struct agent *a, uintptr_t addr)
{
	struct region *r;
	uint32_t page;
	bool closed;

	pthread_mutex_lock(&a->settle);
	r = region_at(a, addr, &page);
	closed = r && page_state(&r->state[page]) == PAGE_OUT;
	pthread_mutex_unlock(&a->settle);
	return closed;
}

/* For a test: as if this thread had got no CPU until who waited went on. */
static void hear_late(struct agent *a, uintptr_t addr)
{
	for (unsigned int i = 0; i < LATE_PAUSES && is_closed(a, addr); i++)
		ps_unsafe_pause();
	ps_unsafe_pause();
}

/* since: when it was heard of. */
static void settle_write(struct agent *a, uintptr_t addr, uint64_t since)
{
	struct region *r;
	uint32_t page;

	if (ps_without(DEFENCE_SETTLER_NO_MALLOC))
		ps_unsafe_malloc();
	if (ps_hook(HOOK_SLOW_SETTLER))
		hear_late(a, addr);
	if (ps_without(DEFENCE_SETTLER_ASKS_NOBODY))
		ps_unsafe_ask(a->link.path);
	pthread_mutex_lock(&a->settle);
	r = region_at(a, addr, &page);
	if (!r || r->life != REGION_MANAGED)
		uffd_wake(a->guard, (void *)(addr & ~(uintptr_t)(PS_PAGE_SIZE - 1)), PS_PAGE_SIZE);
	else if (guarded_fault(a, r, page))
		times_add(&a->timed[PS_TIMED_WRITE], sys_now() - since);
	pthread_mutex_unlock(&a->settle);
}

/* The descriptor blocks: a wait costs one system call, not two. */
void *settler_main(void *arg)
{
	struct uffd_msg msg[FAULTS_PER_READ];
	struct agent *a = arg;
	unsigned int none;

	agent_note_stack(a, AGENT_SETTLER, __builtin_frame_address(0));
	sys_thread_hasten();
	for (;;) {
		int n = uffd_read(a->guard, msg, FAULTS_PER_READ);
		uint64_t since = sys_now();

		if (n < 0) {
			agent_say("faults cannot be read", -n);
			sys_wait_readable(NULL, 0, heldfds_failed(a, n), &none);
		}
		for (int i = 0; i < n; i++)
			if (msg[i].event == UFFD_EVENT_PAGEFAULT)
				settle_write(a, (uintptr_t)msg[i].arg.pagefault.address, since);
	}
	return NULL;
}
