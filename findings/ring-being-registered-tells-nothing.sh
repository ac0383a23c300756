#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18, io_uring; liburing 2.3 (Debian 2.3-3).
# Expected: /proc/PID/fdinfo of a ring says how many buffers are registered ("UserBufs:"),
#	at any time.
# Does: while a thread is inside io_uring_register() (it waits for a page of a buffer,
#	held by a userfaultfd here) the file has three lines of any descriptor and nothing
#	of the ring. Buffers that are pinned already are not counted: a reader that takes
#	"no such line" for none is wrong.
# Documented: no. (Sources before 6.16 print the line then, with the number from before.)
# Means: who decides from fdinfo whether a process may have memory pinned must take a ring
#	that tells nothing for one that may, and on older kernels a ring with no buffers
#	too.
set -eu
case $(uname -r) in
6.18.*) echo "Linux $(uname -r)" ;;
*) echo "SKIP: stated for Linux 6.18, this is $(uname -r)"; exit 77 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch() { # PACKAGE=VERSION ...: unpacked into $work/root, with what they need and is not installed
	mkdir -p "$work/debs/partial" "$work/root"
	apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
		-o Dir::Cache::archives="$work/debs" --no-install-recommends --reinstall \
		--allow-downgrades --download-only install "$@" >"$work/apt.log" 2>&1 ||
		{ cat "$work/apt.log" >&2; exit 2; }
	for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
	export LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu"
}
want() { # WHAT SEEN STATED: says what was seen; ends the run where that is not what is stated
	printf '%-52s %s\n' "$1" "$2"
	[ "$2" = "$3" ] || { echo "not as stated, which was: $3" >&2; exit 1; }
}
fetch liburing2=2.3-3 liburing-dev=2.3-3
cat >"$work/run.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <liburing.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct io_uring ring;
static struct iovec buffers[2];

static void *register_both(void *arg)
{
	return io_uring_register_buffers(&ring, buffers, 2) ? NULL : arg;
}

static void show(const char *when)
{
	char path[64], text[4096], *line;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring.ring_fd);
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, "UserBufs:");
	if (line)
		line[strcspn(line, "\n")] = '\0';
	for (char *c = line; c && *c; c++)
		if (*c == '\t')
			*c = ' ';
	printf("%s: %s\n", when, line ? line : "nothing");
}

int main(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register r = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	struct uffdio_zeropage zero = {.range.len = 4096};
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *well = memory;
	pthread_t thread;

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || io_uring_queue_init(8, &ring, 0))
		return puts("SKIP: no userfaultfd or no io_uring here"), 77;
	memory[0] = 1;
	r.range = (struct uffdio_range){(unsigned long)memory + 4096, 4096};
	zero.range = r.range;
	if (ioctl(uffd, UFFDIO_REGISTER, &r))
		return 1;
	buffers[0] = (struct iovec){memory, 4096};
	buffers[1] = (struct iovec){memory + 4096, 4096};
	show("before");
	pthread_create(&thread, NULL, register_both, well);
	usleep(500000);
	show("meanwhile");
	ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
	pthread_join(thread, &well);
	show("after");
	return well != memory;
}
C
gcc -O1 -I"$work/root/usr/include" "$work/run.c" -o "$work/run" \
	-L"$work/root/usr/lib/x86_64-linux-gnu" -luring -pthread
said=$("$work/run")
case $said in SKIP*) echo "$said"; exit 77 ;; esac
want "before any is registered" "$(sed -n 's/^before: //p' <<<"$said")" "UserBufs: 0"
want "while two are being registered" "$(sed -n 's/^meanwhile: //p' <<<"$said")" nothing
want "when they are registered" "$(sed -n 's/^after: //p' <<<"$said")" "UserBufs: 2"
