# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# A fleet's etcd for tests, demo and bench: certificates, members, users and roles, in a folder of
# its own, on 127.0.0.1 unless said otherwise. Sourced by bash scripts that have set $build and
# $lab (that folder), or run: scripts/fleet-lab.sh FUNCTION ARGUMENT... with both in the
# environment. Everything here is also what an administrator does once for his own etcd; man
# pshare-fleet tells it.

lab_passwords=${lab_passwords-"root:root-pw admin:admin-pw looker:looker-pw host:host-pw"}

lab_openssl() {
	openssl "$@" 2>>"$lab/openssl.log" || {
		echo "fleet-lab: openssl $1 failed: $(tail -n 2 "$lab/openssl.log")" >&2
		return 1
	}
}

# lab_ca NAME: an authority, $lab/NAME.pem. Its certificates begin two hours ago: clocks differ.
lab_ca() {
	local name=$1
	mkdir -p "$lab/$name.db"
	: >"$lab/$name.db/index"
	echo 01 >"$lab/$name.db/serial"
	cat >"$lab/$name.cnf" <<END
[ca]
default_ca = own
[own]
database = $lab/$name.db/index
serial = $lab/$name.db/serial
new_certs_dir = $lab/$name.db
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = optional
[req]
distinguished_name = none
[none]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:10.99.0.1,IP:10.99.0.2,IP:10.99.0.3
[server_only]
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
[client]
extendedKeyUsage = clientAuth
END
	lab_openssl ecparam -name prime256v1 -genkey -noout -out "$lab/$name.key"
	lab_openssl req -new -config "$lab/$name.cnf" -key "$lab/$name.key" -subj "/CN=$name" \
		-out "$lab/$name.csr"
	lab_openssl ca -batch -notext -config "$lab/$name.cnf" -selfsign -keyfile "$lab/$name.key" \
		-startdate "$(date -u -d '-2 hours' +%Y%m%d%H%M%SZ)" -days 3650 \
		-extensions authority -in "$lab/$name.csr" -out "$lab/$name.pem"
}

# lab_certificate CA NAME SUBJECT EXTENSIONS [STARTDATE ENDDATE]: $lab/NAME.pem and .key.
lab_certificate() {
	local ca=$1 name=$2 subject=$3 extensions=$4 start=${5-} end=${6-}
	: "${start:=$(date -u -d '-2 hours' +%Y%m%d%H%M%SZ)}"
	: "${end:=$(date -u -d '+30 days' +%Y%m%d%H%M%SZ)}"
	lab_openssl ecparam -name prime256v1 -genkey -noout -out "$lab/$name.key"
	chmod 600 "$lab/$name.key"
	lab_openssl req -new -config "$lab/$ca.cnf" -key "$lab/$name.key" -subj "$subject" \
		-out "$lab/$name.csr"
	lab_openssl ca -batch -notext -config "$lab/$ca.cnf" -cert "$lab/$ca.pem" \
		-keyfile "$lab/$ca.key" -startdate "$start" -enddate "$end" \
		-extensions "$extensions" -in "$lab/$name.csr" -out "$lab/$name.pem"
}

# What every fleet here has: an authority, a server's certificate with both uses, a client's without
# a subject.
lab_certificates() {
	mkdir -p "$lab"
	lab_ca ca
	lab_certificate ca server /CN=etcd server
	lab_certificate ca client / client
}

# lab_free_port: a port of 127.0.0.1 that nobody listens at now.
lab_free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

# lab_member NAME ADDRESS CLIENT_PORT PEER_PORT CLUSTER [OPTION...]: starts one; its pid in
# $lab/NAME.pid. DEATH: empty lets it outlive this shell. CERT names the server's certificate
# (default: server). UNDER: words before it.
lab_member() {
	local name=$1 address=$2 port=$3 peer=$4 cluster=$5
	shift 5
	${DEATH-setpriv --pdeathsig KILL} ${UNDER-} "$build/etcd/etcd" --name "$name" \
		--data-dir "$lab/$name.etcd" \
		--listen-client-urls "https://$address:$port" \
		--advertise-client-urls "https://$address:$port" \
		--listen-peer-urls "http://$address:$peer" \
		--initial-advertise-peer-urls "http://$address:$peer" \
		--initial-cluster "$cluster" --initial-cluster-state "${STATE-new}" \
		--cert-file "$lab/${CERT-server}.pem" --key-file "$lab/${CERT-server}.key" \
		--trusted-ca-file "$lab/ca.pem" --client-cert-auth --bcrypt-cost 4 \
		--logger zap --log-level error --log-outputs stderr "$@" \
		>>"$lab/$name.log" 2>&1 </dev/null &
	echo $! >"$lab/$name.pid"
	disown $! # its end is not the shell's to tell
}

