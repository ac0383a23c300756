#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: libmicrohttpd-dev 0.9.75 (Debian 0.9.75-6).
# Expected: a handler gets the path of the request: "/vms" for "GET http://host/vms", the form
#	that every server has to take; and for "/vms/a%2fb" it can tell the name "a/b" from a
#	folder.
# Does: the absolute form arrives whole, "http://host/vms", so a router that compares paths says
#	404. Escapes are decoded before the handler is called: "a%2fb" and "a/b" arrive alike, and
#	the form as sent is only to be had by an option of the daemon
#	(MHD_OPTION_URI_LOG_CALLBACK, or MHD_OPTION_UNESCAPE_CALLBACK to leave the escapes in).
# Documented: the manual describes the argument as the requested URL; it names neither form.
# Means: an API of VMs behind libmicrohttpd fails behind a plain HTTP proxy (curl -x sends the
#	absolute form), and a VM whose name has a slash cannot be addressed. Strip scheme and host
#	in the handler; forbid slashes in names, or take names in the query.
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
fetch libmicrohttpd-dev=0.9.75-6 libmicrohttpd12=0.9.75-6
cat >"$work/run.c" <<'C'
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char seen[256];

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **state)
{
	struct MHD_Response *response;
	enum MHD_Result r;

	(void)arg, (void)method, (void)version, (void)data, (void)size, (void)state;
	snprintf(seen, sizeof(seen), "%s", url);
	response = MHD_create_response_from_buffer(3, "ok\n", MHD_RESPMEM_PERSISTENT);
	r = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return r;
}

static int get(struct MHD_Daemon *daemon, const char *target, const char *url)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(info->port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char text[512];

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return 0;
	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n",
		 target);
	if (write(fd, text, strlen(text)) < 0)
		return 0;
	while (read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
	printf("GET %-20s the handler's url: %s\n", target, seen);
	return !strcmp(seen, url);
}

int main(void)
{
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
						     handle, NULL, MHD_OPTION_END);
	int right;

	if (!daemon)
		return 1;
	printf("libmicrohttpd %s\n", MHD_get_version());
	right = get(daemon, "/vms", "/vms");
	right += get(daemon, "http://host/vms", "http://host/vms");
	right += get(daemon, "/vms/a%2fb", "/vms/a/b");
	right += get(daemon, "/vms/a/b", "/vms/a/b");
	MHD_stop_daemon(daemon);
	return right != 4;
}
C
gcc -O1 -I"$work/root/usr/include" "$work/run.c" \
	"$work/root/usr/lib/x86_64-linux-gnu/libmicrohttpd.so.12" -o "$work/run"
"$work/run"
