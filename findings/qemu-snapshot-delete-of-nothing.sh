#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 and qemu-utils 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: a snapshot that does not exist cannot be deleted: an error, as from snapshot-load.
# Does: the job snapshot-delete with a name that no disk has concludes without an error, and so
#	does one for a snapshot that only one of the disks has. snapshot-load says in both cases
#	that it is not there. qemu-img snapshot -d, on the same file, is an error with exit status
#	1.
# Documented: QAPI's reference is silent about a tag that does not exist.
# Means: a misspelt name in a script that makes room before a host is emptied is a success, and
#	the VM's memory stays in the image (a snapshot holds all of RAM). Ask for the list
#	afterwards.
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
image=$work/root/usr/bin/qemu-img
ended() { # JOB TAG [MORE]: prints the error that the job ends with, or "no error"
	local jobs
	qmp "$1" "{\"job-id\": \"job\", \"tag\": \"$2\", \"devices\": [\"a\", \"b\"]${3-}}" \
		>/dev/null
	for _ in $(seq 600); do
		jobs=$(qmp query-jobs)
		case $jobs in *'"concluded"'*) break ;; esac
		sleep 0.1
	done
	qmp job-dismiss '{"id": "job"}' >/dev/null
	case $jobs in
	*'"error"'*) echo error ;;
	*'"concluded"'*) echo "no error" ;;
	*) echo late ;;
	esac
}
for disk in a b; do "$image" create -q -f qcow2 "$work/$disk" 1M; done
"$image" snapshot -c half "$work/a"
start -m 16 -blockdev qcow2,node-name=a,file.driver=file,file.filename="$work/a" \
	-blockdev qcow2,node-name=b,file.driver=file,file.filename="$work/b"
load=', "vmstate": "a"'
want "snapshot-load of one that no disk has" "$(ended snapshot-load none "$load")" error
want "snapshot-delete of it" "$(ended snapshot-delete none)" "no error"
want "snapshot-load of one that one disk has" "$(ended snapshot-load half "$load")" error
want "snapshot-delete of it" "$(ended snapshot-delete half)" "no error"
stop
status=0
"$image" snapshot -d none "$work/a" 2>/dev/null || status=$?
want "qemu-img snapshot -d of one that is not there: exit" $status 1
