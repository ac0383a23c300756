/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* caller: the parts of the program that border.c starts (caller.c). */
#ifndef PSHARE_TEST_CALLER_H
#define PSHARE_TEST_CALLER_H

#include "lib/util.h"

#define PAGES 2048u
#define WAIT_SECONDS 60
#define SIGNAL_SECONDS 3
#define SLACK_KIB (96l << 10) /* of programs, libraries, stacks and tables */

/* n pages, of which each has a twin; plain, or offered, or offered and shared by now. */
uint8_t *plain(uint32_t n);
uint8_t *offered(uint32_t n);
uint8_t *shared(uint32_t n);
void fill(uint8_t *base, uint32_t n);
/* Pages that are not what fill() wrote. */
uint32_t wrong(const uint8_t *base, uint32_t n);
void check(const uint8_t *base, uint32_t n, const char *when);
/* Pages that map a frame. */
uint32_t framed(const uint8_t *base, uint32_t n);
void wait_shared(const uint8_t *base, uint32_t n);
/* Tells the test to look, and waits until it has. */
void look_at_me(void);

/* caller-memory.c */
void advices(void);
void core(void);
void discards(void);
void foreign(void);
void locked_after(void);
void locked_before(void);
void mergeable(void);
void moves(void);
void protected_by_key(void);
void wipe_on_fork(void);

#endif
