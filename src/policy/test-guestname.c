// SPDX-License-Identifier: LGPL-2.1-or-later
/* What QEMU's command line calls its guest. */
#include "harness/harness.h"
#include "policy/guestname.h"

/* Words are separated by '|' here; each ends with a NUL there. */
static const char *name_of(const char *line)
{
	static char name[PS_NAME_MAX];
	char words[512];
	size_t n = strlen(line);

	memcpy(words, line, n + 1);
	for (size_t i = 0; i < n; i++)
		if (words[i] == '|')
			words[i] = '\0';
	memset(name, 'x', sizeof(name));
	return guest_name(words, n + 1, name) ? NULL : name;
}

TEST("a guest's name is found in the forms that QEMU takes")
{
	CHECK_STR(name_of("qemu|-name|guest=web1,debug-threads=on|-S"), "web1");
	CHECK_STR(name_of("qemu|--name|web1"), "web1");
	CHECK_STR(name_of("qemu|-name|debug-threads=on,guest=web1"), "web1");
	CHECK_STR(name_of("qemu|-name|web1,process=x"), "web1");
	CHECK_STR(name_of("qemu|-name|a|-m|1G|-name|guest=b"), "b");
}

TEST("a name that is none, or not there, is none")
{
	CHECK_STR(name_of("qemu|-m|1G"), NULL);
	CHECK_STR(name_of("qemu|-name"), NULL);
	CHECK_STR(name_of("qemu|-name|"), NULL);
	CHECK_STR(name_of("qemu|-name|guest="), NULL);
	CHECK_STR(name_of("qemu|-name|process=x,debug-threads=on"), NULL);
	CHECK_STR(name_of("qemu|-name|."), NULL);
	CHECK_STR(name_of("qemu|-name|.."), NULL);
	CHECK_STR(name_of(""), NULL);
}

TEST("what a name of ours may not hold becomes an underscore, a double comma one comma's")
{
	CHECK_STR(name_of("qemu|-name|guest=my vm,,2/x,debug-threads=on"), "my_vm_2_x");
	CHECK_STR(name_of("qemu|-name|guest=k\xc3\xb6ln"), "k__ln");
	CHECK_STR(name_of("qemu|-name|guest=a=b"), "a_b");
}

TEST("a name that is too long is cut, and stays a name")
{
	char line[256] = "qemu|-name|guest=";
	const char *name;

	memset(line + strlen(line), 'n', 200);
	name = name_of(line);
	REQUIRE(name != NULL);
	CHECK_EQ(strlen(name), PS_NAME_MAX - 1);
	CHECK_EQ(ps_name_check(name), 0);
}

TEST("a command line that is cut in the middle of the name gives none")
{
	char name[PS_NAME_MAX];
	static const char words[] = "qemu\0-name\0guest=web1";

	CHECK_EQ(guest_name(words, sizeof(words) - 3, name), -ENOENT);
	CHECK_EQ(guest_name(words, sizeof(words), name), 0);
}
