#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: the balloon's target is what was last set by the command balloon.
# Does: the target is part of the VM's saved state. loadvm (and a migration, to the other side)
#	puts that of the saved moment in force, without an event, and a target set since, or given
#	on the destination before the state came in, is gone. No QMP command reads the target:
#	query-balloon says the same before and after.
# Documented: QAPI's reference of balloon and of migration has nothing on it.
# Means: an operator's new limit of a VM is undone when the VM is set back, cloned or moved, and
#	the guest starts to inflate or deflate to the old one with everybody asleep. Send the
#	target again after each loadvm and each incoming migration.
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
# The guest's side is played by hand, through QEMU's qtest: no guest runs, nothing is by chance.
mkfifo "$work/qtest.in" "$work/qtest.out"
qtest=(-qtest "pipe:$work/qtest" -device virtio-balloon-pci,id=balloon,addr=4,disable-modern=on)
io() { # COMMAND: prints the number that is answered, if any
	local line
	echo "$1" >"$work/qtest.in"
	while read -r -t 60 line <&5; do
		case $line in OK*) [ "$line" = OK ] || echo $((${line#OK })); return ;; esac
	done
	exit 2
}
place() { # the balloon's registers go to port 0xc000
	exec 5<>"$work/qtest.out"
	for pair in 0x10=0xc000 0x04=0x7; do
		io "outl 0xcf8 $((0x80002000 | ${pair%=*}))"
		io "outl 0xcfc ${pair#*=}"
	done
}
driver() { # [FEATURES]: a driver takes the balloon, and is ready
	place
	io "outb 0xc012 3"
	io "outl 0xc004 ${1-0}"
	io "outb 0xc012 7"
}
target() { echo $((64 - $(io "inl 0xc014") / 256)); } # what the device asks for, in MiB
actual() { qmp query-balloon | sed 's/.*"actual": \([0-9]*\).*/\1 \/ 1048576/' | xargs expr; }
status() { # COMMAND STATUS: waits until it is so
	for _ in $(seq 600); do
		case $(qmp "$1") in *"\"status\": \"$2\""*) return ;; esac
		sleep 0.1
	done
	exit 1
}
set_target() { qmp balloon "{\"value\": $(($1 << 20))}"; }
monitor() { qmp human-monitor-command "{\"command-line\": \"$1\"}"; }
"$work/root/usr/bin/qemu-img" create -q -f qcow2 "$work/disk" 1M
start -m 64 -drive "file=$work/disk,if=virtio" "${qtest[@]}"
driver
want "balloon to 32 MiB" "$(set_target 32)" '{"return": {}}'
want "the device asks for" "$(target)" 32
want "savevm" "$(monitor 'savevm then')" '{"return": ""}'
want "balloon to 48 MiB" "$(set_target 48)" '{"return": {}}'
want "the device asks for, query-balloon" "$(target) $(actual)" "48 64"
want "loadvm" "$(monitor 'loadvm then')" '{"return": ""}'
want "the device asks for, query-balloon" "$(target) $(actual)" "32 64"
stop
start -m 64 "${qtest[@]}"
driver
want "another VM, balloon to 32 MiB" "$(set_target 32)" '{"return": {}}'
qmp migrate "{\"uri\": \"exec:cat >$work/state\"}" >"$work/null"
status query-migrate completed
stop
start -m 64 "${qtest[@]}" -incoming defer
want "its destination, balloon to 48 MiB" "$(set_target 48)" '{"return": {}}'
qmp migrate-incoming "{\"uri\": \"exec:cat $work/state\"}" >"$work/null"
status query-migrate completed
want "the device asks for, once the state is in" "$(target)" 32
stop
