/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The HTTP API: who may do what, and that what is done is recorded. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/test-api-core.h"
#include "sys/self.h"

/* Somebody else does body(), in a process of his own, with that group as his second one. */
static void as_user(struct server *server, uid_t uid, gid_t second, void (*body)(struct server *))
{
	int status;
	pid_t pid;

	chmod(test_dir(), 0777);
	chmod(server->path, 0777);
	pid = fork();
	if (pid == 0) {
		REQUIRE_SYS(setgroups(second ? 1 : 0, &second));
		REQUIRE_SYS(setgid(4001));
		REQUIRE_SYS(setuid(uid));
		body(server);
		_exit(0);
	}
	REQUIRE_SYS(waitpid(pid, &status, 0));
	CHECK_EQ(status, 0);
}

/* Every route, what it needs, and a request of each kind that is right in all but who asks. */
static const struct {
	const char *path, *body; /* NULL: a GET */
	enum role needed;
} requests[] = {
	{"/v1/status", NULL, ROLE_LOOK},
	{"/v1/vms", NULL, ROLE_LOOK},
	{"/v1/vms/web1", NULL, ROLE_LOOK},
	{"/v1/vms/web1/settings", NULL, ROLE_LOOK},
	{"/v1/vms/web1/settings/sched.mem.pshare.enable", NULL, ROLE_LOOK},
	{"/v1/vms/web1/picture", NULL, ROLE_LOOK},
	{"/v1/picture", NULL, ROLE_LOOK},
	{"/v1/vms/web1/likeness", NULL, ROLE_OPERATE},
	{"/v1/settings", NULL, ROLE_LOOK},
	{"/v1/settings/Mem.ShareScanTime", NULL, ROLE_LOOK},
	{"/metrics", NULL, ROLE_LOOK},
	{"/v1/log", NULL, ROLE_OPERATE},
	{"/v1/log/2", NULL, ROLE_OPERATE},
	{"/v1/vms/web1/settings/sched.mem.pshare.enable", "{\"value\": false}", ROLE_OPERATE},
	{"/", NULL, ROLE_LOOK}, /* the page */
	{"/v1/openapi.json", NULL, ROLE_LOOK},
	{"/v1/vms/web1/balloon", NULL, ROLE_LOOK},
	{"/v1/vms/web1/balloon", "{\"target\": 104857600}", ROLE_OPERATE},
	{"/v1/vms/web1/family", NULL, ROLE_LOOK},
	{"/v1/vms/web1/reclaim", NULL, ROLE_LOOK},
	{"/v1/vms/web1/reclaim", "{\"value\": 1048576}", ROLE_OPERATE},
	{"/v1/vms/web1/suspend", NULL, ROLE_LOOK},
	{"/v1/vms/web1/suspend", "{\"value\": true}", ROLE_OPERATE},
	{"/v1/vms/web1/resume", NULL, ROLE_LOOK},
	{"/v1/vms/web1/resume", "{\"value\": true}", ROLE_OPERATE},
	{"/v1/admission", NULL, ROLE_LOOK},
	{"/v1/admission", "{\"settings\": {\"sched.mem.min\": 16}}", ROLE_LOOK},
	{"/v1/vms/web1/fork", NULL, ROLE_LOOK},
	{"/v1/vms/web1/fork", "{\"value\": \"publish\"}", ROLE_OPERATE},
	{"/v1/audit", NULL, ROLE_ADMINISTER},
	{"/v1/audit/7/frames/0", NULL, ROLE_ADMINISTER},
	{SALT_PATH, "{\"salt\": \"x\"}", ROLE_ADMINISTER},
	{"/v1/vms/web1/settings/Sched.Mem.Pshare.SALT", "{\"salt\": null}", ROLE_ADMINISTER},
	{"/v1/settings/Mem.ShareScanTime", "{\"value\": 10}", ROLE_ADMINISTER},
	{"/v1/settings/Mem.ShareScanTime", "{\"value\": null}", ROLE_ADMINISTER},
};

static void try_all(struct server *server, enum role role)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		unsigned int records = server->daemon.records;
		int want = role >= requests[i].needed ? 200 : 403;
		int status = requests[i].body ? put(server, requests[i].path, requests[i].body) :
						get(server, requests[i].path);

		if (status != want)
			FAIL("%s %s as %s: %d", requests[i].body ? "PUT" : "GET", requests[i].path,
			     role_name(role), status);
		if (status == 403)
			check_error(role_name(requests[i].needed));
		CHECK_EQ(server->daemon.records, records + (requests[i].body != NULL));
		if (requests[i].body)
			CHECK_EQ(server->daemon.result, status == 200 ? VIEW_DONE : VIEW_REFUSED);
	}
}

