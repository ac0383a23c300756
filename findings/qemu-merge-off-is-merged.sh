#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3) on Linux 6.18.
# Expected: with -machine mem-merge=off and merge=off of its backend, KSM leaves a VM's memory
#	alone; setting merge to false by QMP makes sure of it.
# Does: both only mean that QEMU does not ask for merging. Where the process that started it had
#	asked for all of its memory (prctl PR_SET_MEMORY_MERGE; MemoryKSM= of systemd 254 on),
#	which is handed down over fork() and execve(), guest memory is mergeable all the same. QMP
#	says merge: false. Setting it to false does nothing, since it is false; to true and back
#	to false does it.
# Documented: the manual says that mem-merge=off disables memory merge support; of what the process
#	was born with it says nothing. QAPI's reference has merge as "whether memory merge support
#	is enabled".
# Means: a VM that was kept out of merging because of what its neighbours could learn by timing is
#	in it, as soon as somebody sets MemoryKSM= on the service that starts VMs; and of pages
#	that were merged UFFDIO_MOVE is EBUSY. Believe "mg" in VmFlags of /proc/PID/smaps, not
#	query-memdev.
set -eu
case $(uname -r) in
6.18.*) echo "Linux $(uname -r)" ;;
*) echo "SKIP: stated for Linux 6.18, this is $(uname -r)"; exit 77 ;;
esac
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
start() { # a QEMU with these options, started by $launcher, never run; QMP on 3 and 4
	export QEMU_MODULE_DIR="$work/root/usr/lib/x86_64-linux-gnu/qemu"
	coproc QEMU {
		exec "${launcher[@]}" "$work/root/usr/bin/qemu-system-x86_64" \
			-L "$work/root/usr/share/qemu" \
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
cat >"$work/merge-any.c" <<'C'
#include <sys/prctl.h>
#include <unistd.h>
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

int main(int argc, char **argv)
{
	if (argc < 2 || prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
		return 77;
	execv(argv[1], argv + 1);
	return 1;
}
C
gcc -O1 "$work/merge-any.c" -o "$work/merge-any"
"$work/merge-any" /bin/true || { echo "SKIP: this kernel has no KSM, or no such prctl"; exit 77; }
in_kernel() { # is the guest's memory, the one mapping of 64 MiB, mergeable?
	awk '$1 == "Size:" {size = $2}
		$1 == "VmFlags:" && size == 65536 {
			print / mg( |$)/ ? "mergeable" : "not mergeable"
		}' "/proc/$QEMU_PID/smaps"
}
in_qmp() { qmp query-memdev | sed 's/.*"merge": \([a-z]*\).*/\1/'; }
merge() {
	qmp qom-set "{\"path\": \"/objects/m\", \"property\": \"merge\", \"value\": $1}" >/dev/null
}
off=(-m 64 -object "memory-backend-ram,id=m,size=64M,merge=off"
	-machine "memory-backend=m,mem-merge=off")
launcher=()
start "${off[@]}"
want "merge=off: QMP, kernel" "$(in_qmp), $(in_kernel)" "false, not mergeable"
stop
launcher=("$work/merge-any")
start "${off[@]}"
want "the same, started by one with the prctl" "$(in_qmp), $(in_kernel)" "false, mergeable"
merge false
want "merge set to false" "$(in_qmp), $(in_kernel)" "false, mergeable"
merge true
merge false
want "merge set to true and to false" "$(in_qmp), $(in_kernel)" "false, not mergeable"
stop
