/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* flow: what the agents of paper in flow.c and flow-leave.c do. */
#ifndef PSHARE_TEST_FLOW_H
#define PSHARE_TEST_FLOW_H

#include "harness/harness.h"
#include "lib/peer.h"

#define ANSWER_MS 5000
#define SALT PEER_SALT

extern struct t_daemon d;

void start(const char *const *extra); /* the daemon */
void join(struct peer *p, const char *name);
/* The page with that number. */
void fill(uint8_t page[T_PAGE], uint32_t key);
void hint(struct peer *p, uint32_t page, uint32_t key);
void unshare(struct peer *p, uint32_t page);
/* Both share a page with that content, and have said so. Returns the frame. */
uint64_t share_both(struct peer *a, uint32_t page_a, struct peer *b, uint32_t page_b, uint32_t key);
bool frame_is(const struct peer *p, uint64_t frame, uint32_t key);
long long store_bytes(void);
double shrd(const char *vm);

#endif
