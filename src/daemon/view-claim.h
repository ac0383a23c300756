/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* view-claim: what agents claim, within what it can be. */
#ifndef PSHARE_DAEMON_VIEW_CLAIM_H
#define PSHARE_DAEMON_VIEW_CLAIM_H

#include <stdint.h>

#include "daemon/vm.h"

/* Bytes of a part of the VM that its agent claims. */
static inline uint64_t view_claim(const struct vm *vm, uint64_t pages)
{
	return (pages < vm->pages ? pages : vm->pages) * PS_PAGE_SIZE;
}

/* Their product, or the largest number if it is larger. */
static inline uint64_t view_bytes_of(uint64_t count, uint64_t each)
{
	uint64_t bytes;

	return __builtin_mul_overflow(count, each, &bytes) ? UINT64_MAX : bytes;
}

#endif
