/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * flow-leave: VMs that leave a domain, or come back to the daemon with what they had of before.
 */
#include "flow.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* The same VM again, as its agent would come back. */
static void come_back(struct peer *p, const uint8_t uuid[16], const char *salt, uint32_t flags)
{
	int fd = peer_salt_fd(salt);
	union peer_msg m;

	peer_connect(p, &d);
	memcpy(p->uuid, uuid, sizeof(p->uuid));
	peer_hello_make(p, &m, "a");
	m.hello.flags = PS_HELLO_SALT | flags;
	REQUIRE_OK(peer_say(p, PS_MSG_HELLO, &m, &fd, 1));
	close(fd);
	REQUIRE_EQ(peer_hear(p, PS_MSG_DOMAIN, ANSWER_MS), PS_MSG_DOMAIN);
}

TEST("a connection that ends while its process lives leaves its references, until OLD_GONE")
{
	union peer_msg m = {0};
	struct peer a, b, again;
	uint64_t frame;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	frame = share_both(&a, 7, &b, 9, 1);
	unshare(&b, 9);
	t_sleep(0.1);
	close(a.sock);
	REQUIRE_WITHIN(ANSWER_MS, t_api_number(&d, "/v1/vms/a", "SHRD") == T_PAGE);
	t_sleep(0.2);
	CHECK(frame_is(&b, frame, 1));
	come_back(&again, a.uuid, SALT, PS_HELLO_HOLDS_OLD);
	REQUIRE_OK(peer_region(&again, PS_MSG_REGION_ADD, 0, 4096, 0));
	t_sleep(0.2);
	CHECK(frame_is(&b, frame, 1));
	unshare(&again, 7); /* of the new session it has none: bogus */
	t_sleep(0.1);
	CHECK_EQ(store_bytes(), T_PAGE);
	REQUIRE_OK(peer_say(&again, PS_MSG_OLD_GONE, &m, NULL, 0));
	REQUIRE_WITHIN(ANSWER_MS, store_bytes() == 0);
	t_daemon_free(&d);
}

/* It is told to leave, and says that it has. */
static void move_on(struct peer *p)
{
	union peer_msg m = {0};

	REQUIRE_EQ(peer_hear(p, PS_MSG_LEAVE, ANSWER_MS), PS_MSG_LEAVE);
	m.leave.generation = p->leave;
	REQUIRE_OK(peer_say(p, PS_MSG_LEFT, &m, NULL, 0));
}

TEST("a VM whose salt is changed leaves, and is told its new domain when its order ring is empty")
{
	struct ps_entry order;
	union peer_msg m = {0};
	struct peer a, b;
	uint64_t before;
	pid_t asker;
	int status;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	before = a.domain.generation;
	share_both(&a, 7, &b, 9, 1);
	hint(&a, 50, 1); /* an order that stays in the ring */
	t_sleep(0.1);
	asker = fork();
	if (!asker) {
		static const char salt[] = "{\"salt\":\"another\"}";
		char body[512];

		_exit(t_http(&d, "PUT", "/v1/vms/a/settings/sched.mem.pshare.salt", salt, body,
			     sizeof(body)) != 200);
	}
	REQUIRE_EQ(peer_hear(&a, PS_MSG_LEAVE, ANSWER_MS), PS_MSG_LEAVE);
	CHECK_EQ(a.leave, before);
	move_on(&b);
	CHECK_EQ(t_wait(asker, 0.3, &status), -1); /* not true yet, so not answered */
	m.leave.generation = before;
	REQUIRE_OK(peer_say(&a, PS_MSG_LEFT, &m, NULL, 0));
	CHECK_EQ(peer_hear(&a, PS_MSG_DOMAIN, 500), 0);
	REQUIRE(peer_down(&a, &order));
	REQUIRE_EQ(peer_hear(&a, PS_MSG_DOMAIN, ANSWER_MS), PS_MSG_DOMAIN);
	CHECK_NE(a.domain.generation, before);
	REQUIRE(!t_wait(asker, 5, &status));
	CHECK_EQ(status, 0);
	CHECK_EQ(shrd("a"), 0);
	CHECK_EQ(shrd("b"), 0);
	t_daemon_free(&d);
}

/* Does the store behind that descriptor have the content anywhere? */
static bool store_shows(int fd, uint32_t key)
{
	uint8_t wanted[T_PAGE], got[T_PAGE];
	off_t at = 0;

	fill(wanted, key);
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		if (pread(fd, got, T_PAGE, at) == T_PAGE && !memcmp(got, wanted, T_PAGE))
			return true;
		at += T_PAGE;
	}
	return false;
}

