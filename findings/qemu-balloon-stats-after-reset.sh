#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: the balloon's guest-stats tell of the guest that runs: after a reset, or in a VM that
#	was set back to a snapshot, they are unknown until the guest has spoken, as they are at
#	start.
# Does: system_reset and loadvm leave all numbers and last-update as they were. The guest that was
#	freed 48 MiB before it was reset has 48 MiB free for ever, if what boots has no driver;
#	the polling interval stays as well.
# Documented: QEMU's text on the statistics says that a last-update of 0 means that there was no
#	answer yet; of a reset, nothing.
# Means: "unknown is 2^64-1 and last-update 0" only holds before the first answer in the life of
#	the process. A controller that shrinks a VM by its free memory shrinks the next system by
#	the numbers of the last one. Drop what one knows at RESET, and compare last-update with
#	its time.
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
hex() { # BYTES NUMBER: little-endian
	local n=$2 i
	for ((i = 0; i < $1; i++, n >>= 8)); do printf %02x $((n & 255)); done
}
put() { io "write $1 $((${#2} / 2)) 0x$2"; }
report() { # FREE_MIB: as a guest's driver: one buffer with one number on the third queue
	io "outw 0xc00e 2"
	io "outl 0xc008 $((0x100000 >> 12))"
	put 0x200000 "$(hex 2 4)$(hex 8 $(($1 << 20)))"
	put 0x100000 "$(hex 8 $((0x200000)))$(hex 4 10)$(hex 2 0)$(hex 2 0)"
	put $((0x100000 + 16 * $(io "inw 0xc00c"))) "$(hex 2 0)$(hex 2 1)$(hex 2 0)"
	io "outw 0xc010 2"
}
stats() { qmp qom-get '{"path": "/machine/peripheral/balloon", "property": "guest-stats"}'; }
number() { stats | sed "s/.*\"$1\": \([0-9]*\).*/\1/"; }
"$work/root/usr/bin/qemu-img" create -q -f qcow2 "$work/disk" 1M
start -m 64 -drive "file=$work/disk,if=virtio" "${qtest[@]}"
want "free memory at the start" "$(number stat-free-memory)" 18446744073709551615
want "last-update" "$(number last-update)" 0
want "savevm" "$(qmp human-monitor-command '{"command-line": "savevm fresh"}')" '{"return": ""}'
driver 2
report 48
want "the guest reports 48 MiB free: MiB" $(($(number stat-free-memory) >> 20)) 48
at=$(number last-update)
want "system_reset" "$(qmp system_reset)" '{"return": {}}'
want "free memory, MiB" $(($(number stat-free-memory) >> 20)) 48
want "loadvm of the start" "$(qmp human-monitor-command \
	'{"command-line": "loadvm fresh"}')" '{"return": ""}'
want "free memory, MiB" $(($(number stat-free-memory) >> 20)) 48
want "last-update is" "$([ "$(number last-update)" = "$at" ] && echo "as it was")" "as it was"
stop
