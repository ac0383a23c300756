#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: etcd-server 3.4.23 (Debian 3.4.23-4+b4).
# Expected: in a transaction, "value of K is not X" is true for a key that does not exist, being
#	the opposite of "value of K is X"; and "every key of this range has version 1" is true for
#	a range without keys.
# Does: a comparison of the value of an absent key is false whatever is asked: EQUAL, NOT_EQUAL,
#	LESS and GREATER alike. Comparisons of its version or revision see 0 there. A range
#	without keys is compared as one absent key: "version = 1 everywhere" is false, "version <
#	1" is true.
# Documented: the API's reference says of ranges that all keys have to match; of absent keys it
#	says nothing, only that version 0 tells of one.
# Means: a host admits a VM "unless drained = yes": with NOT_EQUAL that fails for each host that
#	was never drained. A check "all shares of this tenant are unchanged" fails for a new
#	tenant. Put the wanted value in EQUAL and use the failure branch, or ask for version 0
#	first.
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
compare() { # COMPARISON: did the transaction succeed?
	case $(ask kv/txn "{\"compare\": [$1]}") in
	*'"succeeded":true'*) echo true ;;
	*'"header"'*) echo false ;;
	*) echo error ;;
	esac
}
key="\"key\": \"$(b64 host/drained)\""
for result in EQUAL NOT_EQUAL LESS GREATER; do
	want "absent key: value $result yes" "$(compare "{$key, \"target\": \"VALUE\", \
\"result\": \"$result\", \"value\": \"$(b64 yes)\"}")" false
done
want "absent key: version EQUAL 0" \
	"$(compare "{$key, \"target\": \"VERSION\", \"result\": \"EQUAL\", \
\"version\": \"0\"}")" true
range="\"key\": \"$(b64 vm/)\", \"range_end\": \"$(b64 vm0)\", \"target\": \"VERSION\""
want "range without keys: version EQUAL 1" \
	"$(compare "{$range, \"result\": \"EQUAL\", \"version\": \"1\"}")" false
want "range without keys: version LESS 1" \
	"$(compare "{$range, \"result\": \"LESS\", \"version\": \"1\"}")" true
ask kv/put "{\"key\": \"$(b64 vm/a)\", \"value\": \"$(b64 1)\"}" >/dev/null
ask kv/put "{\"key\": \"$(b64 vm/b)\", \"value\": \"$(b64 1)\"}" >/dev/null
want "range of two new keys: version EQUAL 1" \
	"$(compare "{$range, \"result\": \"EQUAL\", \"version\": \"1\"}")" true
