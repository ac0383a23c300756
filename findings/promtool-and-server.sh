#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: prometheus 2.42.0 (Debian 2.42.0+ds-5+deb12u1), which has promtool.
# Expected: what "promtool check metrics" parses, the server of the same package scrapes; and what
#	it cannot parse, the server refuses.
# Does: they have two parsers that disagree both ways. promtool takes "# TYPE x Gauge" (any case)
#	and a sample that begins with blanks; for the server each of the two makes the whole page
#	invalid: the target is down and every metric is lost. The other way round, a second HELP
#	or TYPE, a TYPE after the sample, a newline inside of a label's value and a blank at the
#	end of a line are errors for promtool and nothing to the server.
# Documented: the format's page says that types are lower-case words and that leading blanks are
#	ignored; neither manual says that the checker reads by other rules than the server.
# Means: an exporter of a host's VMs that passes its test with promtool may show nothing at all on
#	the day. Test with a real scrape: "up" of a server is the only verdict.
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
fetch prometheus=2.42.0+ds-5+deb12u1
mkdir "$work/pages"
page() { printf '# HELP vm_bytes Memory.\n%b' "$2" >"$work/pages/$1"; }
page plain '# TYPE vm_bytes gauge\nvm_bytes 1\n'
page type-case '# TYPE vm_bytes Gauge\nvm_bytes 1\n'
page leading-blank '# TYPE vm_bytes gauge\n  vm_bytes 1\n'
page second-type '# TYPE vm_bytes gauge\n# TYPE vm_bytes gauge\nvm_bytes 1\n'
page late-type 'vm_bytes 1\n# TYPE vm_bytes gauge\n'
page newline-in-label '# TYPE vm_bytes gauge\nvm_bytes{vm="a\nb"} 1\n'
page trailing-blank '# TYPE vm_bytes gauge\nvm_bytes 1 \n'
cat >"$work/serve.py" <<'P'
import functools, http.server, sys

class Pages(http.server.SimpleHTTPRequestHandler):
    def guess_type(self, path):
        return "text/plain; version=0.0.4"

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(
    ("127.0.0.1", 0), functools.partial(Pages, directory=sys.argv[1]))
print(server.server_port, flush=True)
server.serve_forever()
P
python3 "$work/serve.py" "$work/pages" >"$work/port" &
pids=$!
trap 'kill $pids; wait; rm -rf "$work"' EXIT
until [ -s "$work/port" ]; do sleep 0.1; done
{
	echo 'global: {scrape_interval: 1s, scrape_timeout: 1s}'
	echo 'scrape_configs:'
	for name in $(ls "$work/pages"); do
		echo "- {job_name: $name, metrics_path: /$name, static_configs: [{targets:" \
			"['127.0.0.1:$(cat "$work/port")']}]}"
	done
} >"$work/prometheus.yml"
for _ in 1 2 3 4 5; do # until a port is free
	port=$((20000 + RANDOM % 10000))
	"$work/root/usr/bin/prometheus" --config.file="$work/prometheus.yml" \
		--storage.tsdb.path="$work/data" --web.listen-address="127.0.0.1:$port" \
		2>"$work/log" &
	server=$!
	pids="$pids $server"
	for _ in $(seq 300); do
		curl -s --noproxy '*' -m 5 "http://127.0.0.1:$port/-/ready" |
			grep -q Ready && break 2
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
done
up() { # JOB: up or down, once it has been scraped
	for _ in $(seq 300); do
		case $(curl -s --noproxy '*' -m 5 "http://127.0.0.1:$port/api/v1/query" \
			--data-urlencode "query=up{job=\"$1\"}") in
		*'"value":['*'"1"]'*) echo up; return ;;
		*'"value":['*'"0"]'*) echo down; return ;;
		esac
		sleep 0.1
	done
}
parses() { # PAGE: exit status 1 is a page that cannot be parsed, 3 one that has a bad style
	local status=0
	"$work/root/usr/bin/promtool" check metrics <"$work/pages/$1" >"$work/lint" 2>&1 ||
		status=$?
	[ $status = 1 ] && echo refuses || echo parses
}
"$work/root/usr/bin/promtool" --version 2>&1 | head -1
want "a plain page: promtool, server" "$(parses plain), $(up plain)" "parses, up"
for name in type-case leading-blank; do
	want "$name: promtool, server" "$(parses $name), $(up $name)" "parses, down"
done
for name in second-type late-type newline-in-label trailing-blank; do
	want "$name: promtool, server" "$(parses $name), $(up $name)" "refuses, up"
done
