/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/harness.h"
#include "sys/nameless.h"

static unsigned int names_in(const char *folder)
{
	DIR *dir = opendir(folder);
	unsigned int n = 0;

	REQUIRE(dir != NULL);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

TEST("a file without a name can be written, and is in no folder")
{
	char folder[] = "/var/tmp/pshare-nameless.XXXXXX", text[8] = "";
	struct stat st;
	int fd;

	REQUIRE(mkdtemp(folder) != NULL);
	fd = sys_nameless_file(folder);
	if (fd == -EMEDIUMTYPE) {
		rmdir(folder);
		SKIP("/var/tmp is in memory here");
	}
	REQUIRE(fd >= 0);
	CHECK_EQ(names_in(folder), 0u);
	CHECK_EQ(pwrite(fd, "pshare", 7, 4096), 7);
	CHECK_EQ(pread(fd, text, 7, 4096), 7);
	CHECK_STR(text, "pshare");
	REQUIRE_SYS(fstat(fd, &st));
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK_EQ(st.st_nlink, 0u);
	close(fd);
	REQUIRE_SYS(rmdir(folder));
}

TEST("a folder in memory is refused, and so is one that is not there")
{
	int fd = sys_nameless_file("/dev/shm");

	CHECK(fd == -EMEDIUMTYPE || fd == -ENOENT || fd == -EACCES);
	CHECK_EQ(sys_nameless_file("/nonexistent-folder"), -ENOENT);
	CHECK_EQ(sys_nameless_file("/proc/self/status"), -ENOTDIR);
}
