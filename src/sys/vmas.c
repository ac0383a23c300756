/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/vmas.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/shortfile.h"

#define LINE_MAX_BYTES 512
#define STORE_PATH "/memfd:pshare-store "

/* Lines of a file in /proc, cut at LINE_MAX_BYTES; no allocation. */
struct lines {
	int fd;
	size_t have, at;
	char buf[8192];
};

static bool lines_fill(struct lines *l)
{
	ssize_t got;

	memmove(l->buf, l->buf + l->at, l->have - l->at);
	l->have -= l->at;
	l->at = 0;
	got = read(l->fd, l->buf + l->have, sizeof(l->buf) - l->have);
	if (got <= 0)
		return false;
	l->have += (size_t)got;
	return true;
}

static bool lines_next(struct lines *l, char line[LINE_MAX_BYTES])
{
	for (;;) {
		char *start = l->buf + l->at;
		char *end = memchr(start, '\n', l->have - l->at);
		size_t n;

		if (!end) {
			if (!lines_fill(l))
				return false;
			continue;
		}
		n = (size_t)(end - start);
		l->at += n + 1;
		if (n >= LINE_MAX_BYTES)
			n = LINE_MAX_BYTES - 1;
		memcpy(line, start, n);
		line[n] = '\0';
		return true;
	}
}

/* "start-end perms offset dev inode": a mapping's first line. */
struct head {
	uintptr_t start, end;
	char perms[5];
	unsigned long inode;
	bool memfd;
	bool store; /* a private mapping of a store of ours */
};

static bool head_parse(const char *line, struct head *h)
{
	char *p;
	int i;

	h->start = strtoul(line, &p, 16);
	if (p == line || *p != '-')
		return false;
	h->end = strtoul(p + 1, &p, 16);
	if (*p++ != ' ' || strlen(p) < 4)
		return false;
	memcpy(h->perms, p, 4);
	h->perms[4] = '\0';
	p += 4;
	for (i = 0; i < 3; i++) { /* offset and device, up to the inode */
		while (*p == ' ')
			p++;
		if (i < 2)
			while (*p && *p != ' ')
				p++;
	}
	h->inode = strtoul(p, &p, 10);
	while (*p == ' ')
		p++;
	h->memfd = strncmp(p, "/memfd:", 7) == 0;
	h->store = strncmp(p, STORE_PATH, strlen(STORE_PATH)) == 0 && h->perms[3] == 'p';
	return true;
}

static unsigned int head_flags(const struct head *h)
{
	unsigned int what = 0;

	if (h->store)
		what |= VMAS_STORE;
	else if (h->inode)
		what |= h->memfd ? VMAS_FILE | VMAS_MEMFD : VMAS_FILE;
	if (h->perms[3] == 's')
		what |= VMAS_SHARED;
	if (h->perms[0] != 'r' || h->perms[1] != 'w' || h->perms[2] == 'x')
		what |= VMAS_NOT_RW;
	return what;
}

#define OF_ALL (VMAS_DONTFORK | VMAS_HUGEPAGE) /* said only if every mapping has it */

/* "VmFlags: rd wr mr ..." */
static unsigned int vm_flags(const char *line)
{
	static const struct {
		const char *name;
		unsigned int flag;
	} names[] = {
		{" ht", VMAS_HUGETLB},	  {" lo", VMAS_LOCKED},	  {" um", VMAS_UFFD},
		{" uw", VMAS_UFFD},	  {" ui", VMAS_UFFD},	  {" pf", VMAS_SPECIAL},
		{" io", VMAS_SPECIAL},	  {" hg", VMAS_HUGEPAGE}, {" dd", VMAS_DONTDUMP},
		{" wf", VMAS_WIPEONFORK}, {" dc", VMAS_DONTFORK},
	};
	unsigned int what = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strstr(line, names[i].name))
			what |= names[i].flag;
	return what;
}

/* "ProtectionKey:         1" */
static unsigned int protection_key(const char *line)
{
	return strtoul(strchr(line, ':') + 1, NULL, 10) ? VMAS_PKEY : 0;
}

int vmas_describe(uintptr_t addr, size_t len, unsigned int *what)
{
	_cleanup_close_ int fd = -1;
	struct lines l = {.fd = -1};
	struct head h = {0};
	char line[LINE_MAX_BYTES];
	uintptr_t at = addr;
	unsigned int all = 0, common = OF_ALL, flags;
	bool inside = false;

	SYS_INJECT();
	fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	l.fd = fd;
	while (lines_next(&l, line)) {
		if (strncmp(line, "VmFlags:", 8) == 0) {
			flags = inside ? vm_flags(line) : OF_ALL;
			all |= flags & ~OF_ALL;
			common &= h.store ? OF_ALL : flags;
			if (at >= addr + len)
				break;
		} else if (strncmp(line, "ProtectionKey:", 14) == 0) {
			all |= inside ? protection_key(line) : 0;
		} else if (head_parse(line, &h)) {
			inside = h.start < addr + len && h.end > addr;
			if (!inside)
				continue;
			if (h.start > at)
				all |= VMAS_HOLE;
			all |= h.store ? VMAS_STORE : head_flags(&h);
			at = h.end;
			inside = !h.store; /* its flags are not the VMM's */
		}
	}
	*what = at < addr + len ? all | VMAS_HOLE : all | common;
	return 0;
}

int vmas_each(int (*call)(void *arg, uintptr_t start, uintptr_t end), void *arg)
{
	_cleanup_close_ int fd = -1;
	struct lines l = {.fd = -1};
	char line[LINE_MAX_BYTES];
	struct head h;
	int r = 0;

	SYS_INJECT();
	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	l.fd = fd;
	while (!r && lines_next(&l, line))
		if (head_parse(line, &h))
			r = call(arg, h.start, h.end);
	return r;
}

long vmas_count(void)
{
	_cleanup_close_ int fd = -1;
	char buf[8192];
	long count = 0;
	ssize_t got;

	SYS_INJECT();
	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((got = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < got; i++)
			count += buf[i] == '\n';
	return got < 0 ? -errno : count;
}

long vmas_limit(void)
{
	char text[32];
	ssize_t got;

	SYS_INJECT();
	got = sys_read_short("/proc/sys/vm/max_map_count", text, sizeof(text));
	if (got <= 0)
		return got < 0 ? got : -EIO;
	return strtol(text, NULL, 10);
}
