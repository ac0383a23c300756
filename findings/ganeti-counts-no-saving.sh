#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: ganeti-htools 3.0.2 (Debian 3.0.2-3).
# Expected: hspace, and the allocator hail whose algorithm it uses, place VMs by the free memory
#	that a node reports: that is a column of the input and what -p prints as f_mem.
# Does: it takes the smaller of two: what the node reports, and its size less what the VMs on it are
#	configured with. Memory that the host got back by sharing equal pages, by balloons or
#	because guests never touched it does not exist for it: a node with 9000 of 10000 MiB free
#	under a VM of 4000 takes no more VMs than one with 5000 free. A node with 5000 free under
#	two VMs of 6000 has "-3000". Memory that is gone counts at once.
# Documented: htools(1) has f_mem as the free node memory; the column that decides, u_mem, is
#	printed and not described. hspace(1) has INI_MEM_FREE as the total free memory.
# Means: a cluster that shares pages to fit more VMs on a node fits not one more: nodes look free in
#	every graph, and the answer is FAILMEM. What is shared has to be taken off the VMs'
#	configured memory, or is no use to Ganeti.
set -eu
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
fetch ganeti-htools=3.0.2-3
tools=$work/root/usr/lib/ganeti/3.0/usr/bin
group=11111111-1111-1111-1111-111111111111
cluster() { # FREE MEMORY...: a node of 10000 MiB, of which it uses 1000, and VMs of so many MiB
	local free=$1 n=0
	shift
	printf 'group|%s|preferred||\n\n' $group
	printf 'node|10000|1000|%s|1000000|900000|64|N|%s|1000||N|1000|0|1.0\n\n' "$free" $group
	for mib; do printf 'vm%d|%d|1000|1|running|Y|node||plain||1|-\n' $((n++)) "$mib"; done
	printf '\n\n|128,1,1024,1,1,1|128,1,1024,1,1,1;32768,8,1048576,16,8,12|plain|64.0|32.0\n'
}
room() { # FREE MEMORY...: the free memory that hspace goes by, and how many VMs of 1000 MiB fit
	cluster "$@" >"$work/cluster"
	"$tools/hspace" -t "$work/cluster" --no-capacity-checks --standard-alloc=2000,1000,1 \
		--disk-template=plain --machine-readable=yes >"$work/out" 2>"$work/log"
	sed -n "s/^HTS_INI_MEM_FREE='\?\(-\?[0-9]*\).*/\1/p; s/^HTS_ALLOC_INSTANCES=/, /p" \
		"$work/out" | tr -d '\n'
}
"$tools/hspace" --version | head -1
want "no VM, 9000 MiB free: free, VMs that fit" "$(room 9000)" "9000, 8"
want "a VM of 4000, 5000 free" "$(room 5000 4000)" "5000, 4"
want "a VM of 4000, 9000 free" "$(room 9000 4000)" "5000, 4"
want "two VMs of 4000, 5000 free" "$(room 5000 4000 4000)" "1000, 0"
want "two VMs of 6000, 5000 free" "$(room 5000 6000 6000)" "-3000, 0"
want "a VM of 4000, 2000 free" "$(room 2000 4000)" "2000, 1"
page=$work/root/usr/share/man/man1/htools.1.gz
want "lines of htools(1) on f_mem, on u_mem" "$(zcat "$page" | grep -c f_mem) \
$(zcat "$page" | grep -c u_mem || :)" "1 0"
