/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/access.h"
#include "policy/test-random.h"

#include <stdio.h>
#include <stdlib.h>

static const uint32_t web = 0x1f2e3d4c, other = 0xabcdef01;

static struct access_policy *parse(const char *text)
{
	struct access_policy *policy = NULL;
	char err[POLICY_ERROR_MAX] = "";
	int r = access_parse(text, strlen(text), &policy, err);

	if (r)
		FAIL("%s", err);
	return policy;
}

static void refuse(const char *text, const char *want)
{
	struct access_policy *kept = (void *)&web, *policy = kept;
	char err[POLICY_ERROR_MAX] = "";

	CHECK_EQ(access_parse(text, strlen(text), &policy, err), -EINVAL);
	CHECK_STR(err, want);
	CHECK(policy == kept);
}

TEST("without a file each uid is a group of its own and may use any salt in it")
{
	struct access_policy *empty = NULL, *const none = NULL;

	REQUIRE_OK(access_parse(NULL, 0, &empty, NULL));
	for (int i = 0; i < 2; i++) {
		const struct access_policy *p = i ? empty : none;

		CHECK_EQ(access_uid_group(p, 1000, NULL), 1000u);
		CHECK_EQ(access_uid_group(p, 1000, &web), 1000u);
		CHECK_NE(access_uid_group(p, 1000, NULL), access_uid_group(p, 1001, NULL));
		CHECK(access_may_use(p, 1000, web));
		CHECK(access_may_use(p, 0, web));
	}
	access_free(empty);
	CHECK(!access_free(NULL));
}

TEST("uids of one meet are one group, with and without a salt; others stay alone")
{
	struct access_policy *p = parse("[meet web]\nuid = 1000, 1001\n[meet db]\nuid=7\n");

	CHECK_EQ(access_uid_group(p, 1000, NULL), access_uid_group(p, 1001, NULL));
	CHECK_EQ(access_uid_group(p, 1000, &web), access_uid_group(p, 1001, NULL));
	CHECK_NE(access_uid_group(p, 1000, NULL), access_uid_group(p, 7, NULL));
	CHECK_EQ(access_uid_group(p, 1002, NULL), 1002u);
	CHECK(access_may_use(p, 1002, web));
	access_free(p);
}

TEST("only the uids of a salt's section may name it, and they meet there")
{
	struct access_policy *p = parse("[salt 1f2e3d4c]\nuid = 1000\nuid = 2000\n");

	CHECK(access_may_use(p, 1000, web));
	CHECK(access_may_use(p, 2000, web));
	CHECK(!access_may_use(p, 1001, web));
	CHECK(!access_may_use(p, 0, web));
	CHECK(access_may_use(p, 1001, other));
	CHECK_EQ(access_uid_group(p, 1000, &web), access_uid_group(p, 2000, &web));
	CHECK_NE(access_uid_group(p, 1000, &other), access_uid_group(p, 2000, &other));
	CHECK_NE(access_uid_group(p, 1000, NULL), access_uid_group(p, 2000, NULL));
	access_free(p);
}

TEST("a salt's section fences out even those who meet, and joins those who do not")
{
	struct access_policy *p = parse("[meet a]\nuid=1,2\n[salt 1F2E3D4C]\nuid=2,3\n");

	CHECK(!access_may_use(p, 1, web));
	CHECK_EQ(access_uid_group(p, 2, &web), access_uid_group(p, 3, &web));
	CHECK_NE(access_uid_group(p, 1, &web), access_uid_group(p, 2, &web));
	CHECK_EQ(access_uid_group(p, 1, NULL), access_uid_group(p, 2, NULL));
	CHECK_NE(access_uid_group(p, 2, NULL), access_uid_group(p, 3, NULL));
	access_free(p);
}

