/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* files: the guest's own files, read through its page cache. */
#ifndef PSHARE_GUEST_FILES_H
#define PSHARE_GUEST_FILES_H

#include <stdint.h>

struct files {
	uint64_t budget; /* bytes to read at most: whole files, in the order of their names */
	uint64_t count;
	uint64_t bytes;
	uint64_t sum;
};

/* Reads the files below root, on that file system, up to files->budget bytes; fills in the
 * rest. A file that cannot be read counts as an error. 0 or -errno. */
int files_read(const char *root, struct files *files);
/* Drops the clean page cache, so that the next reading comes from the disk: by DMA. */
int files_drop_cache(void);

#endif
