#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: qemu-system-x86 and qemu-utils 7.2 (Debian 1:7.2+dfsg-7+deb12u18+b3).
# Expected: loadvm, snapshot-load and "qemu-img snapshot -a" go back to the snapshot of that name,
#	as delvm, snapshot-delete and "qemu-img snapshot -d" delete the one of that name.
# Does: they make sure that a snapshot of that name is there, and then go back to the one with
#	that ID, if there is one: IDs are 1, 2, 3 in the order of making. With snapshots named 2
#	(ID 1) and other (ID 2), "loadvm 2" loads the memory and the disk of other, without an
#	error. Deleting goes by the name. qemu-img -a does not even ask for the name to be there.
# Documented: otherwise: the manual says of loadvm that it goes by the tag and has stopped taking
#	IDs with 4.0; qemu-img's page and QAPI's reference speak of the name. "info snapshots"
#	does not show the IDs.
# Means: snapshots named by a count from 1 come out right by luck; counted from 0, or named by the
#	day, "set back to 1" loads another past, memory and disk alike, and says nothing. The next
#	savevm or delvm then hits the one of that name. Give names that are not numbers.
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
disk=$work/disk
image=$work/root/usr/bin/qemu-img
on_disk() { # [OPTION...]: the first byte of the disk
	"$image" convert -O raw "$@" "$disk" "$work/raw"
	od -An -tu1 -N1 "$work/raw" | tr -d ' '
}
write() { "$work/root/usr/bin/qemu-io" -c "write -q -P $1 0 64k" "$disk" >/dev/null; }

# The disk alone. Snapshots: the name 2 with the ID 1, the name other with the ID 2.
"$image" create -q -f qcow2 "$disk" 1M
write 1
"$image" snapshot -c 2 "$disk"
write 2
"$image" snapshot -c other "$disk"
write 3
want "IDs and names" "$("$image" snapshot -l "$disk" |
	awk '$1 ~ /^[0-9]/ {printf "%s%s is %s", sep, $1, $2; sep = ", "}')" "1 is 2, 2 is other"
want "the snapshot of the name 2 holds" "$(on_disk -l snapshot.name=2)" 1
"$image" snapshot -a 2 "$disk"
want "after qemu-img snapshot -a 2 the disk holds" "$(on_disk)" 2
"$image" snapshot -a 1 "$disk"
want "after -a 1, which is no name, it holds" "$(on_disk)" 1
"$image" snapshot -d 2 "$disk"
want "after -d 2 there is" "$("$image" snapshot -l "$disk" |
	awk '$1 ~ /^[0-9]/ {print $1 " is " $2}')" "2 is other"

# Memory and disk, with a QEMU whose guest does not run: memory is written through qtest.
mkfifo "$work/qtest.in" "$work/qtest.out"
io() { # COMMAND: prints the number that is answered, if any
	local line
	echo "$1" >"$work/qtest.in"
	while read -r -t 60 line <&5; do
		case $line in OK*) [ "$line" = OK ] || echo $((${line#OK })); return ;; esac
	done
	exit 2
}
monitor() { qmp human-monitor-command "{\"command-line\": \"$1\"}"; }
mark() { # NUMBER: into memory and onto the disk
	io "writel 0x100000 $1"
	monitor "qemu-io virtio0 \\\"write -P $1 0 64k\\\"" >/dev/null
}
load() { # what "loadvm $1" says, and the mark in memory then
	local said
	said=$(monitor "loadvm $1")
	case $said in *'""'*) said=fine ;; *) said=refused ;; esac
	echo "$said, $(io 'readl 0x100000')"
}
rm "$disk"
"$image" create -q -f qcow2 "$disk" 1M
exec 5<>"$work/qtest.out"
start -m 64 -drive "file=$disk,if=virtio,node-name=d" -qtest "pipe:$work/qtest"
mark 1
want "savevm 2, in memory is 1" "$(monitor 'savevm 2')" '{"return": ""}'
mark 2
want "savevm other, in memory is 2" "$(monitor 'savevm other')" '{"return": ""}'
mark 3
want "loadvm 2: it says, in memory is" "$(load 2)" "fine, 2"
mark 3
want "loadvm 1, which is no name" "$(load 1)" "refused, 3"
qmp snapshot-load '{"job-id": "j", "tag": "2", "vmstate": "d", "devices": ["d"]}' >/dev/null
for _ in $(seq 600); do
	jobs=$(qmp query-jobs)
	case $jobs in *'"concluded"'*) break ;; esac
	sleep 0.1
done
case $jobs in *'"error"'*) jobs=refused ;; *'"concluded"'*) jobs=fine ;; esac
want "snapshot-load of 2: it says, in memory is" "$jobs, $(io 'readl 0x100000')" "fine, 2"
stop
want "the disk holds" "$(on_disk)" 2