TEST("comments, empty lines, spaces, tabs, carriage returns and a missing last newline are fine")
{
	struct access_policy *p =
		parse("# all\r\n\r\n; too\n  [ meet   web ]  \r\n\tuid\t=\t1 ,2,\t3\r\n"
		      "uid=4");

	for (uint32_t uid = 2; uid <= 4; uid++)
		CHECK_EQ(access_uid_group(p, uid, NULL), access_uid_group(p, 1, NULL));
	access_free(p);
	p = parse("");
	CHECK_EQ(access_uid_group(p, 5, NULL), 5u);
	access_free(p);
	p = parse("\n\n# nothing\n");
	CHECK_EQ(access_uid_group(p, 5, NULL), 5u);
	access_free(p);
}

TEST("a group keeps its number when sections move, so that a reload moves no VM")
{
	struct access_policy *p = parse("[meet a]\nuid=1\n[meet b]\nuid=2\n");
	struct access_policy *q =
		parse("[meet b]\nuid=2\n[salt 00000001]\nuid=9\n[meet a]\nuid=1,3\n");

	CHECK_EQ(access_uid_group(p, 1, NULL), access_uid_group(q, 1, NULL));
	CHECK_EQ(access_uid_group(p, 2, NULL), access_uid_group(q, 2, NULL));
	access_free(p);
	access_free(q);
}

TEST("no uid, however chosen, is the number of a group")
{
	struct access_policy *p = parse("[meet a]\nuid=4294967294\n[salt ffffffff]\nuid=0\n");
	uint32_t all = 0xffffffff;

	CHECK_GT(access_uid_group(p, 4294967294u, NULL), (uint64_t)UINT32_MAX);
	CHECK_GT(access_uid_group(p, 0, &all), (uint64_t)UINT32_MAX);
	CHECK_NE(access_uid_group(p, 4294967294u, NULL), access_uid_group(p, 0, &all));
	access_free(p);
}

static int find_user(const char *name, uint32_t *uid)
{
	if (strcmp(name, "libvirt-qemu") != 0)
		return -ENOENT;
	*uid = 64055;
	return 0;
}

TEST("a user may be named, if he is to be found, and means his number")
{
	static const char *const bad[][2] = {
		{"[meet a]\nuid = 1, nosuch\n",
		 "line 2: no such user 'nosuch': give a name of /etc/passwd, or a number from 0 to "
		 "4294967294"},
		{"[meet a]\nuid = 1x\n",
		 "line 2: bad uid '1x': give numbers from 0 to 4294967294, with commas between"},
	};
	static const char text[] = "[meet a]\nuid = 1, libvirt-qemu\n";
	struct access_policy *p = NULL;
	char err[POLICY_ERROR_MAX] = "";

	REQUIRE_OK(access_parse_names(text, strlen(text), find_user, &p, err));
	CHECK_EQ(access_uid_group(p, 64055, NULL), access_uid_group(p, 1, NULL));
	CHECK_NE(access_uid_group(p, 64056, NULL), access_uid_group(p, 1, NULL));
	access_free(p);
	for (size_t i = 0; i < 2; i++) {
		CHECK_EQ(access_parse_names(bad[i][0], strlen(bad[i][0]), find_user, &p, err),
			 -EINVAL);
		CHECK_STR(err, bad[i][1]);
	}
	CHECK_EQ(access_parse(text, strlen(text), &p, err), -EINVAL);
}

