/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * intruder: what somebody can do who has taken over a VMM. SECURITY.md says what that is; each of
 * its sentences about an intruder has its test here, or is named there with the test that it has.
 *
 * The intruder is this process, an agent of paper that keeps what it is given and says what it
 * likes; the others are real agents in fake VMMs.
 */
#include "harness/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/audit.h"
#include "lib/fakevmm.h"
#include "lib/peer.h"

#define PAGES 512u
#define EQUAL 150u /* of them with a twin in the other VM */
#define SHARED_MS 40000
#define ANSWER_MS 5000
#define FIRST 0u   /* contents before the intruder is made to leave */
#define LATER 200u /* contents after it */

static struct t_daemon d;
static struct fakevmm a, b;
static struct peer intruder;

static void vm_up(struct fakevmm *v, const char *name, const char *salt)
{
	fv_start(v, &d, (struct t_vm_opts){.name = name, .salt = salt});
	fv_map(v, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
}

static void share(uint32_t key)
{
	fv_pool(&a, 0, 0, EQUAL, key);
	fv_pool(&b, 0, 0, EQUAL, key);
	fv_do(&a, FV_UNIQUE, 0, EQUAL, PAGES - EQUAL, 0, 0);
	fv_do(&b, FV_UNIQUE, 0, EQUAL, PAGES - EQUAL, 0, 0);
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&a, 0) >= EQUAL * 9 / 10);
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&b, 0) >= EQUAL * 9 / 10);
}

/* Two VMs of the salt "red" share, and the intruder is a third. */
static void start(const char *const *extra)
{
	t_need_product();
	t_daemon_init(&d);
	t_daemon_start(&d, extra, NULL, NULL);
	t_daemon_full_speed(&d);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareQuarantineMs", "100"), 200);
	vm_up(&a, "a", "red");
	vm_up(&b, "b", "red");
	share(FIRST);
	peer_join(&intruder, &d, "intruder", "red");
}

static void finish(void)
{
	fv_check(&a, 0);
	fv_check(&b, 0);
	fv_end(&a);
	fv_end(&b);
	t_daemon_free(&d);
}

/* How many of the contents from that one on the store behind a descriptor shows. */
static uint32_t shows(int fd, uint32_t first)
{
	uint32_t found = 0;
	uint64_t word;

	for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0; at += T_PAGE) {
		if (pread(fd, &word, sizeof(word), at) != sizeof(word))
			break;
		for (uint32_t i = 0; i < EQUAL; i++)
			found += word == pool_key(first + i);
	}
	return found;
}

static void say_left(void)
{
	union peer_msg m = {0};

	REQUIRE_EQ(peer_hear(&intruder, PS_MSG_LEAVE, ANSWER_MS), PS_MSG_LEAVE);
	m.leave.generation = intruder.leave;
	REQUIRE_OK(peer_say(&intruder, PS_MSG_LEFT, &m, NULL, 0));
}

/* ---- what it can --------------------------------------------------------------------------- */

TEST_SECONDS("an intruder reads all that its own domain shares, and nothing of another", 60)
{
	struct peer other;

	start(NULL);
	peer_join(&other, &d, "other", "blue");
	CHECK_GT(shows(intruder.store_fd, FIRST), EQUAL / 2);
	CHECK_EQ(shows(other.store_fd, FIRST), 0);
	CHECK_NE(intruder.domain.seed, other.domain.seed); /* nor tell hashes of one in the other */
	peer_close(&other);
	peer_close(&intruder);
	finish();
}

TEST_SECONDS("an intruder who says that all pages are shared or gone takes no frame from anybody",
	     60)
{
	start(NULL);
	peer_region(&intruder, PS_MSG_REGION_ADD, 0, PAGES, 0);
	for (uint32_t page = 0; page < PAGES; page++) {
		peer_up(&intruder, PS_U_SHARED, 0, 0, page, page);
		peer_up(&intruder, PS_U_REFUSED, PS_CAUSE_CHANGED, 0, page, page);
		peer_up(&intruder, PS_U_UNSHARED, 0, 0, page, 0);
	}
	peer_ring(&intruder);
	t_sleep(0.5);
	CHECK_GT(shows(intruder.store_fd, FIRST), EQUAL / 2);
	CHECK_GT(fv_shared(&a, 0), EQUAL / 2);
	fv_check(&a, 0);
	fv_check(&b, 0);
	peer_close(&intruder);
	finish();
}

