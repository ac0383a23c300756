/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * measure: what the benchmark's programs measure with. Nothing here asks agent, daemon or KSM what
 * they believe: clocks, /proc and page tables only.
 */
#ifndef PSHARE_BENCH_MEASURE_H
#define PSHARE_BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "guest/latency.h"

#define MEASURE_PAGE 4096u

/* ---- processes ----------------------------------------------------------------------------- */

/* CPU time of all threads whose name starts with prefix (or does not, if !match), in ns as the
 * scheduler counts it. 0 or -errno (the process has gone). */
int threads_cpu_ns(pid_t pid, const char *prefix, bool match, uint64_t *ns);

/* Pages of private anonymous memory that a process maps; shared ones count in each. */
int anonymous_pages(pid_t pid, uint64_t *pages);

/* Bytes that the memfds of a process hold, all of whose name starts with name. */
int memfd_bytes(pid_t pid, const char *name, uint64_t *bytes);

/* A number in a file of one number, such as those of /sys/kernel/mm/ksm. */
int read_number(const char *path, uint64_t *number);

/* ---- page tables --------------------------------------------------------------------------- */

/* This process's. The descriptor or -errno. */
int pagemap_self(void);

/* Whether the page is there and is a frame that does not belong to this mapping alone: one of a
 * memfd, or an anonymous one that is mapped several times (KSM's). */
bool page_is_shared(int pagemap, const void *page);

#endif
