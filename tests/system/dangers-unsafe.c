/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dangers-unsafe: takes out one defence after the other (src/sys/unsafe.h lists them) and demands
 * that the test of that danger fails. A test that passes without its defence proves nothing.
 */
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>

#define HANGS_SECONDS "15"

/* Has it been said: one of the alternatives, "|" between? */
static bool is_said(const char *out, const char *why)
{
	char part[128];

	for (const char *end; *why; why = *end ? end + 1 : end) {
		end = strchrnul(why, '|');
		snprintf(part, sizeof(part), "%.*s", (int)(end - why), why);
		if (strstr(out, part))
			return true;
	}
	return false;
}

/* why: what the failed test must have said, so that it failed for the danger's sake. */
static void must_fail(const char *program, const char *unsafe, const char *sentence,
		      const char *why)
{
	static char out[1 << 20];
	int status;

	setenv("PSHARE_TEST_UNSAFE", unsafe, 1);
	setenv("FAKEVMM_SECONDS", HANGS_SECONDS, 1);
	status = TEST_RUN(out, sizeof(out), test_built(program), sentence);
	if (strstr(out, "# SKIP"))
		SKIP("%s", strstr(out, "# SKIP") + 7);
	if (status != 1 || !strstr(out, "not ok 1") || !is_said(out, why))
		printf("%s", out);
	REQUIRE_EQ(status, 1);
	REQUIRE_IN("not ok 1", out);
	if (!is_said(out, why))
		FAIL("it failed, but did not say \"%s\"", why);
}

/* With more time between the steps, or something else out that another defence makes up for. */
static void must_pass(const char *program, const char *unsafe, const char *sentence)
{
	static char out[1 << 20];
	int status;

	setenv("PSHARE_TEST_UNSAFE", unsafe, 1);
	status = TEST_RUN(out, sizeof(out), test_built(program), sentence);
	if (strstr(out, "# SKIP"))
		SKIP("%s", strstr(out, "# SKIP") + 7);
	if (status)
		printf("%s", out);
	REQUIRE_EQ(status, 0);
	REQUIRE_IN("ok 1", out);
}

#define WITHOUT_IN(program, unsafe, sentence, why)                 \
	TEST_SECONDS("without " unsafe " is seen: " sentence, 200) \
	{                                                          \
		must_fail(program, unsafe, sentence, why);         \
	}
#define WITHOUT(unsafe, sentence, why) WITHOUT_IN("tests/test-dangers", unsafe, sentence, why)

WITHOUT("compare-before", "1 a write between compare and map", "wrong")
WITHOUT("copy-pinned", "2 a device writes through its pin", "wrong")
/* The page is gone already, or goes with what was written. */
WITHOUT("no-quarantine", "2 a device that kept a plain reference", "ESRCH|word_of(&a, page")
WITHOUT("no-discard", "3 what the VMM discards", "wrong")
WITHOUT("unregister-early", "4 nobody reads zeros", "wrong")
WITHOUT("punch-early", "5 a frame lives", "wrong")
WITHOUT("no-fork", "6 a fork of the VMM", "forked child")
WITHOUT("no-remap", "6 guest memory that moves", "VM a")
WITHOUT("one-store", "7 no mapping of one domain", "find_by_growing")
WITHOUT("writable-store", "8 no descriptor outside", "writable_stores")
WITHOUT("keep-salt", "9 the salt is in no list", "in_memory")
WITHOUT("any-user", "10 another user", "frames_in_common")
WITHOUT("all-guarded,settler-mallocs", "12 a fault under malloc", "hangs")
WITHOUT("all-guarded,ask-daemon", "14 writes are settled", "hangs")
WITHOUT("register-early", "16 guest memory is still populated", "huge")
WITHOUT("no-map-limit", "18 sharing stops short", "max")
WITHOUT_IN("tests/test-flow", "keep-store", "who was made to leave sees nothing new",
	   "PS_MSG_LEAVE")
WITHOUT_IN("tests/test-intruder", "keep-store", "after its salt was changed against its will",
	   "shows(kept")
WITHOUT_IN("tests/test-intruder", "keep-store", "an intruder who does not leave when told",
	   "shows(kept")
WITHOUT_IN("tests/test-intruder", "one-store", "an intruder reads all that its own domain shares",
	   "other.store_fd")
WITHOUT_IN("tests/test-quotas", "believe-claims", "claims of memory that nobody has", "after")

/* What pshare audit finds of it, from outside. */
#define AUDIT "tests/test-audit"
#define ALL_WELL "where VMs of two salts and two users share as they may"

WITHOUT_IN(AUDIT, "one-store", ALL_WELL, "store")
WITHOUT_IN(AUDIT, "writable-store", ALL_WELL, "can write")
WITHOUT_IN(AUDIT, "punch-early", ALL_WELL, "books")
WITHOUT_IN(AUDIT, "any-user", ALL_WELL, "may not share")

#define BROKEN "tests/test-broken"

