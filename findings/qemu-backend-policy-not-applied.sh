#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: qom-set of policy and host-nodes on the memory backend of a started VM moves or binds
#	its memory, as qom-set of merge and of prealloc take effect at once; or is refused, as
#	that of share and of size is.
# Does: both are accepted and reported by query-memdev, and the mapping keeps the policy of its
#	birth. host-nodes is worse: what is set is added, so a node can never be taken out of the
#	list, and a node that the host does not have is taken too.
# Documented: QAPI's reference describes the properties without saying when they count.
# Means: a tool that rebalances VMs over NUMA nodes by QMP believes in a binding that is not
#	there. Believe numa_maps of the process, not query-memdev; move with migrate_pages() or
#	cgroups.
set -eu
[ -r /proc/self/numa_maps ] || { echo "SKIP: this kernel has no numa_maps"; exit 77; }
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
put() { qmp qom-set "{\"path\": \"/objects/ram\", \"property\": \"$1\", \"value\": $2}"; }
told() { qmp query-memdev | sed "s/.*\"$1\": \(\[[^]]*\]\|\"[a-z]*\"\).*/\1/"; }
kernel() { # the policy of the mapping of 48 MiB, as the kernel has it
	local range from
	while read -r range _; do
		[ $((0x${range#*-} - 0x${range%-*})) = $((48 << 20)) ] && from=${range%-*}
	done <"/proc/$QEMU_PID/maps"
	sed -n "s/^$from \([a-z:0-9]*\).*/\1/p" "/proc/$QEMU_PID/numa_maps"
}
start -m 48 -object memory-backend-ram,id=ram,size=48M,prealloc=on -machine pc,memory-backend=ram
want "at the start, the kernel says" "$(kernel)" default
want "host-nodes set to node 0" "$(put host-nodes '[0]')" '{"return": {}}'
want "policy set to bind" "$(put policy '"bind"')" '{"return": {}}'
want "query-memdev says" "$(told policy) $(told host-nodes)" '"bind" [0]'
want "the kernel says" "$(kernel)" default
want "host-nodes set to node 100" "$(put host-nodes '[100]')" '{"return": {}}'
want "query-memdev says" "$(told host-nodes)" '[0, 100]'
stop
start -m 48 -object memory-backend-ram,id=ram,size=48M,prealloc=on,policy=bind,host-nodes=0 \
	-machine pc,memory-backend=ram
want "the same given at the start, the kernel says" "$(kernel)" bind:0
stop
