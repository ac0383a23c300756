/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link: greets the daemon, takes its orders, and survives its death.
 *
 * Goal: with no daemon the agent does nothing and costs nothing; when one appears it is found
 * within seconds; when it dies the guest notices nothing.
 *
 * Invariants
 *  - Nothing here blocks: the socket and the bells are non-blocking, a full ring drops a hint, and
 *    an answer is only given when room for it was seen before the order was taken.
 *  - The counters of the rings are ours; what the daemon writes into shared memory is copied once,
 *    then checked. What does not fit the protocol ends the connection, never the guest.
 *  - When the connection ends, no frame is given back by anybody while we live (the daemon keeps
 *    the references of a process that lives, and a memfd outlives its daemon), so every mapped
 *    frame stays right. Such frames become OLD and are moved to the next daemon's store one by one.
 */
#include "agent/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/hash.h"
#include "agent/identity.h"
#include "agent/monitor.h"
#include "agent/pace.h"
#include "agent/reshare.h"
#include "agent/say.h"
#include "agent/tier.h"
#include "agent/uplink.h"
#include "policy/reason.h"
#include "sys/cleanup.h"
#include "sys/events.h"
#include "sys/mapping.h"
#include "sys/proc.h"
#include "sys/sock.h"
#include "sys/unsafe.h"

#define MESSAGES_PER_TURN 16

union message {
	struct ps_msg_head head;
	struct ps_msg_welcome welcome;
	struct ps_msg_refuse refuse;
	struct ps_msg_config config;
	struct ps_msg_domain domain;
	struct ps_msg_leave leave;
	struct ps_msg_qmp qmp;
	struct ps_msg_fork fork;
	struct ps_msg_child image;
	struct ps_msg_target target;
	struct ps_msg_swap swap;
	char bytes[512];
};

static struct ps_msg_head head_of(enum ps_msg_type type)
{
	return (struct ps_msg_head){.magic = PS_WIRE_MAGIC,
				    .type = (uint16_t)type,
				    .size = (uint16_t)ps_msg_size(type)};
}

void link_init(struct agent *a)
{
	struct link *l = &a->link;

	l->sock = l->up_bell = l->down_bell = l->swap_fd = -1;
	l->retry = LINK_RETRY_MIN_NS;
	a->stores.current = STORE_NONE;
}

/* ---- orders ------------------------------------------------------------------------------- */

/* Why that page's content cannot be given now; NONE: it can. */
static enum ps_cause content_obstacle(struct agent *a, struct region *r, uint32_t page)
{
	enum page_state state;

	if (!r || r->life != REGION_MANAGED || page < r->first || page >= r->end)
		return PS_CAUSE_GONE;
	state = page_state(&r->state[page]);
	if (page_is_out(state))
		return PS_CAUSE_NONE;
	if (state != PAGE_HINTED && state != PAGE_TWIN && state != PAGE_OLD_HINTED &&
	    state != PAGE_BROKEN_HINTED)
		return PS_CAUSE_CHANGED;
	if (block_is_kept(region_block(r, page), a->link.config.flags)) {
		page_set(&r->state[page], PAGE_TWIN);
		return PS_CAUSE_LARGE;
	}
	return PS_CAUSE_NONE;
}

static enum ps_cause give_content(struct agent *a, struct region *r, uint32_t page, uint8_t *out)
{
	if (page_is_out(page_state(&r->state[page])))
		return tier_content(a, r, page, out);
	memcpy(out, region_page(r, page), PS_PAGE_SIZE);
	return PS_CAUSE_NONE;
}

