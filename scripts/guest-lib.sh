# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Test guests: how QEMU boots them, and what ends them. Sourced by bash scripts that have set
# $build (the build folder) and $run (a folder of their own); a guest NAME has there:
#
#	NAME.console	what its kernel and process 1 say
#	NAME.commands	socket of its second serial port (tests/guest/guest.c)
#	NAME.log	what QEMU itself says

declare -A guest_pid=() # of QEMU, by name; only what this script started

kvm_boot_seconds=8 # a kernel under KVM says hello within 3

# QEMU's command line for guest NAME with MIB of memory under ACCEL, into the array guest_qemu.
# cache=none: the disk reads by DMA into guest memory, and the host caches nothing for it.
# no_timer_check: as under any hypervisor that the kernel knows; else it panics at boot when an
# emulated timer is late, on a busy host.
# -cx16: QEMU 7.2 at times emulates cmpxchg16b wrongly, with which the kernel allocates memory.
# Guests with nothing of ours in them then oops (a 6.12 kernel in every second boot) or fall silent.
guest_command() {
	local name=$1 mib=$2 accel=$3 cpu=()
	[ "$accel" = kvm ] || cpu=(-cpu "qemu64,-cx16")
	guest_qemu=(qemu-system-x86_64 -name "$name" -accel "$accel" "${cpu[@]}" -m "$mib" -smp 1
		-nodefaults -no-user-config -no-reboot -display none
		-kernel "$build/guest/vmlinuz" -initrd "$build/guest/initramfs.img"
		-append "console=ttyS0 quiet panic=-1 no_timer_check guest_name=$name"
		-drive "file=$build/guest/root.img,format=raw,if=virtio,readonly=on,cache=none"
		-serial "file:$run/$name.console"
		-chardev "socket,id=commands,path=$run/$name.commands,server=on,wait=off"
		-serial chardev:commands)
}

# What boots guests here: "kvm", or TCG. A /dev/kvm that opens may still not run a whole kernel
# (some nested ones do not), so one boot is tried; the answer is kept until the machine boots.
guest_accel() {
	local tcg=tcg,thread=multi answer known
	known=$build/guest/accel.$(</proc/sys/kernel/random/boot_id)
	if [ ! -s "$known" ]; then
		answer=$tcg
		[ ! -w /dev/kvm ] || ! kvm_boots || answer=kvm
		rm -f "$build"/guest/accel.*
		echo "$answer" >"$known"
	fi
	cat "$known"
}

kvm_boots() {
	local pid i said=1
	guest_command kvm-try 256 kvm
	"${guest_qemu[@]}" >/dev/null 2>&1 </dev/null &
	pid=$!
	for ((i = 0; i < kvm_boot_seconds * 10; i++)); do
		sleep 0.1
		if grep -q 'guest: hello' "$run/kvm-try.console" 2>/dev/null; then
			said=0
			break
		fi
		kill -0 "$pid" 2>/dev/null || break
	done
	guest_kill "$pid"
	return $said
}

# Starts guest NAME: the words after it are put before QEMU's command line (pshare run ... --).
# It dies with this script, however that ends.
guest_start() {
	local name=$1 mib=$2 accel=$3
	shift 3
	guest_command "$name" "$mib" "$accel"
	setpriv --pdeathsig KILL "$@" "${guest_qemu[@]}" >"$run/$name.log" 2>&1 </dev/null &
	guest_pid[$name]=$!
}

# guest_ask NAME SECONDS COMMAND [ARGUMENT]: prints the answer. Takes the shell's place, so that it
# dies with the script: call it in the background or in a subshell.
guest_ask() {
	local name=$1
	shift
	exec setpriv --pdeathsig KILL "$build/tests/guest/guest-ask" "$run/$name.commands" "$@"
}

# Whether all guests run; names the first that does not, with its last words.
guests_alive() {
	local name
	for name in "${!guest_pid[@]}"; do
		kill -0 "${guest_pid[$name]}" 2>/dev/null && continue
		echo "guest $name has ended:" >&2
		cat "$run/$name.log" "$run/$name.console" 2>/dev/null | tail -n 5 >&2
		return 1
	done
}

# What a guest that does not answer is doing: its last words, and where each thread of its QEMU is.
guest_autopsy() {
	local name=$1 task
	tail -n 5 "$run/$name.log" "$run/$name.console"
	for task in /proc/"${guest_pid[$name]}"/task/*; do
		printf '  %-15s %s in %s; system call %s\n' "$(<"$task/comm")" \
			"$(sed -n 's/^State:[[:space:]]*//p' "$task/status")" \
			"$(<"$task/wchan")" "$(<"$task/syscall")"
	done
}

# Ends a process that this script started, gently, then not; returns when it has gone.
guest_kill() {
	local pid=$1 i
	kill "$pid" 2>/dev/null || true
	for ((i = 0; i < 30; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -9 "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

guests_end() {
	local name
	for name in "${!guest_pid[@]}"; do
		kill "${guest_pid[$name]}" 2>/dev/null || true
	done
	for name in "${!guest_pid[@]}"; do
		guest_kill "${guest_pid[$name]}"
		unset "guest_pid[$name]"
	done
}
