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

# ---- settings -----------------------------------------------------------------------------------

scene_everywhere() {
	begin h1 h2 h3
	must set mem.sharescantime 20
	says "confirmed by 3 of 3 connected hosts"
	for host in h1 h2 h3; do
		has $host Mem.ShareScanTime 20 || fail "20 is in force on $host when set returns"
	done
	must get Mem.ShareScanTime
	[ "$(of h2 Mem.ShareScanTime desired)" = 20 ] || fail "20 is desired on h2"
	[ "$(of h2 Mem.ShareScanTime from)" = fleet ] || fail "it is from the fleet"
	must set Mem.ShareScanTime 30 --host 'h[12]'
	has h3 Mem.ShareScanTime 20 || fail "h3 keeps 20"
	has h1 Mem.ShareScanTime 30 || fail "h1 has 30"
	must set Mem.ShareScanTime 40
	has h1 Mem.ShareScanTime 40 || fail "what is set later for all holds for h1 too"
	must_not set Mem.ShareScanTime 601
	says "a whole number from 0 to 600 minutes"
	must_not set Mem.ShareScan 1
	says "did you mean"
	must_not set Mem.ShareScanTime 10 --host 'x*'
	says "no host of fleet default matches"
	must history Mem.ShareScanTime
	says "$(id -un)@"
	[ "$(grep -c ' set *$' <<<"$out")" = 3 ] || fail "three changes are in the history"
}

scene_away() {
	begin h1 h2
	signal h2 fleet STOP
	within 30 away h2
	must set Mem.ShareScanTime 20
	says "confirmed by 1 of 1 connected hosts"
	says "not connected; it is set when they are back:
  h2"
	has h2 Mem.ShareScanTime 60 || fail "h2 is as it was"
	must get Mem.ShareScanTime
	says "gets it when it is back"
	signal h2 fleet CONT
	within 30 has h2 Mem.ShareScanTime 20
	within 10 is h2 Mem.ShareScanTime state "as desired"
}

scene_canary() {
	begin h1 h2 h3
	must set Mem.ShareScanTime 20 --canary 1
	says "1 canary confirmed"
	says "confirmed by 3 of 3 connected hosts"
	signal h1 pshared STOP
	must_not set Mem.ShareScanTime 30 --canary 1 --timeout 2
	says "put back"
	signal h1 pshared CONT
	has h2 Mem.ShareScanTime 20 || fail "no host but the canary was touched"
	within 30 is h1 Mem.ShareScanTime state "as desired"
	has h1 Mem.ShareScanTime 20 || fail "the canary has what it had"
}

scene_drift() {
	begin h1 h2
	must set Mem.ShareScanTime 20
	on h1 set Mem.ShareScanTime 99
	within 10 is h1 Mem.ShareScanTime state "drift: set by hand"
	[ "$(of h1 Mem.ShareScanTime from)" = hand ] || fail "it is from hand"
	is h2 Mem.ShareScanTime state "as desired" || fail "h2 is as desired"
	has h1 Mem.ShareScanTime 99 || fail "it is shown, not set back"
	# a restart of pshare-fleet neither forgets nor mends it
	signal h1 fleet TERM
	within 10 away h1
	start_fleet h1
	within 15 connected h1
	# it is here before it has told its settings
	within 15 is h1 Mem.ShareScanTime state "drift: set by hand"
	has h1 Mem.ShareScanTime 99 || fail "drift outlives pshare-fleet"
	must set Fleet.CorrectDrift 1
	within 10 has h1 Mem.ShareScanTime 20
	within 10 is h1 Mem.ShareScanTime state "as desired"
	must history Mem.ShareScanTime
	says "hand"
	says "corrected"
	must_not set Fleet.CorrectDrift 2
}

scene_daemon() {
	begin h1
	must set Mem.ShareScanTime 20
	signal h1 pshared KILL
	within 10 is h1 Mem.ShareScanTime desired 20
	start_daemon h1
	within 15 has h1 Mem.ShareScanTime 20
	within 10 is h1 Mem.ShareScanTime state "as desired"
	must history Mem.ShareScanTime
	[[ $out != *hand* ]] || fail "a daemon that starts anew is no drift"
}

