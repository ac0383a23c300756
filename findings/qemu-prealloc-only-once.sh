#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: a backend with prealloc=on keeps its promise: all its memory is there from the start,
#	also after the guest has given pages to the balloon and got them back, at the latest after
#	a reset.
# Does: pages that went into the balloon are discarded; deflation does not populate them again,
#	nor does a reset. query-memdev says prealloc true all the time. Setting prealloc to true
#	once more (qom-set) does nothing, since it is true already.
# Documented: the manual says that prealloc allocates at start; nothing joins it and the balloon.
# Means: a VM that was started with prealloc so that it can never fail for want of memory can,
#	after one balloon cycle, and the accounting by options books memory that is not there.
#	Forbid the balloon for such VMs, or populate from outside (MADV_POPULATE_WRITE) after
#	deflation.
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
hex() { # BYTES NUMBER: little-endian
	local n=$2 i
	for ((i = 0; i < $1; i++, n >>= 8)); do printf %02x $((n & 255)); done
}
put() { io "write $1 $((${#2} / 2)) 0x$2"; }
queue() { # NUMBER: the guest hands over its list of pages on queue 0 (inflate) or 1 (deflate)
	local base=$(((1 + $1) << 20))
	io "outw 0xc00e $1"
	io "outl 0xc008 $((base >> 12))"
	put $base "$(hex 8 $((0x400000)))$(hex 4 1024)$(hex 2 0)$(hex 2 0)"
	put $((base + 16 * $(io "inw 0xc00c"))) "$(hex 2 0)$(hex 2 1)$(hex 2 0)"
	io "outw 0xc010 $1"
}
resident() { # MiB of the mapping of 64 MiB that are there
	awk '/^Size:/ {size = $2} /^Rss:/ && size == 65536 {print $2 / 1024}' \
		"/proc/$QEMU_PID/smaps"
}
told() { qmp query-memdev | sed 's/.*"prealloc": \([a-z]*\).*/\1/'; }
start -m 64 -object memory-backend-ram,id=ram,size=64M,prealloc=on \
	-machine pc,memory-backend=ram "${qtest[@]}"
want "MiB of RAM there at the start, prealloc" "$(resident) $(told)" "64 true"
driver
pages=
for ((page = 0x2000; page < 0x2100; page++)); do pages+=$(hex 4 $page); done
put 0x400000 "$pages"
queue 0
want "256 pages inflated" "$(resident) $(told)" "63 true"
queue 1
want "the same deflated" "$(resident) $(told)" "63 true"
qmp system_reset >"$work/null"
want "system_reset" "$(resident) $(told)" "63 true"
want "prealloc set again" "$(qmp qom-set \
	'{"path": "/objects/ram", "property": "prealloc", "value": true}')" '{"return": {}}'
want "MiB of RAM there, prealloc" "$(resident) $(told)" "63 true"
stop
