// SPDX-License-Identifier: LGPL-2.1-or-later
/* scripts/check-style sees each of its rules broken, and lets through what is right. */
#include "checks/tree.h"

#include <stdio.h>

#define HEAD "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"

static void style(const char *path, const char *text, int status, const char *said)
{
	tree_write(path, text);
	CHECK_EQ(TREE_CHECK("check-style", test_dir()), status);
	CHECK_IN(said, tree_out);
}

TEST("check-style lets a tidy file through")
{
	style("a.c", HEAD "int f(void)\n{\n\treturn 0;\n}\n", 0, "");
	CHECK_STR(tree_out, "");
}

TEST("check-style sees a file without its licence line, and asks none of what has no comments")
{
	style("README.md", "# pshare\n", 0, "");
	style("a.c", "int f(void);\n", 1, "a.c:1: no SPDX-License-Identifier");
}

TEST("check-style sees blanks at the end, blanks as indent and a missing newline")
{
	style("a.c", HEAD "int a; \n", 1, "a.c:2: blanks at the end of the line");
	style("a.c", HEAD "    int a;\n", 1, "a.c:2: indented with blanks");
	style("a.c", HEAD "int a;", 1, "a.c:2: no newline at the end of the file");
}

TEST("check-style sees a line of more than 100 columns, tabs counted as 8, but not a long message")
{
	char text[512];

	snprintf(
		text, sizeof(text), HEAD "\t\t/* %.*s */\n", 80,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	style("a.c", text, 1, "a.c:2: 102 columns, at most 100");
	snprintf(
		text, sizeof(text), HEAD "\t\tsay(\"%.*s\");\n", 80,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	style("a.c", text, 0, "");
}

TEST("check-style sees what was left for later and the path of one machine")
{
	style("a.c",
	      HEAD "/* TO"
		   "DO: more */\n",
	      1, "a.c:2: left for later");
	style("a.c",
	      HEAD "/* see /wo"
		   "rk/main/x */\n",
	      1, "a.c:2: path of one machine");
	style("a.c", HEAD "/* mkdtemp(XXXXXX), /run/pshare, tests/work/ */\n", 0, "");
}

TEST("check-style sees a C file of more than 800 lines")
{
	char text[8192];
	int len = snprintf(text, sizeof(text), HEAD);

	for (int i = 0; i < 800; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "int a;\n");
	style("a.c", text, 1, "a.c:801: 801 lines, at most 800");
}

TEST("check-style sees what clang-format would lay out otherwise, where it is installed")
{
	char format[16384] = "";
	FILE *file = fopen(test_source(".clang-format"), "r");

	if (TEST_RUN(NULL, 0, "clang-format-14", "--version") != 0)
		SKIP("clang-format-14 is not installed");
	REQUIRE(file);
	CHECK_GT(fread(format, 1, sizeof(format) - 1, file), 0);
	fclose(file);
	tree_write(".clang-format", format);
	style("a.c", HEAD "int f(void) {\n\treturn 0;\n}\n", 1, "a.c:2: not as clang-format-14");
	style("a.c", HEAD "int f(void)\n{\n\treturn 0;\n}\n", 0, "");
}
