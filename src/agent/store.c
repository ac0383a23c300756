/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/store.h"

#include <errno.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "sys/cleanup.h"
#include "sys/mapping.h"
#include "sys/self.h"

static size_t view_bytes(const struct store *s)
{
	return (size_t)s->frames * PS_PAGE_SIZE;
}

struct store *store_current(struct agent *a)
{
	return a->stores.current == STORE_NONE ? NULL : &a->stores.store[a->stores.current];
}

static void let_go(struct store *s)
{
	map_free((char *)s->view, view_bytes(s));
	if (store_fd_is_good(s))
		close_fd(&s->fd);
	*s = (struct store){.fd = -1};
}

size_t store_room(uint32_t frames)
{
	return (size_t)frames * PS_PAGE_SIZE;
}

int store_open(struct agent *a, int fd, const struct ps_msg_domain *domain)
{
	struct store s = {
		.fd = -1,
		.generation = domain->generation,
		.seed = domain->seed,
		.frames = domain->frames,
	};
	uint32_t i = 0;
	int err = 0;

	if (domain->frames == 0 || domain->frames > PS_FRAMES_MAX || domain->generation == 0)
		return -EPROTO;
	store_sweep(a);
	while (i < STORES_MAX && a->stores.store[i].view)
		i++;
	if (i == STORES_MAX)
		return -EAGAIN;
	s.fd = sys_duplicate(fd);
	if (s.fd < 0)
		return s.fd;
	err = sys_inode(s.fd, &s.inode);
	if (!err)
		s.view = map_readable(s.fd, view_bytes(&s));
	if (!err && !s.view)
		err = -ENOMEM;
	if (err) {
		close_fd(&s.fd);
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

		if (s->view && i != a->stores.current && !s->quarantined && !s->twins)
			let_go(s);
	}
}

bool store_fd_is_good(const struct store *s)
{
	uint64_t inode;

	return sys_inode(s->fd, &inode) == 0 && inode == s->inode;
}

void store_tidy(struct agent *a)
{
	for (uint32_t i = 0; i < STORES_MAX; i++) {
		struct store *s = &a->stores.store[i];

		if (s->view)
			map_advise((char *)s->view, view_bytes(s), MADV_DONTNEED);
	}
}