scene_looker() {
	local before
	begin h1
	before=$(lab_root get --prefix /pshare/default/v1/all --write-out json)
	AS=look must hosts
	AS=look must get Mem.ShareScanTime
	AS=look must_not set Mem.ShareScanTime 20
	says "user looker may not do this"
	AS=look must_not set das.admissionControl refuse
	AS=look must_not audit --timeout 2
	says "may not"
	has h1 Mem.ShareScanTime 60 || fail "nothing was changed"
	[ "$(lab_root get --prefix /pshare/default/v1/all --print-value-only)" = "" ] ||
		fail "nothing was written ($before)"
	lab_config bad admin
	echo wrong >"$lab/admin.password"
	AS=bad must_not hosts
	says "user or password are wrong"
}

# Two at once: whoever is second is told, or came wholly after; the history has each that was done.
scene_two() {
	local i done=0 told=0 late=0 pids
	begin h1
	for ((i = 0; i < 6; i++)); do
		pids=()
		for value in $((100 + i)) $((200 + i)) $((300 + i)); do
			"$pshare" fleet set Mem.ShareScanTime $value --config "$lab/adm.conf" \
				>"$lab/two.$value" 2>&1 &
			pids+=($!)
		done
		for pid in "${pids[@]}"; do
			wait "$pid" || true
		done
	done
	done=$(grep -l 'confirmed by' "$lab"/two.* | wc -l)
	told=$(grep -l 'changed by somebody else meanwhile: .* set it to' "$lab"/two.* | wc -l)
	late=$(grep -l 'while hosts were waited for: that holds now' "$lab"/two.* | wc -l)
	[ $((done + told + late)) = 18 ] || fail "each is done or told: $(cat "$lab"/two.*)"
	[ "$told" -gt 0 ] || fail "not once two came at the same time"
	must history Mem.ShareScanTime
	[ "$(grep -c ' set *$' <<<"$out")" = $((done + late)) ] ||
		fail "$done changes and $late that were overtaken are in the history"
	within 10 is h1 Mem.ShareScanTime state "as desired"
}

# entries KIND WHEN N: N entries of a history from then, in one transaction each hundred
entries() {
	local i value='{\"schema\":1,\"name\":\"Mem.ShareScanTime\",\"what\":\"set\",\"when\":1}'
	for ((i = 0; i < $3; i++)); do
		[ $((i % 100)) != 0 ] || echo # no conditions
		printf 'put /pshare/default/v1/%s/%s-%08x "%s"\n' "$1" "$2" $i "$value"
		[ $((i % 100)) != 99 ] && [ $((i + 1)) != "$3" ] || { echo; echo; echo ---; }
	done >"$lab/entries"
	rm -f "$lab"/entries.[0-9]*
	csplit -s -z -f "$lab/entries." "$lab/entries" '/^---$/+1' '{*}' 2>/dev/null
	for i in "$lab"/entries.*; do
		grep -v '^---$' "$i" | lab_root txn >/dev/null || fail "entries are written"
	done
}

# keys_of KIND: how many keys there are of it.
keys_of() {
	lab_root get --prefix "/pshare/default/v1/$1/" --keys-only | grep -c .
}

# keys_are KIND N
keys_are() {
	[ "$(keys_of "$1")" = "$2" ]
}

scene_history() {
	local now
	now=$(date -u -d '-1 hour' +%Y-%m-%dT%H:%M:%SZ)
	begin h1
	entries history 2020-01-01T00:00:00Z 450
	entries history "$now" 150
	entries drift/h1 2020-01-01T00:00:00Z 60
	must history
	says "the last 20 of 660 changes: --lines N for more"
	must history --lines 1000
	[ "$(wc -l <<<"$out")" = 661 ] || fail "page by page all are shown"
	must history --lines 1000 --json
	[ "$(jq length <<<"$out")" = 660 ] || fail "in JSON too"
	must set Mem.ShareScanTime 20
	keys_are history 401 || fail "200 of 2020 went, one came: $(keys_of history)"
	must set Mem.ShareScanTime 21
	must set Mem.ShareScanTime 22
	keys_are history 153 || fail "all of 2020 have gone, no other: $(keys_of history)"
	must set Fleet.HistoryMax 100
	must set Mem.ShareScanTime 23
	keys_are history 100 || fail "100 are kept: $(keys_of history)"
	must history --lines 4
	[ "$(tail -n 3 <<<"$out" | head -n 1 | grep -c ' 23  *set *$')" = 1 ] ||
		fail "the newest is kept"
	keys_are drift/h1 60 || fail "what the host wrote is the host's to prune"
	on h1 set Mem.ShareScanTime 99
	within 10 keys_are drift/h1 1
	must history --lines 1
	says "(by hand)"
	must_not history --lines 0
	must_not get Mem.ShareScanTime --lines 3
	says "--lines is for 'fleet history'"
	must_not set Fleet.HistoryDays 0
	says "a whole number from 1 to 3650 days"
}

