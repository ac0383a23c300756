/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/wipe.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct block {
	alignas(max_align_t) size_t length;
	unsigned char bytes[];
};

void *sys_wiping_alloc(size_t length)
{
	struct block *block;

	if (length > SIZE_MAX - sizeof(*block))
		return NULL;
	block = malloc(sizeof(*block) + length);
	if (!block)
		return NULL;
	block->length = length;
	/* cppcheck-suppress memleak ; sys_wiping_free() finds the block by its bytes */
	return block->bytes;
}

void sys_wiping_free(void *bytes)
{
	struct block *block;

	if (!bytes)
		return;
	block = (struct block *)((char *)bytes - offsetof(struct block, bytes));
	explicit_bzero(block->bytes, block->length);
	free(block);
}
