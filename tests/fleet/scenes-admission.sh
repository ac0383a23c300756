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