admits() {
	out=$(on "$1" run --name small --memory 64M -- true 2>&1) && [[ $out != *warning* ]]
}

scene_pages() {
	begin h1
	entries report fake 600
	entries settings fake 600
	entries likeness fake 70
	must hosts --json
	[ "$(jq '[.hosts[] | select(.report)] | length' <<<"$out")" = 601 ] || fail "all report"
	must get Mem.ShareScanTime --json
	[ "$(jq '.hosts | length' <<<"$out")" = 601 ] || fail "each has a value"
	out=$("$pshare" plan --fleet --json --config "$lab/adm.conf" 2>&1) || fail "a plan is made"
	[ "$(jq '.hosts | length' <<<"$out")" = 601 ] || fail "the plan has all hosts"
	# the rules come first, what is pending last: both hold
	must set das.admissionControl refuse
	must set das.failoverLevel 0
	within 10 admits h1
	lab_root put /pshare/default/v1/pending/h1/1 \
		'{"schema":1,"name":"x","pid":1,"size":4611686018427387904}' >/dev/null
	out=$(on h1 run --name small --memory 64M -- true 2>&1) && fail "what is pending counts"
	says "does not admit"
}

# ---- etcd's troubles ----------------------------------------------------------------------------

scene_killed() {
	begin h1 h2
	must set Mem.ShareScanTime 20
	lab_stop one KILL
	must_not hosts
	says "cannot be reached"
	sleep 12 # longer than the lease
	has h1 Mem.ShareScanTime 20 || fail "h1 goes on as it is"
	on h1 set Mem.ShareRateMax 77 || fail "the daemon does what it is told without etcd"
	lab_start || fail "etcd does not start again"
	# etcd gives each lease that it finds its whole time again: hosts seem to be there before
	# they are, and are away once more when they come later than that
	within 60 came_back h1
	within 60 came_back h2
	within 40 connected h1 h2
	within 10 is h1 Mem.ShareRateMax from hand
	must set Mem.ShareScanTime 30
	says "confirmed by 2 of 2"
	must history Mem.ShareRateMax
	says "by hand"
}

revision_now() {
	lab_root endpoint status --write-out json | sed 's/.*"revision":\([0-9]*\).*/\1/'
}

# Revisions are forgotten while a host is stopped, and while its watch is cut.
scene_compacted() {
	local i
	begin h1 h2
	signal h1 fleet STOP
	within 30 away h1
	for i in 11 12 13 14; do
		must set Mem.ShareScanTime $i
	done
	lab_root compaction "$(revision_now)" --physical >/dev/null || fail "compaction"
	restart_etcd
	signal h1 fleet CONT
	within 40 connected h1 h2
	within 10 has h1 Mem.ShareScanTime 14
	must set Mem.ShareScanTime 15
	says "confirmed by 2 of 2"
	# a lease that ends under a host
	lab_root lease list | sed 1d | while read -r lease; do
		lab_root lease revoke "$lease" >/dev/null
	done
	within 20 connected h1 h2
	must set Mem.ShareScanTime 16
	says "confirmed by 2 of 2"
}

# What the gateway says with status 200: a watch compacted, denied, ended; a lease that is dead.
scene_gateway() {
	local end=$((SECONDS + 120))
	setpriv --pdeathsig KILL tests/fleet/gateway.py "$lab" 2>"$lab/gateway.err" &
	disown $!
	within 10 test -s "$lab/port"
	printf '%s\n' "endpoints = http://127.0.0.1:$(<"$lab/port")" 'host = h1' \
		'lease-seconds = 3' >"$lab/h1.conf"
	UNCONNECTED=1 hosts h1
	within 40 grep -q '^lease 2' "$lab/asked"
	within 10 has h1 Mem.ShareScanTime 33
	[ "$(grep -c '^watch' "$lab/asked")" -ge 5 ] || fail "each end of a watch leads to another"
	[ "$(grep -c '^read' "$lab/asked")" -ge 5 ] || fail "and all is read anew each time"
	grep -q 'may not watch this' "$lab/h1/fleet.log" || fail "that it is denied is told"
	[ $SECONDS -le $end ] || fail "within two minutes"
}

