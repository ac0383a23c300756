#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: numactl 2.0.16 (Debian 2.0.16-1), numastat(8); Linux 6.18.
# Expected: of numastat -p, the line "Private" is memory of the process alone, and the totals of
#	several processes can be added: numastat adds them itself.
# Does: "Private" is all that is neither heap nor stack nor huge page: a memfd that three processes
#	map is Private in each, whole, and three times in the total that it prints for them. The
#	kernel's numa_maps, which it reads, has the number of sharers (mapmax) in the same line.
# Documented: the page does not say what the lines are; "resident pages" is all.
# Means: the view that is made for VMs (its page has qemu as the example) shows three clones of a
#	template, or a VM with its vhost-user helpers, as more memory on a node than the node
#	has, and sharing as not there: VMs are moved off a node that is half empty. Add
#	Pss from smaps_rollup instead; which node it is on, numa_maps alone knows.
set -eu
case $(uname -r) in
6.18.*) echo "Linux $(uname -r)" ;;
*) echo "SKIP: stated for Linux 6.18, this is $(uname -r)"; exit 77 ;;
esac
[ -r /proc/self/numa_maps ] || { echo "SKIP: this kernel has no numa_maps"; exit 77; }
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
fetch numactl=2.0.16-1
cat >"$work/run.c" <<'C'
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#define SIZE (64ul << 20)
#define PROCESSES 3

int main(void)
{
	int memory = memfd_create("guest", 0), ready[2];
	pid_t others[PROCESSES - 1];
	char *map, one;

	if (ftruncate(memory, SIZE) || pipe(ready))
		return 1;
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	memset(map, 1, SIZE);
	for (int i = 0; i < PROCESSES - 1; i++) {
		others[i] = fork();
		if (others[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (size_t k = 0; k < SIZE; k += 4096)
				if (*(volatile char *)(map + k) != 1)
					exit(1);
			if (write(ready[1], "x", 1) != 1)
				exit(1);
			for (;;)
				pause();
		}
	}
	for (int i = 0; i < PROCESSES - 1; i++)
		if (read(ready[0], &one, 1) != 1)
			return 1;
	printf("%d %d %d\n", getpid(), others[0], others[1]);
	fflush(stdout);
	return read(0, &one, 1) < 0; /* until the script closes it */
}
C
gcc -O1 "$work/run.c" -o "$work/run"
numastat=$work/root/usr/bin/numastat
"$numastat" -V
coproc RUN { exec "$work/run"; }
pid=$RUN_PID
read -r -t 60 -a pids <&"${RUN[0]}"
about() { # MIB: to the nearest 64
	awk -v mib="$1" 'BEGIN {print int(mib / 64 + 0.5) * 64}'
}
for p in "${pids[@]}"; do
	want "MiB in use, of 64, in numastat's Private" \
		"$(about "$("$numastat" -p "$p" | awk '$1 == "Private" {print $NF}')")" 64
done
want "and in its total of the three" "$(about "$("$numastat" -p "${pids[@]}" |
	awk '$1 == "Total" {total = $NF} END {print total}')")" 192
sum=0
for p in "${pids[@]}"; do
	sum=$((sum + $(awk '$1 == "Pss:" {print $2}' "/proc/$p/smaps_rollup")))
done
want "Pss of the three" "$(about $((sum >> 10)))" 64
want "sharers that numa_maps names" "$(sed -n 's/.*memfd:guest.*mapmax=\([0-9]*\).*/\1/p' \
	"/proc/$pid/numa_maps")" 3
eval "exec ${RUN[1]}>&-"
wait "$pid"
