#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 and qemu-utils 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: a VM with "-device vmgenid,guid=auto" that is set back to a snapshot has a new
#	generation ID: to tell a guest that its time went backwards is what the device is for.
# Does: loadvm in the running QEMU leaves the ID as it is, although it is automatic. A new QEMU
#	that is started on the same snapshot (-loadvm) has a new one.
# Documented: the device's specification in QEMU names the restored snapshot as a reason for a new
#	ID and describes guid=auto as "generate"; that it means once a process is not said.
# Means: set the same VM back twice, and its guest draws the same random numbers, nonces and keys
#	twice, with the device that is to prevent it. Revert by starting a new QEMU, or make the
#	guest reseed (agent) after each loadvm.
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
	qemu-system-data=1:7.2+dfsg-7+deb12u18 seabios=1.16.2-1 qemu-utils=1:7.2+dfsg-7+deb12u18+b3
"$work/root/usr/bin/qemu-system-x86_64" --version | head -1
id() { qmp query-vm-generation-id | sed 's/.*"guid": "\([-0-9a-f]*\)".*/\1/'; }
monitor() { qmp human-monitor-command "{\"command-line\": \"$1\"}"; }
same() { [ "$1" = "$2" ] && echo same || echo new; }
"$work/root/usr/bin/qemu-img" create -q -f qcow2 "$work/disk" 1M
vm=(-m 16 -drive "file=$work/disk,if=virtio" -device vmgenid,guid=auto)
start "${vm[@]}"
before=$(id)
want "the ID is a GUID of" "${#before} characters" "36 characters"
want "savevm" "$(monitor 'savevm then')" '{"return": ""}'
for _ in 1 2; do
	want "loadvm" "$(monitor 'loadvm then')" '{"return": ""}'
	want "the ID then" "$(same "$before" "$(id)")" same
done
stop
start "${vm[@]}" -loadvm then
want "the ID in a new QEMU with -loadvm" "$(same "$before" "$(id)")" new
stop
