/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_TESTS_PACE_H
#define PSHARE_TESTS_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_MOST 4 /* scripts/runner/program.py waits so many times as long */

int64_t test_now_ns(void); /* CLOCK_MONOTONIC */

/* Is the limit over that began at start_ns (CLOCK_MONOTONIC)? Limits are chosen on a machine that
 * is a fair host for VMs; one that is slow, or busy, has test_pace() times as long. It is measured
 * when the limit has passed, not before. For what waits for something to happen; not for what
 * checks that nothing does, nor for figures. */
bool test_late(int64_t start_ns, int64_t limit_ms);

/* How many times slower than that this machine is now: 1 to PACE_MOST. From any thread. */
double test_pace(void);

#endif
