#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-utils 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: qemu-img dd with skip=10 count=20 copies 20 blocks from block 10 on, as dd does.
# Does: count is measured from the start of the input, so it copies the 10 blocks from 10 to 20.
#	With count=1 skip=10 it copies nothing, leaves an empty file, and exits with status 0; the
#	message ("cannot skip") is the only sign.
# Documented: otherwise: the manual says that dd stops after reading so many input blocks; skip
#	stands in the synopsis alone, so dd's own is what one reads into it.
# Means: who cuts a piece out of a disk or a saved memory image (a page at an offset, to compare
#	it) gets too little or nothing, and a script sees success. Give count = skip + what is
#	wanted, and check the size.
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
fetch qemu-utils=1:7.2+dfsg-7+deb12u18+b3
image=$work/root/usr/bin/qemu-img
cut() { # OPTION...: prints exit status and MiB of what was cut from a disk of 32 MiB
	local status=0
	rm -f "$work/part"
	"$image" dd -f raw -O raw if="$work/disk" of="$work/part" bs=1M "$@" 2>"$work/log" ||
		status=$?
	echo "$status $(($(stat -c %s "$work/part") >> 20))"
}
"$image" --version | head -1
"$image" create -q -f raw "$work/disk" 32M
want "count=20: status, MiB" "$(cut count=20)" "0 20"
want "skip=10: status, MiB" "$(cut skip=10)" "0 22"
want "skip=10 count=20: status, MiB" "$(cut skip=10 count=20)" "0 10"
want "skip=10 count=11: status, MiB" "$(cut skip=10 count=11)" "0 1"
want "skip=10 count=1: status, MiB" "$(cut skip=10 count=1)" "0 0"
