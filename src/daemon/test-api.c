/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The HTTP API: what is asked, what is answered, how many may ask and how long. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/test-api-core.h"
#include "policy/settings.h"
#include "sys/cleanup.h"
#include "sys/self.h"
#include "sys/sock.h"

/* ---- reading -------------------------------------------------------------------------------- */

TEST("every path answers a GET with JSON of the names that the API promises")
{
	static const char *const paths[][2] = {
		{"/v1/status", "\"saving\":314572800"},
		{"/v1/vms", "\"SHRD\":314572800"},
		{"/v1/vms/web1", "\"refused\":{\"pinned\":7}"},
		{"/v1/vms/web2/settings", "sched.mem.pshare.salt"},
		{"/v1/vms/web2/settings/sched.mem.pshare.enable", "\"value\":true"},
		{"/v1/settings", "Mem.ShareForceSalting"},
		{"/v1/settings/Mem.ShareScanTime", "\"value\":60"},
	};
	struct server server;
	size_t i;

	start(&server);
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		REQUIRE_EQ(get(&server, paths[i][0]), 200);
		REQUIRE_IN("Content-Type: application/json", reply);
		REQUIRE_IN(paths[i][1], body_of());
		json_decref(json_body());
	}
	stop(&server);
}

TEST("a VM's likeness is a sketch that can be read back, with what tells key, user and salt")
{
	static struct sketch sketch;
	static const uint8_t bytes[] = {15, 10, 0, 91, 139, 0}; /* sketch_encode() of 5 and 70000 */
	struct server server;
	json_t *json;

	start(&server);
	REQUIRE_EQ(get(&server, "/v1/vms/web1/likeness"), 200);
	json = json_body();
	CHECK_STR(json_string_value(json_object_get(json, "key")), "0000000000000012");
	CHECK_STR(json_string_value(json_object_get(json, "user")), "3");
	CHECK_STR(json_string_value(json_object_get(json, "salt")), "0000000000000007");
	CHECK_EQ(json_integer_value(json_object_get(json, "tokens")), 2);
	CHECK_EQ(json_integer_value(json_object_get(json, "pages")), 3);
	CHECK(json_real_value(json_object_get(json, "weight")) == 2.5);
	CHECK_STR(json_string_value(json_object_get(json, "sketch")), "DwoAW4sA");
	json_decref(json);
	CHECK_OK(sketch_decode(&sketch, 2, bytes, sizeof(bytes)));
	CHECK(sketch.token[0] == 5 && sketch.token[1] == 70000);
	REQUIRE_EQ(get(&server, "/v1/vms/web2/likeness"), 200);
	json = json_body();
	CHECK(json_is_null(json_object_get(json, "salt")));
	json_decref(json);
	CHECK_EQ(get(&server, "/v1/vms/nobody/likeness"), 404);
	stop(&server);
}

TEST("a picture has a letter and a digit for every cell; the host's a strip of each VM")
{
	struct server server;
	json_t *json, *region;

	start(&server);
	REQUIRE_EQ(get(&server, "/v1/vms/web1/picture"), 200);
	json = json_body();
	CHECK_EQ(json_integer_value(json_object_get(json, "cell_bytes")), 32768);
	CHECK_STR(json_string_value(json_object_get(json_object_get(json, "states"), "s")),
		  "shared");
	region = json_array_get(json_object_get(json, "regions"), 1);
	CHECK_EQ(json_integer_value(json_object_get(region, "base")), 8192 * PS_PAGE_SIZE);
	CHECK_STR(json_string_value(json_object_get(region, "states")), "sw");
	CHECK_STR(json_string_value(json_object_get(region, "parts")), "f1");
	json_decref(json);
	REQUIRE_EQ(get(&server, "/v1/picture"), 200);
	json = json_body();
	region = json_array_get(json_object_get(json, "vms"), 1);
	CHECK_STR(json_string_value(json_object_get(region, "name")), "web2");
	CHECK_EQ(json_integer_value(json_object_get(region, "cell_bytes")), 4 * 32768);
	CHECK_EQ(json_string_length(json_object_get(region, "states")), 257);
	CHECK_EQ(json_string_length(json_object_get(region, "parts")), 257);
	json_decref(json);
	CHECK_EQ(get(&server, "/v1/vms/nobody/picture"), 404);
	stop(&server);
}

