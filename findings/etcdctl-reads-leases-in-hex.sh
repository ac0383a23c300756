#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: etcd-server and etcd-client 3.4.23 (Debian 3.4.23-4+b4).
# Expected: a lease has one name: what the JSON gateway (and etcdctl -w json) prints as its ID is
#	what etcdctl takes.
# Does: JSON has it in decimal, etcdctl reads and prints hexadecimal without a mark. An ID that
#	was chosen by the client and is short is valid both ways: "lease revoke 10" ends lease 16,
#	with exit status 0, and lease 10 lives on; "lease timetolive 1234" of a lease that lives
#	calls it already expired, with status 0 too. IDs chosen by etcd have 19 digits and are an
#	error.
# Documented: etcdctl's pages show IDs in hexadecimal in the examples; that decimal digits are
#	read so is said in the error alone.
# Means: a fleet that numbers leases by host, and an operator who copies the number from its log,
#	revokes another host's lease: that host's VMs and claims vanish. Let the server choose
#	IDs, or log them as %016x.
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
ctl() { # ARGUMENT...: prints the exit status and the first words
	local status=0 out
	out=$(ETCDCTL_API=3 "$work/root/usr/bin/etcdctl" --endpoints "127.0.0.1:$port" "$@" 2>&1) ||
		status=$?
	echo "$status $(head -1 <<<"$out" | cut -d ' ' -f 1-4)"
}
lives() { # DECIMAL ID
	case $(ask lease/timetolive "{\"ID\": \"$1\"}") in
	*'"grantedTTL":'*) echo lives ;;
	*'"TTL":"-1"'*) echo gone ;;
	*) echo error ;;
	esac
}
for id in 10 16 1234; do ask lease/grant "{\"ID\": \"$id\", \"TTL\": \"600\"}" >/dev/null; done
want "lease timetolive 1234" "$(ctl lease timetolive 1234)" \
	"0 lease 0000000000001234 already expired"
want "lease 1234 by the gateway" "$(lives 1234)" lives
want "leases 10 and 16 before" "$(lives 10), $(lives 16)" "lives, lives"
want "lease revoke 10" "$(ctl lease revoke 10)" "0 lease 0000000000000010 revoked"
want "leases 10 and 16 after" "$(lives 10), $(lives 16)" "lives, gone"
