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

#endif
