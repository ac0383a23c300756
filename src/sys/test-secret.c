/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "harness/harness.h"
#include "sys/saltfile.h"
#include "sys/secret.h"
#include "wire/wire.h"

#define OTHER 4321u

static char path[512];

static void make(const char *name, const char *text)
{
	int fd;

	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	REQUIRE_SYS(fd);
	REQUIRE_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

struct entry {
	uint16_t tag, bits;
	uint32_t id;
};

static void give(const struct entry *entries, size_t n)
{
	unsigned char list[256];
	struct posix_acl_xattr_header head = {htole32(POSIX_ACL_XATTR_VERSION)};

	memcpy(list, &head, sizeof(head));
	for (size_t i = 0; i < n; i++) {
		struct posix_acl_xattr_entry e = {htole16(entries[i].tag), htole16(entries[i].bits),
						  htole32(entries[i].id)};

		memcpy(list + sizeof(head) + i * sizeof(e), &e, sizeof(e));
	}
	if (setxattr(path, "system.posix_acl_access", list,
		     sizeof(head) + n * sizeof(struct posix_acl_xattr_entry), 0) < 0)
		SKIP("no access control lists here: %m");
}

#define GIVE(...)                                                                  \
	do {                                                                       \
		const struct entry e_[] = {                                        \
			{ACL_USER_OBJ, 6, ~0u}, __VA_ARGS__, {ACL_OTHER, 0, ~0u}}; \
		give(e_, sizeof(e_) / sizeof(e_[0]));                              \
	} while (0)

static int read_it(void)
{
	unsigned char salt[PS_SALT_MAX];
	size_t length;

	return sys_salt_read_file(path, salt, &length);
}

static struct sys_secret_file look(void)
{
	struct sys_secret_file file;

	REQUIRE_EQ(sys_secret_look(path, &file), 0);
	return file;
}

TEST("a user who may read a secret by its access control list is seen, and the salt is refused")
{
	make("salt", "hush\n");
	CHECK_EQ(look().to, SYS_SECRET_KEPT);
	CHECK_EQ(read_it(), 0);
	GIVE({ACL_USER, 4, OTHER}, {ACL_GROUP_OBJ, 0, ~0u}, {ACL_MASK, 4, ~0u});
	CHECK_EQ(look().to, SYS_SECRET_USER);
	CHECK_EQ(look().whom, OTHER);
	CHECK_EQ(look().group, 0u);
	CHECK_EQ(read_it(), -EPERM);
	GIVE({ACL_GROUP_OBJ, 0, ~0u}, {ACL_GROUP, 4, OTHER}, {ACL_MASK, 6, ~0u});
	CHECK_EQ(look().to, SYS_SECRET_GROUP);
	CHECK_EQ(look().whom, OTHER);
	CHECK_EQ(read_it(), -EPERM);
}

TEST("an entry that the mask takes away, or for whom the file is, gives nobody anything")
{
	make("salt", "hush\n");
	GIVE({ACL_USER, 4, OTHER}, {ACL_GROUP_OBJ, 0, ~0u}, {ACL_MASK, 0, ~0u});
	CHECK_EQ(look().to, SYS_SECRET_KEPT);
	CHECK_EQ(read_it(), 0);
	GIVE({ACL_USER, 4, geteuid()}, {ACL_GROUP_OBJ, 4, ~0u}, {ACL_GROUP, 4, getegid()},
	     {ACL_MASK, 4, ~0u});
	CHECK_EQ(look().to, SYS_SECRET_KEPT);
	CHECK_EQ(look().group, 4u);
	CHECK_EQ(read_it(), 0);
	GIVE({ACL_USER, 1, OTHER}, {ACL_GROUP_OBJ, 0, ~0u}, {ACL_MASK, 7, ~0u});
	CHECK_EQ(look().to, SYS_SECRET_KEPT);
}

TEST("a mode for others counts first, and is refused as ever")
{
	make("salt", "hush\n");
	REQUIRE_SYS(chmod(path, 0644));
	CHECK_EQ(look().to, SYS_SECRET_ALL);
	CHECK_EQ(look().group, 4u);
	CHECK_EQ(read_it(), -EPERM);
}

static int open_found(void)
{
	unsigned char salt[PS_SALT_MAX];
	size_t length = 0;
	int found = sys_secret_find(path, 0), r;

	REQUIRE_GE(found, 0);
	r = sys_salt_read_found(found, salt, &length);
	close(found);
	return r ? r : (int)length;
}

TEST("of what somebody else names a plain file is opened and nothing else")
{
	char link[600];

	make("salt", "hush\n");
	CHECK_EQ(open_found(), 4);
	snprintf(link, sizeof(link), "%s.link", path);
	REQUIRE_SYS(symlink(path, link));
	snprintf(path, sizeof(path), "%.500s", link);
	CHECK_EQ(open_found(), 4);
	snprintf(path, sizeof(path), "%s/pipe", test_dir());
	REQUIRE_SYS(mkfifo(path, 0600));
	CHECK_EQ(open_found(), -EMEDIUMTYPE);
	snprintf(path, sizeof(path), "/dev/zero");
	CHECK_EQ(open_found(), -EMEDIUMTYPE);
	snprintf(path, sizeof(path), "/proc/self/environ");
	CHECK_EQ(open_found(), -EMEDIUMTYPE);
	snprintf(path, sizeof(path), "%s", test_dir());
	CHECK_EQ(open_found(), -EMEDIUMTYPE);
	make("large", "");
	REQUIRE_SYS(truncate(path, PS_SALT_MAX + 3));
	CHECK_EQ(open_found(), -EFBIG);
}

TEST("a path is found as the process finds it, and no link of /proc leads out of there")
{
	int fd;

	make("salt", "hush\n");
	fd = sys_secret_find(path, getpid());
	CHECK_GE(fd, 0);
	close(fd);
	CHECK_EQ(sys_secret_find("/proc/self/fd/0", getpid()), -ELOOP);
}

static int count(const char *name, void *arg)
{
	(void)name;
	++*(unsigned int *)arg;
	return 0;
}

TEST("files of secrets are found in folders below, not behind links that lead to folders")
{
	char folder[600], link[700];
	unsigned int n = 0;

	make("a.salt", "a");
	make("a.other", "a");
	snprintf(folder, sizeof(folder), "%s/below", test_dir());
	REQUIRE_SYS(mkdir(folder, 0700));
	make("below/b.salt", "b");
	snprintf(link, sizeof(link), "%s/again", folder);
	REQUIRE_SYS(symlink("..", link));
	CHECK_EQ(sys_each_below(test_dir(), ".salt", count, &n), 0);
	CHECK_EQ(n, 2u);
	CHECK_EQ(sys_each_below("/none", ".salt", count, &n), -ENOENT);
}
