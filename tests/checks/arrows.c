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
	tree_write("src/daemon/list.h", "");
	arrows("src/daemon/loop.c",
	       "#include \"list.h\"\n#include \"daemon/list.h\"\n#include \"policy/a.h\"\n"
	       "#include \"sys/b.h\"\n#include \"wire/wire.h\"\n#include <stdio.h>\n",
	       0, "");
}

TEST("check-arrows sees a header of a folder that is not below")
{
	arrows("src/policy/x.c", "\n#include \"sys/uffd.h\"\n", 1,
	       "src/policy/x.c:2: \"sys/uffd.h\": policy may not depend on sys");
	arrows("src/agent/say.c", "#include \"daemon/store.h\"\n", 1,
	       "src/agent/say.c:1: \"daemon/store.h\": agent may not depend on daemon");
}

TEST("check-arrows sees a way round through .. and a header that is nowhere")
{
	arrows("src/wire/x.c", "#include \"../sys/uffd.h\"\n", 1, "without ..");
	arrows("src/wire/y.c", "#include \"uffd.h\"\n", 1, "not in this folder");
}

TEST("check-arrows sees a system call outside src/sys, and not its name in a comment or string")
{
	arrows("src/agent/say.c",
	       "/* mmap(2) */\n// open()\nint f(void)\n{\n\treturn say(\"ioctl(x)\");\n}\n", 0, "");
	arrows("src/agent/say.c", "int f(void)\n{\n\treturn munmap(0, 1);\n}\n", 1,
	       "src/agent/say.c:3: munmap(): only src/sys makes system calls");
	arrows("src/agent/say.c", "int f(void)\n{\n\treturn p->open(1) + p.read (2);\n}\n", 0, "");
	arrows("src/agent/say.c", "int f(void)\n{\n\treturn sys_open(1) + ring_read(2);\n}\n", 0,
	       "");
	arrows("src/agent/say.c", "#include <linux/userfaultfd.h>\n", 1, "only src/sys talks to");
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

TEST("check-arrows lets a noun include what stands below it, and beside it")
{
	tree_write("src/daemon/host.h", "#include \"daemon/daemon.h\"\n");
	tree_write("src/daemon/daemon.h", "#include \"daemon/list.h\"\n");
	tree_write("src/daemon/list.h", "");
	arrows("src/daemon/host.c", "#include \"daemon/host.h\"\n#include \"list.h\"\n", 0, "");
}

TEST("check-arrows sees an arrow upward, by the whole name and by the bare one")
{
	tree_write("src/daemon/vm.h", "");
	arrows("src/daemon/host.c", "\n#include \"daemon/vm.h\"\n", 1,
	       "src/daemon/host.c:2: vm stands above host");
	arrows("src/daemon/host.c", "#include \"vm.h\"\n", 1, "vm stands above host");
	tree_write("src/agent/worker.h", "");
	arrows("src/agent/place.h", "#include \"agent/worker.h\"\n", 1,
	       "src/agent/place.h:1: worker stands above place");
}

TEST("check-arrows sees a circle on one level")
{
	tree_write("src/daemon/session.h", "");
	tree_write("src/daemon/vm.h", "");
	tree_write("src/daemon/user.h", "#include \"daemon/session.h\"\n");
	tree_write("src/daemon/session.c", "#include \"daemon/vm.h\"\n");
	arrows("src/daemon/vm.c", "\n#include \"daemon/user.h\"\n", 1,
	       "a circle: session -> vm -> user -> session");
}

TEST("check-arrows sees a noun without a level, and says where to add it")
{
	arrows("src/agent/misc.c", "", 1,
	       "src/agent/misc.c: \"misc\" stands on no level: add it to LEVELS[\"agent\"]");
	arrows("src/daemon/misc.h", "", 1, "add it to LEVELS[\"daemon\"]");
}

TEST("check-arrows sees a level of a noun that is gone")
{
	tree_write("src/daemon/list.h", "");
	arrows("src/daemon/meson.build", "", 1, "src/daemon: there is no mainloop any more");
}

TEST("check-arrows lets agent.h have the structs of others, which may not include it")
{
	tree_write("src/agent/walk.h", "");
	tree_write("src/agent/walk.c", "#include \"agent/agent.h\"\n");
	arrows("src/agent/agent.h", "#include \"agent/walk.h\"\n", 0, "");
	arrows("src/agent/agent.c", "#include \"agent/walk.h\"\n", 1, "walk stands above agent");
	tree_write("src/agent/agent.c", "");
	arrows("src/agent/walk.h", "#include \"agent/agent.h\"\n", 1,
	       "headers in a circle: agent -> walk -> agent");
}
