#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: pmemsave and dump-guest-memory refuse a range that is not guest memory; or both give
#	what there is of it.
# Does: pmemsave succeeds for addresses where no memory is, at the end of RAM and a TiB beyond it,
#	and writes zeros for them. dump-guest-memory with the same range succeeds too, but leaves
#	the missing part out; and refuses a range that is wholly outside.
# Documented: QAPI's reference has no word on ranges outside of RAM for either.
# Means: who checks with pmemsave that a ballooned, discarded or shared page reads as it should
#	takes an address past RAM (or in the PCI hole of a VM with more than 3 GiB) for a zero
#	page; a census of zero pages made so counts pages that do not exist. Clip ranges to RAM
#	first.
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
start() { # a QEMU with these options, never run, spoken to by QMP on descriptors 3 and 4
	export QEMU_MODULE_DIR="$work/root/usr/lib/x86_64-linux-gnu/qemu"
	coproc QEMU {
		exec "$work/root/usr/bin/qemu-system-x86_64" -L "$work/root/usr/share/qemu" \
			-L "$work/root/usr/share/seabios" -accel tcg -nodefaults -display none \
			-S -qmp stdio "$@" 2>"$work/qemu.log"
	}
	exec 3<&"${QEMU[0]}" 4>&"${QEMU[1]}"
	trap '[ -z "${QEMU_PID-}" ] || kill "$QEMU_PID"; rm -rf "$work"' EXIT
	qmp qmp_capabilities >/dev/null
}
qmp() { # COMMAND [ARGUMENTS]: prints the answer
	local line
	printf '{"execute": "%s", "arguments": %s}\n' "$1" "${2-"{}"}" >&4
	while read -r -t 60 line <&3; do
		case $line in '{"return"'* | '{"error"'*) echo "${line%$'\r'}"; return ;; esac
	done
	cat "$work/qemu.log" >&2
	exit 2
}
stop() { qmp quit >/dev/null; exec 3<&- 4>&-; wait; }
fetch qemu-system-x86=1:7.2+dfsg-7+deb12u18+b3 qemu-system-common=1:7.2+dfsg-7+deb12u18+b3 \
	qemu-system-data=1:7.2+dfsg-7+deb12u18 seabios=1.16.2-1
"$work/root/usr/bin/qemu-system-x86_64" --version | head -1
mib=$((1 << 20))
save() { qmp pmemsave "{\"val\": $1, \"size\": $2, \"filename\": \"$work/part\"}"; }
dump() {
	qmp dump-guest-memory "{\"paging\": false, \"protocol\": \"file:$work/part\", \
\"begin\": $1, \"length\": $2}"
}
zeros() { cmp -n "$1" "$work/part" /dev/zero >"$work/cmp" 2>&1 && echo zeros || echo content; }

start -m 64
want "pmemsave of 10 MiB, 6 of them past RAM" "$(save $((60 * mib)) $((10 * mib)))" '{"return": {}}'
want "bytes in the file" "$(stat -c %s "$work/part")" $((10 * mib))
want "they are" "$(zeros $((10 * mib)))" zeros
want "pmemsave of 8 KiB at 1 TiB" "$(save $((1 << 40)) 8192)" '{"return": {}}'
want "they are" "$(zeros 8192)" zeros
want "dump of 10 MiB, 6 of them past RAM" "$(dump $((60 * mib)) $((10 * mib)))" '{"return": {}}'
want "MiB in the dump" $(($(stat -c %s "$work/part") / mib)) 4
refused=$(dump $((1 << 40)) 8192)
want "dump of 8 KiB at 1 TiB is" "${refused%%:*}" '{"error"'
stop