# One etcd, on a port of its own that stays the same over restarts.
lab_start() {
	local i
	[ -s "$lab/port" ] || lab_free_port >"$lab/port"
	[ -s "$lab/peer-port" ] || lab_free_port >"$lab/peer-port"
	lab_member one 127.0.0.1 "$(<"$lab/port")" "$(<"$lab/peer-port")" \
		"one=http://127.0.0.1:$(<"$lab/peer-port")" "$@"
	for ((i = 0; i < 150; i++)); do
		! lab_ctl "" endpoint health >/dev/null 2>&1 || return 0
		kill -0 "$(<"$lab/one.pid")" 2>/dev/null || break
		sleep 0.1
	done
	echo "fleet-lab: etcd does not start: $(tail -n 3 "$lab/one.log")" >&2
	return 1
}

# lab_stop NAME [SIGNAL]
lab_stop() {
	local pid i
	pid=$(cat "$lab/$1.pid" 2>/dev/null) || return 0
	kill "-${2-KILL}" "$pid" 2>/dev/null || true
	for ((i = 0; i < 100; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	rm -f "$lab/$1.pid"
}

# lab_ctl USER:PASSWORD COMMAND...: etcdctl; an empty user: none.
lab_ctl() {
	local user=$1
	shift
	ETCDCTL_API=3 "$build/etcd/etcdctl" --command-timeout 30s --dial-timeout 15s \
		--endpoints "${ENDPOINTS-https://127.0.0.1:$(<"$lab/port")}" \
		--cacert "$lab/ca.pem" --cert "$lab/client.pem" --key "$lab/client.key" \
		${user:+--user "$user"} "$@"
}

lab_root() {
	lab_ctl root:root-pw "$@"
}

# Users and roles of a fleet: administrators, who may only look, and hosts; then authentication is
# switched on. A host reads what is desired and what other hosts report (admission), and writes
# what is its own kind to write.
lab_roles() {
	local fleet=${1-default} prefix key one
	prefix=/pshare/$fleet/v1
	{
		lab_ctl "" role add admin
		lab_ctl "" role grant-permission admin --prefix=true readwrite "$prefix/"
		lab_ctl "" role add looker
		lab_ctl "" role grant-permission looker --prefix=true read "$prefix/"
		lab_ctl "" role add host
		lab_ctl "" role grant-permission host --prefix=true read "$prefix/"
		for key in alive report settings drift audit likeness pending admission; do
			lab_ctl "" role grant-permission host --prefix=true readwrite "$prefix/$key"
		done
		lab_ctl "" role add root
		for one in $lab_passwords; do
			lab_ctl "" user add "$one"
			lab_ctl "" user grant-role "${one%%:*}" "${one%%:*}"
		done
		lab_ctl "" auth enable
	} >"$lab/roles.log" 2>&1 || {
		echo "fleet-lab: roles: $(tail -n 2 "$lab/roles.log")" >&2
		return 1
	}
}

# lab_fresh: certificates, users and roles of the fleet "default", copied from a template of today
# (making them takes seconds of CPU, and a test wants them many times). No member runs yet.
lab_fresh() {
	local template=$build/etcd/template
	mkdir -p "$lab"
	(
		flock 9
		[ -z "$(find "$template/ready" -mmin -1000 2>/dev/null)" ] || exit 0
		rm -rf "$template"
		lab=$template
		lab_certificates && lab_start && lab_roles && lab_stop one TERM
		rm -f "$lab/port" "$lab/peer-port" "$lab"/*.log
		touch "$lab/ready"
	) 9>"$build/etcd/template.lock"
	cp -a "$template/." "$lab/"
	sed -i "s,$template,$lab," "$lab"/*.cnf
}

# lab_config HOST USER [LINE...]: a configuration file $lab/HOST.conf.
lab_config() {
	local host=$1 user=$2
	shift 2
	{
		echo "fleet = ${FLEET-default}"
		echo "host = $host"
		echo "endpoints = ${ENDPOINTS-https://127.0.0.1:$(<"$lab/port")}"
		echo "ca = $lab/ca.pem"
		echo "certificate = $lab/client.pem"
		echo "key = $lab/client.key"
		echo "user = $user"
		echo "password-file = $lab/$user.password"
		echo "lease-seconds = ${TTL-10}"
		echo "report-seconds = 2"
		printf '%s\n' "$@"
	} >"$lab/$host.conf"
	rm -f "$lab/$user.password"
	(umask 077 && echo "$user-pw" >"$lab/$user.password")
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -euo pipefail
	"$@"
fi
