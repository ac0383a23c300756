/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * zipped: what the compressed cache makes of real pages: those of a running VMM whose guest has MIB
 * of RAM, or of a file.
 *
 *	zipped PID MIB [EVERY]
 *	zipped FILE [EVERY]	each EVERYth page (default 1), zeros left out
 *
 * A line of figures for each way of putting: soon (LZ4 first), stays (zstd), settled (soon, then
 * by age): pages that fit, by slot, bytes held over payload, pages of memory held for 1000 pages
 * put away, CPU us a put and a get (all threads of this process: there is one).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/zip.h"

#define PAGE PS_PAGE_SIZE
#define CAP (1u << 22)

struct pages {
	char (*content)[PAGE];
	uint32_t n, zeros;
};

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static bool is_zero(const char *content)
{
	return !content[0] && !memcmp(content, content + 1, PAGE - 1);
}

/* Start and length of the smallest anonymous mapping of a process that has room for so much RAM. */
static bool find_ram(const char *pid, unsigned long mib, unsigned long *start,
		     unsigned long *length)
{
	char path[64], line[512];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	*length = 0;
	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long from, to, inode;

		if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &from, &to, &inode) == 3 && !inode &&
		    to - from >= mib << 20 && (!*length || to - from < *length)) {
			*start = from;
			*length = to - from;
		}
	}
	if (maps)
		fclose(maps);
	return *length;
}

/* Pages that were never touched read as zeros too. */
static bool take(int fd, off_t start, uint64_t pages, uint32_t every, struct pages *p)
{
	p->content = malloc((pages / every + 1) * PAGE);
	if (!p->content)
		return false;
	for (uint64_t i = 0; i < pages; i += every) {
		char *at = p->content[p->n];

		if (pread(fd, at, PAGE, start + (off_t)(i * PAGE)) != PAGE)
			continue;
		if (is_zero(at))
			p->zeros++;
		else
			p->n++;
	}
	return p->n;
}

static bool open_pages(const char *what, unsigned long mib, uint32_t every, struct pages *p)
{
	unsigned long start = 0, length;
	char path[64];
	struct stat st;
	int fd = open(what, O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0) {
		if (!find_ram(what, mib, &start, &length))
			return false;
		snprintf(path, sizeof(path), "/proc/%s/mem", what);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	} else if (fstat(fd, &st) == 0) {
		length = (unsigned long)st.st_size;
	} else {
		length = 0;
	}
	ok = fd >= 0 && take(fd, (off_t)start, length / PAGE, every, p);
	if (fd >= 0)
		close(fd);
	return ok;
}

static void print(const char *name, const struct pages *p, const struct zip_figures *f, double put,
		  double get)
{
	double n = p->n;

	printf("%-8s fit=%.1f%% slots512=%.1f%% slots1024=%.1f%% slots2048=%.1f%% same=%.1f%% "
	       "zstd=%.1f%% payload=%.0f slots/payload=%.3f held/payload=%.3f "
	       "held_per_1000=%.0f put_us=%.2f get_us=%.2f\n",
	       name, 100 * (double)f->entries / n, 100 * (double)f->slots[0] / n,
	       100 * (double)f->slots[1] / n, 100 * (double)f->slots[2] / n,
	       100 * (double)f->same / n, 100 * (double)f->zstd / n,
	       (double)f->payload / (double)f->entries,
	       (double)(f->slabs * PAGE) / (double)f->payload, (double)f->held / (double)f->payload,
	       1000 * (double)f->held / PAGE / (double)f->entries, put, get);
}

static int measure(const struct pages *p, const char *name, enum zip_method method, bool settle)
{
	uint32_t *handle = calloc(p->n, sizeof(*handle));
	_Alignas(64) static char out[PAGE];
	struct zip_figures f;
	struct zip *zip = NULL;
	double start, put, get;
	int err = handle ? zip_new(&zip, p->n) : -ENOMEM;

	if (err)
		return err;
	zip_set_cap(zip, CAP);
	start = cpu_us();
	for (uint32_t i = 0; i < p->n; i++)
		if (zip_put(zip, i, p->content[i], method, &handle[i]))
			handle[i] = 0;
	if (settle) {
		zip_set_now(zip, 1000);
		while (zip_settle(zip, 1, 1024))
			;
		while (zip_pack(zip, 1024))
			;
	}
	put = (cpu_us() - start) / p->n;
	zip_count(zip, &f);
	start = cpu_us();
	for (uint32_t i = 0; i < p->n; i++)
		if (handle[i] &&
		    (zip_get(zip, handle[i], i, out) || memcmp(out, p->content[i], PAGE)))
			err = -EBADMSG;
	get = (cpu_us() - start) / (double)(f.entries ? f.entries : 1);
	print(name, p, &f, put, get);
	zip_free(zip);
	free(handle);
	return err;
}

int main(int argc, char **argv)
{
	struct pages p = {0};
	bool of_process = argc > 2 && access(argv[1], F_OK) != 0;
	unsigned long mib = of_process ? strtoul(argv[2], NULL, 10) : 0;
	int at = of_process ? 3 : 2;
	uint32_t every = argc > at ? (uint32_t)atoi(argv[at]) : 1;
	int err;

	if (argc < 2 || !every) {
		fprintf(stderr, "usage: zipped PID MIB [EVERY] | FILE [EVERY]\n");
		return 2;
	}
	if (!open_pages(argv[1], mib, every, &p)) {
		fprintf(stderr, "zipped: %s: no pages to be read there\n", argv[1]);
		return 1;
	}
	printf("pages=%u zeros=%u\n", p.n, p.zeros);
	err = measure(&p, "soon", ZIP_SOON, false);
	if (!err)
		err = measure(&p, "stays", ZIP_STAYS, false);
	if (!err)
		err = measure(&p, "settled", ZIP_SOON, true);
	if (err)
		fprintf(stderr, "zipped: %s\n", strerror(-err));
	free(p.content);
	return err ? 1 : 0;
}
