#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: libxxhash-dev 0.8.1 (Debian 0.8.1-1).
# Expected: XXH3_128bits() and XXH3_64bits() of one page are two hashes: to hand out one tells
#	nothing of the other, and both together are 192 bits.
# Does: for every input longer than 240 bytes, so for every page, the low half of the 128 bits is
#	the 64 bits, with a seed and with a secret alike. For 129 to 240 bytes and for 4 to 16 it
#	is not.
# Documented: the header describes both variants and does not relate them.
# Means: a manager that finds twins by the 64-bit hash and confirms by the 128-bit one gains 64
#	bits and not 128; one that publishes short hashes and keeps the long ones to itself has
#	published half of each. Tests with short strings show two unrelated functions. Seed them
#	differently.
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
fetch libxxhash-dev=0.8.1-1
cat >"$work/run.c" <<'C'
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <stdint.h>
#include <stdio.h>

int main(void)
{
	static const int lengths[] = {8, 16, 129, 240, 241, 1024, 4096};
	static unsigned char page[4096], secret[XXH3_SECRET_SIZE_MIN];
	uint64_t x = 88172645463325252u;
	int wrong = 0;

	for (int i = 0; i < 4096; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		page[i] = (unsigned char)x;
		secret[i % XXH3_SECRET_SIZE_MIN] = (unsigned char)(x >> 8);
	}
	printf("xxhash %u\n", XXH_versionNumber());
	for (int i = 0; i < 7; i++) {
		int n = lengths[i];
		int seeded = XXH3_128bits_withSeed(page, n, 42).low64 ==
			     XXH3_64bits_withSeed(page, n, 42);
		int keyed = XXH3_128bits_withSecret(page, n, secret, sizeof(secret)).low64 ==
			    XXH3_64bits_withSecret(page, n, secret, sizeof(secret));

		printf("%4d bytes: low half is the 64-bit hash: by seed %s, by secret %s\n", n,
		       seeded ? "yes" : "no", keyed ? "yes" : "no");
		wrong += seeded != (n > 240) || keyed != (n > 240);
	}
	return wrong != 0;
}
C
gcc -O1 -I"$work/root/usr/include" "$work/run.c" -o "$work/run"
"$work/run"
