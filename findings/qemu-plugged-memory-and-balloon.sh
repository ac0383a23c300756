#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: query-memory-size-summary's base-memory + plugged-memory is the size that the balloon
#	counts from (query-balloon's actual with an empty balloon).
# Does: they agree for DIMMs. An NVDIMM is plugged-memory and no memory of the balloon: with 64
#	MiB of RAM, a DIMM of 32 and an NVDIMM of 128, one says 224 MiB, the other 96.
# Documented: plugged-memory is told as what can be unplugged (an NVDIMM cannot, while it is a
#	disk in use); actual as the VM's logical size. Neither names the other.
# Means: a balloon target worked out from the summary is too large by the NVDIMM, and a VM that
#	was to give back 100 MiB gives nothing. Sum the entries of type dimm in
#	query-memory-devices.
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
mib() { echo $(($(sed "s/.*\"$1\": \([0-9]*\).*/\1/") >> 20)); }

start -machine pc,nvdimm=on -m 64M,slots=4,maxmem=1G -device virtio-balloon-pci \
	-object memory-backend-ram,id=d0,size=32M -device pc-dimm,memdev=d0
want "a DIMM of 32: base-memory" "$(qmp query-memory-size-summary | mib base-memory)" 64
want "plugged-memory" "$(qmp query-memory-size-summary | mib plugged-memory)" 32
want "the balloon's actual" "$(qmp query-balloon | mib actual)" 96
stop
start -machine pc,nvdimm=on -m 64M,slots=4,maxmem=1G -device virtio-balloon-pci \
	-object memory-backend-ram,id=d0,size=32M -device pc-dimm,memdev=d0 \
	-object memory-backend-ram,id=n0,size=128M -device nvdimm,memdev=n0
want "and an NVDIMM of 128: base-memory" "$(qmp query-memory-size-summary | mib base-memory)" 64
want "plugged-memory" "$(qmp query-memory-size-summary | mib plugged-memory)" 160
want "the balloon's actual" "$(qmp query-balloon | mib actual)" 96
stop
