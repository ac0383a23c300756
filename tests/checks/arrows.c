// SPDX-License-Identifier: LGPL-2.1-or-later
/* scripts/check-arrows sees each of its rules broken, and lets through what is right. */
#include "checks/tree.h"

/* The file is the only one of a tree: status, and this text in what is said. */
static void arrows(const char *path, const char *text, int status, const char *said)
{
	tree_write(path, text);
	CHECK_EQ(TREE_CHECK("check-arrows", test_dir()), status);
	CHECK_IN(said, tree_out);
}

TEST("check-arrows lets headers of one's own folder and of those below through")
{
	tree_write("src/daemon/x.h", "");
	arrows("src/daemon/x.c",
	       "#include \"x.h\"\n#include \"daemon/x.h\"\n#include \"policy/a.h\"\n"
	       "#include \"sys/b.h\"\n#include \"wire/wire.h\"\n#include <stdio.h>\n",
	       0, "");
}

TEST("check-arrows sees a header of a folder that is not below")
{
	arrows("src/policy/x.c", "\n#include \"sys/uffd.h\"\n", 1,
	       "src/policy/x.c:2: \"sys/uffd.h\": policy may not depend on sys");
	arrows("src/agent/x.c", "#include \"daemon/store.h\"\n", 1,
	       "src/agent/x.c:1: \"daemon/store.h\": agent may not depend on daemon");
}

TEST("check-arrows sees a way round through .. and a header that is nowhere")
{
	arrows("src/wire/x.c", "#include \"../sys/uffd.h\"\n", 1, "without ..");
	arrows("src/wire/y.c", "#include \"uffd.h\"\n", 1, "not in this folder");
}

TEST("check-arrows sees a system call outside src/sys, and not its name in a comment or string")
{
	arrows("src/agent/x.c",
	       "/* mmap(2) */\n// open()\nint f(void)\n{\n\treturn say(\"ioctl(x)\");\n}\n", 0, "");
	arrows("src/agent/x.c", "int f(void)\n{\n\treturn munmap(0, 1);\n}\n", 1,
	       "src/agent/x.c:3: munmap(): only src/sys makes system calls");
	arrows("src/agent/x.c", "int f(void)\n{\n\treturn p->open(1) + p.read (2);\n}\n", 0, "");
	arrows("src/agent/x.c", "int f(void)\n{\n\treturn sys_open(1) + ring_read(2);\n}\n", 0, "");
	arrows("src/agent/x.c", "#include <linux/userfaultfd.h>\n", 1, "only src/sys talks to");
}

TEST("check-arrows lets src/sys and unit tests make system calls")
{
	tree_write("src/sys/x.c", "#include <linux/fs.h>\nint f(void) { return close(1); }\n");
	arrows("src/daemon/test-x.c",
	       "#include <unistd.h>\n#include \"harness/harness.h\"\nint f(void) { return fork(); }\n",
	       0, "");
}

TEST("check-arrows sees a header in policy that is not pure")
{
	arrows("src/policy/x.c", "#include <string.h>\n", 0, "");
	arrows("src/policy/x.c", "#include <time.h>\n", 1, "<time.h>: policy is pure");
}

TEST("check-arrows sees a folder that has no place")
{
	arrows("src/misc/x.c", "", 1, "src/misc: a folder without a place");
}