# etcd that stops for longer than a request is waited for, again and again.
scene_slow() {
	local i
	begin h1
	for i in 1 2 3; do
		lab_slow
		sleep 3
	done
	(sleep 1; kill -STOP "$(<"$lab/one.pid")"; sleep 3; kill -CONT "$(<"$lab/one.pid")") &
	must set Mem.ShareScanTime 20 --timeout 50
	has h1 Mem.ShareScanTime 20 || fail "20 is in force"
	wait
	within 20 connected h1
}

lab_slow() {
	kill -STOP "$(<"$lab/one.pid")"
	sleep 2
	kill -CONT "$(<"$lab/one.pid")"
}

scene_full() {
	local i
	lab_fresh && lab_start --quota-backend-bytes 1048576 || fail "no etcd"
	lab_config adm admin
	hosts h1
	must set Mem.ShareScanTime 20
	for ((i = 0; i < 60; i++)); do
		head -c 60000 /dev/urandom | base64 -w0 | lab_root put junk >/dev/null 2>&1 || break
	done
	must_not set Mem.ShareScanTime 30
	says "etcd is full (its quota)"
	has h1 Mem.ShareScanTime 20 || fail "nothing was changed"
	must get Mem.ShareScanTime
	# an administrator of etcd makes room
	lab_root compaction "$(revision_now)" >/dev/null
	lab_root defrag >/dev/null
	lab_root alarm disarm >/dev/null
	within 30 fleet set Mem.ShareScanTime 30 --timeout 20
	has h1 Mem.ShareScanTime 30 || fail "30 is in force"
}

# Three members in network namespaces; the host knows one of them alone, a follower, which is then
# cut off from the others: it reads, and takes no changes, until it is back.
scene_follower() {
	local i leader follower='' members
	[ -n "${IN_NETS-}" ] || {
		unshare -mn true 2>/dev/null || skip "no right to make network namespaces"
		IN_NETS=1 exec unshare -mn --propagation private "$0" follower
	}
	mount -t tmpfs none /run/netns 2>/dev/null || { mkdir -p /run/netns &&
		mount -t tmpfs none /run/netns; } || skip "no /run/netns of its own"
	ip link set lo up
	ip link add br0 type bridge 2>/dev/null || skip "this kernel has no bridge"
	ip addr add 10.99.0.254/24 dev br0
	ip link set br0 up
	for i in 1 2 3; do
		ip netns add "m$i"
		ip link add "v$i" type veth peer name eth0 netns "m$i" 2>/dev/null ||
			skip "this kernel has no veth"
		ip link set "v$i" master br0 up
		ip -n "m$i" addr add "10.99.0.$i/24" dev eth0
		ip -n "m$i" link set eth0 up
		ip -n "m$i" link set lo up
	done
	lab_fresh
	rm -rf "$lab/one.etcd"
	members=one=http://10.99.0.1:2380,two=http://10.99.0.2:2380,three=http://10.99.0.3:2380
	UNDER="ip netns exec m1" lab_member one 10.99.0.1 2379 2380 $members
	UNDER="ip netns exec m2" lab_member two 10.99.0.2 2379 2380 $members
	UNDER="ip netns exec m3" lab_member three 10.99.0.3 2379 2380 $members
	export ENDPOINTS=https://10.99.0.1:2379,https://10.99.0.2:2379,https://10.99.0.3:2379
	within 30 eval 'lab_ctl "" endpoint health >/dev/null 2>&1'
	lab_roles || fail "no roles"
	for i in 1 2 3; do
		leader=$(lab_root --endpoints "https://10.99.0.$i:2379" endpoint status |
			cut -d, -f 5)
		[ "$leader" = " true" ] || follower=$i
	done
	[ -n "$follower" ] || fail "there is a follower"
	lab_config adm admin
	ENDPOINTS=https://10.99.0.$follower:2379 lab_config h1 host
	ENDPOINTS=https://10.99.0.$follower:2379 lab_config far admin
	hosts h1
	AS=far must set Mem.ShareScanTime 20
	says "confirmed by 1 of 1"
	ip link set "v$follower" nomaster # its peers are gone; h1 can still reach it
	ip addr add "10.99.0.253/32" dev "v$follower"
	ip link set "v$follower" up
	ip route add "10.99.0.$follower/32" dev "v$follower" src 10.99.0.253
	ip -n "m$follower" route add 10.99.0.253/32 dev eth0
	out=$(ENDPOINTS=https://10.99.0.$follower:2379 lab_ctl "" --command-timeout 3s \
		get --consistency s x 2>&1)
	says "permission denied" # it is reached; to tell who asks takes a leader
	within 40 away h1
	AS=far must_not set Mem.ShareScanTime 30 --timeout 5
	has h1 Mem.ShareScanTime 20 || fail "h1 is as it was"
	must set Mem.ShareScanTime 40
	says "not connected"
	ip route del "10.99.0.$follower/32" dev "v$follower"
	ip addr del "10.99.0.253/32" dev "v$follower"
	ip link set "v$follower" master br0
	within 60 has h1 Mem.ShareScanTime 40
	within 20 connected h1
}

