#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: systemd 252 (Debian 252.39-1~deb12u2).
# Expected: MemoryMax= takes one size with a suffix, in upper or lower case, with or without "B";
#	what it cannot read stops the unit or at least sets no other limit than the file says.
# Does: it takes a list and adds it up: "1G 512M" is 1.5 GiB ("512M 1G" is refused: the suffixes
#	have to fall). "1g", "1GB" and "1GiB" are refused with a warning, and then the limit
#	before it stays in force: in a drop-in that raises 1G to "8GB" the VM still dies at 1 GiB,
#	and where it is the only line there is no limit at all. "8" is eight bytes.
# Documented: the manual page says that the value takes the suffixes K, M, G or T with base 1024,
#	a percentage or "infinity"; nothing about lists, nor about what an unreadable value
#	leaves.
# Means: limits of a slice of VMs, written by a template, must be read back (systemctl show -p
#	MemoryMax, or as here), for the start succeeds in each of these cases.
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
fetch systemd=252.39-1~deb12u2
export LD_LIBRARY_PATH="$work/root/lib/systemd:$LD_LIBRARY_PATH"
mkdir "$work/units" "$work/runtime"
chmod 755 "$work"
as_user=
if [ "$(id -u)" = 0 ]; then # the dump of a user's manager is refused to root
	chown 65534 "$work/runtime"
	as_user="setpriv --reuid=65534 --clear-groups"
fi
limit() { # LINE...: the MemoryMax of a unit with these lines, in MiB, as a manager has it
	local bytes
	printf '[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/true\n' \
		>"$work/units/vm.service"
	printf '%s\n' "$@" >>"$work/units/vm.service"
	SYSTEMD_UNIT_PATH=$work/units XDG_RUNTIME_DIR=$work/runtime HOME=$work \
		$as_user "$work/root/lib/systemd/systemd" --test --user --unit=vm.service \
		>"$work/dump" 2>&1 || { cat "$work/dump" >&2; exit 1; }
	bytes=$(sed -n '/Unit vm.service/,$s/^\t*MemoryMax: //p' "$work/dump" | head -1)
	[ "$bytes" = 18446744073709551615 ] && echo none || echo "$bytes"
}
"$work/root/lib/systemd/systemd" --version | head -1
gib=$((1 << 30))
want "MemoryMax=1G" "$(limit MemoryMax=1G)" $gib
want "MemoryMax=1G 512M" "$(limit 'MemoryMax=1G 512M')" $((gib + gib / 2))
want "MemoryMax=512M 1G" "$(limit 'MemoryMax=512M 1G')" none
for size in 8g 8GB 8GiB; do
	want "MemoryMax=$size" "$(limit MemoryMax=$size)" none
	want "MemoryMax=1G, then MemoryMax=$size" "$(limit MemoryMax=1G MemoryMax=$size)" $gib
done
want "MemoryMax=8" "$(limit MemoryMax=8)" 8
