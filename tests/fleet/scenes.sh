#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/fleet/scenes.sh SCENE: one test of a fleet (fleet.c has their sentences): an etcd with TLS,
# users and roles, hosts with a daemon and a pshare-fleet each, and the command, in a folder of its
# own ($FLEET_DIR) on 127.0.0.1. All of them die with this shell. $build names the build folder.
# Exit status: 0; 77 with a reason where it cannot run; 1 with a line of what is not so.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
lab=$FLEET_DIR
# shellcheck source=scripts/fleet-lab.sh
. scripts/fleet-lab.sh

pshare=$build/src/cli/pshare
fleetd=$build/src/fleet/pshare-fleet
daemon=$build/src/daemon/pshared
out='' # of the last command

fail() {
	echo "not so: $*"
	[ -z "$out" ] || printf '%s\n' "last output: $out"
	tail -n 3 "$lab"/*/fleet.log 2>/dev/null
	exit 1
}

skip() {
	echo "$*"
	exit 77
}

for tool in openssl setpriv python3 jq; do
	command -v $tool >/dev/null || skip "$tool is not installed"
done
scripts/etcd-unpack "$build" 2>"$lab/unpack.log" || skip "$(tail -n 1 "$lab/unpack.log")"

# within SECONDS COMMAND...: until it succeeds; on a machine that has much else to do, longer.
within() {
	local seconds=$(($1 * 3)) end=$((SECONDS + $1 * 3))
	shift
	while ! "$@"; do
		[ $SECONDS -le $end ] || fail "within $seconds s: $*"
		sleep 0.3
	done
}

# fleet WORD...: 'pshare fleet' as an administrator; what it says in $out.
fleet() {
	out=$("$pshare" fleet "$@" --config "$lab/${AS-adm}.conf" 2>&1)
}

must() {
	fleet "$@" || fail "pshare fleet $*: status $?"
}

must_not() {
	! fleet "$@" || fail "pshare fleet $* succeeds"
}

says() {
	[[ $out == *"$1"* ]] || fail "the output says \"$1\""
}

# on HOST WORD...: pshare on that host's daemon.
on() {
	local host=$1
	shift
	PSHARE_RUNTIME_DIR=$lab/$host "$pshare" "$@"
}

# has HOST NAME VALUE: is it in force there?
has() {
	[ "$(on "$1" get "$2" 2>/dev/null)" = "$3" ]
}

# of HOST NAME MEMBER: what 'fleet get' says of a setting there.
of() {
	"$pshare" fleet get "$2" --json --config "$lab/adm.conf" 2>/dev/null |
		jq -r --arg h "$1" --arg m "$3" '.hosts[] | select(.host == $h) | .[$m]'
}

is() {
	[ "$(of "$1" "$2" "$3")" = "$4" ]
}

connected() {
	local names=" $* "
	"$pshare" fleet hosts --json --config "$lab/adm.conf" 2>/dev/null |
		jq -e --arg names "$names" --argjson n $# '
			[.hosts[] | select(.state == "connected" and .report) | .host as $h |
			select($names | contains(" " + $h + " "))] | length == $n' >/dev/null
}

# Has it found etcd again since it lost it?
came_back() {
	[ "$(grep -c 'info: connected: host' "$lab/$1/fleet.log")" -ge 2 ]
}

away() {
	! connected "$1"
}

start_daemon() {
	mkdir -p "$lab/$1"
	setpriv --pdeathsig KILL "$daemon" --runtime-dir "$lab/$1" >>"$lab/$1/pshared.log" 2>&1 &
	echo $! >"$lab/$1/pshared.pid"
	disown $!
}

start_fleet() {
	setpriv --pdeathsig KILL env ${ENVIRON-} "$fleetd" --config "$lab/$1.conf" \
		--runtime-dir "$lab/$1" >>"$lab/$1/fleet.log" 2>&1 &
	echo $! >"$lab/$1/fleet.pid"
	disown $!
}

# signal HOST pshared|fleet SIGNAL
signal() {
	kill "-$3" "$(<"$lab/$1/$2.pid")"
}

# hosts NAME...: each with a daemon and a pshare-fleet, all connected.
hosts() {
	local host
	for host; do
		[ -s "$lab/$host.conf" ] || lab_config "$host" host
		start_daemon "$host"
	done
	for host; do
		within 10 on "$host" status >/dev/null 2>&1
		start_fleet "$host"
	done
	[ -n "${UNCONNECTED-}" ] || within 15 connected "$@"
}

# A fleet of these hosts with one etcd.
begin() {
	lab_fresh || fail "no etcd"
	lab_start || fail "no etcd"
	lab_config adm admin
	lab_config look looker
	hosts "$@"
}

restart_etcd() {
	lab_stop one "${1-KILL}"
	lab_start || fail "etcd does not start again"
}

for part in settings etcd admission; do
	# shellcheck source=/dev/null
	. "tests/fleet/scenes-$part.sh"
done
"scene_$1"
exit 0