# ---- certificates -------------------------------------------------------------------------------

# refused LINE: pshare-fleet --check with h1's configuration says so, and ends with 1.
refused() {
	out=$("$fleetd" --check --config "$lab/h1.conf" 2>&1) && fail "--check: $1"
	says "$1"
}

use_certificate() {
	lab_config h1 host
	sed -i "s,/client\.,/$1.," "$lab/h1.conf"
}

scene_certificates() {
	lab_fresh && lab_start || fail "no etcd"
	lab_config h1 host
	out=$("$fleetd" --check --config "$lab/h1.conf" 2>&1) || fail "the right ones are taken"
	says "are right"
	[ -z "$(lab_root get --prefix /pshare/)" ] || fail "a check writes nothing"
	lab_config h1 looker
	refused "user looker may not do this: its roles do not allow it"
	lab_config h1 host

	lab_certificate ca named /CN=h1 client
	use_certificate named
	refused "has a common name, which etcd's JSON gateway refuses"
	lab_certificate ca old / client 20200101000000Z 20200201000000Z
	use_certificate old
	refused "has expired: this host's clock says"
	lab_certificate ca early / client 20990101000000Z 20990201000000Z
	use_certificate early
	refused "is not valid yet: this host's clock says"
	use_certificate server_only_key
	refused "server_only_key.pem: No such file or directory"
	lab_certificate ca wrong_use / server_only
	use_certificate wrong_use
	refused "is not for clients"
	lab_certificate ca other / client
	cp "$lab/client.pem" "$lab/other.pem"
	use_certificate other
	refused "is not the key of certificate"
	lab_certificate ca open / client
	chmod 644 "$lab/open.key"
	use_certificate open
	refused "may be read by everybody: chmod 0600"
	lab_ca strange
	lab_certificate strange stranger / client
	use_certificate stranger
	refused "TLS with https://127.0.0.1"
	use_certificate client
	sed -i "s,/ca.pem,/strange.pem," "$lab/h1.conf"
	refused "TLS with https://127.0.0.1"
	use_certificate client
	sed -i "s,/ca.pem,/client.pem," "$lab/h1.conf"
	refused "is no certificate of an authority"
	use_certificate client
	chmod 644 "$lab/host.password"
	refused "may be read by everybody: chmod 0600"

	# what only the server shows
	lab_stop one
	lab_certificate ca half /CN=etcd server_only
	CERT=half lab_member one 127.0.0.1 "$(<"$lab/port")" "$(<"$lab/peer-port")" \
		"one=http://127.0.0.1:$(<"$lab/peer-port")"
	lab_config h1 host
	within 15 eval 'lab_ctl "" endpoint health >/dev/null 2>&1'
	refused "lacks the extended key usage clientAuth"
}

# ---- clocks -------------------------------------------------------------------------------------

