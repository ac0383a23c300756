# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Scenes of etcd in trouble, of certificates and clocks. What they use is in scenes.sh.

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
	refused "does not accept client certificate $lab/stranger.pem: it was not signed by an"
	use_certificate client
	sed -i '/^certificate\|^key/d' "$lab/h1.conf"
	refused "wants a client certificate, and none is given: give certificate = FILE and key"
	use_certificate client
	sed -i "s,/ca.pem,/strange.pem," "$lab/h1.conf"
	refused "was not signed by ca $lab/strange.pem: give the authority that signed"
	use_certificate client
	sed -i "s,/ca.pem,/client.pem," "$lab/h1.conf"
	refused "is no certificate of an authority"
	use_certificate client
	chmod 644 "$lab/host.password"
	refused "may be read by everybody: chmod 0600"

	# what only the server shows
	lab_stop one
	lab_certificate ca nameless /CN=etcd client
	CERT=nameless lab_member one 127.0.0.1 "$(<"$lab/port")" "$(<"$lab/peer-port")" \
		"one=http://127.0.0.1:$(<"$lab/peer-port")"
	lab_config h1 host
	within 15 eval '(exec 3<>"/dev/tcp/127.0.0.1/$(<"$lab/port")") 2>/dev/null'
	refused "the certificate of etcd at https://127.0.0.1"
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
