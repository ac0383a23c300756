/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dangers-unsafe: takes out one defence after the other (dangers.c lists them) and demands that
 * the test of that danger fails. A test that passes without its defence proves nothing.
 */
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>

static void must_fail(const char *unsafe, const char *sentence)
{
	static char out[1 << 20];
	int status;

	setenv("PSHARE_TEST_UNSAFE", unsafe, 1);
	status = TEST_RUN(out, sizeof(out), test_built("tests/test-dangers"), sentence);
	if (strstr(out, "# SKIP"))
		SKIP("%s", strstr(out, "# SKIP") + 7);
	if (status != 1 || !strstr(out, "not ok 1"))
		printf("%s", out);
	REQUIRE_EQ(status, 1);
	REQUIRE_IN("not ok 1", out);
}

#define WITHOUT(unsafe, sentence)                                  \
	TEST_SECONDS("without " unsafe " is seen: " sentence, 200) \
	{                                                          \
		must_fail(unsafe, sentence);                       \
	}

WITHOUT("compare-before", "1 a write between compare and map")
WITHOUT("copy-pinned", "2 a device writes through its pin")
WITHOUT("no-quarantine", "2 a device that kept a plain reference")
WITHOUT("no-discard", "3 what the VMM discards")
WITHOUT("unregister-early", "4 nobody reads zeros")
WITHOUT("punch-early", "5 a frame lives")
WITHOUT("no-fork", "6 a fork of the VMM")
WITHOUT("no-remap", "6 guest memory that moves")
WITHOUT("one-store", "7 no mapping of one domain")
WITHOUT("writable-store", "8 no descriptor outside")
WITHOUT("keep-salt", "9 the salt is in no list")
WITHOUT("any-user", "10 another user")
WITHOUT("settler-mallocs", "12 a fault under malloc")
WITHOUT("ask-daemon", "14 writes are settled")
WITHOUT("register-early", "16 guest memory is still populated")
WITHOUT("no-map-limit", "18 sharing stops short")
