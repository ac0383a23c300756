#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: libzstd-dev 1.5.4 (Debian 1.5.4+dfsg2-5+deb12u1).
# Expected: a higher level of zstd gives a smaller page, or at least not a much larger one; the
#	negative levels lie between LZ4 and level 1.
# Does: on single pages of 4 KiB the order is broken by factors. A page that is one 8-byte word
#	again and again: 25 bytes at -5, 1049 at -1, 161 at 1, 25 at 3. A page of hexadecimal
#	text: not smaller at all at -1 and below, half at 1, no gain from there to 19.
# Documented: the manual has levels in order of ratio, negative ones as faster and weaker; that
#	the choice of parameters depends on the size of the input is said, what it does to a page
#	is not.
# Means: "level -1, it is nearly as good and faster" costs the whole gain on text; level 19 buys
#	nothing for a page. Treat pages of one repeated word apart before any codec. Choose a
#	level by measuring pages, not files.
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
fetch libzstd-dev=1.5.4+dfsg2-5+deb12u1
cat >"$work/run.c" <<'C'
#include <stdint.h>
#include <stdio.h>
#include <zstd.h>

static char page[4096], out[8192];

static int at(int level)
{
	return (int)ZSTD_compress(out, sizeof(out), page, sizeof(page), level);
}

int main(void)
{
	static const int levels[] = {-5, -1, 1, 3, 19};
	static const int word[] = {25, 1049, 161, 25, 25};
	uint64_t x = 88172645463325252u;
	int wrong = 0;

	printf("zstd %s\none word:", ZSTD_versionString());
	for (int i = 0; i < 512; i++)
		((uint64_t *)page)[i] = 1;
	for (int i = 0; i < 5; i++) {
		printf("  level %d: %d", levels[i], at(levels[i]));
		wrong += at(levels[i]) != word[i];
	}
	for (int i = 0; i < 4096; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		page[i] = "0123456789abcdef"[x & 15];
	}
	printf("\nhexadecimal text:");
	for (int i = 0; i < 5; i++)
		printf("  level %d: %d", levels[i], at(levels[i]));
	printf("\n");
	wrong += at(-5) != 4106 || at(-1) != 4106;
	wrong += at(1) > 2200 || at(1) < 2048 || at(19) < at(1) - 20;
	return wrong != 0;
}
C
gcc -O1 -I"$work/root/usr/include" "$work/run.c" \
	"$work/root/usr/lib/x86_64-linux-gnu/libzstd.a" -o "$work/run"
"$work/run"
