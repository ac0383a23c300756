#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: -m gives the VM the memory that is asked for, or says that it cannot.
# Does: -m 0 is a VM of 128 MiB, the default. A size that is no multiple of 8 KiB is rounded up to
#	one, on a machine of 4 KiB pages, without a word: 65537K is 65544 KiB. A
#	memory-backend-ram takes any size, 1000001 bytes too, and reports it so;
#	memory-backend-memfd of the same size is refused.
# Documented: the manual gives the suffixes of -m; it says nothing of 0 or of rounding.
# Means: a template whose variable was empty or 0 starts a VM that nobody planned for; admission
#	and accounting by the command line are off by up to 8 KiB a VM, enough to break an
#	equality. Take base-memory from query-memory-size-summary, never from the command line.
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
size() { qmp query-memory-size-summary | sed 's/.*"base-memory": \([0-9]*\).*/\1/'; }
for case in "0 $((128 << 20))" "65536K $((65536 << 10))" "65537K $((65544 << 10))" \
	"67108865B $((65544 << 10))"; do
	start -m "${case% *}"
	want "-m ${case% *}: base-memory" "$(size)" "${case#* }"
	stop
done
start -m 16
want "memory-backend-ram of 1000001 bytes" "$(qmp object-add \
	'{"qom-type": "memory-backend-ram", "id": "a", "size": 1000001}')" '{"return": {}}'
want "its size in query-memdev" \
	"$(qmp query-memdev | grep -o '"size": 1000001' | head -1)" '"size": 1000001'
refused=$(qmp object-add '{"qom-type": "memory-backend-memfd", "id": "b", "size": 1000001}')
want "memory-backend-memfd of 1000001 bytes" "${refused%%:*}" '{"error"'
stop