TEST("a HEAD is a GET without the body")
{
	struct server server;

	start(&server);
	REQUIRE_EQ(ask(&server, "HEAD /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
		   200);
	CHECK_STR(body_of(), "");
	stop(&server);
}

TEST("a name that is no UTF-8, or is cut inside a letter, is answered like any other")
{
	char path[512] = "/v1/vms/";
	struct server server;
	json_t *json;

	start(&server);
	CHECK_EQ(get(&server, "/v1/vms/%ff"), 404);
	json = json_body();
	CHECK_IN("?", json_string_value(json_object_get(json, "detail")));
	json_decref(json);
	for (size_t n = strlen(path); n < 200; n += 6)
		memcpy(path + n, "%c3%a9", 7);
	CHECK_EQ(get(&server, path), 404);
	CHECK_EQ(get(&server, "/v1/settings/%80"), 404);
	stop(&server);
}

TEST("what is not there is 404, and the line says so")
{
	static const char *const paths[] = {
		"/v1",
		"/v1/",
		"/v1/status/",
		"//v1/status",
		"/v1/vms/web1/x",
		"/v2/status",
		"/v1/vms/nobody",
		"/v1/vms/nobody/settings",
		"/v1/settings/Mem.Nothing",
		"/v1/vms/%2e%2e/settings",
		"/v1/vms/web1/settings/Mem.ShareScanTime",
	};
	struct server server;
	size_t i;

	start(&server);
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		CHECK_EQ(get(&server, paths[i]), 404);
		check_error("");
	}
	stop(&server);
}

TEST("a wrong method is 405 and tells the right ones; a query is 400")
{
	struct server server;

	start(&server);
	CHECK_EQ(get(&server, "/v1/audit/7/frames/0"), 200);
	CHECK_EQ(get(&server, "/v1/audit/7/frames/x"), 404);
	CHECK_EQ(ask(&server,
		     "DELETE /v1/vms/web1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
		 405);
	CHECK_IN("Allow: GET, HEAD\r\n", reply);
	check_error("DELETE");
	CHECK_EQ(put(&server, "/v1/status", "{}"), 405);
	CHECK_EQ(get(&server, "/v1/status?verbose=1"), 400);
	check_error("query");
	stop(&server);
}

/* ---- changing ------------------------------------------------------------------------------- */

TEST("a PUT that is true at once answers with the setting as it is now")
{
	struct server server;

	start(&server);
	REQUIRE_EQ(put(&server, "/v1/settings/Mem.ShareScanTime", "{\"value\": 10}"), 200);
	CHECK_IN("\"value\":10", body_of());
	CHECK_EQ(put(&server, "/v1/settings/mem.sharescantime", "{\"value\": \"20\"}"), 200);
	CHECK_IN("\"value\":20", body_of());
	CHECK_EQ(put(&server, "/v1/vms/web1/settings/sched.mem.pshare.enable",
		     "{\"value\": false}"),
		 200);
	stop(&server);
}

TEST("a PUT that takes time answers when it is true, and others are served meanwhile")
{
	_cleanup_close_ int fd = -1;
	struct server server;
	const char *text;

	start(&server);
	server.daemon.slow = true;
	fd = join(&server);
	text = put_text("/v1/settings/Mem.ShareScanTime", "{\"value\": 10}");
	REQUIRE_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	REQUIRE_EQ(pump(&server, fd, reply, sizeof(reply), 100), 0);
	REQUIRE(server.daemon.done != NULL);
	CHECK_EQ(get(&server, "/v1/status"), 200);
	server.daemon.done(server.daemon.done_arg, 0, NULL);
	pump(&server, fd, reply, sizeof(reply), 2000);
	CHECK_IN("HTTP/1.1 200", reply);
	CHECK_IN("\"value\":10", body_of());
	stop(&server);
}

TEST("an error of the core becomes its status, and its line the client's")
{
	static const int errors[][2] = {{-EINVAL, 400}, {-EPERM, 403},	   {-ENOENT, 404},
					{-EBUSY, 409},	{-ETIMEDOUT, 504}, {-ESHUTDOWN, 503},
					{-ENOMEM, 500}};
	struct server server;
	size_t i;

	start(&server);
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		server.daemon.refuse = errors[i][0];
		CHECK_EQ(put(&server, "/v1/settings/Mem.ShareScanTime", "{\"value\": 10}"),
			 errors[i][1]);
		check_error("the core does not want to");
	}
	stop(&server);
}

