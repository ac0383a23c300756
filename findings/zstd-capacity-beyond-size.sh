#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: libzstd-dev 1.5.4 (Debian 1.5.4+dfsg2-5+deb12u1); liblz4-dev 1.9.4 (1.9.4-1) beside it.
# Expected: a page that compresses to N bytes compresses into a buffer of N bytes.
# Does: with LZ4 it does. ZSTD_compress() of a page of 4 KiB wants a buffer 7 to 9 bytes longer
#	than what it writes in the end, at every level from 1 to 19; with less it fails
#	(dstSize_tooSmall), although the frame would fit.
# Documented: the header recommends ZSTD_compressBound() for speed and calls it the worst case of
#	the compressed size; that a frame may not fill its buffer is not said.
# Means: a cache with slots of 512, 1024, 2048 bytes that compresses straight into the slot turns
#	away the pages that would fill it to the last bytes; and a second run with the size that
#	the first run told fails. Compress into a scratch page and copy, or give the slot 16 bytes
#	more.
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
fetch libzstd-dev=1.5.4+dfsg2-5+deb12u1 liblz4-dev=1.9.4-1
cat >"$work/run.c" <<'C'
#include <lz4.h>
#include <stdint.h>
#include <stdio.h>
#include <zstd.h>

static char page[4096], out[8192];

int main(void)
{
	uint64_t x = 88172645463325252u;
	int wrong = 0, n;

	for (int i = 0; i < 4096; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		page[i] = x & 15;
	}
	printf("zstd %s, lz4 %s\n", ZSTD_versionString(), LZ4_versionString());
	for (int level = 1; level <= 19; level += 3) {
		size_t size = ZSTD_compress(out, sizeof(out), page, 4096, level), room = size;

		while (ZSTD_isError(ZSTD_compress(out, room, page, 4096, level)))
			room++;
		printf("zstd level %2d: %zu bytes, into no less than %zu\n", level, size, room);
		wrong += room < size + 7 || room > size + 9;
	}
	n = LZ4_compress_default(page, out, 4096, sizeof(out));
	wrong += LZ4_compress_default(page, out, 4096, n) != n;
	wrong += LZ4_compress_default(page, out, 4096, n - 1) != 0;
	printf("lz4: %d bytes, into no less than that\n", n);
	return wrong != 0;
}
C
lib=$work/root/usr/lib/x86_64-linux-gnu
gcc -O1 -I"$work/root/usr/include" "$work/run.c" "$lib/libzstd.a" "$lib/liblz4.a" -o "$work/run"
"$work/run"
