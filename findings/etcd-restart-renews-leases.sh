#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: etcd-server 3.4.23 (Debian 3.4.23-4+b4).
# Expected: a lease of 60 seconds that nobody keeps alive is gone 60 seconds later, whatever
#	happens to the servers meanwhile.
# Does: what is left of a lease is in the leader's memory alone. A restart, or a new leader, gives
#	every lease its whole term again: with 50 seconds left before, 60 after; and again with
#	each restart. (An experimental flag, off by default, writes checkpoints.)
# Documented: the reference has the TTL as the advisory time to live and says no more; the flag's
#	text in --help is the only trace.
# Means: a dead host's VMs and claims outlive it by a whole term for each change of leader: in a
#	cluster that is being upgraded, by minutes. Fencing must not count seconds from the last
#	keep-alive; a lease that is still there proves nothing, only one that is gone does.
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
fetch etcd-server=3.4.23-4+b4
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
left() { ask lease/timetolive "{\"ID\": \"$lease\"}" | sed 's/.*"TTL":"\([-0-9]*\)","grant.*/\1/'; }
lease=77
want "lease of 60 s granted" "$(ask lease/grant "{\"ID\": \"$lease\", \"TTL\": \"60\"}" |
	sed 's/.*"TTL":"\([0-9]*\)".*/\1/')" 60
sleep 10
before=$(left)
echo "left after 10 s and more: $before"
want "at most 50" $((before > 0 && before <= 50)) 1
kill "$server"
wait "$server" || :
server=
"$work/root/usr/bin/etcd" --data-dir "$work/data" \
	--listen-client-urls "http://127.0.0.1:$port" \
	--advertise-client-urls "http://127.0.0.1:$port" \
	--listen-peer-urls "http://127.0.0.1:$((port + 1))" \
	--initial-advertise-peer-urls "http://127.0.0.1:$((port + 1))" \
	--initial-cluster "default=http://127.0.0.1:$((port + 1))" >"$work/etcd.log" 2>&1 &
server=$!
for _ in $(seq 300); do
	case $(ask lease/timetolive "{\"ID\": \"$lease\"}") in *'"grantedTTL"'*) break ;; esac
	sleep 0.1
done
after=$(left)
echo "left after a restart: $after"
want "more than before" $((after > before)) 1
