/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hash: what a page's content is called, and whether it is all zeros.
 */
#ifndef PSHARE_AGENT_HASH_H
#define PSHARE_AGENT_HASH_H

#include <stdbool.h>
#include <stdint.h>

/* XXH3 of the page, seeded by the secret of the domain (src/wire/wire.h: ps_msg_domain). */
uint64_t page_hash(const void *page, uint64_t seed);
bool page_is_zero(const void *page);

/* In builds for fault injection: one time, a byte of a page in quarantine is changed, as a device
 * with a plain reference would (PSHARE_TEST_LATE_WRITE). Nothing in any other build. */
#ifdef PSHARE_INJECT
void test_late_write(char *slot);
/* Is the defence of that name taken out (PSHARE_TEST_UNSAFE=name,name)? */
bool test_unsafe(const char *name);
#else
static inline void test_late_write(char *slot)
{
	(void)slot;
}
static inline bool test_unsafe(const char *name)
{
	(void)name;
	return false;
}
#endif

#endif
