#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: lz4 1.9.4 (Debian 1.9.4-1); zstd 1.5.4 (1.5.4+dfsg2-5+deb12u1) and gzip 1.12 (1.12-1)
#	beside it.
# Expected: an empty file is no compressed stream: "lz4 -t" and "lz4 -d" fail, as they do for one
#	that is cut anywhere else.
# Does: both succeed. -t has nothing to complain of, -d makes an empty file and has exit status 0;
#	in a pipe that brings nothing it is the same. A file that lacks its last byte, or has its
#	first alone, is an error. zstd and gzip refuse the empty file.
# Documented: lz4(1) says that -t tests the integrity of compressed files, and that files may be
#	concatenated; that none at all is a valid one is not said.
# Means: a saved VM whose disk was full is there as a name with nothing in it: a script that ends
#	the VM once "lz4 -t" has passed throws its memory away; with zstd in its place it does
#	not. Compare the size with what was sent before anything else.
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
fetch lz4=1.9.4-1 zstd=1.5.4+dfsg2-5+deb12u1 gzip=1.12-1
lz4=$work/root/usr/bin/lz4
zstd=$work/root/usr/bin/zstd
gzip=$work/root/bin/gzip
says() { # COMMAND...: fine or refused
	"$@" >"$work/out" 2>"$work/log" </dev/null && echo fine || echo refused
}
"$lz4" --version | head -1
seq 100000 >"$work/ram"
"$lz4" -q "$work/ram" "$work/whole.lz4"
head -c -1 "$work/whole.lz4" >"$work/cut.lz4"
head -c 1 "$work/whole.lz4" >"$work/start.lz4"
for kind in lz4 zst gz; do : >"$work/empty.$kind"; done
want "lz4 -t of the whole" "$(says "$lz4" -t "$work/whole.lz4")" fine
want "lz4 -t of all but the last byte" "$(says "$lz4" -t "$work/cut.lz4")" refused
want "lz4 -t of the first byte" "$(says "$lz4" -t "$work/start.lz4")" refused
want "lz4 -t of nothing" "$(says "$lz4" -t "$work/empty.lz4")" fine
want "lz4 -d of nothing" "$(says "$lz4" -d "$work/empty.lz4" "$work/back")" fine
want "bytes that it made" "$(stat -c %s "$work/back")" 0
want "lz4 -d of an empty pipe" "$(says "$lz4" -dc)" fine
want "zstd -t of nothing" "$(says "$zstd" -t "$work/empty.zst")" refused
want "gzip -t of nothing" "$(says "$gzip" -t "$work/empty.gz")" refused