scene_clocks() {
	lab_fresh && lab_start || fail "no etcd"
	lab_config adm admin
	ENVIRON="LD_PRELOAD=$build/tests/fleet/libskew.so SKEW_SECONDS=3600" hosts h1
	ENVIRON="LD_PRELOAD=$build/tests/fleet/libskew.so SKEW_SECONDS=-3600" hosts h2
	hosts h3
	must set Mem.ShareScanTime 20
	says "confirmed by 3 of 3"
	must set Mem.ShareScanTime 30 --host h1
	must set Mem.ShareScanTime 40
	for host in h1 h2 h3; do
		has $host Mem.ShareScanTime 40 || fail "the later change holds on $host"
	done
	on h2 set Mem.ShareScanTime 50
	within 10 is h2 Mem.ShareScanTime state "drift: set by hand"
	must history Mem.ShareScanTime
	# in the order of what happened, whatever clocks said
	[ "$(awk '/ set *$| hand *$/ { print $(NF - 1) }' <<<"$out" | tr '\n' ' ')" = \
		"20 30 40 50 " ] || fail "the history is in order"
	out=$(LD_PRELOAD=$build/tests/fleet/libskew.so SKEW_SECONDS=-864000000 "$fleetd" --check \
		--config "$lab/h1.conf" 2>&1) && fail "a clock of decades ago is told"
	says "is not valid yet: this host's clock says"
}

# ---- admission ----------------------------------------------------------------------------------

run_vm() {
	out=$(on "$1" run --memory "$2" -- true 2>&1)
}

scene_admission() {
	local usable total
	begin h1 h2
	total=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
	usable=$((total * 94 / 100))
	run_vm h1 "$((usable * 2))M" || fail "without admission control every VM starts"
	must set das.admissionControl refuse
	must set das.admissionControlPolicy failoverResources
	must set das.memoryFailoverResourcesPercent 50
	must set das.vmMemoryOverheadMB 0
	within 10 eval '! run_vm h1 "$((usable * 2))M"'
	says "host h1 has"
	says "and with this one they would have"
	run_vm h1 "$((usable * 9 / 10))M" || fail "nine tenths of one host leave half free"
	must set das.memoryFailoverResourcesPercent 60
	within 10 eval '! run_vm h2 "$((usable * 9 / 10))M"'
	says "60 % of"
	must set das.admissionControl warn
	within 10 eval 'run_vm h2 "$((usable * 9 / 10))M"'
	says "warning: this VM is more than the fleet can fail over"
	must set das.admissionControl refuse
	must set das.admissionControlPolicy failoverLevel
	# one host of two may fail: a VM of half a host makes slots of half a host, two are left
	within 10 eval 'run_vm h1 "$((usable / 2 - 8))M"'
	must set das.admissionControlPolicy failoverHosts
	must set das.failoverHosts h2
	within 10 eval '! run_vm h2 64M'
	says "stands by for the failure of others"
	out=$(on h1 run -- true 2>&1) || fail "a VM of unknown size starts"
	says "its memory is not known: give --memory SIZE"
	lab_stop one
	within 20 eval 'run_vm h1 64M; [[ $out == *"did not check this VM"* ]]'
	signal h1 fleet KILL
	out=$(on h1 run --memory 64M -- true 2>&1) || fail "a VM starts without pshare-fleet"
	says "pshare-fleet does not answer"
}

# Two hosts admit at the same moment: together not more than there is room for.
scene_admission_race() {
	local total i yes=0
	begin h1 h2
	total=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
	must set das.admissionControlPolicy failoverResources
	must set das.memoryFailoverResourcesPercent 50
	must set das.vmMemoryOverheadMB 0
	must set das.admissionControl refuse
	within 10 eval '! run_vm h1 "$((total * 2))M"'
	within 10 eval '! run_vm h2 "$((total * 2))M"'
	# 12 VMs of a tenth of both hosts each: five fit into the half
	for i in 1 2 3 4 5 6; do
		for host in h1 h2; do
			PSHARE_RUNTIME_DIR=$lab/$host setpriv --pdeathsig KILL "$pshare" run \
				--memory "$((total * 94 / 500))M" -- sleep 20 2>"$lab/$host.$i" &
		done
	done
	within 30 eval '[ "$(grep -l "does not admit" "$lab"/h?.? | wc -l)" -ge 7 ]'
	sleep 1
	yes=$(jobs -rp | wc -l)
	[ "$yes" = 5 ] || fail "five of twelve are admitted, not $yes"
	[ "$(lab_root get --prefix /pshare/default/v1/pending/ --keys-only | grep -c .)" = 5 ] ||
		fail "five are pending"
	kill $(jobs -rp)
	within 20 eval '[ -z "$(lab_root get --prefix /pshare/default/v1/pending/ --keys-only)" ]'
}

