/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pmap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int pm_open(pid_t pid)
{
	char path[64];

	if (!pid)
		return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

uint32_t pm_read(int fd, uintptr_t addr, uint64_t *entry, uint32_t n)
{
	uint32_t done = 0;

	while (done < n) {
		ssize_t r = pread(fd, entry + done, (n - done) * sizeof(*entry),
				  (off_t)((addr / T_PAGE + done) * sizeof(*entry)));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < (ssize_t)sizeof(*entry))
			break;
		done += (uint32_t)((size_t)r / sizeof(*entry));
	}
	return done;
}

uint64_t pm_zero_pfn(void)
{
	static uint64_t pfn;
	volatile uint8_t *page;
	uint64_t entry = 0;
	int fd;

	if (pfn)
		return pfn;
	page = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fd = pm_open(0);
	if (page == MAP_FAILED || fd < 0)
		t_fail("zero page: %m");
	(void)*page;
	pm_read(fd, (uintptr_t)page, &entry, 1);
	close(fd);
	munmap((void *)page, T_PAGE);
	pfn = pm_pfn(entry);
	return pfn;
}

#define SCAN_RANGES 512u
#define SCAN_RETURN \
	(PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_FILE | PAGE_IS_PFNZERO | PAGE_IS_HUGE)

/* With PAGEMAP_SCAN, not from the entries: there the huge zero page looks like a file's page. */
struct pm_count pm_count(int fd, uintptr_t addr, uint32_t n)
{
	struct page_region range[SCAN_RANGES];
	struct pm_scan_arg arg = {.size = sizeof(arg),
				  .start = addr,
				  .end = addr + (uintptr_t)n * T_PAGE,
				  .vec = (uintptr_t)range,
				  .vec_len = SCAN_RANGES,
				  .category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
				  .return_mask = SCAN_RETURN};
	struct pm_count count = {0};

	while (arg.start < arg.end) {
		int got = ioctl(fd, PAGEMAP_SCAN, &arg);

		if (got < 0 || arg.walk_end <= arg.start)
			break;
		for (int i = 0; i < got; i++) {
			uint64_t is = range[i].categories;
			uint32_t pages = (uint32_t)((range[i].end - range[i].start) / T_PAGE);

			count.present += is & PAGE_IS_PRESENT ? pages : 0;
			count.file += is & PAGE_IS_FILE ? pages : 0;
			count.zero += is & PAGE_IS_PFNZERO ? pages : 0;
			count.huge += is & PAGE_IS_HUGE && !(is & PAGE_IS_PFNZERO) ? pages : 0;
			count.swapped += is & PAGE_IS_SWAPPED ? pages : 0;
		}
		arg.start = arg.walk_end;
	}
	return count;
}

uint32_t pm_present(int fd, uintptr_t *at, uintptr_t end, struct page_region *range, uint32_t n)
{
	while (*at < end) {
		struct pm_scan_arg arg = {.size = sizeof(arg),
					  .start = *at,
					  .end = end,
					  .vec = (uintptr_t)range,
					  .vec_len = n,
					  .category_mask = PAGE_IS_PRESENT,
					  .return_mask = PAGE_IS_PRESENT};
		int got = ioctl(fd, PAGEMAP_SCAN, &arg);

		if (got < 0 || arg.walk_end <= *at)
			break;
		*at = arg.walk_end;
		if (got)
			return (uint32_t)got;
	}
	return 0;
}

long pm_mappings(pid_t pid)
{
	char path[64], buf[65536];
	long lines = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += buf[i] == '\n';
	close(fd);
	return lines;
}

long pm_mappings_in(pid_t pid, uint64_t base, uint32_t npages)
{
	uint64_t from, to, end = base + (uint64_t)npages * T_PAGE;
	char path[64], line[512];
	long lines = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			lines += from < end && to > base;
	fclose(f);
	return lines;
}

long pm_field_kib(pid_t pid, const char *file, const char *name)
{
	char path[96], line[256];
	size_t len = strlen(name);
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ':')
			value = strtol(line + len + 1, NULL, 10);
	fclose(f);
	return value;
}

long long pm_memfd_bytes(pid_t pid, const char *name_part)
{
	char dir[64], path[384], link[256];
	long long bytes = 0;
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	d = opendir(dir);
	if (!d)
		return -1;
	while ((e = readdir(d))) {
		struct stat st;
		ssize_t n;

		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (!strstr(link, "memfd:") || (name_part && !strstr(link, name_part)))
			continue;
		if (!stat(path, &st))
			bytes += (long long)st.st_blocks * 512;
	}
	closedir(d);
	return bytes;
}
