/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/smaps.h"

#include <stdio.h>

#include "harness/harness.h"

#define MIB (1ull << 20)

/* One mapping of 64 MiB, of which 16 MiB are there. */
static void feed(struct smaps *smaps, const char *permissions, unsigned int inode, const char *path,
		 const char *flags)
{
	char line[256];

	snprintf(line, sizeof(line), "7f0000000000-7f0004000000 %s 00000000 00:01 %u     %s",
		 permissions, inode, path);
	smaps_line(smaps, line);
	smaps_line(smaps, "Size:              65536 kB");
	smaps_line(smaps, "Rss:               16384 kB");
	smaps_line(smaps, "SomethingNew:          7 kB");
	snprintf(line, sizeof(line), "VmFlags: %s ", flags);
	smaps_line(smaps, line);
}

static enum smaps_kind kind_of(const char *permissions, unsigned int inode, const char *path,
			       const char *flags)
{
	struct smaps smaps = {0};
	int kind;

	feed(&smaps, permissions, inode, path, flags);
	for (kind = 0; kind < SMAPS_KINDS; kind++) {
		if (smaps.n[kind]) {
			CHECK_EQ(smaps.bytes[kind], 64 * MIB);
			CHECK_EQ(smaps.present[kind], 16 * MIB);
			return (enum smaps_kind)kind;
		}
	}
	return SMAPS_KINDS;
}

TEST("a guest's RAM as QEMU allots it by default could be shared")
{
	struct smaps smaps = {0};

	CHECK_EQ(kind_of("rw-p", 0, "", "rd wr mr mw me ac sd hg mg"), SMAPS_PLAIN);
	CHECK_EQ(kind_of("rw-p", 0, "[anon:ram]", "rd wr mr mw me ac"), SMAPS_PLAIN);
	feed(&smaps, "rw-p", 0, "", "rd wr mr mw me ac sd hg mg");
	feed(&smaps, "rw-p", 0, "", "rd wr mr mw me ac sd");
	CHECK_EQ(smaps.mergeable, 64 * MIB);
	CHECK_EQ(smaps.mappings, 2);
}

TEST("memory that cannot be shared is told by what it is")
{
	CHECK_EQ(kind_of("rw-s", 9, "/memfd:ram (deleted)", "rd wr sh mr mw me ms"), SMAPS_SHARED);
	CHECK_EQ(kind_of("rw-p", 0, "/anon_hugepage (deleted)", "rd wr mr mw me ht"),
		 SMAPS_HUGETLB);
	CHECK_EQ(kind_of("rw-p", 9, "/var/ram", "rd wr mr mw me ac"), SMAPS_FILE);
	CHECK_EQ(kind_of("rw-p", 0, "", "rd wr mr mw me lo ac"), SMAPS_LOCKED);
	CHECK_EQ(kind_of("rw-s", 9, "/dev/vfio/12", "rd wr sh mr mw me ms pf io"), SMAPS_DEVICE);
	CHECK_EQ(kind_of("rw-p", 0, "", "rd wr mr mw me ac uw um"), SMAPS_UFFD);
}

TEST("a program's own text, heap and stack are not a guest's RAM")
{
	CHECK_EQ(kind_of("r-xp", 9, "/usr/bin/qemu", "rd ex mr mw me"), SMAPS_OTHER);
	CHECK_EQ(kind_of("rw-p", 0, "[heap]", "rd wr mr mw me ac"), SMAPS_OTHER);
	CHECK_EQ(kind_of("rw-p", 0, "[stack]", "rd wr mr mw me gd ac"), SMAPS_OTHER);
	CHECK_EQ(kind_of("rwxp", 0, "", "rd wr ex mr mw me ac"), SMAPS_OTHER);
}

TEST("a program's own data, behind its headers, is not RAM in a file")
{
	struct smaps smaps = {0};

	smaps_line(&smaps, "7f0000000000-7f0004000000 rw-p 00de3000 fe:00 9 /usr/bin/qemu");
	smaps_line(&smaps, "Rss:               16384 kB");
	smaps_line(&smaps, "VmFlags: rd wr mr mw me ac ");
	CHECK_EQ(smaps.n[SMAPS_FILE], 0);
	CHECK_EQ(smaps.n[SMAPS_OTHER], 1);
}

TEST("small mappings are left out, and the agent is seen by its name")
{
	struct smaps smaps = {0};

	smaps_line(&smaps, "7f0000000000-7f0000001000 r--p 00000000 00:01 7 "
			   "/usr/lib/libpshare-agent.so");
	smaps_line(&smaps, "Rss:                   4 kB");
	smaps_line(&smaps, "VmFlags: rd mr mw me ");
	CHECK(smaps.agent);
	CHECK_EQ(smaps.n[SMAPS_OTHER], 0);
}

TEST("lines of no known form do nothing")
{
	struct smaps smaps = {0};

	smaps_line(&smaps, "");
	smaps_line(&smaps, "-");
	smaps_line(&smaps, "7f00-");
	smaps_line(&smaps, "VmFlags:");
	smaps_line(&smaps, "Rss: many kB");
	CHECK_EQ(smaps.mappings, 0);
}
