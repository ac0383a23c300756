#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18; manpages-dev 6.03 (Debian 6.03-2), madvise(2).
# Expected: madvise(MADV_DONTNEED) that fails has discarded nothing, or all up to the place where
#	it stopped.
# Does: it depends on the error. Over a range with an unmapped page in it, it discards all that is
#	mapped, before the hole and after it, and then says ENOMEM. Over a range with a locked
#	page in it, it discards what lies before, stops there and says EINVAL.
# Documented: the page lists both errors and does not say what was done before them.
# Means: a VMM or a manager that takes the error for "nothing happened" keeps books of pages that
#	are zeros by now, and one that retries by halves after ENOMEM discards what the guest
#	wrote meanwhile. Treat ENOMEM as done; after EINVAL look at each page.
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
fetch manpages-dev=6.03-2
cat >"$work/run.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static const char *outcome(char *map, int odd)
{
	static char text[80];
	int r = madvise(map, 5 * 4096, MADV_DONTNEED), err = r ? errno : 0, n;

	n = snprintf(text, sizeof(text), "%s:", r ? strerrorname_np(err) : "no error");
	for (int i = 0; i < 5; i++)
		if (i != odd)
			n += snprintf(text + n, sizeof(text) - n, " %s",
				      map[i * 4096] ? "kept" : "gone");
	return text;
}

static char *five(void)
{
	char *map = mmap(NULL, 7 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);

	memset(map, 1, 7 * 4096);
	return map + 4096;
}

int main(void)
{
	char *map = five();
	int wrong;

	munmap(map + 2 * 4096, 4096);
	wrong = strcmp(outcome(map, 2), "ENOMEM: gone gone gone gone");
	map = five();
	munmap(map + 2 * 4096, 4096);
	printf("pages 0 1 3 4, page 2 not mapped: %s\n", outcome(map, 2));
	map = five();
	if (mlock(map + 2 * 4096, 4096))
		return 77;
	printf("pages 0 1 3 4, page 2 locked:     %s\n", outcome(map, 2));
	map = five();
	mlock(map + 2 * 4096, 4096);
	return wrong || strcmp(outcome(map, 2), "EINVAL: gone gone kept kept");
}
C
gcc -O1 "$work/run.c" -o "$work/run"
"$work/run"