static bool order_want(struct agent *a, const struct ps_entry *e)
{
	struct store *s = store_current(a);
	enum ps_cause cause;
	struct region *r;
	uint64_t hash = 0;
	uint32_t page = 0;

	if (e->slot >= PS_CONTENT_SLOTS)
		return false;
	pthread_mutex_lock(&a->act);
	r = region_of(a, e->page, &page);
	cause = s ? content_obstacle(a, r, page) : PS_CAUSE_CHANGED;
	if (!cause) {
		cause = give_content(a, r, page, a->link.map->content[e->slot]);
		hash = cause ? 0 : page_hash(a->link.map->content[e->slot], s->seed);
	}
	pthread_mutex_unlock(&a->act);
	return link_up(&a->link, PS_U_CONTENT, (uint8_t)cause, e->slot, e->page, hash);
}

static bool order_share(struct agent *a, const struct ps_entry *e)
{
	struct store *s = store_current(a);

	if (!s) { /* an order that crossed our leaving */
		link_up(&a->link, PS_U_REFUSED, PS_CAUSE_GONE, 0, e->page, e->arg);
		return true;
	}
	if (e->arg >= s->frames)
		return false;
	a->link.order[a->link.orders++] =
		(struct order){.page = e->page, .frame = (uint32_t)e->arg};
	return true;
}

/* Takes entries while there is room to answer each of them. Returns false if one is a lie. */
static bool take_orders(struct agent *a)
{
	struct link *l = &a->link;
	uint32_t tail = __atomic_load_n(&l->map->down.tail, __ATOMIC_ACQUIRE);
	bool good = tail - l->down_head <= PS_RING_ENTRIES;

	while (good && l->down_head != tail && l->orders < LINK_ORDERS_MAX && link_may_answer(l)) {
		struct ps_entry e = l->map->down.entry[l->down_head % PS_RING_ENTRIES];

		if (e.op == PS_D_WANT)
			good = order_want(a, &e);
		else
			good = e.op == PS_D_SHARE && order_share(a, &e);
		l->down_head++;
	}
	__atomic_store_n(&l->map->down.head, l->down_head, __ATOMIC_RELEASE);
	return good;
}

/* ---- control messages --------------------------------------------------------------------- */

int link_plain(struct link *l, enum ps_msg_type type, uint64_t generation)
{
	struct ps_msg_leave m = {.head = head_of(type), .generation = generation};

	return sys_send_fds(l->sock, &m, m.head.size, NULL, 0);
}

int link_region(struct link *l, enum ps_msg_type type, uint32_t base, uint32_t npages,
		uint32_t cause)
{
	struct ps_msg_region m = {
		.head = head_of(type), .base = base, .npages = npages, .cause = cause};

	return sys_send_fds(l->sock, &m, sizeof(m), NULL, 0);
}

static int take_welcome(struct agent *a, const struct ps_msg_welcome *m, int *fds, unsigned int n)
{
	struct link *l = &a->link;

	if (l->state != LINK_GREETED || n != 3 ||
	    (m->ring_size != PS_RING_SIZE_PLAIN && m->ring_size != PS_RING_SIZE_PICTURE &&
	     m->ring_size != PS_RING_SIZE_LIKENESS))
		return -EPROTO;
	l->has_picture = m->ring_size != PS_RING_SIZE_PLAIN;
	l->has_likeness = m->ring_size == PS_RING_SIZE_LIKENESS;
	a->likeness.due = 0;
	l->map_size = m->ring_size;
	l->map = map_shared(fds[0], l->map_size);
	if (!l->map)
		return -ENOMEM;
	probe_open(&a->probe, fds[0], offsetof(struct ps_ring_map, stats) / PS_PAGE_SIZE);
	l->up_bell = TAKE_FD(fds[1]);
	l->down_bell = TAKE_FD(fds[2]);
	l->up_tail = l->down_head = 0;
	l->orders = 0;
	l->state = LINK_UP;
	l->retry = LINK_RETRY_MIN_NS;
	return 0;
}

