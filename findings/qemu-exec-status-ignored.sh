#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: a migration to "exec:COMMAND" whose command ends with an error is a failed migration.
# Does: QEMU writes into the pipe and never looks at how the command ended: exit status 3 after
#	reading all, or death by a signal, and query-migrate says "completed" all the same; the VM
#	is in state postmigrate, as one whose memory is safe elsewhere. The incoming side does not
#	look either.
# Documented: the manual and QAPI's reference name exec: as a way to save a VM and are silent
#	about the command's exit status.
# Means: "exec:zstd > file", with a full disk or a remote end that refuses, is a lost VM that was
#	reported saved. Let the command write its own verdict and read that, or hand over a file
#	by fd: and fsync it; only then end the source.
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
save() { # COMMAND: prints the status that the migration ends with
	local answer
	qmp migrate "{\"uri\": \"exec:$1\"}" >/dev/null
	for _ in $(seq 600); do
		answer=$(qmp query-migrate | sed 's/.*"status": "\([a-z]*\)".*/\1/')
		case $answer in completed | failed) break ;; esac
		sleep 0.1
	done
	echo "$answer"
}
for how in 'exit 3' 'kill -9 $$'; do
	start -m 64
	rm -f "$work/ended"
	want "the command reads all, then: $how" \
		"$(save "cat >/dev/null; echo >$work/ended; $how")" completed
	want "the VM's state" "$(qmp query-status |
		sed 's/.*"status": "\([a-z]*\)".*/\1/')" postmigrate
	for _ in $(seq 100); do [ -e "$work/ended" ] && break; sleep 0.1; done
	want "the command did come to its end" "$(test -e "$work/ended" && echo yes)" yes
	stop
done
start -m 64
qmp migrate "{\"uri\": \"exec:cat >$work/state && echo >$work/written\"}" >"$work/null"
for _ in $(seq 100); do [ -e "$work/written" ] && break; sleep 0.1; done
stop
start -m 64 -incoming defer
qmp migrate-incoming "{\"uri\": \"exec:cat $work/state; exit 3\"}" >"$work/null"
for _ in $(seq 600); do
	answer=$(qmp query-migrate | sed 's/.*"status": "\([a-z]*\)".*/\1/')
	case $answer in completed | failed) break ;; esac
	sleep 0.1
done
want "an incoming command that gives all, then: exit 3" "$answer" completed
stop
