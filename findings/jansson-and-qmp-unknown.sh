#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3) with libjansson-dev 2.14
#	(2.14-2).
# Expected: a JSON library reads what QEMU writes; one odd number costs at most that number.
# Does: balloon statistics of a guest that has not yet reported are 2^64-1 in QMP. Jansson has no
#	integer above 2^63-1 and refuses the whole answer ("too big integer"). With
#	JSON_DECODE_INT_AS_REAL it reads, and the number becomes 2^64: not the marker any more,
#	and one more than UINT64_MAX, which is undefined when it is converted back to an integer.
# Documented: Jansson's manual says that integers are json_int_t and that a larger one is an
#	error; QAPI's reference does not say that "unknown" is 2^64-1.
# Means: a balloon daemon on Jansson loses the answer for each VM that boots: by the id that is
#	lost with it, it waits for ever. Decode as reals, and take all from 2^63 up for unknown.
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
	qemu-system-data=1:7.2+dfsg-7+deb12u18 seabios=1.16.2-1 libjansson-dev=2.14-2
"$work/root/usr/bin/qemu-system-x86_64" --version | head -1
cat >"$work/read.c" <<'C'
#include <jansson.h>
#include <string.h>

int main(int argc, char **argv)
{
	json_error_t error;
	size_t flags = argc > 1 && !strcmp(argv[1], "real") ? JSON_DECODE_INT_AS_REAL : 0;
	json_t *all = json_loadf(stdin, flags, &error), *stats, *free_memory;

	if (!all) {
		printf("refused: %.15s\n", error.text);
		return 0;
	}
	stats = json_object_get(json_object_get(all, "return"), "stats");
	free_memory = json_object_get(stats, "stat-free-memory");
	printf("%s\n", json_number_value(free_memory) == 0x1p64 ? "is 2^64" : "not 2^64");
	return 0;
}
C
gcc -O1 -I"$work/root/usr/include" "$work/read.c" \
	"$work/root/usr/lib/x86_64-linux-gnu/libjansson.a" -o "$work/read"
start -m 16 -device virtio-balloon-pci,id=balloon
stats=$(qmp qom-get '{"path": "/machine/peripheral/balloon", "property": "guest-stats"}')
want "QEMU's free memory of a guest that is not up" \
	"$(echo "$stats" | sed 's/.*"stat-free-memory": \([0-9]*\).*/\1/')" 18446744073709551615
want "Jansson reads the answer" "$(echo "$stats" | "$work/read")" "refused: too big integer"
want "with JSON_DECODE_INT_AS_REAL the number" "$(echo "$stats" | "$work/read" real)" "is 2^64"
stop
