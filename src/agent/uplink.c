/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * uplink: the ring to the daemon. The worker alone puts entries in. The counters are ours: what the
 * daemon writes into shared memory is only read to see how much room there is. A full ring drops a
 * hint; an answer is only given when room for it was seen before its order was taken.
 */
#include "agent/uplink.h"

#include "sys/events.h"

uint32_t link_up_room(const struct link *l)
{
	uint32_t head, used;

	if (l->state != LINK_UP)
		return 0;
	head = __atomic_load_n(&l->map->up.head, __ATOMIC_ACQUIRE);
	used = l->up_tail - head + l->waiting;
	return used > PS_RING_ENTRIES ? 0 : PS_RING_ENTRIES - used;
}

bool link_may_answer(const struct link *l)
{
	return link_up_room(l) > l->orders + 1;
}

bool link_is_full(const struct link *l)
{
	return l->state == LINK_UP && !link_may_answer(l);
}

bool link_up(struct link *l, enum ps_up op, uint8_t cause, uint16_t slot, uint32_t page,
	     uint64_t arg)
{
	if (!link_up_room(l))
		return false;
	l->map->up.entry[l->up_tail % PS_RING_ENTRIES] = (struct ps_entry){
		.op = (uint8_t)op, .cause = cause, .slot = slot, .page = page, .arg = arg};
	l->up_tail++;
	__atomic_store_n(&l->map->up.tail, l->up_tail, __ATOMIC_RELEASE);
	l->rung = true;
	return true;
}

void link_ring(struct link *l)
{
	if (l->state != LINK_UP || !l->rung)
		return;
	l->rung = false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&l->map->up.sleeping, __ATOMIC_RELAXED))
		sys_eventfd_ring(l->up_bell);
}

bool link_sleep(struct link *l, bool sleeping)
{
	if (l->state != LINK_UP)
		return false;
	__atomic_store_n(&l->map->down.sleeping, sleeping, __ATOMIC_SEQ_CST);
	return sleeping && __atomic_load_n(&l->map->down.tail, __ATOMIC_ACQUIRE) != l->down_head;
}
