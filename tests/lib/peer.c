/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LATE_MS 50

int peer_try_connect(struct peer *p, const struct t_daemon *d)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	memset(p, 0, sizeof(*p));
	p->store_fd = p->swap_fd = p->ring_fd = p->up_bell = p->down_bell = -1;
	t_sys(getrandom(p->uuid, sizeof(p->uuid), 0));
	p->sock = t_sys(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.90s/agent.sock", d->dir);
	return connect(p->sock, (struct sockaddr *)&sa, sizeof(sa)) ? -errno : 0;
}

void peer_connect(struct peer *p, const struct t_daemon *d)
{
	int err = peer_try_connect(p, d);

	if (err)
		t_fail("connect to %s/agent.sock: %s", d->dir, strerror(-err));
}

int peer_send(struct peer *p, const void *buf, size_t len, const int *fds, unsigned int nfds)
{
	union {
		char space[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec vec = {(void *)(uintptr_t)buf, len};
	struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};

	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	return sendmsg(p->sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static size_t size_of(unsigned int type)
{
	switch (type) {
	case PS_MSG_FROZEN:
		return sizeof(struct ps_msg_frozen);
	case PS_MSG_CHILD:
	case PS_MSG_BORN:
		return sizeof(struct ps_msg_child);
	case PS_MSG_HELLO:
		return sizeof(struct ps_msg_hello);
	case PS_MSG_LEAVE:
	case PS_MSG_LEFT:
		return sizeof(struct ps_msg_leave);
	case PS_MSG_REGION_ADD:
	case PS_MSG_REGION_DEL:
	case PS_MSG_REGION_REFUSED:
		return sizeof(struct ps_msg_region);
	case PS_MSG_WELCOME:
		return sizeof(struct ps_msg_welcome);
	case PS_MSG_REFUSE:
		return sizeof(struct ps_msg_refuse);
	case PS_MSG_CONFIG:
		return sizeof(struct ps_msg_config);
	case PS_MSG_QMP:
		return sizeof(struct ps_msg_qmp);
	case PS_MSG_DOMAIN:
		return sizeof(struct ps_msg_domain);
	default:
		return sizeof(struct ps_msg_plain);
	}
}

int peer_say(struct peer *p, unsigned int type, union peer_msg *m, const int *fds,
	     unsigned int nfds)
{
	m->head = (struct ps_msg_head){PS_WIRE_MAGIC, (uint16_t)type, (uint16_t)size_of(type)};
	return peer_send(p, m, size_of(type), fds, nfds);
}

void peer_hello_make(struct peer *p, union peer_msg *m, const char *name)
{
	memset(m, 0, sizeof(*m));
	m->hello.head = (struct ps_msg_head){PS_WIRE_MAGIC, PS_MSG_HELLO, sizeof(m->hello)};
	m->hello.version = PS_WIRE_VERSION;
	m->hello.page_size = PS_PAGE_SIZE;
	memcpy(m->hello.uuid, p->uuid, sizeof(p->uuid));
	strncpy(m->hello.name, name, sizeof(m->hello.name) - 1);
}

int peer_salt_fd(const char *salt)
{
	int fd = t_sys(memfd_create("salt", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	size_t len = strlen(salt);

	t_check(write(fd, salt, len) == (ssize_t)len, "%m");
	t_sys(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
	return fd;
}

static void keep(int *at, int fd)
{
	if (*at >= 0)
		close(*at);
	*at = fd;
}

static void take(struct peer *p, union peer_msg *m, int *fds, unsigned int nfds)
{
	switch (m->head.type) {
	case PS_MSG_WELCOME:
		if (nfds != 3)
			t_fail("WELCOME with %u descriptors", nfds);
		keep(&p->ring_fd, fds[0]);
		keep(&p->up_bell, fds[1]);
		keep(&p->down_bell, fds[2]);
		p->map = mmap(NULL, sizeof(*p->map), PROT_READ | PROT_WRITE, MAP_SHARED, p->ring_fd,
			      0);
		t_check(p->map != MAP_FAILED, "%m");
		return;
	case PS_MSG_DOMAIN:
		if (nfds != 1)
			t_fail("DOMAIN with %u descriptors", nfds);
		keep(&p->store_fd, fds[0]);
		p->domain = m->domain;
		return;
	case PS_MSG_CONFIG:
		p->config = m->config;
		break;
	case PS_MSG_REFUSE:
		p->refuse = m->refuse;
		break;
	case PS_MSG_LEAVE:
		p->leave = m->leave.generation;
		break;
	case PS_MSG_REHINT:
		p->rehints++;
		break;
	case PS_MSG_QMP_WANT:
		p->qmp_wants++;
		break;
	case PS_MSG_HELD:
		p->held = m->qmp.held;
		break;
	case PS_MSG_TARGET:
		p->target = m->target;
		p->targets++;
		break;
	case PS_MSG_FORK:
		p->fork = m->fork;
		break;
	case PS_MSG_IMAGE:
		if (nfds != (m->child.error ? 0u : 1u))
			t_fail("IMAGE with %u descriptors", nfds);
		p->image = m->child;
		p->image_fd = -1;
		if (nfds)
			keep(&p->image_fd, fds[0]);
		return;
	case PS_MSG_SWAP:
		if (nfds != 1)
			t_fail("SWAP with %u descriptors", nfds);
		keep(&p->swap_fd, fds[0]);
		p->swap = m->swap;
		return;
	default:
		t_fail("the daemon sent a message of type %u", m->head.type);
	}
	if (nfds)
		t_fail("message %u with %u descriptors", m->head.type, nfds);
}

int peer_hear(struct peer *p, unsigned int type, int ms)
{
	double start = t_now(), end = start + ms * 0.001;

	while (!p->over) {
		union {
			char space[CMSG_SPACE(PEER_FDS * sizeof(int))];
			struct cmsghdr align;
		} control;
		union peer_msg m;
		struct iovec vec = {&m, sizeof(m)};
		struct msghdr msg = {.msg_iov = &vec,
				     .msg_iovlen = 1,
				     .msg_control = control.space,
				     .msg_controllen = sizeof(control.space)};
		struct pollfd poll_fd = {.fd = p->sock, .events = POLLIN};
		int fds[PEER_FDS], left = (int)((end - t_now()) * 1000);
		bool waits = ms >= PEER_MS; /* for what has to come: not how long nothing does */
		unsigned int nfds = 0;
		struct cmsghdr *c;
		ssize_t n;

		if (left <= 0)
			left = waits && !t_late(start, ms * 0.001) ? LATE_MS : 0;
		if (poll(&poll_fd, 1, left) <= 0) {
			if (left > 0)
				continue;
			return 0;
		}
		n = recvmsg(p->sock, &msg, MSG_CMSG_CLOEXEC);
		c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
		if (c && c->cmsg_type == SCM_RIGHTS) {
			nfds = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(c), nfds * sizeof(int));
		}
		if (n <= 0) {
			p->over = true;
			break;
		}
		t_check(m.head.magic == PS_WIRE_MAGIC && m.head.size == n,
			"a message without head");
		take(p, &m, fds, nfds);
		if (!type || m.head.type == type)
			return m.head.type;
	}
	return -1;
}

void peer_join(struct peer *p, const struct t_daemon *d, const char *name, const char *salt)
{
	union peer_msg m;
	int fd = salt ? peer_salt_fd(salt) : -1;

	peer_connect(p, d);
	peer_hello_make(p, &m, name);
	m.hello.flags = salt ? PS_HELLO_SALT : 0;
	t_check(!peer_say(p, PS_MSG_HELLO, &m, &fd, salt ? 1 : 0), "%m");
	if (fd >= 0)
		close(fd);
	if (peer_hear(p, PS_MSG_DOMAIN, PEER_MS) != PS_MSG_DOMAIN)
		t_fail("an honest agent is refused: %.160s", p->refuse.reason);
}

int peer_region(struct peer *p, unsigned int type, uint32_t base, uint32_t npages, uint32_t cause)
{
	union peer_msg m = {.region = {.base = base, .npages = npages, .cause = cause}};

	return peer_say(p, type, &m, NULL, 0);
}

void peer_look_large(uint64_t bytes)
{
	const size_t piece = 2u << 20;
	int fd = t_sys(memfd_create("large", MFD_CLOEXEC));

	t_sys(ftruncate(fd, (off_t)piece));
	for (uint64_t done = 0; done < bytes; done += piece)
		t_check(mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
			     0) != MAP_FAILED,
			"%m");
	close(fd);
}

void peer_ring(struct peer *p)
{
	uint64_t one = 1;

	if (write(p->up_bell, &one, sizeof(one)) < 0)
		return;
}

bool peer_up(struct peer *p, unsigned int op, unsigned int cause, unsigned int slot, uint32_t page,
	     uint64_t arg)
{
	struct ps_ring *r = &p->map->up;
	uint32_t tail = r->tail;

	if (tail - __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) >= PS_RING_ENTRIES)
		return false;
	r->entry[tail % PS_RING_ENTRIES] =
		(struct ps_entry){(uint8_t)op, (uint8_t)cause, (uint16_t)slot, page, arg};
	__atomic_store_n(&r->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

bool peer_down(struct peer *p, struct ps_entry *e)
{
	struct ps_ring *r = &p->map->down;
	uint32_t head = r->head;

	if (__atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) == head)
		return false;
	*e = r->entry[head % PS_RING_ENTRIES];
	__atomic_store_n(&r->head, head + 1, __ATOMIC_RELEASE);
	return true;
}

bool peer_is_cut(struct peer *p, int ms)
{
	double end = t_now() + ms * 0.001;

	while (!p->over && t_now() < end)
		peer_hear(p, 0, (int)((end - t_now()) * 1000) + 1);
	return p->over;
}

void peer_close(struct peer *p)
{
	if (p->map)
		munmap(p->map, sizeof(*p->map));
	p->map = NULL;
	keep(&p->ring_fd, -1);
	keep(&p->up_bell, -1);
	keep(&p->down_bell, -1);
	keep(&p->store_fd, -1);
	keep(&p->swap_fd, -1);
	if (p->sock >= 0)
		close(p->sock);
	p->sock = -1;
}

/* The name of a salt is its fingerprint: hashlib.pbkdf2_hmac('sha256', PEER_SALT,
 * b'pshare salt fingerprint 1', 20000, 4) */
void peer_keep_salt_for(const char *path, unsigned int uid)
{
	FILE *file = fopen(path, "we");

	if (!file)
		abort();
	fprintf(file, "[salt 46f902ce]\nuid = %u\n", uid);
	fclose(file);
}