/* Is there a request of that kind for the route among those above? */
static bool is_tried(const struct api_route *routes, size_t n, const struct api_route *route,
		     bool change)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct api_path path;

		if ((requests[i].body != NULL) == change &&
		    api_path_parse(&path, requests[i].path) == 0 &&
		    api_route_find(routes, n, &path) == route)
			return true;
	}
	return false;
}

TEST("no route is forgotten: each is tried by each role")
{
	size_t n;
	const struct api_route *routes = api_routes(&n);

	for (size_t i = 0; i < n; i++)
		if (!is_tried(routes, n, &routes[i], false) ||
		    (routes[i].put && !is_tried(routes, n, &routes[i], true)))
			FAIL("\"%s\" is missing in requests[]", routes[i].pattern);
}

static void try_as_looker(struct server *server)
{
	try_all(server, ROLE_LOOK);
	CHECK_IN(" by 4001 as look: uid 4001", server->daemon.told);
}

static void try_as_operator(struct server *server)
{
	try_all(server, ROLE_OPERATE);
}

static void try_as_administrator(struct server *server)
{
	try_all(server, ROLE_ADMINISTER);
}

TEST("each route answers who has its role, by group, and nobody else; all tries are recorded")
{
	struct server server;

	if (sys_self_uid())
		SKIP("needs root: another user has to connect");
	start(&server);
	try_all(&server, ROLE_ADMINISTER); /* root */
	as_user(&server, 4001, 0, try_as_looker);
	as_user(&server, 4001, OPERATE, try_as_operator);
	as_user(&server, 4001, ADMINISTER, try_as_administrator);
	server.api->groups.self = 4001; /* as if the daemon were that user */
	as_user(&server, 4001, 0, try_as_administrator);
	stop(&server);
}

static void change_own(struct server *server)
{
	REQUIRE_EQ(put(server, SALT_PATH, "{\"salt\": \"x\"}"), 200);
	REQUIRE_EQ(put(server, "/v1/vms/web1/settings/sched.mem.pshare.enable",
		       "{\"value\": false}"),
		   200);
	REQUIRE_EQ(put(server, "/v1/settings/Mem.ShareScanTime", "{\"value\": 10}"), 403);
}

TEST("a VM's owner changes his VM, its salt too, with no role but to look")
{
	struct server server;

	if (sys_self_uid())
		SKIP("needs root: another user has to connect");
	start(&server);
	server.daemon.owner = 4001;
	as_user(&server, 4001, 0, change_own);
	stop(&server);
}

static void change_often(struct server *server)
{
	unsigned int done = 0;

	for (int i = 0; i < 100; i++)
		done += put(server, "/v1/vms/web1/settings/sched.mem.pshare.enable",
			    "{\"value\": false}") == 200;
	CHECK(done >= API_CHANGES_BURST && done <= API_CHANGES_BURST + 3);
	CHECK_EQ(put(server, SALT_PATH, "{\"salt\": \"x\"}"), 429);
	check_error("4001");
	CHECK_EQ(server->daemon.records, done);
	CHECK_EQ(get(server, "/v1/status"), 200);
}

TEST("who may only change what is his cannot fill the log: his changes are rationed, not records")
{
	struct server server;

	if (sys_self_uid())
		SKIP("needs root: another user has to connect");
	start(&server);
	server.daemon.owner = 4001;
	as_user(&server, 4001, 0, change_often);
	stop(&server);
}

TEST("a change is recorded once, with what it was, what was asked and what it is")
{
	struct server server;

	start(&server);
	REQUIRE_EQ(put(&server, "/v1/settings/Mem.ShareScanTime", "{\"value\": \"10\"}"), 200);
	CHECK_EQ(server.daemon.records, 1);
	CHECK_EQ(server.daemon.result, VIEW_DONE);
	CHECK_IN("set host Mem.ShareScanTime asked \"10\", 60 to 10 by", server.daemon.told);
	REQUIRE_EQ(get(&server, "/v1/settings/Mem.ShareScanTime"), 200);
	REQUIRE_EQ(put(&server, "/v1/settings/Mem.ShareScanTime", "{\"value\": \"x\"}"), 400);
	REQUIRE_EQ(put(&server, "/v1/settings/none", "{\"value\": 1}"), 404);
	CHECK_EQ(server.daemon.records, 1);
	server.daemon.refuse = -EBUSY;
	REQUIRE_EQ(put(&server, "/v1/settings/Mem.ShareScanTime", "{\"value\": 11}"), 409);
	CHECK_EQ(server.daemon.records, 2);
	CHECK_EQ(server.daemon.result, VIEW_FAILED);
	CHECK_IN("the core does not want to", server.daemon.told);
	stop(&server);
}

