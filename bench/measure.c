/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sys/cleanup.h"

#define PATH_BYTES 128
#define TEXT_BYTES 256
#define SEEN_MAX 256u

#define PM_PRESENT (1ull << 63)
#define PM_FILE (1ull << 61)	  /* a page of a file or of shared memory */
#define PM_EXCLUSIVE (1ull << 56) /* mapped once */

/* ---- processes ----------------------------------------------------------------------------- */

/* Reads a small file whole. Its length without a newline at the end, or -errno. */
static int read_text(const char *path, char text[static TEXT_BYTES])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, TEXT_BYTES - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return (int)n;
}

int read_number(const char *path, uint64_t *number)
{
	char text[TEXT_BYTES];
	int r = read_text(path, text);

	if (r < 0)
		return r;
	*number = strtoull(text, NULL, 10);
	return 0;
}

static void add_thread(pid_t pid, const char *tid, const char *prefix, bool match, uint64_t *ns)
{
	char path[PATH_BYTES], text[TEXT_BYTES];

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/comm", (int)pid, tid);
	if (read_text(path, text) < 0)
		return;
	if ((strncmp(text, prefix, strlen(prefix)) == 0) != match)
		return;
	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/schedstat", (int)pid, tid);
	if (read_text(path, text) > 0)
		*ns += strtoull(text, NULL, 10);
}

int threads_cpu_ns(pid_t pid, const char *prefix, bool match, uint64_t *ns)
{
	_cleanup_closedir_ DIR *tasks = NULL;
	char path[PATH_BYTES];
	uint64_t sum = 0;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		return -errno;
	while ((entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			add_thread(pid, entry->d_name, prefix, match, &sum);
	*ns = sum;
	return 0;
}

int anonymous_pages(pid_t pid, uint64_t *pages)
{
	char path[PATH_BYTES], text[TEXT_BYTES];
	unsigned long long resident, shared;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	r = read_text(path, text);
	if (r < 0)
		return r;
	if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2)
		return -EPROTO;
	*pages = resident - shared;
	return 0;
}

/* Files seen already: a file may have several descriptors. */
struct seen {
	ino_t file[SEEN_MAX];
	size_t count;
};

static bool seen_before(struct seen *seen, ino_t file)
{
	for (size_t i = 0; i < seen->count; i++)
		if (seen->file[i] == file)
			return true;
	if (seen->count < SEEN_MAX)
		seen->file[seen->count++] = file;
	return false;
}

/* Bytes of one descriptor, if it is a memfd with that name that was not seen yet. */
static uint64_t one_memfd(const char *path, const char *name, struct seen *seen)
{
	char target[TEXT_BYTES], wanted[TEXT_BYTES];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	struct stat st;

	if (n < 0)
		return 0;
	target[n] = '\0';
	snprintf(wanted, sizeof(wanted), "/memfd:%s", name);
	if (strncmp(target, wanted, strlen(wanted)) != 0 || stat(path, &st) < 0)
		return 0;
	return seen_before(seen, st.st_ino) ? 0 : (uint64_t)st.st_blocks * 512u;
}

int memfd_bytes(pid_t pid, const char *name, uint64_t *bytes)
{
	_cleanup_closedir_ DIR *fds = NULL;
	char path[PATH_BYTES];
	struct seen seen = {.count = 0};
	uint64_t sum = 0;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	if (!fds)
		return -errno;
	while ((entry = readdir(fds))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int)pid, entry->d_name);
		sum += one_memfd(path, name, &seen);
	}
	*bytes = sum;
	return 0;
}

/* ---- page tables --------------------------------------------------------------------------- */

int pagemap_self(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool page_is_shared(int pagemap, const void *page)
{
	uint64_t entry;
	off_t at = (off_t)((uintptr_t)page / MEASURE_PAGE * sizeof(entry));

	if (pread(pagemap, &entry, sizeof(entry), at) != sizeof(entry))
		return false;
	return (entry & PM_PRESENT) && ((entry & PM_FILE) || !(entry & PM_EXCLUSIVE));
}
