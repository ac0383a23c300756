#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: etcd-server and etcd-client 3.4.23 (Debian 3.4.23-4+b4).
# Expected: etcdctl's exit status tells a shell script whether the thing was done.
# Does: it tells whether the request was answered. A transaction whose comparison failed, so that
#	the other branch ran, is 0 (the word FAILURE in the output is the only sign); so are a get
#	and a del of a key that is not there and timetolive of a lease that is gone. A revoke of
#	the same lease, and a second compaction to the same revision, are 1.
# Documented: etcdctl's pages give "1 on error" and no word on which of these is one.
# Means: "etcdctl txn <claim && start-vm" starts the VM on both hosts that raced for it. Read the
#	output, or use the API; and do not treat a failed compaction as a failure: the work was
#	done.
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
fetch etcd-server=3.4.23-4+b4 etcd-client=3.4.23-4+b4
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || :; }; rm -rf "$work"' EXIT
ask() { curl -s -m 20 --noproxy '*' "http://127.0.0.1:$port/v3/$1" -d "$2"; } # ROUTE BODY
b64() { printf %s "$1" | base64; }
for _ in 1 2 3 4 5; do # until two ports are free
	port=$((20000 + RANDOM % 10000))
	"$work/root/usr/bin/etcd" --data-dir "$work/data" \
		--listen-client-urls "http://127.0.0.1:$port" \
		--advertise-client-urls "http://127.0.0.1:$port" \
		--listen-peer-urls "http://127.0.0.1:$((port + 1))" \
		--initial-advertise-peer-urls "http://127.0.0.1:$((port + 1))" \
		--initial-cluster "default=http://127.0.0.1:$((port + 1))" >"$work/etcd.log" 2>&1 &
	server=$!
	for _ in $(seq 300); do
		case $(ask kv/range '{"key": "YQ=="}') in *'"header"'*) break 2 ;; esac
		kill -0 "$server" 2>"$work/null" || break
		sleep 0.1
	done
done
"$work/root/usr/bin/etcd" --version | head -1
ctl() { # ARGUMENT...: prints the exit status and the first word
	local status=0 out
	out=$(ETCDCTL_API=3 "$work/root/usr/bin/etcdctl" --endpoints "127.0.0.1:$port" "$@" 2>&1) ||
		status=$?
	[ $status = 0 ] && echo "0 $(head -1 <<<"$out" | cut -d ' ' -f 1)" || echo $status
}
claim() { printf 'mod("vm/claim") = "0"\n\nput vm/claim %s\n\nget vm/claim\n\n' "$1" | ctl txn; }
want "the first claim" "$(claim host-a)" "0 SUCCESS"
want "the second claim" "$(claim host-b)" "0 FAILURE"
want "get of a key that is not there" "$(ctl get none)" "0 "
want "del of it" "$(ctl del none)" "0 0"
want "timetolive of a lease that is not there" "$(ctl lease timetolive 77)" "0 lease"
want "revoke of it" "$(ctl lease revoke 77)" 1
want "compaction" "$(ctl compaction 2)" "0 compacted"
want "the same again" "$(ctl compaction 2)" 1
