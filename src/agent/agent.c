/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * agent: the one agent of a process, and its locks.
 *
 * There is one agent a process and it is static: the calls that it interposes have no argument in
 * which it could be passed. start.c starts it.
 */
#include "agent/agent.h"

static struct agent the_agent = {
	.act = PTHREAD_MUTEX_INITIALIZER,
	.settle = PTHREAD_MUTEX_INITIALIZER,
	.tracker = -1,
	.guard = -1,
	.pagemap = -1,
	.bell = -1,
	.readers = {.lock = PTHREAD_MUTEX_INITIALIZER,
		    .more = PTHREAD_COND_INITIALIZER,
		    .stream_lock = PTHREAD_MUTEX_INITIALIZER},
	.link = {.sock = -1, .up_bell = -1, .down_bell = -1, .salt_fd = -1, .swap_fd = -1},
};

void agent_note_stack(struct agent *a, enum agent_thread thread, char *top)
{
	__atomic_store_n(&a->stack[thread], top, __ATOMIC_RELEASE);
}

void agent_lock(struct agent *a)
{
	struct sigblock blocked;

	sigblock_save(&blocked);
	pthread_mutex_lock(&a->act);
	pthread_mutex_lock(&a->settle);
	a->blocked = blocked;
}

void agent_unlock(struct agent *a)
{
	struct sigblock blocked = a->blocked;

	pthread_mutex_unlock(&a->settle);
	pthread_mutex_unlock(&a->act);
	sigblock_restore(&blocked);
}

struct agent *agent_alive(void)
{
	return the_agent.life == AGENT_RUNS && !the_agent.dead ? &the_agent : NULL;
}

struct agent *agent_of_process(void)
{
	return &the_agent;
}
