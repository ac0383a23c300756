# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Scenes of settings: set, canaries, drift, roles, history. What they use is in scenes.sh.

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
	must_not set Mem.ShareScanTime
	says "'fleet set Mem.ShareScanTime': a VALUE is missing"
	must_not set
	says "'fleet set': the NAME of a setting and a VALUE are missing"
	must get --json
	[ "$(jq '.[] | select(.name == "das.failoverHosts") | .value' <<<"$out")" = '""' ] ||
		fail "an empty list of hosts is empty"
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
	[[ $out != *"in force as soon as"* ]] || fail "nothing comes to be in force"
	within 30 is h1 Mem.ShareScanTime state "as desired"
	has h1 Mem.ShareScanTime 20 || fail "the canary has what it had"
}

# What was desired of a canary, and not in force yet, is not lost; what nobody managed is nobody's
# once more, and stays so over a daemon and a pshare-fleet that start anew.
scene_put_back() {
	begin h1 h2
	must set Mem.ShareScanTime 20
	on h1 set Mem.ShareRateMax 77
	within 10 is h1 Mem.ShareRateMax from hand
	signal h2 pshared STOP
	must_not set Mem.ShareScanTime 30 --timeout 2
	must_not set Mem.ShareScanTime 40 --canary 2 --timeout 2
	must_not set Mem.ShareRateMax 88 --canary 2 --timeout 2
	signal h2 pshared CONT
	within 30 has h2 Mem.ShareScanTime 30
	within 10 is h1 Mem.ShareScanTime state "as desired"
	has h1 Mem.ShareScanTime 30 || fail "the other canary has what was desired"
	within 30 has h1 Mem.ShareRateMax 77
	within 10 is h1 Mem.ShareRateMax state "not managed"
	within 30 is h2 Mem.ShareRateMax state "not managed"
	is h1 Mem.ShareRateMax desired - || fail "nothing is desired"
	is h1 Mem.ShareRateMax from hand || fail "it is from where it was"
	[ "$(of h2 Mem.ShareRateMax value)" = "$(on h2 get Mem.ShareRateMax)" ] ||
		fail "it is told as it is"
	is h2 Mem.ShareRateMax from default || fail "it is the default on h2"
	on h1 set Mem.ShareRateMax 66
	sleep 3
	is h1 Mem.ShareRateMax state "not managed" || fail "to set it by hand is no drift"
	signal h1 fleet KILL
	signal h1 pshared KILL
	start_daemon h1
	start_fleet h1
	within 30 is h1 Mem.ShareScanTime state "as desired"
	has h1 Mem.ShareRateMax "$(on h2 get Mem.ShareRateMax)" ||
		fail "a daemon that starts anew is not told it"
	is h1 Mem.ShareRateMax state "not managed" || fail "it stays not managed"
}

# Whoever loses patience with canaries leaves nothing on them.
scene_interrupted() {
	local pid
	begin h1 h2
	must set Mem.ShareScanTime 20
	signal h2 pshared STOP
	for sig in INT TERM; do
		setpriv --pdeathsig KILL env --default-signal=INT "$pshare" fleet set \
			Mem.ShareScanTime 30 --canary 2 --config "$lab/adm.conf" \
			>"$lab/out" 2>&1 &
		pid=$!
		within 20 has h1 Mem.ShareScanTime 30
		kill -$sig $pid
		wait $pid && fail "it succeeds"
		out=$(<"$lab/out")
		says "interrupted while canaries were waited for: they are put back"
		within 20 has h1 Mem.ShareScanTime 20
	done
	signal h2 pshared CONT
	within 30 is h2 Mem.ShareScanTime state "as desired"
	has h2 Mem.ShareScanTime 20 || fail "nothing is left of it"
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

# Where nobody is there to be audited, that is no good news.
scene_audit() {
	begin h1 h2
	must_not audit --host nosuch --timeout 5
	says "no host of fleet default matches 'nosuch'"
	signal h2 fleet STOP
	within 30 away h2
	must_not audit --host h2 --timeout 5
	says "nobody has answered: the host is not connected"
	! "$pshare" fleet audit --host h2 --json --config "$lab/adm.conf" >"$lab/out" 2>/dev/null ||
		fail "with --json too"
	[ "$(jq -r '.[0].host' "$lab/out")" = h2 ] || fail "it is listed"
	fleet audit --timeout 60
	says "h1"
	[[ $out != *"nobody has answered"* ]] || fail "h1 answers"
	signal h2 fleet CONT
}

# Two at once: whoever is second is told, or came wholly after; the history has each that was done.
scene_two() {
	local i done=0 told=0 late=0 pids
	begin h1
	# as often as it takes until two meet
	for ((i = 0; i < 6 || (i < 40 && told == 0); i++)); do
		pids=()
		for value in $((100 + i)) $((200 + i)) $((300 + i)); do
			"$pshare" fleet set Mem.ShareScanTime $value --config "$lab/adm.conf" \
				>"$lab/two.$value" 2>&1 &
			pids+=($!)
		done
		for pid in "${pids[@]}"; do
			wait "$pid" || true
		done
		told=$(cat "$lab"/two.* |
			grep -c 'changed by somebody else meanwhile: .* set it to' || true)
	done
	done=$(grep -l 'confirmed by' "$lab"/two.* | wc -l)
	told=$(grep -l 'changed by somebody else meanwhile: .* set it to' "$lab"/two.* | wc -l)
	late=$(grep -l 'while hosts were waited for: that holds now' "$lab"/two.* | wc -l)
	[ $((done + told + late)) = $((3 * i)) ] || fail "each is done or told: $(cat "$lab"/two.*)"
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
