#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: libjansson-dev 2.14 (Debian 2.14-2).
# Expected: json_unpack() with "i" refuses an integer that does not fit an int, as Jansson refuses
#	a number that does not fit json_int_t, and as "i" refuses a real. An error leaves the
#	variables.
# Does: it succeeds and hands over the low 32 bits: 3 GiB becomes -1073741824, 4 GiB becomes 0,
#	and JSON_STRICT changes nothing. When a later key is missing the call fails, with the
#	earlier variables already written.
# Documented: the manual says that "i" converts to a C int; not what happens to what does not fit.
#	That variables may be written in a failed call is not said either.
# Means: a size of a VM in bytes, read with "i" in code that was tested with small VMs, is
#	negative from 2 GiB on and empty at 4 GiB. Use "I" for all sizes, and check the range
#	after it.
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
fetch libjansson-dev=2.14-2
cat >"$work/run.c" <<'C'
#include <jansson.h>

int main(void)
{
	json_t *vm = json_loads("{\"two\": 2147483648, \"three\": 3221225472, "
				"\"four\": 4294967296, \"real\": 3.0}", 0, NULL);
	json_error_t error;
	int two = 1, three = 1, four = 1, real = 1, part = 1;
	int r = json_unpack_ex(vm, &error, JSON_STRICT, "{s:i, s:i, s:i, s:F}", "two", &two,
			       "three", &three, "four", &four, "real", &(double){0});
	int refused = json_unpack(vm, "{s:i}", "real", &real);
	int failed = json_unpack(vm, "{s:i, s:i}", "three", &part, "missing", &real);

	printf("Jansson %s\nresult %d: 2 GiB %d, 3 GiB %d, 4 GiB %d\n", jansson_version_str(), r,
	       two, three, four);
	printf("a real into \"i\": %d; a failed call: %d, and the first variable is %d\n", refused,
	       failed, part);
	return !(r == 0 && two == -2147483647 - 1 && three == -1073741824 && four == 0 &&
		 refused == -1 && failed == -1 && part == -1073741824);
}
C
gcc -O1 -I"$work/root/usr/include" "$work/run.c" \
	"$work/root/usr/lib/x86_64-linux-gnu/libjansson.a" -o "$work/run"
"$work/run"
