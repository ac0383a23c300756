/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The page, and the port where it may be: who is served there, and that nothing is changed. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/test-api-core.h"
#include "sys/cleanup.h"
#include "sys/sock.h"

static const uint8_t here[4] = {127, 0, 0, 1};
static uint16_t port;
static int listener;

static void open_port(struct server *server)
{
	start(server);
	listener = sys_loopback_listen(false, here, 0, &port);
	REQUIRE_OK(listener);
	REQUIRE_OK(api_serve_port(server->api, listener));
}

static void close_port(struct server *server)
{
	stop(server);
	close(listener);
}

/* One request on the port; headers: lines, each with its end. */
static int ask_port(struct server *server, const char *line, const char *headers)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[2048];
	int status = 0;

	REQUIRE_OK(fd);
	REQUIRE_SYS(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	snprintf(request, sizeof(request), "%s HTTP/1.1\r\nConnection: close\r\n%s\r\n", line,
		 headers);
	REQUIRE_EQ(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	pump(server, fd, reply, sizeof(reply), 2000);
	sscanf(reply, "HTTP/1.1 %d", &status);
	return status;
}

TEST("the page is there, whole, with headers that let it load from here alone")
{
	struct server server;

	start(&server);
	REQUIRE_EQ(get(&server, "/"), 200);
	CHECK_IN("Content-Type: text/html; charset=utf-8\r\n", reply);
	CHECK_IN("Content-Security-Policy: default-src 'none'; script-src 'self'", reply);
	CHECK_IN("X-Content-Type-Options: nosniff\r\n", reply);
	CHECK(!strstr(reply, "Access-Control-Allow"));
	CHECK_IN("</html>", body_of());
	REQUIRE_EQ(get(&server, "/page.js"), 200);
	CHECK_IN("Content-Type: text/javascript", reply);
	REQUIRE_EQ(get(&server, "/page.css"), 200);
	CHECK_EQ(put(&server, "/", "{}"), 405);
	CHECK_EQ(get(&server, "/index.html"), 404);
	stop(&server);
}

TEST("on the port whoever names this host may look")
{
	static const char *const hosts[] = {"Host: localhost\r\n", "Host: 127.0.0.1:9117\r\n",
					    "Host: [::1]:80\r\nSec-Fetch-Site: same-origin\r\n",
					    "Host: localhost\r\nSec-Fetch-Site: none\r\n",
					    "Host: localhost\r\nOrigin: http://localhost:9117\r\n"};
	struct server server;

	open_port(&server);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		CHECK_EQ(ask_port(&server, "GET /", hosts[i]), 200);
		CHECK_EQ(ask_port(&server, "GET /v1/vms", hosts[i]), 200);
		CHECK_EQ(ask_port(&server, "GET /metrics", hosts[i]), 200);
	}
	close_port(&server);
}

TEST("a name that somebody else lets resolve to this host is not served, nor is his page")
{
	static const char *const bad[][2] = {
		{"Host: evil.example\r\n", "HTTP/1.1 421"},
		{"Host: localhost.evil.example:9117\r\n", "HTTP/1.1 421"},
		{"Host: 192.168.1.1\r\n", "HTTP/1.1 421"},
		{"Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "HTTP/1.1 403"},
		{"Host: localhost\r\nSec-Fetch-Site: same-site\r\n", "HTTP/1.1 403"},
		{"Host: localhost\r\nOrigin: http://evil.example\r\n", "HTTP/1.1 403"},
		{"Host: localhost\r\nOrigin: null\r\n", "HTTP/1.1 403"},
	};
	struct server server;

	open_port(&server);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)ask_port(&server, "GET /v1/status", bad[i][0]);
		CHECK_IN(bad[i][1], reply);
		check_error("");
	}
	close_port(&server);
}

TEST("nothing is changed over the port, and what takes a role is not shown")
{
	static const char body[] = "Host: localhost\r\nContent-Type: application/json\r\n"
				   "Content-Length: 0\r\n";
	struct server server;

	open_port(&server);
	CHECK_EQ(ask_port(&server, "PUT /v1/settings/Mem.ShareScanTime", body), 403);
	check_error("api.sock");
	CHECK_EQ(ask_port(&server, "PUT /v1/admission", body), 403);
	CHECK_EQ(ask_port(&server, "PUT /v1/vms/web1/settings/sched.mem.pshare.enable", body), 403);
	CHECK_EQ(ask_port(&server, "DELETE /v1/vms/web1", "Host: localhost\r\n"), 403);
	CHECK_EQ(ask_port(&server, "OPTIONS /v1/vms", "Host: localhost\r\n"), 403);
	CHECK_EQ(ask_port(&server, "GET /v1/log", "Host: localhost\r\n"), 403);
	CHECK_EQ(ask_port(&server, "GET /v1/audit", "Host: localhost\r\n"), 403);
	CHECK_STR(server.daemon.scan_time, "60");
	CHECK_EQ(server.daemon.records, 0);
	close_port(&server);
}
