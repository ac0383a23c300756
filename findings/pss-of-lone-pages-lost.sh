#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18; smem 1.5 (Debian 1.5-2).
# Expected: the sum of Pss over /proc/PID/smaps is Pss in /proc/PID/smaps_rollup, give or take a
#	little; and smem, which is made for shared memory, shows that.
# Does: each mapping in smaps is rounded down to whole KiB by itself. A shared page that is a
#	mapping alone, in a memory that several processes share page by page, has a Pss of 4 KiB
#	divided by the sharers: of three, a quarter of it is lost, and from five on the Pss of
#	all such pages together is 0. smaps_rollup adds first and is right. smem adds smaps.
# Documented: otherwise: the kernel's page on smaps_rollup says that each field is the sum of the
#	fields of smaps. proc(5) and smem(8) have nothing on rounding.
# Means: on a host of VMs whose equal pages are shared one by one, tools that add smaps show less
#	memory than there is, the more is shared the less; a saving worked out from that is too
#	large. Use smaps_rollup.
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
fetch smem=1.5-2
cat >"$work/sharers.c" <<'C'
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#define LONE 1000ul /* pages, each a mapping of its own */

/* Maps every second page of the store and reads it. */
static void share(int store)
{
	char *map = mmap(NULL, LONE * 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < LONE; i++) {
		char *page = mmap(map + i * 8192, 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_FIXED, store, (off_t)(i * 8192));

		if (page == MAP_FAILED || *(volatile char *)page != 1)
			exit(1);
	}
}

int main(int argc, char **argv)
{
	int store = memfd_create("store", 0), ready[2];
	char *all, one;

	if (argc != 2 || ftruncate(store, LONE * 8192) || pipe(ready))
		return 1;
	all = mmap(NULL, LONE * 8192, PROT_WRITE, MAP_SHARED, store, 0);
	memset(all, 1, LONE * 8192);
	munmap(all, LONE * 8192);
	for (int i = 1; i < atoi(argv[1]); i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			prctl(PR_SET_NAME, "other");
			share(store);
			if (write(ready[1], "x", 1) != 1)
				return 1;
			for (;;)
				pause();
		}
	share(store);
	for (int i = 1; i < atoi(argv[1]); i++)
		if (read(ready[0], &one, 1) != 1)
			return 1;
	printf("ready\n");
	fflush(stdout);
	return read(0, &one, 1) < 0; /* until the script closes it */
}
C
gcc -O1 "$work/sharers.c" -o "$work/sharers"
echo "smem $(dpkg-deb -f "$work"/debs/smem_*.deb Version)"
look() { # PROCESSES SUM ROLLUP: Pss of the lone pages, in KiB, as the first process has it
	local line sum rollup total by_smem
	coproc SHARERS { exec "$work/sharers" "$1"; }
	local pid=$SHARERS_PID
	read -r -t 60 line <&"${SHARERS[0]}"
	[ "$line" = ready ]
	sum=$(awk '/^[0-9a-f]+-/ {ours = /memfd:store/} ours && $1 == "Pss:" {sum += $2}
		END {print sum + 0}' "/proc/$pid/smaps")
	rollup=$(awk '$1 == "Pss_Shmem:" {print $2}' "/proc/$pid/smaps_rollup")
	total=$(awk '$1 == "Pss:" {print $2}' "/proc/$pid/smaps_rollup")
	by_smem=$("$work/root/usr/bin/smem" -H -c 'pid pss' -P "$work/sharers" |
		awk -v pid="$pid" '$1 == pid {print $2}')
	eval "exec ${SHARERS[1]}>&-"
	wait "$pid"
	want "$1 processes: sum of smaps, smaps_rollup" "$sum $rollup" "$2 $3"
	short=$((total - by_smem))
}
look 1 4000 4000
look 2 2000 2000
look 3 1000 1333
look 5 0 799
look 6 0 666
want "smem of the last: 666 KiB short of smaps_rollup" \
	"$([ "$short" -ge 666 ] && [ "$short" -lt 766 ] && echo yes || echo "$short")" yes
