/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"

#include "policy/loopback.h"

TEST("an address of the host itself is taken, with its port")
{
	char err[POLICY_ERROR_MAX];
	struct loopback l;

	CHECK_EQ(loopback_parse("9117", &l, err), 0);
	CHECK(!l.six && l.four[0] == 127 && l.four[3] == 1 && l.port == 9117);
	CHECK_EQ(loopback_parse("127.0.0.1:0", &l, err), 0);
	CHECK_EQ(l.port, 0);
	CHECK_EQ(loopback_parse("127.1.2.3:65535", &l, err), 0);
	CHECK_EQ(l.four[2], 2);
	CHECK_EQ(l.port, 65535);
	CHECK_EQ(loopback_parse("[::1]:80", &l, err), 0);
	CHECK(l.six && l.port == 80);
	CHECK_EQ(loopback_parse("localhost:80", &l, err), 0);
	CHECK(!l.six);
}

TEST("an address that others could reach, or that is none, is refused with a line")
{
	static const char *const bad[] = {
		"",
		"0.0.0.0:80",
		"192.168.1.1:80",
		"[::]:80",
		"::1:80",
		"*:80",
		"host:80",
		"128.0.0.1:80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0:80",
		"127.0.0.1.:80",
		"127.0.0.256:1",
		"1270.0.0.1:80",
		"127.0.0.1:65536",
		"127.0.0.1:80x",
		"-1",
		"65536",
		"[::1]80",
		"localhost",
		"localhost.evil:80",
		"127.0.0.1.evil:80",
		"000000000000000000000000080",
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char err[POLICY_ERROR_MAX] = "";
		struct loopback l;

		CHECK_EQ(loopback_parse(bad[i], &l, err), -EINVAL);
		CHECK_IN("127.0.0.1:PORT", err);
	}
}

TEST("a Host header is the host's own, or another's who has his name resolve to us")
{
	static const char *const good[] = {"localhost",	     "LOCALHOST:9117", "127.0.0.1",
					   "127.0.0.1:9117", "[::1]",	       "[::1]:1"};
	static const char *const bad[] = {"",
					  "evil.example",
					  "evil.example:9117",
					  "localhost.evil.example",
					  "127.0.0.1.evil.example",
					  "127.0.0.1:x",
					  "127.0.0.1:",
					  "127.0.0.1:80@evil",
					  "[::1",
					  "0.0.0.0",
					  "10.0.0.1",
					  "localhost:99999"};

	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(loopback_host(good[i]));
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!loopback_host(bad[i]));
	CHECK(!loopback_host(NULL));
}