TEST("a bad body is 400, whatever is wrong with it")
{
	static const char *const bodies[] = {
		"",
		"{",
		"[]",
		"7",
		"{}",
		"{\"value\": 10, \"value\": 11}",
		"{\"value\": 10, \"more\": 11}",
		"{\"other\": 10}",
		"{\"value\": 10} x",
		"{\"value\": 1.5}",
		"{\"value\": {}}",
		"{\"value\": 99999}",
		"{\"value\": -1}",
		"{\"value\": \"ten\"}",
		"{\"value\": 99999999999999999999999}",
		"{\"value\": \"\\u0000\"}",
		"{\"value\": \"\xff\xfe\"}",
	};
	struct server server;
	size_t i;

	start(&server);
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		CHECK_EQ(put(&server, "/v1/settings/Mem.ShareScanTime", bodies[i]), 400);
		check_error("");
	}
	CHECK_STR(server.daemon.scan_time, "60");
	stop(&server);
}

TEST("a body nested without end is refused before it is parsed")
{
	char deep[API_BODY_MAX];
	struct server server;

	start(&server);
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	CHECK_EQ(put(&server, "/v1/settings/Mem.ShareScanTime", deep), 400);
	check_error("nested");
	/* brackets in a string are text */
	CHECK_EQ(api_check_depth("{\"a\": \"[[[[[[[[\\\"[[[\"}", 22), 0);
	CHECK_EQ(api_check_depth("[[[[[", 5), -E2BIG);
	stop(&server);
}

TEST("a body that is too long is 413, announced or not")
{
	static char body[API_BODY_MAX * 2];
	struct server server;
	size_t n;

	start(&server);
	memset(body, ' ', sizeof(body) - 1);
	CHECK_EQ(put(&server, "/v1/settings/Mem.ShareScanTime", body), 413);
	n = (size_t)snprintf(long_request, sizeof(long_request),
			     "PUT /v1/settings/Mem.ShareScanTime HTTP/1.1\r\nHost: x\r\n"
			     "Connection: close\r\nContent-Type: application/json\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
			     strlen(body), body);
	REQUIRE_LT(n, sizeof(long_request));
	CHECK_EQ(ask(&server, long_request), 413);
	stop(&server);
}

TEST("a body must say that it is JSON, and a GET has none")
{
	struct server server;

	start(&server);
	CHECK_EQ(ask(&server, "PUT /v1/settings/Mem.ShareScanTime HTTP/1.1\r\nHost: x\r\n"
			      "Connection: close\r\nContent-Length: 13\r\n\r\n{\"value\": 10}"),
		 415);
	CHECK_EQ(ask(&server, "PUT /v1/settings/Mem.ShareScanTime HTTP/1.1\r\nHost: x\r\n"
			      "Connection: close\r\nContent-Type: application/json-patch\r\n"
			      "Content-Length: 13\r\n\r\n{\"value\": 10}"),
		 415);
	CHECK_EQ(ask(&server, "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
			      "Content-Length: 3\r\n\r\nabc"),
		 400);
	stop(&server);
}

/* ---- salts ---------------------------------------------------------------------------------- */

TEST("a salt goes in as text, as hex digits, as the empty one, or as none")
{
	struct server server;

	start(&server);
	CHECK_EQ(put(&server, SALT_PATH, "{\"salt\": \"gr\\u00fcn\"}"), 200);
	CHECK_EQ(server.daemon.salt_length, 5);
	CHECK_MEM(server.daemon.salt, "gr\xc3\xbcn", 5);
	CHECK_EQ(put(&server, SALT_PATH, "{\"salt_hex\": \"00fF10\"}"), 200);
	CHECK_EQ(server.daemon.salt_length, 3);
	CHECK_MEM(server.daemon.salt, "\x00\xff\x10", 3);
	CHECK_EQ(put(&server, SALT_PATH, "{\"salt\": \"\"}"), 200);
	CHECK(server.daemon.salt_given && !server.daemon.salt_length);
	CHECK_EQ(put(&server, SALT_PATH, "{\"salt\": null}"), 200);
	CHECK(!server.daemon.salt_given);
	stop(&server);
}

