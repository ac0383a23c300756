/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/harness.h"
#include "sys/cgroup.h"

static const char V1_MOUNTS[] =
	"31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
	"34 31 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
	"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
static const char V2_MOUNTS[] =
	"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST("the group of the memory controller is found, of either version")
{
	struct sys_cgroup c = {0};

	REQUIRE_OK(
		sys_cgroup_parse("9:name=systemd:/x\n4:cpu,memory:/a/b\n0::/u\n", V1_MOUNTS, &c));
	CHECK(!c.v2);
	CHECK_STR(c.dir, "/sys/fs/cgroup/memory/a/b");
	CHECK_STR(c.mount, "/sys/fs/cgroup/memory");
	REQUIRE_OK(sys_cgroup_parse("0::/system.slice/pshared.service\n", V2_MOUNTS, &c));
	CHECK(c.v2);
	CHECK_STR(c.dir, "/sys/fs/cgroup/system.slice/pshared.service");
	REQUIRE_OK(sys_cgroup_parse("0::/\n", V2_MOUNTS, &c));
	CHECK_STR(c.dir, "/sys/fs/cgroup");
}

TEST("a mount of part of the tree, as in a container, is where the part begins")
{
	static const char part[] = "9 1 0:26 /box /sys/fs/cgroup rw - cgroup2 none rw\n";
	struct sys_cgroup c = {0};

	REQUIRE_OK(sys_cgroup_parse("0::/box/in\n", part, &c));
	CHECK_STR(c.dir, "/sys/fs/cgroup/in");
	REQUIRE_OK(sys_cgroup_parse("0::/elsewhere\n", part, &c));
	CHECK_STR(c.dir, "/sys/fs/cgroup");
}

TEST("without a memory controller, or with nonsense, there is none")
{
	struct sys_cgroup c = {0};

	CHECK_EQ(sys_cgroup_parse("4:memoryless:/a\n", V1_MOUNTS, &c), -ENOENT);
	CHECK_EQ(sys_cgroup_parse("", V2_MOUNTS, &c), -ENOENT);
	CHECK_EQ(sys_cgroup_parse("0::/a\n", "", &c), -ENOENT);
	CHECK_EQ(sys_cgroup_parse("::\n0\n", "x - cgroup2\n - cgroup \n", &c), -ENOENT);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[320];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	REQUIRE(f);
	fputs(text, f);
	fclose(f);
}

TEST("the group that leaves least counts, and what the kernel can drop does not")
{
	const char *top = test_dir();
	char own[256];
	struct sys_cgroup_memory memory = {0};
	struct sys_cgroup c = {.v2 = true};

	snprintf(own, sizeof(own), "%s/own", top);
	REQUIRE_SYS(mkdir(own, 0700));
	snprintf(c.mount, sizeof(c.mount), "%s", top);
	snprintf(c.dir, sizeof(c.dir), "%s", own);
	put(own, "memory.max", "max\n");
	CHECK_OK(sys_cgroup_memory(&c, &memory));
	CHECK_EQ(memory.limit, UINT64_MAX);
	put(top, "memory.max", "1000000\n");
	put(top, "memory.current", "700000\n");
	put(top, "memory.stat", "anon 1\nfile 300000\ninactive_file 100000\nactive_file 50000\n");
	put(own, "memory.max", "900000\n");
	put(own, "memory.current", "400000\n");
	CHECK_OK(sys_cgroup_memory(&c, &memory));
	CHECK_EQ(memory.limit, 1000000u);
	CHECK_EQ(memory.used, 550000u);
	put(own, "memory.current", "899999\n");
	CHECK_OK(sys_cgroup_memory(&c, &memory));
	CHECK_EQ(memory.limit, 900000u);
	CHECK_EQ(memory.used, 899999u);
}