static int take_config(struct agent *a, const struct ps_msg_config *m)
{
	struct link *l = &a->link;
	uint32_t changed = l->config.flags ^ m->flags;

	if (!l->configured)
		rate_init(&a->walk.bucket, m->pages_per_second, sys_now());
	l->config = *m;
	pace_set(a, sys_now());
	if (l->configured && (changed & (PS_CONFIG_LARGE | PS_CONFIG_ZERO_ONLY))) {
		pthread_mutex_lock(&a->act);
		walk_restart(a);
		pthread_mutex_unlock(&a->act);
	}
	if (changed & m->flags & PS_CONFIG_HURRY)
		a->walk.started = 0; /* the next look is now */
	l->configured = true;
	atomic_store(&a->cold.rest_ms, l->config.quarantine_ms);
	return 0;
}

static int take_domain(struct agent *a, const struct ps_msg_domain *m, int *fds, unsigned int n)
{
	int err;

	if (a->link.state != LINK_UP || n != 1 || store_current(a))
		return -EPROTO;
	pthread_mutex_lock(&a->act);
	err = store_open(a, fds[0], m);
	if (err == -ENOMEM) { /* the next greeting says so, and asks for no domain */
		a->cause = setup_cause(err);
		a->link.room = store_room(m->frames);
		agent_say(reason_text(a->cause), 0);
	}
	if (ps_without(DEFENCE_STORE_READ_ONLY))
		fds[0] = -1; /* kept open */
	if (!err)
		walk_restart(a);
	pthread_mutex_unlock(&a->act);
	return err;
}

static int take_leave(struct agent *a, const struct ps_msg_leave *m)
{
	struct store *s = store_current(a);

	if (!s || s->generation != m->generation)
		return -EPROTO;
	a->link.leaving = m->generation;
	return 0;
}

/* The daemon lost hints: every page is to be hinted anew. */
static int take_rehint(struct agent *a)
{
	if (a->link.state != LINK_UP)
		return -EPROTO;
	pthread_mutex_lock(&a->act);
	walk_restart(a);
	pthread_mutex_unlock(&a->act);
	return 0;
}

static int take_fork(struct agent *a, const struct ps_msg_fork *m)
{
	if (a->link.state != LINK_UP || !m->id || !m->op || m->op >= PS_FORK_OP_END)
		return -EPROTO;
	if (m->op == PS_FORK_FREEZE)
		a->freeze.asked = m->id;
	else if (m->id == a->freeze.holding)
		freeze_end(a);
	return 0;
}

static int take_target(struct agent *a, const struct ps_msg_target *m)
{
	a->link.target = *m;
	atomic_store(&a->cold.slow, (m->flags & PS_TARGET_SLOW) != 0);
	if (m->balloon)
		a->monitor.balloon = m->balloon;
	return 0;
}

static int take_swap(struct agent *a, const struct ps_msg_swap *m, int *fds, unsigned int n)
{
	if (n != 1)
		return -EPROTO;
	close_fd(&a->link.swap_fd);
	a->link.swap_fd = TAKE_FD(fds[0]);
	a->link.swap_cap = m->cap;
	return 0;
}

static int take_message(struct agent *a, union message *m, size_t len, int *fds, unsigned int n)
{
	int type = ps_msg_check(m->bytes, (uint32_t)len);

	switch (type) {
	case PS_MSG_WELCOME:
		return take_welcome(a, &m->welcome, fds, n);
	case PS_MSG_CONFIG:
		return take_config(a, &m->config);
	case PS_MSG_DOMAIN:
		return take_domain(a, &m->domain, fds, n);
	case PS_MSG_LEAVE:
		return take_leave(a, &m->leave);
	case PS_MSG_REHINT:
		return take_rehint(a);
	case PS_MSG_FORK:
		return take_fork(a, &m->fork);
	case PS_MSG_IMAGE:
		return birth_take(a, &m->image, n ? fds[0] : -1);
	case PS_MSG_TARGET:
		return take_target(a, &m->target);
	case PS_MSG_SWAP:
		return take_swap(a, &m->swap, fds, n);
	case PS_MSG_QMP_WANT:
		return a->link.state == LINK_UP ? monitor_offer(a) : -EPROTO;
	case PS_MSG_HELD:
		return monitor_take_held(a, &m->qmp);
	case PS_MSG_REFUSE:
		m->refuse.reason[PS_REASON_MAX - 1] = '\0';
		agent_say(m->refuse.reason, m->refuse.error);
		a->link.retry = LINK_RETRY_MAX_NS;
		return -ECONNREFUSED;
	default:
		return type < 0 ? type : -EPROTO;
	}
}