WITHOUT_IN(BROKEN, "no-discard", "a broken page that is discarded", "wrong")
WITHOUT_IN(BROKEN, "no-discard", "its slot is filled anew", "wrong")
WITHOUT_IN(BROKEN, "no-close,pause-batch", "a write in each moment of a batch", "wrong")
WITHOUT_IN(BROKEN, "stale-fault,slow-settler,pause-batch", "writes after a fault", "wrong")
WITHOUT_IN(BROKEN, "no-pin-test", "a device writes through its pin into a broken page", "wrong")
WITHOUT_IN(BROKEN, "no-pin-test,no-keep", "a page that was shared again comes", "guest_has")
WITHOUT_IN(BROKEN, "no-pin-test,no-keep", "a page that was brought back comes", "guest_has")

#define COLD "tests/test-cold"

WITHOUT_IN(COLD, "no-cold-gate", "a staged page comes back", "wrong")
WITHOUT_IN(COLD, "twin-unseen", "1 a page that is out is compared", "p.shared")
WITHOUT_IN(COLD, "no-stage-rest", "2 a device writes late into a staged page", "ESRCH|0x6c617465u")
WITHOUT_IN(COLD, "keep-out", "3 what is out and discarded", "wrong")
WITHOUT_IN(COLD, "show-damaged", "a flipped bit in the swap file", "wrong")
WITHOUT_IN(COLD, "fds-unheld", "a VMM that closes the descriptor of accesses", "wrong")
WITHOUT_IN(COLD, "move-untold,believe-move", "4 what was moved is whole", "wrong")
WITHOUT_IN(COLD, "slow-disk,one-reader", "14 nobody waits for another page's disk", "waited")
WITHOUT_IN(COLD, "slow-twin,leave-early", "5 a twin that is coming in", "wrong")
WITHOUT_IN(COLD, "slow-write,old-note", "1 a page that is compressed anew", "wrong")
WITHOUT_IN(COLD, "wait-held", "a huge page that cannot be split", "hangs")
WITHOUT_IN(COLD, "reader-asks", "14 nobody waits for a daemon that has stopped", "hangs")

WITHOUT_IN("tests/test-pins", "fork-anyway", "is asked by its descriptors", "FAIL VM a")

#define FORKS "tests/test-forks"
#define EVERY_STATE "pages of every state are forked"

WITHOUT_IN(FORKS, "freeze-stale", EVERY_STATE, "when it was born")
WITHOUT_IN(FORKS, "any-birth", "5 a child whose memory is offered anew", "EBUSY")
WITHOUT_IN(FORKS, "no-discard", EVERY_STATE, "wrong")
WITHOUT_IN(FORKS, "keep-out", EVERY_STATE, "wrong")

/* Long pauses between closing, the test for pins, and mapping. */
#define SLOWLY(sentence)                                    \
	TEST_SECONDS("slow batches: " sentence, 200)        \
	{                                                   \
		must_pass(BROKEN, "pause-batch", sentence); \
	}

SLOWLY("a broken page that is discarded")
SLOWLY("no write is lost while broken pages")
TEST_SECONDS("slow batches, and a slow settler: writes after a fault that is heard of late stay",
	     200)
{
	must_pass(BROKEN, "pause-batch,slow-settler", "writes after a fault that is heard of late");
}
SLOWLY("a write in each moment of a batch")
SLOWLY("a device writes through its pin into a broken page")
SLOWLY("O_DIRECT reads into broken pages")
SLOWLY("a fork() in the middle of batches")
SLOWLY("a _Fork() in the middle of batches")
SLOWLY("a bare clone() in the middle of batches")
SLOWLY("a daemon that dies in the middle of batches")

/* The others are served while two wait for the disk. */
TEST_SECONDS("with a slow disk nobody waits for another page's", 200)
{
	must_pass(COLD, "slow-disk", "14 nobody waits for another page's disk");
}

TEST_SECONDS("with a slow disk what is compressed anew is not what is on it", 200)
{
	must_pass(COLD, "slow-write", "1 a page that is compressed anew");
	must_pass(COLD, "slow-write", "no more goes to the disk than is wanted");
}

TEST_SECONDS("with moves that are not told every page is where it was put", 200)
{
	must_pass(COLD, "move-untold", "4 what was moved is whole");
	must_pass(COLD, "move-untold", "pages in every state are read");
	must_pass(COLD, "move-untold", "huge pages are sampled in one piece");
}

TEST_SECONDS("with a slow reader a VM leaves its domain when its last twin is in", 200)
{
	must_pass(COLD, "slow-twin", "5 a twin that is coming in");
}

/* What no test for pins sees, as a plain reference, comes back from the quarantine. */
TEST_SECONDS("with the pages kept alone a late write into a broken page comes to the guest", 200)
{
	must_pass(BROKEN, "no-pin-test", "a late write into a page that was shared again");
	must_pass(BROKEN, "no-pin-test", "a late write into a page that was brought back");
}
