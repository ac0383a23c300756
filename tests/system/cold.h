/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cold: what the tests of cold.c and cold-disk.c have in common. */
#ifndef PSHARE_TEST_COLD_H
#define PSHARE_TEST_COLD_H

#include "harness/harness.h"
#include "lib/fakevmm.h"
#include "lib/paper.h"

#define PAGES 2048u
#define FEW 64u
#define OUT_MS 20000
#define SWAP_CAP (64ull << 20)

extern struct t_daemon d;
extern struct paper p;
extern struct fakevmm v;
extern int said_fd; /* what the VMM says; 0: it says it to us */

void start(int flags); /* daemon and VMM, with a region of so many pages, FV_MAP_... */
void finish(void);
/* All of it staged, and no further. */
void stage_all(void);
/* Nothing is out, by the agent's own figures too. */
void all_back(void);

#endif