TEST("a salt is never answered back, right or wrong")
{
	static const char *const bodies[] = {
		"{\"salt\": \"tell-nobody\"}",
		"{\"salt\": \"tell-nobody\", \"x\": 1}",
		"{\"salt\": [\"tell-nobody\"]}",
		"{\"salt\": \"tell-nobody",
		"{\"salt_hex\": \"tell-nobody\"}",
		"{\"value\": \"tell-nobody\"}",
		"tell-nobody",
	};
	struct server server;
	size_t i;

	start(&server);
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		CHECK_EQ(put(&server, SALT_PATH, bodies[i]), i ? 400 : 200);
		CHECK(!strstr(reply, "tell"));
	}
	stop(&server);
}

#define WINDOW (1u << 20)
#define SHADOW (64ul << 20) /* mappings as large as this are a sanitizer's own */

/* Is needle in [from, to)? Read as the kernel sees it: what is freed may be poisoned. */
static bool range_has(int mem, unsigned long from, unsigned long to, const char *needle,
		      char *window)
{
	size_t overlap = strlen(needle);

	while (from < to) {
		size_t want = to - from < WINDOW ? to - from : WINDOW;
		ssize_t n = pread(mem, window, want, (off_t)from);

		if (n <= 0)
			return false;
		if (memmem(window, (size_t)n, needle, overlap))
			return true;
		from += (size_t)n > overlap && want == WINDOW ? (size_t)n - overlap : (size_t)n;
	}
	return false;
}

/* Is needle anywhere in memory that is written, but for the stack? */
static bool memory_has(const char *needle)
{
	char *window =
		mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY);
	unsigned long from, to;
	char line[512], how[8];
	bool found = false;

	REQUIRE(window != MAP_FAILED && maps && mem >= 0);
	while (!found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, how) != 3 || how[1] != 'w' ||
		    strstr(line, "[stack]") || to - from >= SHADOW ||
		    ((unsigned long)window >= from && (unsigned long)window < to))
			continue;
		found = range_has(mem, from, to, needle, window);
	}
	fclose(maps);
	close(mem);
	munmap(window, WINDOW);
	return found;
}

TEST("after a PUT of a salt no memory of the daemon holds it, freed or not")
{
	char salt[40], body[64];
	struct server server;

	/* put together here, so that the program's own data do not hold it in one piece */
	snprintf(salt, sizeof(salt), "%s-%s-%d", "secret", "of-the-guest", 4242);
	snprintf(body, sizeof(body), "{\"salt\": \"%s\"}", salt);
	start(&server);
	REQUIRE_EQ(put(&server, SALT_PATH, body), 200);
	CHECK_EQ(server.daemon.salt_length, strlen(salt));
	CHECK(memory_has(salt)); /* the client's request: the search does find things */
	memset(long_request, 0, sizeof(long_request));
	CHECK(!memory_has(salt));
	stop(&server);
}

/* ---- who, how many, how long ---------------------------------------------------------------- */

TEST("one connection too many is told so and closed, and room comes back")
{
	int fds[API_CONNECTIONS_MAX];
	struct server server;
	unsigned int i;

	start(&server);
	for (i = 0; i < API_CONNECTIONS_MAX; i++) {
		fds[i] = join(&server);
		api_dispatch(server.api);
	}
	CHECK_EQ(get(&server, "/v1/status"), 503);
	check_error("too many");
	for (i = 0; i < API_CONNECTIONS_MAX; i++)
		close(fds[i]);
	CHECK_EQ(get(&server, "/v1/status"), 200);
	stop(&server);
}

TEST("who is late with his request is cut off, though he sends a byte now and then")
{
	_cleanup_close_ int fd = -1;
	struct server server;

	start(&server);
	fd = join(&server);
	REQUIRE_EQ(send(fd, "GET /v1/sta", 11, MSG_NOSIGNAL), 11);
	REQUIRE_EQ(pump(&server, fd, reply, sizeof(reply), 50), 0);
	server.api->conns->since -= API_REQUEST_NS;
	REQUIRE_EQ(send(fd, "t", 1, MSG_NOSIGNAL), 1);
	REQUIRE_EQ(pump(&server, fd, reply, sizeof(reply), 2000), -1);
	CHECK(server.api->conns == NULL);
	stop(&server);
}

