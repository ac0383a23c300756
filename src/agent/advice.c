/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * advice: the table. Every value that Linux has is in it (6.18: 0 to 25, 100 to 103), so that a
 * value that is not in it is one that nobody thought about here, and is taken for the worst.
 *
 * Why those of ADVICE_ANEW are there, given a frame (a private mapping of a file):
 *  WIPEONFORK     the kernel refuses it for a file's mapping, and a child has to find zeros
 *  KEEPONFORK     undoes that: the region may fit again
 *  COLLAPSE       would make huge pages of the store, and fill its holes
 *  GUARD_INSTALL  never returns where write-protect markers stay behind in a file's mapping
 *  GUARD_REMOVE   undoes that
 *  HWPOISON, SOFT_OFFLINE  would hit the frame, and all who map it
 */
#include "agent/advice.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "sys/uapi.h"

enum advice_kind advice_kind(int advice)
{
	/* ADVICE_PASS is 0: what is not named here would be passed, so all are. */
	static const uint8_t low[] = {
		[MADV_NORMAL] = ADVICE_FLAG,
		[MADV_RANDOM] = ADVICE_FLAG,
		[MADV_SEQUENTIAL] = ADVICE_FLAG,
		[MADV_WILLNEED] = ADVICE_PASS,
		[MADV_DONTNEED] = ADVICE_DISCARD,
		[5] = ADVICE_ANEW,
		[6] = ADVICE_ANEW,
		[7] = ADVICE_ANEW,
		[MADV_FREE] = ADVICE_DISCARD,
		[MADV_REMOVE] = ADVICE_REMOVE,
		[MADV_DONTFORK] = ADVICE_FLAG,
		[MADV_DOFORK] = ADVICE_FLAG,
		[MADV_MERGEABLE] = ADVICE_OFFER,
		[MADV_UNMERGEABLE] = ADVICE_WITHDRAW,
		[MADV_HUGEPAGE] = ADVICE_HUGE,
		[MADV_NOHUGEPAGE] = ADVICE_SMALL,
		[MADV_DONTDUMP] = ADVICE_FLAG,
		[MADV_DODUMP] = ADVICE_FLAG,
		[MADV_WIPEONFORK] = ADVICE_ANEW,
		[MADV_KEEPONFORK] = ADVICE_ANEW,
		[MADV_COLD] = ADVICE_PASS,
		[MADV_PAGEOUT] = ADVICE_PASS,
		[MADV_POPULATE_READ] = ADVICE_PASS,
		[MADV_POPULATE_WRITE] = ADVICE_PASS,
		[MADV_DONTNEED_LOCKED] = ADVICE_DISCARD,
		[MADV_COLLAPSE] = ADVICE_ANEW,
	};

	if (advice < 0 || (size_t)advice >= sizeof(low))
		return ADVICE_ANEW;
	return (enum advice_kind)low[advice];
}
