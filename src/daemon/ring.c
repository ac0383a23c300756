/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: take what an agent says without trusting that it stays what it was.
 *
 * The memory is shared with a process that may be hostile, so: each counter is loaded once, and
 * only its distance from our own is used; entries are copied before anybody looks at them; the
 * memfd's size is sealed, because a file that shrinks under a mapping kills the reader. The agent
 * can still write anything at any time into any byte: that changes only what it said itself.
 *
 * Sleeping: the consumer raises the flag, then looks at the tail again; the producer moves the
 * tail, then looks at the flag. Both with a full barrier in between, so one of them sees the other.
 */
#include "daemon/ring.h"

#include <errno.h>
#include <string.h>

#include "sys/cleanup.h"
#include "sys/events.h"
#include "sys/memfd.h"

_Static_assert((PS_RING_ENTRIES & (PS_RING_ENTRIES - 1)) == 0, "a power of two");

static int map_new(struct ring *ring)
{
	_cleanup_close_ int fd = sys_memfd_new("pshare-ring", sizeof(struct ps_ring_map));
	void *map = NULL;
	int r;

	if (fd < 0)
		return fd;
	r = sys_memfd_seal(fd, SYS_SEALS_SIZE);
	if (r < 0)
		return r;
	r = sys_map_shared(fd, sizeof(struct ps_ring_map), &map);
	if (r < 0)
		return r;
	ring->map = map;
	ring->memfd = TAKE_FD(fd);
	return 0;
}

int ring_init(struct ring *ring)
{
	int r;

	*ring = (struct ring){.memfd = -1, .bell_up = -1, .bell_down = -1};
	r = map_new(ring);
	if (r < 0)
		goto fail;
	r = ring->bell_up = sys_eventfd_new();
	if (r < 0)
		goto fail;
	r = ring->bell_down = sys_eventfd_new();
	if (r < 0)
		goto fail;
	return 0;
fail:
	ring_deinit(ring);
	return r;
}

void ring_deinit(struct ring *ring)
{
	sys_unmap(ring->map, sizeof(struct ps_ring_map));
	ring->map = NULL;
	close_fd(&ring->memfd);
	close_fd(&ring->bell_up);
	close_fd(&ring->bell_down);
}

int ring_full(const struct ring *ring)
{
	uint32_t tail = __atomic_load_n(&ring->map->up.tail, __ATOMIC_ACQUIRE);
	uint32_t full = tail - ring->up_head;

	return full > PS_RING_ENTRIES ? -EPROTO : (int)full;
}

int ring_take(struct ring *ring, struct ps_entry *entries, uint32_t max)
{
	struct ps_ring *up = &ring->map->up;
	int full = ring_full(ring);
	uint32_t n = full < 0 ? 0 : (uint32_t)full;

	if (full < 0)
		return full;
	if (n > max)
		n = max;
	for (uint32_t i = 0; i < n; i++)
		entries[i] = up->entry[(ring->up_head + i) % PS_RING_ENTRIES];
	ring->up_head += n;
	__atomic_store_n(&up->head, ring->up_head, __ATOMIC_RELEASE);
	return (int)n;
}

bool ring_sleep(struct ring *ring)
{
	struct ps_ring *up = &ring->map->up;

	__atomic_store_n(&up->sleeping, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&up->tail, __ATOMIC_SEQ_CST) == ring->up_head)
		return true;
	ring_awake(ring);
	return false;
}

void ring_awake(struct ring *ring)
{
	__atomic_store_n(&ring->map->up.sleeping, 0, __ATOMIC_RELAXED);
}

int ring_space(const struct ring *ring)
{
	uint32_t head = __atomic_load_n(&ring->map->down.head, __ATOMIC_ACQUIRE);
	uint32_t full = ring->down_tail - head;

	if (full > PS_RING_ENTRIES)
		return -EPROTO;
	return (int)(PS_RING_ENTRIES - full);
}

int ring_put(struct ring *ring, const struct ps_entry *entry)
{
	struct ps_ring *down = &ring->map->down;
	int space = ring_space(ring);

	if (space <= 0)
		return space < 0 ? space : -EAGAIN;
	down->entry[ring->down_tail % PS_RING_ENTRIES] = *entry;
	ring->down_tail++;
	__atomic_store_n(&down->tail, ring->down_tail, __ATOMIC_RELEASE);
	ring->unrung = true;
	return 0;
}

void ring_flush(struct ring *ring)
{
	if (!ring->unrung)
		return;
	ring->unrung = false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&ring->map->down.sleeping, __ATOMIC_SEQ_CST))
		(void)sys_eventfd_ring(ring->bell_down);
}

void ring_content(const struct ring *ring, uint32_t slot, uint8_t page[PS_PAGE_SIZE])
{
	memcpy(page, ring->map->content[slot], PS_PAGE_SIZE);
}

void ring_forget_content(struct ring *ring)
{
	ring->content_until = 0;
	(void)sys_forget_shared(ring->map->content, sizeof(ring->map->content));
}

void ring_stats(const struct ring *ring, struct ps_agent_stats *stats)
{
	const uint64_t *from = (const uint64_t *)&ring->map->stats;
	uint64_t *to = (uint64_t *)stats;

	_Static_assert(sizeof(struct ps_agent_stats) % sizeof(uint64_t) == 0, "64-bit words");
	for (size_t i = 0; i < sizeof(*stats) / sizeof(uint64_t); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void ring_times(const struct ring *ring, struct ps_agent_times *times)
{
	const uint64_t *from = (const uint64_t *)&ring->map->times;
	uint64_t *to = (uint64_t *)times;

	_Static_assert(sizeof(struct ps_agent_times) % sizeof(uint64_t) == 0, "64-bit words");
	for (size_t i = 0; i < sizeof(*times) / sizeof(uint64_t); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void ring_picture(const struct ring *ring, uint64_t until, struct ps_picture *picture)
{
	__atomic_store_n(&ring->map->picture.wanted_until, until, __ATOMIC_RELAXED);
	memcpy(picture, &ring->map->picture, sizeof(*picture));
}

int ring_likeness(const struct ring *ring, struct ps_likeness *likeness)
{
	const struct ps_likeness *from = &ring->map->likeness;
	uint32_t seq = __atomic_load_n(&from->seq, __ATOMIC_ACQUIRE);

	memcpy(likeness, from, sizeof(*likeness));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return seq % 2 || __atomic_load_n(&from->seq, __ATOMIC_RELAXED) != seq ? -EAGAIN : 0;
}
