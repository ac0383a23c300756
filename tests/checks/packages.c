// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Packages: what scripts/bootstrap names is linked (scripts/check-packages), and what is installed
 * after a build folder was configured is used from then on (the Makefile).
 *
 * dpkg-query, pkg-config, meson and ninja are our own, in front of the machine's.
 */
#include "checks/tree.h"

#include <stdio.h>
#include <stdlib.h>

static void our_own_first(void)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s:%s", tree_path("bin"), getenv("PATH"));
	setenv("PATH", path, 1);
}

static void packages(const char *meson_build, int status, const char *said)
{
	tree_write("bin/dpkg-query", "#!/bin/sh\n[ $2 = libnone-dev ] && exit 1\n"
				     "echo /usr/lib/pkgconfig/${2%-dev}.pc\n");
	tree_write("scripts/bootstrap", "build='gcc libmoon-dev'\ncheck=\"$build libnone-dev\"\n");
	tree_write("src/meson.build", meson_build);
	our_own_first();
	CHECK_EQ(TREE_CHECK("check-packages", test_dir()), status);
	CHECK_STR(tree_out, said);
}

TEST("check-packages lets a library through that some meson.build asks for")
{
	packages("d = dependency('libmoon', required: false)\n", 0, "");
}

TEST("check-packages sees a library that nothing is linked with")
{
	packages("d = dependency('libsun')\n", 1,
		 "scripts/bootstrap: libmoon-dev: nothing is linked with libmoon\n");
}

/* The Makefile in a tree whose meson wants libmoon; $MOON: it is there. What meson was called with
 * is in meson.log. */
static char meson_log[4096];

static void make(const char *target, const char *moon)
{
	FILE *file = fopen(test_source("Makefile"), "r");
	static char text[1 << 15];

	REQUIRE(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	tree_write("Makefile", text);
	tree_write("scripts/bootstrap", "#!/bin/sh\n");
	tree_write("bin/pkg-config", "#!/bin/sh\n[ $2 = libmoon ] && [ -n \"$MOON\" ]\n");
	tree_write("bin/ninja", "#!/bin/sh\n");
	tree_write(
		"bin/meson",
		"#!/bin/sh\necho \"$*\" >>meson.log\nfor b in build; do mkdir -p $b\n"
		": >$b/build.ninja\n[ -n \"$MOON\" ] && : >$b/lacking || echo libmoon >$b/lacking\n"
		"done\n");
	our_own_first();
	setenv("MOON", moon, 1);
	CHECK_EQ(TEST_RUN(tree_out, sizeof(tree_out), "make", "-C", test_dir(), target), 0);
	file = fopen(tree_path("meson.log"), "r");
	meson_log[file ? fread(meson_log, 1, sizeof(meson_log) - 1, file) : 0] = '\0';
	if (file)
		fclose(file);
}

static unsigned int configured(void)
{
	unsigned int n = 0;

	for (const char *at = meson_log; (at = strstr(at, "setup ")); at++)
		n++;
	return n;
}

TEST("a build folder that lacked a library is configured anew when it is there, and then no more")
{
	make("build/built", "");
	CHECK_EQ(configured(), 1);
	make("build/built", "");
	CHECK_EQ(configured(), 1);
	make("build/built", "yes");
	CHECK_EQ(configured(), 2);
	CHECK_IN("setup --reconfigure build", meson_log);
	make("build/built", "yes");
	CHECK_EQ(configured(), 2);
}
