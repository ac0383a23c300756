#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86, qemu-utils 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: query-migrate tells of migrations; of a VM that was never migrated it says nothing, as
#	it does when QEMU has started.
# Does: after a snapshot-save job it says that a migration is completed, with the snapshot's count
#	of pages, a total-time and a downtime of 0. It goes on saying so after snapshot-load.
#	And the job itself, from the first moment on, also where it fails, says progress 1 of 1.
# Documented: QAPI's reference calls it the status of the migration process, and says of status
#	that it is not there where no migration process has been initiated. Of snapshots not a word.
# Means: a manager that finds "completed" when it connects takes a VM that had a snapshot taken for
#	one that has moved away, and is to be ended. Ask query-status too (postmigrate is the state
#	of one that has moved), and take no progress of a snapshot job for progress.
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
	qemu-system-data=1:7.2+dfsg-7+deb12u18 qemu-utils=1:7.2+dfsg-7+deb12u18+b3 \
	seabios=1.16.2-1
"$work/root/usr/bin/qemu-system-x86_64" --version | head -1
"$work/root/usr/bin/qemu-img" create -q -f qcow2 "$work/disk" 64M
start -m 64 -drive "if=none,file=$work/disk,format=qcow2,id=drive,node-name=disk"
part() { # PATTERN: what it is in the last answer; "nothing"
	grep -o "$1" "$work/answer" | head -1 | grep . || echo nothing
}
migration() {
	qmp query-migrate >"$work/answer"
	part '"status": "[a-z]*"'
}
job() { # COMMAND ID VMSTATE: runs it to its end; its last answer is that of query-jobs
	local to="\"tag\": \"tag\", \"vmstate\": \"$3\", \"devices\": [\"disk\"]"
	qmp "$1" "{\"job-id\": \"$2\", $to}" >/dev/null
	for _ in $(seq 600); do
		qmp query-jobs >"$work/answer"
		grep -q concluded "$work/answer" && break
		sleep 0.1
	done
	cp "$work/answer" "$work/jobs"
	qmp job-dismiss "{\"id\": \"$2\"}" >/dev/null
	cp "$work/jobs" "$work/answer"
}
want 'migration, of a QEMU that has started' "$(migration)" nothing
job snapshot-save save disk
want 'error of the job that saves' "$(part '"error"')" nothing
want 'migration, after a snapshot was saved' "$(migration)" '"status": "completed"'
want 'its total-time' "$(part '"total-time": [0-9]*')" '"total-time": 0'
want 'its downtime' "$(part '"downtime": [0-9]*')" '"downtime": 0'
want 'has it moved any normal page?' "$(part '"normal": [1-9]' | tr -d '0-9')" '"normal": '
qmp query-status >"$work/answer"
want 'status of the VM' "$(part '"status": "[a-z]*"')" '"status": "prelaunch"'
job snapshot-load load disk
want 'error of the job that loads' "$(part '"error"')" nothing
want 'migration, after it was loaded' "$(migration)" '"status": "completed"'
job snapshot-save none nowhere
want 'error of a job on no such disk' "$(part '"error"')" '"error"'
want 'its progress' "$(part '"current-progress": [0-9]*')" '"current-progress": 1'
want 'of' "$(part '"total-progress": [0-9]*')" '"total-progress": 1'
stop
