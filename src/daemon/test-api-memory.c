/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The HTTP API of memory under pressure, against a core of a few lines. */
#include "daemon/test-api-core.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

TEST("orders to a VM's memory are passed on, and answered with how it goes")
{
	struct server server;

	start(&server);
	CHECK_EQ(put(&server, "/v1/vms/web1/reclaim", "{\"value\": 1048576}"), 200);
	CHECK_STR(server.daemon.did, "reclaim web1 1048576");
	CHECK_IN("\"what\":\"suspend\"", body_of());
	CHECK_IN("\"wanted\":null", body_of());
	CHECK_EQ(put(&server, "/v1/vms/web2/suspend", "{\"value\": true}"), 200);
	CHECK_STR(server.daemon.did, "suspend web2 0");
	CHECK_EQ(put(&server, "/v1/vms/web2/resume", "{\"value\": true}"), 200);
	CHECK_EQ(get(&server, "/v1/vms/web2/resume"), 200);
	CHECK_IN("\"moved\":7", body_of());
	server.daemon.did[0] = '\0';
	CHECK_EQ(put(&server, "/v1/vms/web1/reclaim", "{\"value\": 0}"), 400);
	CHECK_EQ(put(&server, "/v1/vms/web1/reclaim", "{\"value\": -5}"), 400);
	CHECK_EQ(put(&server, "/v1/vms/web1/reclaim", "{\"value\": true}"), 400);
	CHECK_EQ(put(&server, "/v1/vms/web1/suspend", "{\"value\": 1}"), 400);
	CHECK_EQ(put(&server, "/v1/vms/web1/suspend", "{}"), 400);
	CHECK_EQ(get(&server, "/v1/vms/nobody/suspend"), 404);
	CHECK_STR(server.daemon.did, "");
	server.daemon.refuse = -EBUSY;
	CHECK_EQ(put(&server, "/v1/vms/web1/suspend", "{\"value\": true}"), 409);
	check_error("does not want to");
	stop(&server);
}

TEST("who is about to become a VM says its settings under its own process id")
{
	struct server server;
	char want[128];

	start(&server);
	snprintf(want, sizeof(want), "%d sched.mem.min=512 sched.mem.shares=high", getpid());
	CHECK_EQ(put(&server, "/v1/admission",
		     "{\"settings\": {\"sched.mem.min\": 512, \"sched.mem.shares\": \"high\"}}"),
		 200);
	CHECK_STR(server.daemon.did, want);
	CHECK_IN("\"unreserved\":77", body_of());
	CHECK_EQ(put(&server, "/v1/admission", "{\"settings\": 7}"), 400);
	CHECK_EQ(put(&server, "/v1/admission", "{\"settings\": {\"a\": null}}"), 400);
	CHECK_EQ(put(&server, "/v1/admission", "{\"settings\": {\"a\": [1]}}"), 400);
	server.daemon.refuse = -EBUSY;
	CHECK_EQ(put(&server, "/v1/admission", "{\"settings\": {}}"), 409);
	check_error("it does not fit");
	stop(&server);
}

TEST("a VM's settings read as they are set: a level by its name, a limit that is none as -1")
{
	struct server server;

	start(&server);
	REQUIRE_EQ(get(&server, "/v1/vms/web1/settings/sched.mem.shares"), 200);
	CHECK_IN("\"value\":\"high\"", body_of());
	CHECK_IN("\"default\":\"normal\"", body_of());
	REQUIRE_EQ(get(&server, "/v1/vms/web1/settings/sched.mem.max"), 200);
	CHECK_IN("\"value\":-1", body_of());
	REQUIRE_EQ(get(&server, "/v1/vms/web1/settings/sched.swap.dir"), 200);
	CHECK_IN("\"value\":\"\"", body_of());
	stop(&server);
}
