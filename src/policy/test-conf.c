// SPDX-License-Identifier: LGPL-2.1-or-later
/* Files of settings: whole or not at all. */
#include <string.h>

#include "harness/harness.h"
#include "policy/conf.h"

static char err[POLICY_ERROR_MAX];
static struct conf conf;

static int parse(const char *text)
{
	*err = '\0';
	return conf_parse(text, strlen(text), &conf, err);
}

static void refused(const char *text, const char *part)
{
	struct conf before;

	memset(&conf, 7, sizeof(conf));
	before = conf;
	CHECK_EQ(parse(text), -EINVAL);
	if (!strstr(err, part))
		FAIL("no \"%s\" in: %s", part, err);
	CHECK_EQ(memcmp(&before, &conf, sizeof(conf)), 0);
}

TEST("lines are settings, comments or nothing; spaces and case do not matter")
{
	CHECK_OK(parse("# first\n\n  mem.sharescantime=30\nMem.ShareRateMax =\t7 # why\n"));
	CHECK_EQ(conf.value[SETTING_SHARE_SCAN_TIME], 30);
	CHECK_EQ(conf.line[SETTING_SHARE_SCAN_TIME], 3);
	CHECK_EQ(conf.value[SETTING_SHARE_RATE_MAX], 7);
	CHECK_EQ(conf.line[SETTING_SHARE_RATE_MAX], 4);
	CHECK_EQ(conf.line[SETTING_SHARE_ZERO_ONLY], 0);
	CHECK_OK(parse(""));
	CHECK_OK(parse("Mem.ShareScanTime = 1")); /* no newline at the end */
}

TEST("one mistake refuses the file, names the line, and leaves what was there")
{
	refused("Mem.ShareScanTime = 30\nMem.ShareScanTime = 31\n", "line 2: Mem.ShareScanTime is");
	refused("\nMem.Sharescantim = 1\n", "line 2: no host setting");
	refused("Mem.ShareScanTime = 601\n", "line 1: Mem.ShareScanTime cannot be '601'");
	refused("Mem.ShareScanTime\n", "line 1: \"Mem.ShareScanTime\" is no setting");
	refused("= 7\n", "line 1");
	refused("sched.mem.pshare.enable = FALSE\n", "line 1");
	refused("[host]\nMem.ShareScanTime = 1\n", "line 1");
}

TEST("what is no text is refused")
{
	static char large[CONF_FILE_MAX + 2];
	char longer[CONF_LINE_MAX + 64];

	CHECK_EQ(conf_parse("Mem.ShareScanTime = 1\0", 22, &conf, err), -EINVAL);
	CHECK_EQ(conf_parse("Mem.ShareScanTime\0 = 1", 22, &conf, err), -EINVAL);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	refused(longer, "bytes long");
	memset(large, '\n', sizeof(large) - 1);
	refused(large, "64 KiB");
}

TEST("what is written reads back as it was")
{
	char text[4096];
	struct conf read;
	int n;

	CHECK_OK(parse("Mem.ShareScanTime = 30\nMem.ShareZeroOnly = 1\n"));
	n = conf_format(&conf, text, sizeof(text));
	CHECK(n > 0);
	CHECK_EQ((size_t)n, strlen(text));
	CHECK_OK(conf_parse(text, (size_t)n, &read, err));
	for (int id = 0; id < SETTING_HOST_END; id++) {
		CHECK_EQ(!read.line[id], !conf.line[id]);
		if (conf.line[id])
			CHECK_EQ(read.value[id], conf.value[id]);
	}
	CHECK_EQ(conf_format(&conf, text, 10), -ENOSPC);
}
