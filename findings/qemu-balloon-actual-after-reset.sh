#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: query-balloon's actual is the VM's memory without the pages that QEMU took; after a
#	reset the balloon is empty, and actual is all of it.
# Does: actual is the number that the guest's driver last wrote into the device, and a reset does
#	not touch it. A driver that says 32 MiB without handing over one page is believed (the
#	event BALLOON_CHANGE too); after system_reset, with no driver there and all memory in use
#	by whatever boots, actual is 32 MiB still, and no event says otherwise.
# Documented: QAPI's reference gives the formula vm_ram_size - balloon_size, and no word on reset.
# Means: a VM that reboots into its boot menu, a rescue system or anything without the driver is
#	booked at its old size for as long as it runs, while it fills all of its memory. Take the
#	event RESET for "balloon empty" until the next BALLOON_CHANGE; never give away what only
#	actual promises.
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
start -m 64 "${qtest[@]}"
driver
want "actual at the start" "$(actual)" 64
want "balloon to 32 MiB" "$(qmp balloon "{\"value\": $((32 << 20))}")" '{"return": {}}'
want "the device asks for" "$(target)" 32
want "actual before the guest did anything" "$(actual)" 64
io "outl 0xc018 $((32 * 256))" # the guest: "I gave 32 MiB". It gave none
want "actual when the guest says so" "$(actual)" 32
want "system_reset" "$(qmp system_reset)" '{"return": {}}'
place
want "the device's status (0: no driver)" "$(io "inb 0xc012")" 0
want "actual" "$(actual)" 32
stop
