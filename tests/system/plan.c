/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pshare plan --simulate, as its user sees it: what stands in its tables and in its JSON. What is
 * worked out has tests of its own (tests/plan, src/plan). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/harness.h"

#define ARGS_MAX 8

#define NOTHING_BESIDE "rule das.hostReservePercent 0\nrule das.vmMemoryOverheadMB 0\n"

static char out[65536];

static const char *file_of(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	return path;
}

static void write_file(const char *name, const char *text, size_t length)
{
	int fd = open(file_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	REQUIRE_SYS(fd);
	REQUIRE_EQ(write(fd, text, length), (ssize_t)length);
	close(fd);
}

/* Plans a text, with some words more; the status, and what it said in out. */
static int plan(const char *text, const char *words)
{
	static char copy[256];
	const char *argv[ARGS_MAX + 5] = {test_built("src/cli/pshare"), "plan", "--simulate"};
	char *rest = copy, *word;
	int n = 4;

	write_file("fleet", text, strlen(text));
	argv[3] = file_of("fleet");
	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " ")) && n < ARGS_MAX + 4)
		if (*word)
			argv[n++] = word;
	return test_run(out, sizeof(out), argv);
}

TEST("a host that is away, and put into maintenance, changes nothing")
{
	static const char text[] = NOTHING_BESIDE "host h1 memory=4G\n"
						  "host h2 memory=4G state=away\n"
						  "vm a host=h1 size=1G\n"
						  "vm b host=h2 size=1G\n";
	static char before[sizeof(out)];

	REQUIRE_OK(plan(text, ""));
	memcpy(before, out, sizeof(out));
	REQUIRE_OK(plan(text, "--maintenance h2"));
	CHECK_STR(out, before);
}

/* No control character but the ends of lines, and no byte that is none of ASCII's. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if ((*text < ' ' && *text != '\n') || *text == 0x7f)
			return false;
	return true;
}

TEST("nothing that is in a file or in its name reaches the terminal or JSON as it is")
{
	static const char good[] = "host h1 memory=4G\nvm a host=h1 size=1G\n";
	static const char evil[] = "host h\033[31mx memory=10G\nvm \033]0;evil\aa host=h size=1G\n";
	static const char nul[] = "host h1 memory=4G\n\0vm a host=h1 size=1G\n";
	char path[512];

	CHECK_EQ(plan(evil, ""), 1);
	CHECK_IN("line 1: 'h?[31mx' holds a control character, or what is no UTF-8", out);
	CHECK(is_plain(out));
	write_file("fleet", nul, sizeof(nul) - 1);
	snprintf(path, sizeof(path), "%s", file_of("fleet"));
	CHECK_EQ(TEST_RUN(out, sizeof(out), test_built("src/cli/pshare"), "plan", "--simulate",
			  path),
		 1);
	CHECK_IN("line 2: '' is followed by a NUL byte", out);
	snprintf(path, sizeof(path), "%s", file_of("e\033[31m\xffvil"));
	write_file("e\033[31m\xffvil", good, sizeof(good) - 1);
	CHECK_EQ(TEST_RUN(out, sizeof(out), test_built("src/cli/pshare"), "plan", "--simulate",
			  path),
		 0);
	CHECK_IN("e?[31m?vil: 1 VMs on 1 host have 1024.0 MiB", out);
	CHECK(is_plain(out));
	CHECK_EQ(TEST_RUN(out, sizeof(out), test_built("src/cli/pshare"), "plan", "--simulate",
			  path, "--json"),
		 0);
	CHECK_IN("e?[31m?vil\"", out);
}

TEST("a page cannot be written in a folder's place, and that is what is said")
{
	char words[256];

	snprintf(words, sizeof(words), "--html %s", test_dir());
	CHECK_EQ(plan("host h1 memory=4G\n", words), 1);
	CHECK_IN("cannot be written: it is a folder; give the name of a file", out);
	CHECK_EQ(plan("host h1 memory=4G\n", "--html /dev/null"), 1);
	CHECK_IN("cannot be written: it is no plain file", out);
}

TEST("hosts that are far too small for many VMs are planned as soon as others")
{
	REQUIRE_OK(plan("generate hosts=1000 vms=30000 memory=1M\n", ""));
	CHECK_IN("no, 30000 out; too large", out);
}

/* Two hosts that are full, and VMs that would have to change places. */
static const char exchange[] = NOTHING_BESIDE "host h1 memory=2G\nhost h2 memory=2G\n"
					      "vm a1 host=h1 size=1G salt=A content=x:500M\n"
					      "vm b1 host=h1 size=1G salt=B content=y:300M\n"
					      "vm a2 host=h2 size=1G salt=A content=x:500M\n"
					      "vm b2 host=h2 size=1G salt=B content=y:300M\n";

TEST("where no single move helps and an exchange does, that is said, and where each VM should live")
{
	char words[256];

	REQUIRE_OK(plan(exchange, ""));
	CHECK_IN("No move of one VM to another host would be worth it.", out);
	CHECK_IN("Anew by likeness 800.0 MiB more would be saved: 2 VMs live on another host", out);
	CHECK_IN("\na1  h1   stays\nb1  h1   h2\na2  h2   h1\nb2  h2   stays\n", out);
	REQUIRE_OK(plan(exchange, "--json"));
	CHECK_IN("\"vm\": \"b1\"", out);
	CHECK_IN("\"vms\": [", out);
	snprintf(words, sizeof(words), "--html %s/page", test_dir());
	REQUIRE_OK(plan(exchange, words));
	CHECK_EQ(TEST_RUN(out, sizeof(out), "grep", "-c", "<td>b1</td><td>h1</td><td>h2</td>",
			  file_of("page")),
		 0);
}

TEST("of many VMs the placement is shown if it is asked for, and in JSON")
{
	REQUIRE_OK(plan("generate hosts=4 vms=60\n", ""));
	CHECK_IN("Where each VM should live by likeness: --placement, or --json.", out);
	CHECK(!strstr(out, "vm-59"));
	REQUIRE_OK(plan("generate hosts=4 vms=60\n", "--placement"));
	CHECK_IN("\nvm-59  host-", out);
	REQUIRE_OK(plan("generate hosts=4 vms=60\n", "--json"));
	CHECK_IN("\"vm\": \"vm-59\"", out);
}
