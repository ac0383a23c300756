/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * paper: a daemon of paper. It speaks the protocol (wire/wire.h) by hand to one agent, with a store
 * and a swap file of its own, so that a test can have any target at any time. It decides nothing.
 */
#ifndef PSHARE_TEST_PAPER_H
#define PSHARE_TEST_PAPER_H

#include "api.h"
#include "wire/wire.h"

#define PAPER_FRAMES (4u * PS_BLOCK_PAGES)
#define PAPER_PAGES (1u << 16) /* hints are kept of pages below */
#define PAPER_MS 10000

struct paper {
	int listener, silent, sock;
	struct ps_ring_map *map;
	int ring_fd, up_bell, down_bell, store_fd, swap_fd;
	uint8_t *store;
	uint32_t up_head, down_tail;
	struct ps_msg_config config;
	struct ps_msg_target target;
	uint64_t hash[PAPER_PAGES]; /* of the latest hint; 0: none */
	uint64_t generation;
	uint32_t base, npages;			      /* of the latest region */
	uint32_t regions, added;		      /* there are, there were ever */
	uint32_t shared, refused, unshared, contents; /* answers */
	uint32_t left, old_gone;		      /* LEFTs, OLD_GONEs */
	bool no_domain;				      /* gives an agent none when they meet */
	uint8_t cause;				      /* of the latest refusal */
};

/* Listens in the daemon's folder (t_daemon_init()). Configured for short times: sharing on, no
 * sampling, pages are staged for stage_ms. */
void paper_start(struct paper *p, const struct t_daemon *d, uint32_t stage_ms);
/* Takes an agent's greeting, and waits for its first region. */
void paper_meet(struct paper *p);
/* Says what is in p->config again. */
void paper_config(struct paper *p);
void paper_target(struct paper *p, uint32_t flags, uint32_t out_pages, uint32_t state);
/* fd stays the caller's. */
void paper_swap(struct paper *p, int fd, uint64_t cap);
void paper_leave(struct paper *p);
/* Takes what has come: messages, hints, answers. */
void paper_hear(struct paper *p);
/* Shares pages page.. (as the agent names them) with frames frame..: asks for the content of each,
 * and orders. Waits for the answers; returns how many pages were shared. */
uint32_t paper_share(struct paper *p, uint32_t page, uint32_t frame, uint32_t n);
/* Orders one page to be that frame, whatever is in it. True: it was shared. */
bool paper_order(struct paper *p, uint32_t page, uint32_t frame);
/* The agent's figures, now. */
struct ps_agent_stats paper_stats(struct paper *p);
/* Closes the connection, as a daemon that dies. The store lives for as long as it is mapped. */
void paper_die(struct paper *p);
void paper_end(struct paper *p);

/* An unlinked file of a real file system, as a swap file is. */
int paper_swap_file(void);

/* Says what the figures are, and fails the test. */
_Noreturn void paper_late(const char *where, const char *what, const struct ps_agent_stats *s);

/* Waits until the expression, which may use s (the figures), is true. */
#define PAPER_WAIT(p, ms, expr)                                                      \
	do {                                                                         \
		double start_ = t_now();                                             \
		struct ps_agent_stats s;                                             \
		for (;;) {                                                           \
			paper_hear(p);                                               \
			s = paper_stats(p);                                          \
			if (expr)                                                    \
				break;                                               \
			if (t_late(start_, (ms)*0.001))                              \
				paper_late(__FILE__ ":" T_STR(__LINE__), #expr, &s); \
			t_sleep(0.02);                                               \
		}                                                                    \
	} while (0)

#endif
