/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "fleet/config.h"
#include "harness/harness.h"

static char err[FLEET_ERROR_MAX];

static int parse(const char *text, struct fleet_config *config)
{
	char *copy = strdup(text);
	int r = fleet_config_parse(config, copy, err);

	config->text = copy;
	return r;
}

#define GOOD "endpoints = http://a:1, http://b:2/ # two\n\n  host=h1\n"

TEST("a configuration is names and values; what it leaves out has defaults")
{
	_cleanup_fleet_config_ struct fleet_config config = {0};

	REQUIRE_OK(parse(GOOD, &config));
	CHECK_EQ(config.nendpoints, 2u);
	CHECK_STR(config.endpoints[1], "http://b:2");
	CHECK_STR(config.host, "h1");
	CHECK_STR(config.fleet, "default");
	CHECK_EQ(config.ttl_s, 30u);
	CHECK_EQ(config.report_s, 60u);
}

TEST("what is wrong with a configuration is told with its line")
{
	static const char *const bad[][2] = {
		{"", "no endpoints"},
		{"endpoints", "line 1: 'endpoints': write NAME = VALUE"},
		{"endpoints = a:1", "give https://HOST:PORT"},
		{"endpoints = https://a:1", "https needs a ca"},
		{"endpoints = https://", "endpoint 'https://': give https://HOST:PORT"},
		{"endpoints = http://a:1,http://:2379", "endpoint 'http://:2379': give https"},
		{"endpoints = http:///v3", "endpoint 'http:///v3': give https://HOST:PORT"},
		{GOOD "endpoints = http://c:1\n", "line 4: endpoints is given twice"},
		{GOOD "lease-seconds = 9\nlease-seconds = 8\n", "lease-seconds is given twice"},
		{GOOD "report-seconds = 60\nreport-seconds = 60\n", "seconds is given twice"},
		{GOOD "host = h2\n", "line 4: host is given twice"},
		{GOOD "fleet = a/b\n", "line 4: fleet 'a/b' is no name"},
		{GOOD "user = u\n", "user and password-file go together"},
		{GOOD "key = k\n", "certificate and key go together"},
		{GOOD "lease-seconds = 1\n", "lease-seconds '1': give seconds, 3 to 3600"},
		{GOOD "lease-seconds = 9x\n", "give seconds"},
		{GOOD "colour = red\n", "no such word 'colour'"},
		{GOOD "ca =\n", "ca has no value"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_fleet_config_ struct fleet_config config = {0};

		CHECK_EQ(parse(bad[i][0], &config), -EINVAL);
		CHECK_IN(bad[i][1], err);
	}
}

TEST("a password that everybody may read is refused")
{
	_cleanup_fleet_config_ struct fleet_config config = {0};
	char path[256], command[1024], out[256];

	snprintf(path, sizeof(path), "%s/conf", test_dir());
	snprintf(command, sizeof(command),
		 "cd %s && echo secret >pw && chmod 644 pw && printf 'endpoints=http://a:1\\n"
		 "user=u\\npassword-file=%s/pw\\n' >conf",
		 test_dir(), test_dir());
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "sh", "-c", command), 0);
	CHECK_EQ(fleet_config_read(&config, path, err), -EPERM);
	CHECK_IN("may be read by everybody", err);
	fleet_config_free(&config);
	snprintf(command, sizeof(command), "chmod 600 %s/pw", test_dir());
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "sh", "-c", command), 0);
	REQUIRE_OK(fleet_config_read(&config, path, err));
	CHECK_STR(config.password, "secret");
	fleet_config_free(&config);
	CHECK_EQ(fleet_config_read(&config, "/none", err), -ENOENT);
}
