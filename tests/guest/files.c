/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sys/cleanup.h"

#define CHUNK (64u << 10)

DEFINE_CLEANUP(FTS *, fts_close, fts_close);
#define _cleanup_fts_ _cleanup_(cleanup_fts_close)

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int read_one(const char *path, XXH3_state_t *hash, uint64_t *bytes)
{
	static _Alignas(4096) uint8_t chunk[CHUNK];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		XXH3_64bits_update(hash, chunk, (size_t)n);
		*bytes += (uint64_t)n;
	}
}

int files_read(const char *root, struct files *files)
{
	char *roots[] = {(char *)root, NULL};
	_cleanup_fts_ FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, by_name);
	XXH3_state_t hash;
	uint64_t count = 0, bytes = 0;
	const FTSENT *entry;
	dev_t device = 0;

	if (!tree)
		return -errno;
	XXH3_64bits_reset(&hash);
	while (bytes < files->budget && (entry = fts_read(tree))) {
		int r;

		if (entry->fts_level == FTS_ROOTLEVEL)
			device = entry->fts_statp->st_dev;
		/* what is mounted over a file is not the root's */
		if (entry->fts_info != FTS_F || !entry->fts_statp->st_size ||
		    entry->fts_statp->st_dev != device)
			continue;
		r = read_one(entry->fts_path, &hash, &bytes);
		if (r < 0)
			return r;
		count++;
	}
	files->count = count;
	files->bytes = bytes;
	files->sum = XXH3_64bits_digest(&hash);
	return 0;
}

int files_drop_cache(void)
{
	_cleanup_close_ int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) != 1)
		return -errno;
	return 0;
}
