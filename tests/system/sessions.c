/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sessions: how a session with the daemon begins and ends, with agents of paper, and the daemon's
 * own beginning and end.
 */
#include "harness/harness.h"

#include <signal.h>
#include <unistd.h>

#include "lib/peer.h"

#define ANSWER_MS 5000

static struct t_daemon d;

static void start(const char *const *extra)
{
	(void)test_built("src/daemon/pshared");
	t_daemon_init(&d);
	t_daemon_start(&d, extra, NULL, NULL);
}

static void join(struct peer *p, const char *name)
{
	peer_join(p, &d, name, PEER_SALT);
	REQUIRE_OK(peer_region(p, PS_MSG_REGION_ADD, 0, 4096, 0));
}

TEST("LEFT without LEAVE, or of another generation, ends the session")
{
	union peer_msg m = {0};
	struct peer a;

	start(NULL);
	join(&a, "a");
	m.leave.generation = a.domain.generation;
	REQUIRE_OK(peer_say(&a, PS_MSG_LEFT, &m, NULL, 0));
	REQUIRE_WITHIN(ANSWER_MS, peer_is_cut(&a, 50));
	CHECK_IN("LEFT", a.refuse.reason);
	t_daemon_free(&d);
}

TEST("a salt that the policy keeps for others gives a domain of its own, not an end")
{
	const char *extra[] = {"--policy", NULL, NULL};
	struct peer a, b;
	char path[256];

	snprintf(path, sizeof(path), "%s/policy", test_dir());
	peer_keep_salt_for(path, (unsigned int)geteuid() + 1);
	extra[1] = path;
	start(extra);
	join(&a, "a");
	join(&b, "b");
	CHECK_NE(a.domain.generation, b.domain.generation);
	peer_keep_salt_for(path, (unsigned int)geteuid());
	kill(d.pid, SIGHUP);
	CHECK_EQ(peer_hear(&a, PS_MSG_LEAVE, ANSWER_MS), PS_MSG_LEAVE);
	t_daemon_free(&d);
}

TEST("a process that says that it is one VM after the other is told when it is enough")
{
	struct peer p;
	union peer_msg m;
	int n = 0;

	start(NULL);
	for (; n < 300; n++) {
		peer_connect(&p, &d);
		peer_hello_make(&p, &m, "many");
		REQUIRE_OK(peer_say(&p, PS_MSG_HELLO, &m, NULL, 0));
		if (peer_hear(&p, PS_MSG_DOMAIN, ANSWER_MS) != PS_MSG_DOMAIN)
			break;
	}
	CHECK_EQ(n, 128);
	CHECK_IN("is 128 VMs already", p.refuse.reason);
	t_daemon_free(&d);
}

TEST("a second daemon in the same folder is refused in one line, and a dead one's sockets are taken")
{
	char out[512], path[256];

	start(NULL);
	snprintf(path, sizeof(path), "%s", test_built("src/daemon/pshared"));
	CHECK_EQ(TEST_RUN(out, sizeof(out), path, "--runtime-dir", d.dir), 1);
	CHECK_IN("another pshared runs in", out);
	CHECK(strchr(out, '\n') == strrchr(out, '\n'));
	t_daemon_kill(&d, SIGKILL);
	t_daemon_start(&d, NULL, NULL, NULL);
	t_daemon_free(&d);
}

TEST("a private daemon ends by itself when no VM has been there for as long as it was told")
{
	static const char *const extra[] = {"--exit-when-idle", "1", NULL};
	struct peer a;
	int status;

	start(extra);
	join(&a, "a");
	t_sleep(2);
	REQUIRE_SYS(kill(d.pid, 0));
	CHECK_EQ(t_wait(d.pid, 0, &status), -1);
	close(a.sock);
	REQUIRE(!t_wait(d.pid, 10, &status));
	CHECK_EQ(status, 0);
	d.pid = 0;
}
