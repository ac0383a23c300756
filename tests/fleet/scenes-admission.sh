# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Scenes of admission, of drain, of what is hostile or strange. What they use is in scenes.sh.

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
	within 10 eval '! run_vm h1 "$((usable + 8))M"'
	within 10 eval 'run_vm h1 64M' # h2 takes it in
	must set das.failoverHosts nosuch,h2
	says "warning: of the standby hosts nosuch is no host of the fleet"
	must set das.failoverHosts nosuch
	# those of before are over, and no longer counted
	within 10 eval '! run_vm h1 64M && [[ $out == *"count as 64 MiB with this one"* ]]'
	says "and the standby hosts (nosuch) have 0 MiB left: not enough; nosuch is no host of"
	must set das.failoverHosts ''
	within 10 eval '! run_vm h1 64M && [[ $out == *"none is named"* ]]'
	says "the 64 MiB of host h1's VMs"
	must set das.failoverHosts h2
	signal h2 fleet STOP
	within 30 away h2
	within 10 eval '! run_vm h1 64M && [[ $out == *"have 0 MiB left: not enough; h2 is not"* ]]'
	signal h2 fleet CONT
	within 30 connected h2
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

# A second pshare-fleet in the folder of the first: it says so, ends, and takes nothing away.
scene_second() {
	local total
	begin h1
	total=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
	must set das.admissionControl refuse
	within 10 eval '! run_vm h1 "$((total * 2))M"'
	out=$(timeout 20 "$fleetd" --config "$lab/h1.conf" --runtime-dir "$lab/h1" 2>&1)
	says "another pshare-fleet runs in $lab/h1"
	! run_vm h1 "$((total * 2))M" || fail "the first one goes on refusing"
	says "the fleet does not admit this VM"
	# the folder goes, and comes back, with the daemon: so does the socket
	rm -f "$lab/h1/fleet.sock" "$lab/h1/fleet.lock"
	within 10 test -S "$lab/h1/fleet.sock"
	! run_vm h1 "$((total * 2))M" || fail "it refuses over its new socket"
	signal h1 fleet TERM
	within 10 test ! -e "$lab/h1/fleet.sock"
	run_vm h1 "$((total * 2))M" || fail "a VM starts without pshare-fleet"
	says "pshare-fleet does not run: this VM is not checked"
	# of one that was killed the lock is free, and the socket is in nobody's way
	start_fleet h1
	within 10 eval '! run_vm h1 "$((total * 2))M"'
	signal h1 fleet KILL
	start_fleet h1
	within 20 eval '! run_vm h1 "$((total * 2))M"'
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
	# standby hosts are of one policy, and of no other
	must set das.failoverHosts h2
	must drain h1 --dry-run
	says "all 3 VMs of h1 fit on 1 other host"
	must set das.admissionControlPolicy failoverHosts
	must_not drain h1 --dry-run
	says "3 of 3 VMs of h1 fit nowhere"
	must set das.admissionControlPolicy failoverLevel
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
	value='"\u001b[31mred"'
	value='{"schema":1,"host":'$value',"name":"Mem.ShareScanTime","value":'$value',"when":1,
		"before":'$value',"after":'$value',"what":'$value',"version":'$value',"state":'$value',
		"kernel":'$value',"daemon":"1","at":1,"memory":{"total":1,"available":1},"vms":[{
		"name":'$value',"pid":1,"size":1048576}],"settings":{"Mem.ShareScanTime":{"value":'$value',
		"from":'$value',"since":1,"error":'$value'}},"audit":{"error":'$value'}}'
	for i in report/evil settings/evil audit/evil drift/evil/2999 history/2999; do
		lab_root put "$prefix/$i" "$value" >/dev/null
	done
	for i in hosts history 'get Mem.ShareScanTime' 'drain evil --dry-run'; do
		for value in '' --json; do
			# shellcheck disable=SC2086 # words, and perhaps none
			fleet $i $value
			says red
			[[ $out != *$'\e'* && $out != *'\u00'* ]] ||
				fail "$i $value steers a terminal"
		done
	done
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
