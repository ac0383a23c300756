#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: migrate-set-parameters sets multifd-zlib-level and multifd-zstd-level, as it sets the
#	other two dozen parameters; or refuses a level that the library does not have.
# Does: it answers with success and sets nothing: both levels stay 1 for ever. Levels far outside
#	of what the library knows are "set" as happily. The old compress-level is set and checked.
# Documented: QAPI's reference lists both as parameters to set, with their ranges and default 1.
# Means: a migration or a saved VM that was tuned to zstd 19 runs at level 1; who compares levels
#	compares nothing. Read query-migrate-parameters back after each set; trust no empty
#	answer.
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
level() { qmp query-migrate-parameters | sed "s/.*\"$1\": \([0-9]*\).*/\1/"; }
set_level() { qmp migrate-set-parameters "{\"$1\": $2}"; }

start -m 64
for name in multifd-zlib-level multifd-zstd-level; do
	want "$name at the start" "$(level $name)" 1
	for new in 9 99; do
		want "set to $new: the answer" "$(set_level $name $new)" '{"return": {}}'
		want "$name then" "$(level $name)" 1
	done
done
want "compress-level set to 9: the answer" "$(set_level compress-level 9)" '{"return": {}}'
want "compress-level then" "$(level compress-level)" 9
refused=$(set_level compress-level 10)
want "compress-level set to 10 is" "${refused%%:*}" '{"error"'
stop
