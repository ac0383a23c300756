/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * ESX's rates are for a host at work: a VM is looked at in an hour. Whoever starts his first two
 * VMs sees nothing for that hour. But what a first pass costs is bounded by the memory that is
 * there, whatever its rate: each page is hashed about once. So it may be fast, and what follows is
 * slow.
 *
 * When is it over? A guest that boots grows by leaps, with rests between them, so "everything that
 * is there was hashed" is true again and again within its first seconds. It is over
 *
 *	when FIRST_PASS_QUIET_LOOKS looks in a row hashed next to nothing: what is there was looked
 *	at, and what was not is written all the time; or
 *	when FIRST_PASS_TIMES of what is there was hashed: a guest that rewrites its memory, each
 *	page resting just long enough to be hashed, is not to be paid for at this rate for ever.
 *
 * Looks of a guest at rest cost nanoseconds a page, so waiting for quiet is cheap.
 *
 * Rejected: a time (a guest of 1 TiB takes longer than any that suits one of 1 GiB); a bit for each
 * page "was hashed once" (memory that the guest takes later would be fast as well, but a guest that
 * turns its page cache over takes new memory all day).
 */
#include "policy/firstpass.h"

void first_pass_begin(struct first_pass *first, uint64_t hashed)
{
	*first = (struct first_pass){.from = hashed, .last = hashed};
}

void first_pass_judge(struct first_pass *first, uint64_t hashed, uint64_t present)
{
	uint64_t found = hashed - first->last, most = present * FIRST_PASS_TIMES;

	first->last = hashed;
	if (!present) /* nothing to be looked at: it has not begun */
		return;
	first->quiet = found < present / FIRST_PASS_NEW_PART ? first->quiet + 1 : 0;
	if (most < FIRST_PASS_PAGES_MIN)
		most = FIRST_PASS_PAGES_MIN;
	if (first->quiet >= FIRST_PASS_QUIET_LOOKS || hashed - first->from > most)
		first->over = true;
}

uint32_t first_pass_rate(const struct first_pass *first, uint32_t rate, uint32_t first_rate)
{
	return rate && !first->over && first_rate > rate ? first_rate : rate;
}
