/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "paper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAPER_RATE 1000000u /* pages/s */
#define PAPER_SEED 0x70617065727ull

union paper_msg {
	struct ps_msg_head head;
	struct ps_msg_hello hello;
	struct ps_msg_region region;
	uint8_t bytes[4096];
};

static void say(struct paper *p, void *msg, unsigned int type, const int *fds, unsigned int nfds)
{
	union {
		char space[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct ps_msg_head head = {PS_WIRE_MAGIC, (uint16_t)type, (uint16_t)ps_msg_size(type)};
	struct iovec vec = {msg, head.size};
	struct msghdr m = {.msg_iov = &vec, .msg_iovlen = 1};

	memcpy(msg, &head, sizeof(head));
	if (nfds) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	t_sys(sendmsg(p->sock, &m, MSG_NOSIGNAL));
}

void paper_start(struct paper *p, const struct t_daemon *d, uint32_t stage_ms)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	memset(p, 0, sizeof(*p));
	p->sock = p->ring_fd = p->up_bell = p->down_bell = p->store_fd = p->swap_fd = -1;
	p->generation = 1;
	p->config = (struct ps_msg_config){
		.flags = PS_CONFIG_SHARE,
		.pages_per_second = PAPER_RATE,
		.first_pages_per_second = PAPER_RATE,
		.quarantine_ms = stage_ms,
		.map_reserve = 1000,
		.stage_ms = stage_ms,
	};
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.90s/agent.sock", d->dir);
	unlink(sa.sun_path);
	p->listener = t_sys(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	t_sys(bind(p->listener, (struct sockaddr *)&sa, sizeof(sa)));
	t_sys(listen(p->listener, 1));
	/* who asks here is never answered */
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.90s/api.sock", d->dir);
	unlink(sa.sun_path);
	p->silent = t_sys(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	t_sys(bind(p->silent, (struct sockaddr *)&sa, sizeof(sa)));
	t_sys(listen(p->silent, 64));
}

static void take_message(struct paper *p, const union paper_msg *m)
{
	switch (m->head.type) {
	case PS_MSG_REGION_ADD:
		p->base = m->region.base;
		p->npages = m->region.npages;
		p->regions++;
		p->added++;
		break;
	case PS_MSG_REGION_DEL:
		p->regions--;
		break;
	case PS_MSG_LEFT:
		p->left++;
		break;
	case PS_MSG_OLD_GONE:
		p->old_gone++;
		break;
	default:
		break;
	}
}

static bool hear_message(struct paper *p, int ms)
{
	struct pollfd poll_fd = {.fd = p->sock, .events = POLLIN};
	union paper_msg m;

	if (poll(&poll_fd, 1, ms) <= 0 || recv(p->sock, &m, sizeof(m), 0) <= 0)
		return false;
	take_message(p, &m);
	return true;
}

static void take_entry(struct paper *p, const struct ps_entry *e)
{
	switch (e->op) {
	case PS_U_HINT:
		if (e->page < PAPER_PAGES)
			p->hash[e->page] = e->arg;
		break;
	case PS_U_CONTENT:
		p->contents += !e->cause;
		p->refused += e->cause != 0;
		p->cause = e->cause ? e->cause : p->cause;
		break;
	case PS_U_SHARED:
		p->shared++;
		break;
	case PS_U_REFUSED:
		p->refused++;
		p->cause = e->cause;
		break;
	case PS_U_UNSHARED:
		p->unshared++;
		break;
	default:
		t_fail("an entry of type %u", e->op);
	}
}

void paper_hear(struct paper *p)
{
	struct ps_ring *up = &p->map->up;

	while (hear_message(p, 0))
		;
	while (p->up_head != __atomic_load_n(&up->tail, __ATOMIC_ACQUIRE)) {
		struct ps_entry e = up->entry[p->up_head++ % PS_RING_ENTRIES];

		__atomic_store_n(&up->head, p->up_head, __ATOMIC_RELEASE);
		take_entry(p, &e);
	}
}

void paper_config(struct paper *p)
{
	struct ps_msg_config m = p->config;

	say(p, &m, PS_MSG_CONFIG, NULL, 0);
}

/* The agent's is a read-only reopen, as a daemon's is. */
static void say_domain(struct paper *p)
{
	struct ps_msg_domain m = {
		.generation = p->generation, .seed = PAPER_SEED, .frames = PAPER_FRAMES};
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->store_fd);
	fd = t_sys(open(path, O_RDONLY | O_CLOEXEC));
	say(p, &m, PS_MSG_DOMAIN, &fd, 1);
	close(fd);
}

static void make_store(struct paper *p)
{
	const size_t size = (size_t)PAPER_FRAMES * PS_PAGE_SIZE;

	p->store_fd = t_sys(memfd_create("pshare-store", MFD_CLOEXEC));
	t_sys(ftruncate(p->store_fd, (off_t)size));
	p->store = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, p->store_fd, 0);
	t_check(p->store != MAP_FAILED, "%m");
}

void paper_meet(struct paper *p)
{
	struct pollfd poll_fd = {.fd = p->listener, .events = POLLIN};
	struct ps_msg_welcome w = {.version = PS_WIRE_VERSION,
				   .ring_size = sizeof(struct ps_ring_map)};
	double start = t_now();
	union paper_msg m;
	int fds[3];

	while (poll(&poll_fd, 1, PAPER_MS) <= 0 && !t_late(start, PAPER_MS * 0.001))
		continue;
	if (!poll_fd.revents)
		t_fail("no agent came");
	p->sock = t_sys(accept4(p->listener, NULL, NULL, SOCK_CLOEXEC));
	t_check(recv(p->sock, &m, sizeof(m), 0) == sizeof(m.hello), "no HELLO");
	p->ring_fd = t_sys(memfd_create("ring", MFD_CLOEXEC));
	t_sys(ftruncate(p->ring_fd, sizeof(struct ps_ring_map)));
	p->map = mmap(NULL, sizeof(*p->map), PROT_READ | PROT_WRITE, MAP_SHARED, p->ring_fd, 0);
	t_check(p->map != MAP_FAILED, "%m");
	p->up_head = p->down_tail = 0;
	p->up_bell = t_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	p->down_bell = t_sys(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	fds[0] = p->ring_fd;
	fds[1] = p->up_bell;
	fds[2] = p->down_bell;
	say(p, &w, PS_MSG_WELCOME, fds, 3);
	paper_config(p);
	make_store(p);
	if (!p->no_domain)
		say_domain(p);
	p->regions = 0;
	while (!p->regions && !t_late(start, PAPER_MS * 0.001))
		hear_message(p, 100);
	if (!p->regions)
		t_fail("the agent announces no region");
}

void paper_target(struct paper *p, uint32_t flags, uint32_t out_pages, uint32_t state)
{
	p->target = (struct ps_msg_target){
		.state = state,
		.flags = flags,
		.out_pages = out_pages,
		.zip_max_pages = p->target.zip_max_pages ? p->target.zip_max_pages : 1u << 20,
		.promote_max = p->target.promote_max,
		.break_blocks = flags & PS_TARGET_BREAK ? p->target.break_blocks : 0,
	};
	say(p, &p->target, PS_MSG_TARGET, NULL, 0);
}

void paper_swap(struct paper *p, int fd, uint64_t cap)
{
	struct ps_msg_swap m = {.cap = cap};

	say(p, &m, PS_MSG_SWAP, &fd, 1);
}

void paper_leave(struct paper *p)
{
	struct ps_msg_leave m = {.generation = p->generation};

	say(p, &m, PS_MSG_LEAVE, NULL, 0);
}

static void order(struct paper *p, unsigned int op, uint32_t slot, uint32_t page, uint64_t arg)
{
	struct ps_ring *down = &p->map->down;
	uint64_t one = 1;

	down->entry[p->down_tail % PS_RING_ENTRIES] =
		(struct ps_entry){(uint8_t)op, 0, (uint16_t)slot, page, arg};
	__atomic_store_n(&down->tail, ++p->down_tail, __ATOMIC_RELEASE);
	t_check(write(p->down_bell, &one, sizeof(one)) == sizeof(one), "%m");
}

static bool answered(struct paper *p, const uint32_t *count, uint32_t want, uint32_t refused)
{
	double start = t_now();

	while (*count < want && p->refused == refused && !t_late(start, PAPER_MS * 0.001)) {
		paper_hear(p);
		t_sleep(0.0002);
	}
	return *count >= want;
}

bool paper_order(struct paper *p, uint32_t page, uint32_t frame)
{
	order(p, PS_D_SHARE, 0, page, frame);
	return answered(p, &p->shared, p->shared + 1, p->refused);
}

uint32_t paper_share(struct paper *p, uint32_t page, uint32_t frame, uint32_t n)
{
	uint32_t shared = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *at = p->store + (size_t)(frame + i) * PS_PAGE_SIZE;

		order(p, PS_D_WANT, i % PS_CONTENT_SLOTS, page + i, 0);
		if (!answered(p, &p->contents, p->contents + 1, p->refused))
			continue;
		memcpy(at, p->map->content[i % PS_CONTENT_SLOTS], PS_PAGE_SIZE);
		shared += paper_order(p, page + i, frame + i);
	}
	return shared;
}

struct ps_agent_stats paper_stats(struct paper *p)
{
	struct ps_agent_stats s;

	memcpy(&s, &p->map->stats, sizeof(s));
	return s;
}

static void close_all(int *const fd[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (*fd[i] >= 0)
			close(*fd[i]);
		*fd[i] = -1;
	}
}

void paper_die(struct paper *p)
{
	int *const fd[] = {&p->sock, &p->ring_fd, &p->up_bell, &p->down_bell, &p->store_fd};

	if (p->map)
		munmap(p->map, sizeof(*p->map));
	if (p->store)
		munmap(p->store, (size_t)PAPER_FRAMES * PS_PAGE_SIZE);
	p->map = NULL;
	p->store = NULL;
	close_all(fd, sizeof(fd) / sizeof(fd[0]));
	memset(p->hash, 0, sizeof(p->hash));
	p->generation++;
}

void paper_end(struct paper *p)
{
	paper_die(p);
	close(p->listener);
	close(p->silent);
}

int paper_swap_file(void)
{
	char path[PATH_MAX];
	int fd;

	t_build_path("tests/swap.XXXXXX", path, sizeof(path));
	fd = t_sys(mkostemp(path, O_CLOEXEC));
	unlink(path);
	return fd;
}

void paper_late(const char *where, const char *what, const struct ps_agent_stats *s)
{
	t_fail("%s: not so in time: %s (staged %lu, twin %lu, zipped %lu, swapped %lu; back from "
	       "staged %lu, twin %lu, zip %lu, swap %lu; stage error %lu, swap error %lu)",
	       where, what, s->staged, s->twin, s->zipped, s->swapped, s->staged_back, s->twinins,
	       s->unzips, s->swapins, s->cold_error, s->swap_error);
}
