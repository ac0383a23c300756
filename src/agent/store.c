/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/store.h"

#include <errno.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "sys/mapping.h"
#include "sys/thread.h"
#include "sys/uffd.h"

#define PREPARE_TRIES 100000u /* 0.1 s at least; an event is read in tens of microseconds */

/* Of the window, and of the view. */
static size_t window_bytes(const struct store *s)
{
	return (size_t)s->frames * PS_PAGE_SIZE;
}

struct store *store_current(struct agent *a)
{
	return a->stores.current == STORE_NONE ? NULL : &a->stores.store[a->stores.current];
}

static void unmap(struct store *s)
{
	map_free(s->window, window_bytes(s));
	map_free((char *)s->view, window_bytes(s));
}

size_t store_room(uint32_t frames)
{
	return 2 * (size_t)frames * PS_PAGE_SIZE;
}

int store_open(struct agent *a, int fd, const struct ps_msg_domain *domain)
{
	struct store s = {
		.generation = domain->generation,
		.seed = domain->seed,
		.frames = domain->frames,
	};
	uint32_t i = 0;
	int err;

	if (domain->frames == 0 || domain->frames > PS_FRAMES_MAX || domain->generation == 0)
		return -EPROTO;
	store_sweep(a);
	while (i < STORES_MAX && a->stores.store[i].window)
		i++;
	if (i == STORES_MAX)
		return -EAGAIN;
	s.window = map_private(NULL, fd, window_bytes(&s));
	s.view = map_readable(fd, window_bytes(&s));
	err = -ENOMEM;
	if (s.window && s.view)
		err = uffd_register(a->guard, s.window, window_bytes(&s), UFFDIO_REGISTER_MODE_WP);
	if (err) {
		unmap(&s);
		return err;
	}
	a->stores.store[i] = s;
	a->stores.current = i;
	return 0;
}

void store_leave(struct agent *a)
{
	a->stores.current = STORE_NONE;
	store_sweep(a);
}

void store_sweep(struct agent *a)
{
	for (uint32_t i = 0; i < STORES_MAX; i++) {
		struct store *s = &a->stores.store[i];

		if (!s->window || i == a->stores.current || s->quarantined)
			continue;
		unmap(s);
		*s = (struct store){0};
	}
}

int store_prepare(struct agent *a, struct store *s, uint32_t frame, uint32_t n)
{
	char *at = store_window(s, frame);
	size_t len = (size_t)n * PS_PAGE_SIZE;
	int err = -EAGAIN;

	/* -EAGAIN: an event of an earlier mremap() is being read this moment. */
	for (unsigned int tries = 0; err == -EAGAIN && tries < PREPARE_TRIES; tries++) {
		err = uffd_protect(a->guard, at, len, 1);
		if (err == -EAGAIN)
			sys_yield();
	}
	return err;
}

void store_tidy(struct agent *a)
{
	for (uint32_t i = 0; i < STORES_MAX; i++) {
		struct store *s = &a->stores.store[i];

		if (!s->window)
			continue;
		map_advise(s->window, window_bytes(s), MADV_DONTNEED);
		map_advise((char *)s->view, window_bytes(s), MADV_DONTNEED);
	}
}