TEST("a bad line is named, with what would do, and nothing is applied")
{
	refuse("[meet a]\nuid = 1\nuid = x\n",
	       "line 3: bad uid 'x': give numbers from 0 to 4294967294, with commas between");
	refuse("[meet a]\nuid = 1,,2\n",
	       "line 2: bad uid '': give numbers from 0 to 4294967294, with commas between");
	refuse("[meet a]\nuid = 1,\n",
	       "line 2: bad uid '': give numbers from 0 to 4294967294, with commas between");
	refuse("[meet a]\nuid =\n",
	       "line 2: bad uid '': give numbers from 0 to 4294967294, with commas between");
	refuse("[meet a]\nuid = 4294967295\n",
	       "line 2: bad uid '4294967295': give numbers from 0 to 4294967294, with commas between");
	refuse("[meet a]\nuid = -1\n",
	       "line 2: bad uid '-1': give numbers from 0 to 4294967294, with commas between");
	refuse("uid = 1\n",
	       "line 1: line before any section 'uid = 1': begin with [meet NAME] or [salt FINGERPRINT]");
	refuse("\n[meet a]\ngid = 1\n",
	       "line 3: unknown line 'gid = 1': write uid = NUMBER, ... or a section in [ ]");
	refuse("[meet a]\nuid\n",
	       "line 2: unknown line 'uid': write uid = NUMBER, ... or a section in [ ]");
	refuse("[meet a\nuid = 1\n",
	       "line 1: section without its ] '[meet a': write [meet NAME] or [salt FINGERPRINT]");
	refuse("[", "line 1: section without its ] '[': write [meet NAME] or [salt FINGERPRINT]");
	refuse("[]", "line 1: unknown section '[]': write [meet NAME] or [salt FINGERPRINT]");
	refuse("[allow a]",
	       "line 1: unknown section '[allow a]': write [meet NAME] or [salt FINGERPRINT]");
	refuse("[meet]", "line 1: bad name '': use 1 to 64 of A-Z a-z 0-9 . _ -");
	refuse("[meet a b]", "line 1: bad name 'a b': use 1 to 64 of A-Z a-z 0-9 . _ -");
	refuse("[salt 123]",
	       "line 1: bad fingerprint '123': give the 8 hex digits that pshare shows");
	refuse("[salt 1234567g]",
	       "line 1: bad fingerprint '1234567g': give the 8 hex digits that pshare shows");
	refuse("[meet a]\n[meet b]\nuid = 1\n",
	       "line 1: section without a uid: add uid = NUMBER, ...");
	refuse("[meet a]\nuid = 1\n[salt 00000000]\n",
	       "line 3: section without a uid: add uid = NUMBER, ...");
	refuse("[meet a]\nuid = 1\n[meet a]\nuid = 2\n",
	       "line 3: second section '[meet a]': name all its uids in the first one");
	refuse("[salt abcdef01]\nuid = 1\n[salt ABCDEF01]\nuid = 2\n",
	       "line 3: second section '[salt ABCDEF01]': name all its uids in the first one");
	refuse("[meet a]\nuid = 1, 5\n[meet b]\nuid = 5\n",
	       "line 4: uid 5 is in another [meet] since line 2: a uid may be in one");
}

TEST("a zero byte in the file is refused")
{
	static const char text[] = "[meet a]\nuid = 1\0\n";
	struct access_policy *policy = NULL;
	char err[POLICY_ERROR_MAX] = "";

	CHECK_EQ(access_parse(text, sizeof(text) - 1, &policy, err), -EINVAL);
	CHECK_STR(err, "line 2: a zero byte: this is no text file");
}

TEST("a uid named twice in one section is in it once")
{
	struct access_policy *p = parse("[meet a]\nuid = 1, 1\nuid = 1\n");

	CHECK_GT(access_uid_group(p, 1, NULL), (uint64_t)UINT32_MAX);
	access_free(p);
}

TEST("too large a file and too many sections are refused")
{
	size_t size = 64 * (ACCESS_SECTIONS_MAX + 1), at = 0;
	struct access_policy *policy = NULL;
	char *text = calloc(1, ACCESS_FILE_MAX + 1), err[POLICY_ERROR_MAX] = "";

	REQUIRE(text && size <= ACCESS_FILE_MAX);
	CHECK_EQ(access_parse(text, ACCESS_FILE_MAX + 1, &policy, err), -EINVAL);
	CHECK_STR(err, "the file has 1048577 bytes: 1048576 are allowed");
	for (unsigned int i = 0; i <= ACCESS_SECTIONS_MAX; i++)
		at += snprintf(text + at, ACCESS_FILE_MAX - at, "[meet m%u]\nuid = %u\n", i, i);
	CHECK_EQ(access_parse(text, at, &policy, err), -EINVAL);
	CHECK_STR(err, "line 8193: too many sections: 4096 are allowed");
	free(text);
}

