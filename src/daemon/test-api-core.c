/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/test-api-core.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policy/entitle.h"
#include "policy/settings.h"
#include "sys/cleanup.h"
#include "sys/self.h"
#include "sys/sock.h"

/* ---- a server and its clients --------------------------------------------------------------- */

void start(struct server *server)
{
	const struct role_groups groups = {OPERATE, ADMINISTER, sys_self_uid()};

	*server = (struct server){.daemon.scan_time = "60"};
	snprintf(server->path, sizeof(server->path), "%s/api.sock", test_dir());
	server->listener = sys_unix_listen(server->path, SYS_SOCK_STREAM, 0600);
	REQUIRE_OK(server->listener);
	REQUIRE_OK(api_new(&server->api, &server->daemon, server->listener, &groups));
}

void stop(struct server *server)
{
	server->api = api_free(server->api);
	close(server->listener);
}

int join(const struct server *server)
{
	int fd = sys_unix_connect(server->path, SYS_SOCK_STREAM);

	REQUIRE_OK(fd);
	return fd;
}

/* Lets the server work until fd has given all, or for ms. Returns the bytes; -1: ended without. */
long pump(struct server *server, int fd, char *out, size_t size, unsigned int ms)
{
	int64_t end = test_now_ns() + (int64_t)ms * 1000000;
	size_t length = 0;
	bool ended = false;

	while (!ended && test_now_ns() < end) {
		struct pollfd fds[] = {{.fd = api_fd(server->api), .events = POLLIN},
				       {.fd = fd, .events = POLLIN}};
		ssize_t n;

		poll(fds, 2, 5);
		api_dispatch(server->api);
		n = recv(fd, out + length, size - length - 1, MSG_DONTWAIT);
		if (n > 0)
			length += (size_t)n;
		ended = n == 0 || (n < 0 && errno != EAGAIN);
	}
	out[length] = '\0';
	return ended && !length ? -1 : (long)length;
}

char reply[REPLY_MAX];

/* One request on a connection of its own; its status, 0 if there was no answer. */
int ask(struct server *server, const char *request)
{
	_cleanup_close_ int fd = join(server);
	int status = 0;

	REQUIRE_EQ(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	pump(server, fd, reply, sizeof(reply), 2000);
	sscanf(reply, "HTTP/1.1 %d", &status);
	return status;
}

int get(struct server *server, const char *path)
{
	char request[1024];

	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	return ask(server, request);
}

char long_request[API_BODY_MAX * 4];

const char *put_text(const char *path, const char *body)
{
	snprintf(long_request, sizeof(long_request),
		 "PUT %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		 path, strlen(body), body);
	return long_request;
}

int put(struct server *server, const char *path, const char *body)
{
	return ask(server, put_text(path, body));
}

const char *body_of(void)
{
	const char *body = strstr(reply, "\r\n\r\n");

	return body ? body + 4 : "";
}

json_t *json_body(void)
{
	json_error_t error;
	json_t *json = json_loads(body_of(), 0, &error);

	if (!json)
		FAIL("not JSON: %s: %s", error.text, reply);
	return json;
}

/* The answer is a problem of RFC 9457 with its own status, and its line has this in it. */
void check_error(const char *part)
{
	json_t *json = json_body();
	const char *error = json_string_value(json_object_get(json, "detail"));
	int status = 0;

	REQUIRE(error != NULL);
	CHECK_IN("Content-Type: application/problem+json\r\n", reply);
	sscanf(reply, "HTTP/1.1 %d", &status);
	CHECK_EQ(json_integer_value(json_object_get(json, "status")), status);
	CHECK_STR(json_string_value(json_object_get(json, "type")), "about:blank");
	CHECK(json_string_length(json_object_get(json, "title")) > 0);
	CHECK(!strchr(error, '\n'));
	CHECK_IN(part, error);
	json_decref(json);
}
