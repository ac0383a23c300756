// SPDX-License-Identifier: LGPL-2.1-or-later
/* scripts/check-symbols sees a symbol too many and one too few. */
#include "checks/tree.h"

static void build_library(void)
{
	tree_write("a.c", "int madvise(void);\nint madvise(void)\n{\n\treturn 0;\n}\n"
			  "int helper(void);\nint helper(void)\n{\n\treturn 1;\n}\n");
	tree_write("src/agent/keep", "");
	if (TEST_RUN(tree_out, sizeof(tree_out), "cc", "-shared", "-fPIC", "-nostdlib", "-o",
		     tree_path("src/agent/libpshare-agent.so"), tree_path("a.c")) != 0)
		SKIP("no compiler to try with: %s", tree_out);
}

static int symbols(const char *list)
{
	tree_write("list.sym", list);
	return TREE_CHECK("check-symbols", test_dir(), tree_path("list.sym"));
}

TEST("check-symbols lets a library through that exports exactly the list")
{
	build_library();
	CHECK_EQ(symbols("{\n/* interposed */\nglobal:\n\tmadvise;\n\thelper;\nlocal:\n\t*;\n};\n"),
		 0);
	CHECK_STR(tree_out, "");
}

TEST("check-symbols sees a symbol that should be hidden, and one that is gone")
{
	build_library();
	CHECK_EQ(symbols("{ global: madvise; munmap; local: *; };\n"), 1);
	CHECK_IN("helper: exported and not in", tree_out);
	CHECK_IN("munmap: in ", tree_out);
	CHECK(!strstr(tree_out, "madvise:"));
}

TEST("check-symbols says so where there is no library")
{
	CHECK_EQ(symbols("{ global: madvise; local: *; };\n"), 77);
	CHECK_IN("libpshare-agent.so is not there", tree_out);
}