scene_drain() {
	begin h1 h2
	# VMs by report alone: what counts is what hosts say
	signal h1 fleet STOP
	signal h2 fleet STOP
	report h1 4096 "a:1024 b:512 c:256"
	report h2 4096 "d:2048"
	must set das.hostReservePercent 0
	must set das.vmMemoryOverheadMB 0
	must drain h1 --dry-run
	says "all 3 VMs of h1 fit on 1 other host"
	report h2 4096 "d:3072"
	must_not drain h1 --dry-run
	says "(nowhere)"
	says "2 of 3 VMs of h1 fit nowhere"
	must_not drain h1
	says "moves nothing"
	must_not drain h9 --dry-run
	says "knows no host h9"
	signal h1 fleet CONT
	signal h2 fleet CONT
}

# report HOST MIB "VM:MIB ...": what that host would have reported.
report() {
	local vm vms=''
	for vm in $3; do
		vms+="${vms:+,}{\"name\":\"${vm%:*}\",\"pid\":1,\"size\":$((${vm#*:} << 20))}"
	done
	lab_root put "/pshare/default/v1/report/$1" \
		"{\"schema\":1,\"memory\":{\"total\":$(($2 << 20))},\"vms\":[$vms]}" >/dev/null
}

# ---- hostile and strange ------------------------------------------------------------------------

# Whoever may write to etcd may write anything: nothing of it ends a host, or is put in force.
scene_rubbish() {
	local prefix=/pshare/default/v1 i=0 value
	begin h1
	must set Mem.ShareScanTime 20
	for value in '' '{' '[]' '{"schema":1}' '{"schema":1,"value":7}' \
		'{"schema":2,"value":"9"}' \
		'{"schema":1,"value":"9999"}' '{"schema":1,"value":"1","value":"2"}' \
		"{\"schema\":1,\"change\":\"x\",\"value\":\"$(printf '%03000d' 9)\"}" \
		"$(printf '{"schema":1,"value":"\\u00001"}')"; do
		lab_root put "$prefix/all/set/Mem.ShareScanTime" "$value" >/dev/null
		lab_root put "$prefix/all/rule/das.admissionControl" "$value" >/dev/null
		lab_root put "$prefix/host/h1/set/Mem.None" "$value" >/dev/null
		lab_root put "$prefix/alive/h$((i += 1))x" "$value" >/dev/null
		lab_root put "$prefix/report/../h1" "$value" >/dev/null
		lab_root put "$prefix/settings/h$i" "$value" >/dev/null
		lab_root put "$prefix/history/$i" "$value" >/dev/null
	done
	sleep 2
	has h1 Mem.ShareScanTime 20 || fail "20 stays in force"
	must hosts
	must get Mem.ShareScanTime
	must history
	must set Mem.ShareScanTime 21 --timeout 20
	connected h1 || fail "h1 is connected"
}

scene_salts() {
	begin h1
	on h1 set Mem.ShareScanTime 0
	printf 'hush-hush-salt' >"$lab/salt"
	chmod 600 "$lab/salt"
	mkfifo "$lab/fifo"
	on h1 run --name vm1 --salt-file "$lab/salt" -- "$build/tests/system/offer" \
		<"$lab/fifo" >/dev/null 2>"$lab/vm1.log" &
	exec 7>"$lab/fifo"
	within 20 eval 'lab_root get --prefix /pshare/default/v1/report/h1 | grep -q vm1'
	sleep 3
	lab_root get --prefix / >"$lab/everything"
	! grep -q hush "$lab/everything" || fail "no salt is in etcd"
	domain=$(on h1 show vm1 --json | sed -n 's/.*"domain": "\([^"]*\)".*/\1/p')
	[ -n "$domain" ] || fail "vm1 has a domain"
	! grep -q "$domain" "$lab/everything" || fail "nothing made of a salt is in etcd"
	exec 7>&-
	wait
}

scene_name() {
	begin h1
	start_daemon h1b
	sed "s,^host = .*,host = h1," "$lab/h1.conf" >"$lab/h1b.conf"
	within 10 on h1b status >/dev/null 2>&1
	start_fleet h1b
	within 10 grep -q "another pshare-fleet is connected as host h1" "$lab/h1b/fleet.log"
	must set Mem.ShareScanTime 20
	has h1b Mem.ShareScanTime 60 || fail "who has no name yet changes nothing"
	signal h1 fleet KILL
	within 30 has h1b Mem.ShareScanTime 20
}

"scene_$1"
exit 0