/* Takes what the socket has. 0, or -errno: the connection is over. */
static int take_messages(struct agent *a)
{
	int err = 0;

	for (int i = 0; i < MESSAGES_PER_TURN && !err; i++) {
		int fds[SYS_FDS_MAX] = {-1, -1, -1, -1};
		unsigned int nfds = 0;
		union message m;
		size_t got = 0;

		err = sys_recv_fds(a->link.sock, &m, sizeof(m), &got, fds, &nfds);
		if (err == -EAGAIN)
			return 0;
		if (!err && got == 0)
			err = -ECONNRESET;
		if (!err)
			err = take_message(a, &m, got, fds, nfds);
		for (unsigned int k = 0; k < SYS_FDS_MAX; k++)
			close_fd(&fds[k]);
	}
	return err;
}

/* ---- connection --------------------------------------------------------------------------- */

static bool is_old(const struct region *r, uint32_t page)
{
	enum page_state state = page_state(&r->state[page]);

	return state == PAGE_OLD || state == PAGE_OLD_HINTED;
}

static bool no_old(const struct agent *a)
{
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		const struct region *r = &a->region[i];

		for (uint32_t page = r->first; r->life == REGION_MANAGED && page < r->end; page++)
			if (is_old(r, page))
				return false;
	}
	for (uint32_t i = 0; i < STORES_MAX; i++)
		if (i != a->stores.current &&
		    (a->stores.store[i].quarantined || a->stores.store[i].twins))
			return false;
	return true;
}

bool link_no_old(struct agent *a)
{
	bool none;

	/* a thread of the VMM may be adding a region, or freeing one */
	pthread_mutex_lock(&a->act);
	none = no_old(a);
	pthread_mutex_unlock(&a->act);
	return none;
}

static int greet(struct agent *a)
{
	struct link *l = &a->link;
	struct ps_msg_hello m = {
		.head = head_of(PS_MSG_HELLO),
		.version = PS_WIRE_VERSION,
		.page_size = PS_PAGE_SIZE,
		.cause = a->cause,
	};
	unsigned int nfds = l->salt_fd >= 0;

	l->holds_old = !link_no_old(a);
	m.flags = (nfds ? PS_HELLO_SALT : 0) | (a->no_share ? PS_HELLO_NO_SHARE : 0) |
		  (l->holds_old ? PS_HELLO_HOLDS_OLD : 0) |
		  (a->monitor.path[0] ? PS_HELLO_QMP : 0) | (a->monitor.held ? PS_HELLO_HELD : 0) |
		  PS_HELLO_PICTURE | PS_HELLO_LIKENESS;
	memcpy(m.uuid, l->uuid, sizeof(m.uuid));
	memcpy(m.name, l->name, sizeof(m.name));
	return sys_send_fds(l->sock, &m, sizeof(m), &l->salt_fd, nfds);
}

static void connect_daemon(struct agent *a, uint64_t now)
{
	struct link *l = &a->link;

	l->next_try = now + l->retry;
	if (l->retry < LINK_RETRY_MAX_NS)
		l->retry *= 2;
	l->sock = sys_unix_connect(l->path, SYS_SOCK_SEQPACKET);
	if (l->sock < 0)
		return;
	l->state = LINK_GREETED;
	l->configured = false;
	if (greet(a))
		link_drop(a, NULL);
}