/* ---- after it was made to leave ------------------------------------------------------------- */

/* The others share anew; what was kept of the old store shows nothing of that. */
static void nothing_new(int kept)
{
	json_t *whole;

	share(LATER);
	CHECK_EQ(shows(kept, LATER), 0);
	whole = t_audit(&d);
	CHECK(!t_audit_found(whole, NULL, "violation", a.pid, NULL));
	CHECK(!t_audit_found(whole, NULL, "violation", b.pid, NULL));
	CHECK(!t_audit_found(whole, NULL, "violation", getpid(), NULL));
	json_decref(whole);
}

TEST_SECONDS("after its salt was changed against its will an intruder sees nothing new", 90)
{
	int status, kept;
	pid_t asker;

	start(NULL);
	kept = t_sys(dup(intruder.store_fd));
	CHECK_GT(shows(kept, FIRST), EQUAL / 2);
	asker = t_sys(fork());
	if (!asker)
		_exit(t_vm_setting_put(&d, "intruder", "sched.mem.pshare.salt",
				       "{\"salt\":\"blue\"}") != 200);
	say_left();
	REQUIRE(!t_wait(asker, 20, &status));
	CHECK_EQ(status, 0);
	CHECK_EQ(shows(kept, FIRST), 0); /* and what was there has gone with the store's VMs */
	nothing_new(kept);
	CHECK_EQ(peer_hear(&intruder, PS_MSG_DOMAIN, ANSWER_MS), PS_MSG_DOMAIN);
	CHECK_EQ(shows(intruder.store_fd, LATER), 0);
	close(kept);
	peer_close(&intruder);
	finish();
}

TEST_SECONDS("an intruder who does not leave when told keeps nobody there, and sees nothing new",
	     90)
{
	int status, kept;
	pid_t asker;

	start(NULL);
	kept = t_sys(dup(intruder.store_fd));
	asker = t_sys(fork());
	if (!asker)
		_exit(t_vm_setting_put(&d, "intruder", "sched.mem.pshare.salt",
				       "{\"salt\":\"blue\"}") != 200);
	REQUIRE_EQ(peer_hear(&intruder, PS_MSG_LEAVE, ANSWER_MS), PS_MSG_LEAVE);
	nothing_new(kept); /* it has not said LEFT */
	REQUIRE(!t_wait(asker, 40, &status));
	CHECK_NE(status, 0); /* who asked is told that it did not obey */
	CHECK_EQ(shows(kept, LATER), 0);
	close(kept);
	peer_close(&intruder);
	finish();
}

TEST_SECONDS("after the policy took its salt from it an intruder sees nothing new", 90)
{
	const char *extra[] = {"--policy", NULL, NULL};
	char path[256], domain[16] = "", body[4096], *at;
	int kept;
	FILE *f;

	snprintf(path, sizeof(path), "%s/policy", test_dir());
	f = fopen(path, "we");
	REQUIRE(f != NULL);
	fputs("# nothing yet\n", f);
	fclose(f);
	extra[1] = path;
	start(extra);
	kept = t_sys(dup(intruder.store_fd));
	REQUIRE_EQ(t_http(&d, "GET", "/v1/vms/a", NULL, body, sizeof(body)), 200);
	at = strstr(body, "\"domain\":\"");
	REQUIRE(at != NULL && sscanf(at + 10, "%8[0-9a-f]", domain) == 1);
	/* of its own user all lose it: a and b are alone from now on, and no longer with it */
	f = fopen(path, "we");
	REQUIRE(f != NULL);
	fprintf(f, "[salt %s]\nuid = %u\n", domain, (unsigned int)geteuid() + 1);
	fclose(f);
	REQUIRE_SYS(kill(d.pid, SIGHUP));
	say_left();
	REQUIRE_EQ(peer_hear(&intruder, PS_MSG_DOMAIN, ANSWER_MS), PS_MSG_DOMAIN);
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&a, 0) == 0 && fv_shared(&b, 0) == 0);
	fv_pool(&a, 0, 0, EQUAL, LATER);
	fv_pool(&a, 0, EQUAL, EQUAL, LATER); /* it shares with itself */
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&a, 0) >= EQUAL);
	CHECK_EQ(shows(kept, LATER), 0);
	CHECK_EQ(shows(intruder.store_fd, LATER), 0);
	close(kept);
	peer_close(&intruder);
	finish();
}