TEST("garbage, before and behind a good request, harms nobody else")
{
	static const char *const texts[] = {
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"GET\r\n\r\n",
		"GET /v1/status\r\n\r\n",
		"GET /v1/status HTTP/9.9\r\n\r\n",
		"PUT /v1/settings/Mem.ShareScanTime HTTP/1.1\r\nHost: x\r\n"
		"Content-Length: -5\r\n\r\n",
		"PUT /v1/settings/Mem.ShareScanTime HTTP/1.1\r\nHost: x\r\nContent-Type: "
		"application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\nPOST garbage\r\n\r\n\x01\x02\x03",
		"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/vms HTTP/1.1\r\nHost: x\r\n"
		"Connection: close\r\n\r\n",
	};
	struct server server;
	size_t i;

	start(&server);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		_cleanup_close_ int fd = join(&server);

		REQUIRE_LT(0, send(fd, texts[i], strlen(texts[i]), MSG_NOSIGNAL));
		shutdown(fd, SHUT_WR);
		pump(&server, fd, reply, sizeof(reply), 500);
		CHECK_EQ(get(&server, "/v1/status"), 200);
	}
	stop(&server);
}

TEST("headers without end are cut off")
{
	static char text[200000];
	_cleanup_close_ int fd = -1;
	struct server server;
	ssize_t n;

	start(&server);
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /v1/status HTTP/1.1\r\nX: ", 28);
	fd = join(&server);
	n = send(fd, text, sizeof(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	CHECK_LT(0, n);
	pump(&server, fd, reply, sizeof(reply), 2000);
	CHECK_IN("HTTP/1.1 431", reply);
	CHECK_EQ(get(&server, "/v1/status"), 200);
	stop(&server);
}

TEST("who waits for a change when the daemon stops is answered 503")
{
	_cleanup_close_ int fd = -1;
	struct server server;
	const char *text;
	ssize_t n;

	start(&server);
	server.daemon.slow = true;
	fd = join(&server);
	text = put_text("/v1/settings/Mem.ShareScanTime", "{\"value\": 10}");
	REQUIRE_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	REQUIRE_EQ(pump(&server, fd, reply, sizeof(reply), 100), 0);
	stop(&server);
	n = recv(fd, reply, sizeof(reply) - 1, MSG_DONTWAIT);
	REQUIRE_LT(0, n);
	reply[n] = '\0';
	CHECK_IN("HTTP/1.1 503", reply);
	CHECK_EQ(server.daemon.cancelled, 1);
}

TEST("a client that leaves while his change is under way harms nobody")
{
	struct server server;
	const char *text;
	int fd;

	start(&server);
	server.daemon.slow = true;
	fd = join(&server);
	text = put_text("/v1/settings/Mem.ShareScanTime", "{\"value\": 10}");
	REQUIRE_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	REQUIRE_EQ(pump(&server, fd, reply, sizeof(reply), 100), 0);
	close(fd);
	CHECK_EQ(get(&server, "/v1/status"), 200);
	server.daemon.done(server.daemon.done_arg, 0, NULL);
	CHECK_EQ(get(&server, "/v1/status"), 200);
	CHECK(server.api->conns == NULL || !server.api->conns->next);
	stop(&server);
}

TEST("a VM's fork is shown and begun; what is no word of it is refused")
{
	struct server server;
	json_t *json;

	start(&server);
	CHECK_EQ(get(&server, "/v1/vms/web1/fork"), 200);
	json = json_body();
	CHECK_STR(json_string_value(json_object_get(json, "state")), "none");
	json_decref(json);
	CHECK_EQ(put(&server, "/v1/vms/web1/fork", "{\"value\": \"publish\"}"), 200);
	json = json_body();
	CHECK_STR(json_string_value(json_object_get(json, "state")), "publishing");
	json_decref(json);
	CHECK_EQ(put(&server, "/v1/vms/web1/fork", "{\"value\": \"explode\"}"), 400);
	CHECK_EQ(put(&server, "/v1/vms/web1/fork", "{\"value\": 1}"), 400);
	CHECK_EQ(get(&server, "/v1/vms/web3/fork"), 404);
	CHECK_EQ(get(&server, "/v1/vms/web1/family"), 200);
	json = json_body();
	CHECK_EQ(json_array_size(json_object_get(json, "shares_with")), 1u);
	json_decref(json);
	CHECK_EQ(get(&server, "/v1/vms/web3/family"), 404);
	stop(&server);
}
