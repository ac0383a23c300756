/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dangers: what the tests of dangers.c, dangers-leaks.c and dangers-hangs.c have in common. */
#ifndef PSHARE_TEST_DANGERS_H
#define PSHARE_TEST_DANGERS_H

#include "harness/harness.h"
#include "lib/fakevmm.h"

#define PAGES 1024u
#define SHARED_MS 40000
#define QUARANTINE_MS 2000

extern struct t_daemon d;

void start(void); /* the daemon */
struct t_vm_opts called(const char *name);
/* A VM with one region of 4 KiB pages, all of them with twins in every other such VM. */
void vm_up(struct fakevmm *v, struct t_vm_opts opts, int flags);
/* Before it has a region: its pins cannot be told, so its first writes wait for the settler. Skips
 * where they can be, by swap. */
void guard_frames(struct fakevmm *v);
void wait_shared(struct fakevmm *v);
bool page_shared(struct fakevmm *v, uint32_t page);
bool in_api(const char *path, const char *text); /* is it in that answer? */
/* All end; b may be NULL. */
void finish(struct fakevmm *a, struct fakevmm *b);

#endif