static void change_what_he_may_not(struct server *server)
{
	static const char wanted[] = " asked 20, 60 to (null) by 4001 as look: uid 4001 may not";
	const char *salts[] = {"/v1/settings/sched.mem.pshare.salt", SALT_PATH,
			       "/v1/settings/Sched.Mem.Pshare.Salt", "/v1/settings/salt"};

	CHECK_EQ(put(server, "/v1/settings/Mem.ShareScanTime", "{\"value\": 20}"), 403);
	CHECK_IN(wanted, server->daemon.told);
	CHECK_EQ(put(server, "/v1/vms/web1/settings/sched.mem.pshare.enable", "{\"value\": false}"),
		 403);
	CHECK_IN(" asked false, true to (null) by 4001", server->daemon.told);
	CHECK_EQ(put(server, "/v1/vms/web1/reclaim", "{\"value\": 4096}"), 403);
	CHECK_IN(" asked 4096, ", server->daemon.told);
	CHECK_EQ(put(server, "/v1/vms/web1/balloon", "{\"target\": 4096}"), 403);
	CHECK_IN(" asked {\"target\":4096}, 0 to ", server->daemon.told);
	/* a salt that was taken for a value is not written down either */
	for (size_t i = 0; i < sizeof(salts) / sizeof(salts[0]); i++) {
		CHECK_EQ(put(server, salts[i], "{\"value\": \"hidden-away\"}"), 403);
		CHECK(!strstr(server->daemon.told, "hidden-away"));
	}
	/* whatever else is wrong, he is told that he may not */
	CHECK_EQ(ask(server, "PUT /v1/settings/Mem.ShareScanTime HTTP/1.1\r\nHost: x\r\n"
			     "Connection: close\r\nContent-Length: 1\r\n\r\nx"),
		 403);
	check_error("may not change this");
	CHECK_EQ(put(server, "/v1/settings/Mem.ShareScanTime", "nonsense"), 403);
}

TEST("a try of who may not is recorded with what was asked and what is, as each change is")
{
	struct server server;

	if (sys_self_uid())
		SKIP("needs root: another user has to connect");
	start(&server);
	as_user(&server, 4001, 0, change_what_he_may_not);
	stop(&server);
}

TEST("of a balloon the record has what is ordered, before and after")
{
	struct server server;

	start(&server);
	REQUIRE_EQ(put(&server, "/v1/vms/web1/balloon", "{\"target\": 4096}"), 200);
	CHECK_IN("web1 balloon asked {\"target\":4096}, 0 to 4096 by", server.daemon.told);
	REQUIRE_EQ(put(&server, "/v1/vms/web1/balloon", "{\"target\": null}"), 200);
	CHECK_IN("web1 balloon asked {\"target\":null}, 4096 to 0 by", server.daemon.told);
	stop(&server);
}

TEST("a salt is not recorded; of it only whether there is one, and its fingerprint")
{
	struct server server;

	start(&server);
	REQUIRE_EQ(put(&server, SALT_PATH, "{\"salt\": \"hidden-away\"}"), 200);
	CHECK_EQ(server.daemon.records, 1);
	CHECK(!strstr(server.daemon.told, "hidden-away"));
	CHECK_IN("web1 sched.mem.pshare.salt", server.daemon.told);
	stop(&server);
}

TEST("the log answers records after a number, and says where its file is")
{
	struct server server;
	json_t *json;

	start(&server);
	REQUIRE_EQ(get(&server, "/v1/log/1"), 200);
	json = json_body();
	CHECK_EQ(json_array_size(json_object_get(json, "records")), 2);
	CHECK_STR(json_string_value(json_object_get(json, "file")), "/var/log/x");
	json_decref(json);
	CHECK_EQ(get(&server, "/v1/log/x"), 404);
	CHECK_EQ(get(&server, "/v1/log/-1"), 404);
	stop(&server);
}