TEST("fingerprints are exactly 8 hex digits in either case")
{
	static const char *const wrong[] = {"",		"1234567",  "123456789",   "1234567g",
					    " 1234567", "0x123456", "1234567\x1a", "-1234567",
					    "1234567@"};
	uint32_t n = 5;

	CHECK_OK(access_fingerprint_parse("DeadBeef", 8, &n));
	CHECK_EQ(n, 0xdeadbeefu);
	CHECK_OK(access_fingerprint_parse("00000000", 8, &n));
	CHECK_EQ(n, 0u);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_EQ(access_fingerprint_parse(wrong[i], strlen(wrong[i]), &n), -EINVAL);
	CHECK_EQ(n, 0u);
}

TEST("many uids in many sections: the parsed policy answers as the model that wrote the file")
{
	enum { UIDS = 200, MEETS = 20, SALTS = 10 };
	static char text[1 << 16];
	struct rng rng = {8};

	for (int round = 0; round < 50; round++) {
		int meet[UIDS];
		bool salt[SALTS][UIDS];
		struct access_policy *p;
		size_t at = 0;

		for (int u = 0; u < UIDS; u++)
			meet[u] = (int)rng_below(&rng, MEETS + 1) - 1;
		for (int m = 0; m < MEETS; m++) {
			at += sprintf(text + at, "[meet m%d]\nuid = %d", m, UIDS + m);
			for (int u = 0; u < UIDS; u++)
				if (meet[u] == m)
					at += sprintf(text + at, ", %d", u);
			at += sprintf(text + at, "\n");
		}
		for (int s = 0; s < SALTS; s++) {
			at += sprintf(text + at, "[salt %08x]\nuid = %d", s, UIDS + MEETS);
			for (int u = 0; u < UIDS; u++) {
				salt[s][u] = !rng_below(&rng, 4);
				if (salt[s][u])
					at += sprintf(text + at, "\nuid = %d", u);
			}
			at += sprintf(text + at, "\n");
		}
		p = parse(text);
		for (int i = 0; i < 2000; i++) {
			uint32_t a = rng_below(&rng, UIDS), b = rng_below(&rng, UIDS);
			uint32_t s = rng_below(&rng, SALTS);
			bool same = a == b || (meet[a] >= 0 && meet[a] == meet[b]);
			bool inside = salt[s][a] && salt[s][b];

			CHECK_EQ(access_may_use(p, a, s), salt[s][a]);
			CHECK_EQ(access_uid_group(p, a, NULL) == access_uid_group(p, b, NULL),
				 same);
			if (salt[s][a] == salt[s][b])
				CHECK_EQ(access_uid_group(p, a, &s) == access_uid_group(p, b, &s),
					 inside || same);
		}
		access_free(p);
	}
}

TEST("no garbage makes the parser do anything but refuse")
{
	static const char alphabet[] = "[]meetsaltuid=,0123456789abcf \n\n\t#;\0\xff";
	struct rng rng = {9};
	char text[120] = "", err[POLICY_ERROR_MAX];

	for (int i = 0; i < 100000; i++) {
		size_t len = rng_below(&rng, sizeof(text));
		struct access_policy *policy = NULL;
		char *exact = malloc(len ? len : 1); /* so that a read past the end is seen */

		for (size_t n = 0; n < len; n++)
			text[n] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
		memcpy(exact, text, len);
		*err = '\0';
		if (access_parse(exact, len, &policy, err)) {
			CHECK(!policy && *err && !strchr(err, '\n'));
		} else {
			access_free(policy);
		}
		free(exact);
	}
}