/* One page when its daemon is gone. */
static void mark_old(struct region *r, uint32_t page)
{
	uint8_t *state = &r->state[page];

	switch (page_state(state)) {
	case PAGE_SHARED:
	case PAGE_OLD_HINTED:
		page_set(state, PAGE_OLD);
		break;
	case PAGE_HINTED:
	case PAGE_TWIN:
		page_set(state, PAGE_NEW);
		break;
	case PAGE_BROKEN:
	case PAGE_BROKEN_HINTED:
		r->frame[page] = FRAME_BROKEN_OLD;
		page_set(state, PAGE_BROKEN);
		region_block(r, page)->restless = 1;
		break;
	default:
		break;
	}
	page_clear(state, PAGE_UNREF);
}

static void orphan_all(struct agent *a)
{
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		r->announced = false;
		r->told_cause = PS_CAUSE_NONE;
		if (r->life != REGION_MANAGED)
			continue;
		for (uint32_t page = r->first; page < r->end; page++)
			mark_old(r, page);
	}
}

void link_drop(struct agent *a, const char *why)
{
	struct link *l = &a->link;

	if (why)
		agent_say(why, 0);
	if (l->state == LINK_UP) {
		pthread_mutex_lock(&a->act);
		pthread_mutex_lock(&a->settle);
		orphan_all(a);
		reshare_forget(a);
		store_leave(a);
		pthread_mutex_unlock(&a->settle);
		pthread_mutex_unlock(&a->act);
		probe_close(&a->probe);
		map_free(l->map, l->map_size);
		l->map = NULL;
	}
	monitor_orphaned(a, sys_now());
	close_fd(&l->sock);
	close_fd(&l->up_bell);
	close_fd(&l->down_bell);
	close_fd(&l->swap_fd);
	l->state = LINK_DOWN;
	l->target = (struct ps_msg_target){0}; /* what is out stays out, until it is touched */
	atomic_store(&a->cold.slow, 0);
	l->orders = 0;
	l->leaving = 0;
	freeze_end(a);
	birth_end(a);
}

/* What there is on the socket is not urgent: what must not come before it, on the ring, comes only
 * after our answer to it. */
static int listen_now(struct agent *a, uint64_t now, bool heard)
{
	struct link *l = &a->link;

	if (!heard && l->state == LINK_UP && l->configured && now < l->listen_at)
		return 0;
	l->listen_at = now + LINK_LISTEN_NS;
	return take_messages(a);
}

/* Is there room by now for what did not fit into the address space? Then we greet anew. */
static void look_for_room(struct agent *a, uint64_t now)
{
	struct link *l = &a->link;

	if (!a->cause || !l->room || now < l->room_at)
		return;
	l->room_at = now + LINK_ROOM_NS;
	if (!map_fits(l->room))
		return;
	a->cause = PS_CAUSE_NONE;
	l->room = 0;
	link_drop(a, "there is room for a store by now");
}

static uint64_t least(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

uint64_t link_service(struct agent *a, uint64_t now, bool heard, bool rung)
{
	uint64_t monitor = monitor_service(a, now);
	struct link *l = &a->link;
	int err;

	if (l->state == LINK_DOWN) {
		if (now >= l->next_try)
			connect_daemon(a, now);
		if (l->state == LINK_DOWN)
			return least(monitor, l->next_try > now ? l->next_try - now : 0);
	}
	err = listen_now(a, now, heard);
	if (err) {
		link_drop(a, err == -EPROTO ? "the daemon broke the protocol" : NULL);
		l->next_try = now + l->retry;
		return l->retry;
	}
	look_for_room(a, now);
	if (l->state == LINK_UP) {
		if (rung)
			sys_eventfd_clear(l->down_bell);
		if (!take_orders(a))
			link_drop(a, "the daemon gave an impossible order");
	}
	return monitor;
}
