#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: etcd-server 3.4.23 (Debian 3.4.23-4+b4).
# Expected: the JSON gateway refuses a request with a field that the API does not have, as it
#	refuses a field of the wrong type.
# Does: unknown fields are dropped without a word, in a comparison too. What is left often still
#	means something: a put whose "lease" is misspelt makes a key that never expires; a
#	comparison with the target MOD whose number stands in "version" compares with 0, which is
#	true for a key that does not exist. rangeEnd and range_end are both taken.
# Documented: the page on the gateway says that requests map to gRPC's messages; of unknown fields
#	and of the two spellings it says nothing.
# Means: the lease is what makes a dead host's VMs disappear from the fleet, the comparison what
#	keeps two hosts from one claim: a misspelt field takes both away and every answer is 200.
#	Build requests from one table of names, and test each by its effect, not by its status.
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
put() { ask kv/put "{\"key\": \"$(b64 "$1")\", \"value\": \"$(b64 1)\"$2}" >/dev/null; }
lease=$(ask lease/grant '{"TTL": "60"}' | sed 's/.*"ID":"\([0-9]*\)".*/\1/')
leased() { # KEY: has it a lease?
	case $(ask kv/range "{\"key\": \"$(b64 "$1")\"}") in
	*'"lease":'*) echo leased ;;
	*'"kvs":'*) echo "no lease" ;;
	*) echo error ;;
	esac
}
put a ", \"lease\": \"$lease\""
want "put with \"lease\"" "$(leased a)" leased
put b ", \"leaseid\": \"$lease\""
want "put with \"leaseid\"" "$(leased b)" "no lease"
compare() { # KEY FIELD NUMBER
	case $(ask kv/txn "{\"compare\": [{\"key\": \"$(b64 "$1")\", \"target\": \"MOD\", \
\"result\": \"EQUAL\", \"$2\": \"$3\"}]}") in
	*'"succeeded":true'*) echo true ;;
	*'"header"'*) echo false ;;
	*) echo error ;;
	esac
}
want "absent key: mod_revision = 7" "$(compare none mod_revision 7)" false
want "absent key: mod_revision = 7, said in \"version\"" "$(compare none version 7)" true
want "absent key: mod_revision = 7, said in \"revision\"" "$(compare none revision 7)" true
for name in range_end rangeEnd; do
	want "keys from a, with \"$name\"" "$(ask kv/range \
		"{\"key\": \"$(b64 a)\", \"$name\": \"$(b64 c)\"}" |
		sed 's/.*"count":"\([0-9]*\)".*/\1/')" 2
done
want "a number for a key" "$(ask kv/range '{"key": 1}' | cut -c 1-9)" '{"error":'