TEST("who was made to leave sees nothing new by the store's descriptor that he kept")
{
	struct peer leaver, a, b, out;
	uint64_t before;
	pid_t asker;
	int status, kept;

	start(NULL);
	join(&leaver, "leaver");
	join(&a, "a");
	join(&b, "b");
	peer_join(&out, &d, "out", "another domain");
	before = a.domain.generation;
	share_both(&a, 7, &b, 9, 1);
	kept = dup(leaver.store_fd);
	REQUIRE_SYS(kept);
	CHECK(store_shows(kept, 1));
	asker = fork();
	if (!asker)
		_exit(t_vm_setting_put(&d, "leaver", "sched.mem.pshare.enable",
				       "{\"value\":false}") != 200);
	move_on(&leaver); /* it says LEFT, and maps and holds what it likes */
	move_on(&a);
	CHECK_EQ(t_wait(asker, 0.3, &status), -1); /* b is still there: not true yet */
	move_on(&b);
	REQUIRE(!t_wait(asker, 5, &status));
	CHECK_EQ(status, 0);
	REQUIRE_EQ(peer_hear(&a, PS_MSG_DOMAIN, ANSWER_MS), PS_MSG_DOMAIN);
	REQUIRE_EQ(peer_hear(&b, PS_MSG_DOMAIN, ANSWER_MS), PS_MSG_DOMAIN);
	CHECK_NE(a.domain.generation, before);
	CHECK_EQ(a.domain.generation, b.domain.generation);
	share_both(&a, 8, &b, 8, 2);
	CHECK(store_shows(a.store_fd, 2));
	CHECK(!store_shows(kept, 2));
	CHECK(!store_shows(kept, 1));
	CHECK_EQ(peer_hear(&out, PS_MSG_LEAVE, 100), 0); /* another domain is not touched */
	close(kept);
	t_daemon_free(&d);
}

/* The frame goes on in two VMs, of which a has no session any more. */
static void share_and_go(struct peer *a, struct peer *b)
{
	join(a, "a");
	join(b, "b");
	share_both(a, 7, b, 9, 1);
	REQUIRE_WITHIN(ANSWER_MS, shrd("a") == T_PAGE && shrd("b") == T_PAGE);
	close(a->sock);
	t_sleep(0.2);
}

/* An order on its way when the session ends is a reference that no agent knows of. */
TEST("who comes back and holds nothing of before has no references of before")
{
	struct peer a, b, again;

	start(NULL);
	share_and_go(&a, &b);
	unshare(&b, 9);
	t_sleep(0.1);
	CHECK_EQ(store_bytes(), T_PAGE);
	come_back(&again, a.uuid, SALT, 0);
	REQUIRE_WITHIN(ANSWER_MS, store_bytes() == 0);
	t_daemon_free(&d);
}

/* It says that it has nothing; its descriptor of the store is another matter. */
TEST("who comes back with another salt and holds nothing makes those whom he left move on")
{
	struct peer a, b, again;

	start(NULL);
	share_and_go(&a, &b);
	come_back(&again, a.uuid, "another", 0);
	move_on(&b);
	t_daemon_free(&d);
}

/* Comes back as a, and is to leave what it has of before. */
static void come_back_and_leave(struct peer *again, const struct peer *a, uint64_t former)
{
	come_back(again, a->uuid, SALT, PS_HELLO_HOLDS_OLD);
	CHECK_NE(again->domain.generation, former);
	move_on(again);
	REQUIRE_WITHIN(ANSWER_MS, shrd("a") == 0);
}

TEST("a VM whose salt is changed while it has no session leaves what it has of before")
{
	struct peer a, b, again;
	uint64_t before;
	pid_t asker;
	int status;

	start(NULL);
	share_and_go(&a, &b);
	before = b.domain.generation;
	asker = fork();
	if (!asker)
		_exit(t_vm_setting_put(&d, "a", "sched.mem.pshare.salt",
				       "{\"salt\":\"another\"}") != 200);
	move_on(&b); /* nobody writes into the store that a has, from the moment of the change */
	REQUIRE_EQ(peer_hear(&b, PS_MSG_DOMAIN, ANSWER_MS), PS_MSG_DOMAIN);
	CHECK_NE(b.domain.generation, before);
	CHECK_EQ(t_wait(asker, 0.3, &status), -1); /* a has its frame: not true yet */
	come_back_and_leave(&again, &a, before);
	REQUIRE(!t_wait(asker, 5, &status));
	CHECK_EQ(status, 0);
	REQUIRE_EQ(peer_hear(&again, PS_MSG_DOMAIN, ANSWER_MS), PS_MSG_DOMAIN);
	CHECK_NE(again.domain.generation, b.domain.generation);
	t_daemon_free(&d);
}

TEST("so does one whose salt the policy gives to others meanwhile")
{
	const char *extra[] = {"--policy", NULL, NULL};
	struct peer a, b, again;
	uint64_t before;
	char path[256];

	snprintf(path, sizeof(path), "%s/policy", test_dir());
	peer_keep_salt_for(path, (unsigned int)geteuid());
	extra[1] = path;
	start(extra);
	share_and_go(&a, &b);
	before = b.domain.generation;
	peer_keep_salt_for(path, (unsigned int)geteuid() + 1);
	kill(d.pid, SIGHUP);
	move_on(&b);
	come_back_and_leave(&again, &a, before);
	t_daemon_free(&d);
}
