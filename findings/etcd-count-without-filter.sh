#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: etcd-server 3.4.23 (Debian 3.4.23-4+b4).
# Expected: a range request with min_mod_revision (or min_create_revision and their max_) counts
#	the keys that pass, all the more with count_only.
# Does: the filters choose what is listed and never what is counted: count is the whole range,
#	with and without count_only. With a filter that lets nothing through the answer has no
#	keys, and a count of all.
# Documented: the API's reference calls count the number of keys within the range when requested,
#	and the filters lower and upper bounds of what is returned; count_only has no word on
#	filters.
# Means: "how many VMs changed since revision R", asked with count_only to save the transfer, is
#	the number of all VMs, always: a watcher that compares it with what it has seen reads
#	everything again each time. Count what is listed (keys_only), never count.
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
for i in 1 2 3 4 5; do
	last=$(ask kv/put "{\"key\": \"$(b64 vm/$i)\", \"value\": \"$(b64 1)\"}")
done
revision=$(echo "$last" | sed 's/.*"revision":"\([0-9]*\)".*/\1/')
range() { # MORE: prints how many are listed and counted
	local answer
	answer=$(ask kv/range "{\"key\": \"$(b64 vm/)\", \"range_end\": \"$(b64 vm0)\"$1}")
	echo "$(grep -o '"key"' <<<"$answer" | wc -l) listed," \
		"$(sed 's/.*"count":"\([0-9]*\)".*/\1/' <<<"$answer") counted"
}
want "all" "$(range ', "keys_only": true')" "5 listed, 5 counted"
from="\"min_mod_revision\": \"$((revision - 1))\""
want "changed in the last two revisions" "$(range ", $from")" "2 listed, 5 counted"
want "the same, count_only" "$(range ", $from, \"count_only\": true")" "0 listed, 5 counted"
want "changed after the last revision" \
	"$(range ", \"min_mod_revision\": \"$((revision + 1))\"")" "0 listed, 5 counted"
