#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: a migration that failed says why in query-migrate's error-desc, and keeps saying it.
# Does: with the capability multifd, a migration to exec: is accepted, fails at once, and has no
#	error-desc: the reason is on QEMU's stderr alone. And an error-desc that is there goes
#	away when the next migrate command is refused (a URI that QEMU does not know): the status
#	stays failed, without a reason.
# Documented: QAPI's reference says of error-desc that it is set when status is failed, for a
#	person to read.
# Means: a manager that shows error-desc shows nothing in the very case of a wrong combination of
#	options, and its log has no line either. Keep QEMU's stderr, read error-desc before
#	anything is tried again, and set multifd for sockets only.
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
ended() { # URI: prints the status that a migration ends with, and whether it says why
	local answer
	qmp migrate "{\"uri\": \"$1\"}" >"$work/answer"
	for _ in $(seq 600); do
		answer=$(qmp query-migrate)
		case $answer in *'"completed"'* | *'"failed"'*) break ;; esac
		sleep 0.1
	done
	case $answer in
	*'"failed"'*'"error-desc"'* | *'"error-desc"'*'"failed"'*) echo "failed, with a reason" ;;
	*'"failed"'*) echo "failed, no reason" ;;
	*) echo "$answer" ;;
	esac
}
start -m 16
want "to a socket that is not there" "$(ended "unix:$work/none")" "failed, with a reason"
want "then to a protocol that is not there" "$(ended none:1)" "failed, no reason"
want "the answer to that command" "$(cut -c 1-8 "$work/answer")" '{"error"'
qmp migrate-set-capabilities \
	'{"capabilities": [{"capability": "multifd", "state": true}]}' >"$work/null"
want "multifd to exec:" "$(ended "exec:cat >$work/state")" "failed, no reason"
want "the answer to that command" "$(cat "$work/answer")" '{"return": {}}'
want "lines on stderr about multifd" "$(grep -c 'multifd is not supported' "$work/qemu.log")" 1
stop
