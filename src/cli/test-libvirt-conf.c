// SPDX-License-Identifier: LGPL-2.1-or-later
/* /dev/userfaultfd in libvirt's qemu.conf, and out of it again. */
#include "cli/libvirt-conf.h"
#include "harness/harness.h"

#include <stdlib.h>

#include "sys/cleanup.h"

static bool allowed(const char *text)
{
	bool is = false;

	REQUIRE_OK(conf_look(text, &is, NULL));
	return is;
}

/* With it, it is allowed; without it again, it is what it was. Returns the text with it. */
static char *there_and_back(const char *text)
{
	char *with = NULL, *without = NULL;

	CHECK(!allowed(text));
	REQUIRE_OK(conf_enable(text, &with, NULL));
	CHECK(allowed(with));
	CHECK_EQ(conf_enable(with, &without, NULL), -EALREADY);
	REQUIRE_OK(conf_disable(with, &without, NULL));
	CHECK_STR(without, text);
	free(without);
	return with;
}

TEST("a file without a list gets the default of its own comment")
{
	_cleanup_free_ char *with = there_and_back(
		"user = \"x\"\n\n#cgroup_device_acl = [\n"
		"#    \"/dev/null\", \"/dev/full\",\n#    \"/dev/mine\"\n#]\n#\nz = 1\n");

	CHECK_IN("\ncgroup_device_acl = [\n    \"/dev/null\", \"/dev/full\",\n    \"/dev/mine\",\n"
		 "    \"/dev/userfaultfd\"\n]\n",
		 with);
}

TEST("where the comment is none, or no list, the default is libvirt 9's")
{
	static const char *const odd[] = {
		"",
		"x = 1",
		"#cgroup_device_acl = [\n#    \"/dev/null\"\nx = 1\n#]\n",
		"\n#cgroup_device_acl = [\n#    \"/dev/null\", # all # of it\n#]\n",
		"\n#cgroup_device_acl = [\n#    nothing like it\n#]\n",
		"\n#cgroup_device_acl = [\n#]\n",
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		_cleanup_free_ char *with = there_and_back(odd[i]);

		CHECK_IN("\"/dev/ptmx\", \"/dev/kvm\",\n    \"/dev/userfaultfd\"\n]\n", with);
	}
}

TEST("a list of somebody else's gets one element and a line before it")
{
	static const char *const lists[] = {
		"cgroup_device_acl = [ \"/dev/null\" ]\n",
		"cgroup_device_acl=['/dev/null','/dev/kvm']",
		"x = 1\ncgroup_device_acl = [\n\t\"/dev/null\",\n\t\"/dev/kvm\",\n]\ny = 2\n",
		"cgroup_device_acl = []\n",
		"cgroup_device_acl = [\n\n]\n",
		"  cgroup_device_acl = [ \"\"\"/dev/null\"\"\" ] # mine\n",
		/* the last one counts */
		"cgroup_device_acl = [\"/dev/userfaultfd\"]\ncgroup_device_acl = [\"/dev/kvm\"]\n",
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		free(there_and_back(lists[i]));
}

TEST("a device that is there already is not ours to put in or to take out")
{
	static const char *const lists[] = {
		"cgroup_device_acl = [ \"/dev/userfaultfd\" ]\n",
		"cgroup_device_acl = [ '/dev/kvm', '/dev/userfaultfd' ]\n",
	};
	char *edited = NULL;

	for (size_t i = 0; i < 2; i++) {
		CHECK(allowed(lists[i]));
		CHECK_EQ(conf_enable(lists[i], &edited, NULL), -EALREADY);
		CHECK_EQ(conf_disable(lists[i], &edited, NULL), -ENOENT);
	}
	CHECK(edited == NULL);
}

TEST("what looks like the device, and is not, is not it")
{
	CHECK(!allowed("#cgroup_device_acl = [ \"/dev/userfaultfd\" ]\n"));
	CHECK(!allowed("xcgroup_device_acl = [ \"/dev/userfaultfd\" ]\n"));
	CHECK(!allowed("cgroup_device_acl = [ \"/dev/userfaultfd2\" ]\n"));
	CHECK(!allowed("a = \"\"\"\ncgroup_device_acl = [ '/dev/userfaultfd' ]\n\"\"\"\n"));
	CHECK(!allowed("a = \"cgroup_device_acl = [ '/dev/userfaultfd' ]\"\n"));
	CHECK(!allowed("cgroup_device_acl = \"/dev/userfaultfd\"\n"));
}

TEST("an element that somebody moved or took out is dealt with all the same")
{
	_cleanup_free_ char *with = NULL, *moved = NULL, *gone = NULL;
	_cleanup_free_ char *from_moved = NULL, *from_gone = NULL;
	size_t line;

	REQUIRE_OK(conf_enable("cgroup_device_acl = [ \"/dev/kvm\" ]\n", &with, NULL));
	line = strcspn(with, "\n") + 1;
	REQUIRE(asprintf(&moved,
			 "%.*scgroup_device_acl = [ \"/dev/kvm\" , \"/dev/userfaultfd\" ]\nx = 1\n",
			 (int)line, with) > 0);
	REQUIRE_OK(conf_disable(moved, &from_moved, NULL));
	CHECK_STR(from_moved, "cgroup_device_acl = [ \"/dev/kvm\"  ]\nx = 1\n");
	REQUIRE(asprintf(&gone, "%.*scgroup_device_acl = [ \"/dev/kvm\" ]\n", (int)line, with) > 0);
	REQUIRE_OK(conf_disable(gone, &from_gone, NULL));
	CHECK_STR(from_gone, "cgroup_device_acl = [ \"/dev/kvm\" ]\n");
}

TEST("a file that libvirt does not take is left alone, and the line is told")
{
	static const struct {
		const char *text;
		unsigned int line;
	} bad[] = {
		{"x = 1\ny\n", 2},
		{"x = \"open\n", 1},
		{"\n\nx = [ \"a\"\n\"b\" ]\n", 4},
		{"x = [ \"a\", # comment\n ]\n", 1},
		{"x = 1 y = 2\n", 1},
		{"= 1\n", 1},
		{"x = [ [ \"a\" ] ]\n", 1},
		{"x = [ \"a\"", 1},
		{"x = \"\"\"open\n\n", 1},
		{"\xff\xfe\n", 1},
	};
	char *edited = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unsigned int line = 0;
		bool is;

		CHECK_EQ(conf_look(bad[i].text, &is, &line), -EINVAL);
		CHECK_EQ(line, bad[i].line);
		CHECK_EQ(conf_enable(bad[i].text, &edited, NULL), -EINVAL);
		CHECK_EQ(conf_disable(bad[i].text, &edited, NULL), -EINVAL);
	}
	CHECK(edited == NULL);
}
