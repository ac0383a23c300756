// SPDX-License-Identifier: LGPL-2.1-or-later
/* scripts/bootstrap, with dpkg-query, id and apt-get of our own in front of the machine's. */
#include "checks/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ALL_INSTALLED                                                     \
	"#!/bin/sh\nshift 2\nfor p in \"$@\"; do [ $p = \"$LACKS\" ] || " \
	"echo \"$p ii \"; done\n"

static int bootstrap(const char *mode, const char *lacks, const char *uid)
{
	char path[1024], id[64];

	snprintf(path, sizeof(path), "%s:%s", tree_path("bin"), getenv("PATH"));
	snprintf(id, sizeof(id), "#!/bin/sh\necho %s\n", uid);
	tree_write("bin/dpkg-query", ALL_INSTALLED);
	tree_write("bin/id", id);
	tree_write("bin/apt-get", "#!/bin/sh\necho \"apt-get $*\"\nexit ${APT_FAILS:-0}\n");
	setenv("PATH", path, 1);
	setenv("LACKS", lacks, 1);
	return TREE_CHECK("bootstrap", mode);
}

TEST("bootstrap does and says nothing where nothing is missing")
{
	static const char *const modes[] = {"build", "check", "demo", "bench", "lint"};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		CHECK_EQ(bootstrap(modes[i], "", "0"), 0);
		CHECK_STR(tree_out, "");
	}
}

TEST("bootstrap installs what is missing as root, and says what")
{
	CHECK_EQ(bootstrap("check", "mmdebstrap", "0"), 0);
	CHECK_IN("`check' needs packages that are not installed: mmdebstrap\n", tree_out);
	CHECK_IN("install --no-install-recommends mmdebstrap\n", tree_out);
	CHECK_EQ(bootstrap("build", "mmdebstrap", "0"), 0);
	CHECK_STR(tree_out, "");
}

TEST("bootstrap tells another user what to run, in one line")
{
	CHECK_EQ(bootstrap("build", "meson", "1000"), 1);
	CHECK_STR(tree_out, "bootstrap: packages are missing; as root: apt-get install meson\n");
}

TEST("bootstrap fails when the installation does, after a try with fresh lists")
{
	setenv("APT_FAILS", "100", 1);
	CHECK_NE(bootstrap("build", "meson", "0"), 0);
	CHECK_IN("once more with fresh package lists", tree_out);
}

TEST("bootstrap refuses a mode that it does not know, in one line")
{
	CHECK_EQ(bootstrap("everything", "", "0"), 2);
	CHECK_STR(tree_out, "bootstrap: \"everything\" is no mode; use one of: build check demo "
			    "bench kernels fuzz lint web deb\n");
}
