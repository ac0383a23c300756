/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bad-input: whatever is wrong on a command line, in a setting or in a file is answered by exactly
 * one line on standard error, which begins with the program's name, and by a status that is not 0.
 * The settings are taken from their table, so a new one is tested without a line here.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/harness.h"
#include "lib/api.h"
#include "policy/settings.h"

#define ARGS_MAX 12
#define OUT_MAX 8192

static char out[OUT_MAX];

/* Runs a program with the words of a line; "''" is the empty word, '@' in a word is test_dir(). */
static int run_words(const char *program, const char *line)
{
	static char words[2048], made[ARGS_MAX][512];
	const char *argv[ARGS_MAX + 2] = {test_built(program)};
	char *word, *rest = words;
	int n = 0;

	snprintf(words, sizeof(words), "%s", line);
	while ((word = strsep(&rest, " ")) && n < ARGS_MAX) {
		if (word[0] == '@')
			snprintf(made[n], sizeof(made[n]), "%s%s", test_dir(), word + 1);
		else
			snprintf(made[n], sizeof(made[n]), "%s", strcmp(word, "''") ? word : "");
		argv[n + 1] = made[n];
		n++;
	}
	argv[n + 1] = NULL;
	setenv("PSHARE_RUNTIME_DIR", test_dir(), 1);
	return test_run(out, sizeof(out), argv);
}

/* Exactly one line, of that program, that has part in it; and not the status 0 or a signal's. */
static void expect_line(const char *program, const char *line, const char *part)
{
	const char *name = strrchr(program, '/') + 1;
	int status = run_words(program, line);
	char *end = strchr(out, '\n');

	if (status <= 0 || status > 127)
		NOTE_FAIL("%s %s: status %d: %s", name, line, status, out);
	if (!end || end[1] || strncmp(out, name, strlen(name)) != 0)
		NOTE_FAIL("%s %s: not one line of %s's: \"%s\"", name, line, name, out);
	if (!strstr(out, part))
		NOTE_FAIL("%s %s: \"%s\" is not in: %s", name, line, part, out);
}

#define PSHARE(line, part) expect_line("src/cli/pshare", line, part)
#define PSHARED(line, part) expect_line("src/daemon/pshared", line, part)

static void write_file(const char *name, const char *text, size_t length)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	REQUIRE_SYS(fd);
	REQUIRE_EQ(write(fd, text, length), length);
	close(fd);
}

TEST("pshare: what is no command, no option or too much is one line")
{
	static const char *const commands[] = {"run", "list", "show",	"status",
					       "get", "set",  "doctor", "help"};
	char line[128];
	size_t i;

	PSHARE("''", "command");
	PSHARE("frobnicate", "frobnicate");
	PSHARE("--frobnicate", "--frobnicate");
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		snprintf(line, sizeof(line), "%s --frobnicate", commands[i]);
		PSHARE(line, "--frobnicate");
		snprintf(line, sizeof(line), "%s -x", commands[i]);
		PSHARE(line, "-x");
		snprintf(line, sizeof(line), "%s --help=yes", commands[i]);
		PSHARE(line, "--help=yes");
	}
	PSHARE("list one", "one");
	PSHARE("status one", "one");
	PSHARE("doctor one", "one");
	PSHARE("show a b", "'b'");
	PSHARE("get a b", "'b'");
	PSHARE("set a b c", "'c'");
	PSHARE("help frobnicate", "frobnicate");
	PSHARE("help run list", "'list'");
	PSHARE("run", "missing");
	PSHARE("run --", "missing");
	PSHARE("show", "missing");
	PSHARE("set", "missing");
	PSHARE("list --json --json", "twice");
}

TEST("pshare: a bad value of an option is one line that says what would do")
{
	static const char *const with_value[] = {
		"run --name",	     "run --salt-file",	   "run --salt-env",
		"run --runtime-dir", "get --vm",	   "set --vm",
		"doctor --pid",	     "list --runtime-dir", "set --salt-env",
	};
	char line[256];
	size_t i;

	for (i = 0; i < sizeof(with_value) / sizeof(with_value[0]); i++) {
		PSHARE(with_value[i], "needs a value");
		snprintf(line, sizeof(line), "%s ''", with_value[i]);
		PSHARE(line, strchr(with_value[i], '-'));
	}
	PSHARE("run --name a/b -- true", "A-Z");
	PSHARE("run --name 0123456789012345678901234567890123456789012345678901234567890123 true",
	       "A-Z");
	PSHARE("get --vm a/b", "A-Z");
	PSHARE("list --watch=0", "'0'");
	PSHARE("list --watch=-1", "'-1'");
	PSHARE("list --watch=nan", "'nan'");
	PSHARE("list --watch=1e9", "'1e9'");
	PSHARE("list --watch=1.2.3", "'1.2.3'");
	PSHARE("list --watch two", "'two' is no number");
	PSHARE("list --watch 0", "'0' is no number");
	PSHARE("list --wait-settled=0", "'0'");
	PSHARE("list --wait-settled soon", "'soon' is no number");
	PSHARE("set Mem.ShareScanTime -1", "cannot be '-1'");
	PSHARE("set -1 -2", "-2");
	PSHARE("set Mem.ShareScanTime -1x", "unknown option '-1'");
	PSHARE("set --vm a sched.mem.min -1", "cannot be '-1'");
	PSHARE("set --vm a sched.mem.max -1", "no daemon answers");
	PSHARE("set --vm a sched.mem.max -- -1", "no daemon answers");
	PSHARE("set --vm a -1", "no VM setting '-1'");
	PSHARE("doctor --pid 0", "'0'");
	PSHARE("doctor --pid 1x", "'1x'");
	PSHARE("doctor --pid 99999999999999999999", "99999999999999999999");
	PSHARE("doctor --pid 4194304", "no process 4194304");
	snprintf(line, sizeof(line), "list --runtime-dir /%0150d", 0);
	PSHARE(line, "too long");
}

TEST("pshare plan: a bad option, or a text that cannot be, is one line; a good one is a plan")
{
	static const char good[] = "host <h&1> memory=4G\nvm a host=<h&1> size=1G touched=512M\n";
	char path[512];

	PSHARE("plan --simulate @/none", "cannot be read");
	PSHARE("plan --simulate @", "cannot be read");
	write_file("bad", "host h1\n", 8);
	PSHARE("plan --simulate @/bad", "line 1: host h1 has no memory");
	write_file("good", good, sizeof(good) - 1);
	PSHARE("plan --simulate @/good --add many", "'many' is no number from 1");
	PSHARE("plan --simulate @/good --fail 0", "'0' is no number from 1");
	PSHARE("plan --simulate @/good --fail 1", "none would be left");
	PSHARE("plan --simulate @/good --price free", "'free' is no price");
	PSHARE("plan --simulate @/good --maintenance h2", "no host is called 'h2'");
	PSHARE("plan --simulate @/good --html @", "cannot be written");
	CHECK_EQ(run_words("src/cli/pshare", "plan --simulate @/good --html @/page"), 0);
	CHECK_IN("512.0 MiB", out);
	CHECK_EQ(run_words("src/cli/pshare", "plan --simulate @/good --json"), 0);
	CHECK_IN("\"touched\": 536870912", out);
	CHECK_EQ(run_words("src/cli/pshare", "plan --simulate @/good --html @/page"), 0);
	snprintf(path, sizeof(path), "%s/page", test_dir());
	CHECK_EQ(TEST_RUN(out, sizeof(out), "grep", "-c", "<svg", path), 0);
	CHECK_STR(out, "4\n");
	CHECK_NE(TEST_RUN(out, sizeof(out), "grep", "<h&1>", path), 0); /* escaped */
	CHECK_EQ(TEST_RUN(out, sizeof(out), "grep", "&lt;h&amp;1&gt;", path), 0);
}

TEST("pshare: where no daemon answers, every command that needs one says so in one line")
{
	PSHARE("list", "no daemon answers");
	PSHARE("list --watch", "no daemon answers");
	PSHARE("list --wait-settled", "no daemon answers");
	PSHARE("list --json", "no daemon answers");
	PSHARE("show web1", "no daemon answers");
	PSHARE("status", "no daemon answers");
	PSHARE("get", "no daemon answers");
	PSHARE("get Mem.ShareScanTime", "no daemon answers");
	PSHARE("set Mem.ShareScanTime 10", "no daemon answers");
}

TEST("pshare: a program that the agent cannot be loaded into is refused in one line")
{
	static const char setuid[] = "\177ELF";
	char path[512];

	PSHARE("run -- ''", "no such program");
	PSHARE("run -- @/none", "no such program");
	PSHARE("run -- none-of-this-name", "no such program");
	PSHARE("run -- @", "cannot be run");
	write_file("text", "hello\n", 6);
	PSHARE("run -- @/text", "no program that can be run");
	write_file("script", "#!/none/such\n", 13);
	PSHARE("run -- @/script", "no such program");
	write_file("self", "#!", 2);
	PSHARE("run -- @/self", "no program that can be run");
	write_file("plain", "#!/bin/sh\n", 10);
	snprintf(path, sizeof(path), "%s/plain", test_dir());
	REQUIRE_SYS(chmod(path, 0600));
	PSHARE("run -- @/plain", "Permission denied");
	if (geteuid())
		SKIP("needs root: the rest makes a set-user-ID program of another user");
	write_file("setuid", setuid, sizeof(setuid));
	snprintf(path, sizeof(path), "%s/setuid", test_dir());
	REQUIRE_SYS(chown(path, 4000, 4000));
	REQUIRE_SYS(chmod(path, 04755));
	PSHARE("run -- @/setuid", "set-user-ID");
}

TEST("pshare: a salt that is not to be had, or too long, is one line without the salt")
{
	static char salt[1200];
	char path[256];

	memset(salt, 's', sizeof(salt) - 1);
	write_file("long", salt, sizeof(salt) - 1);
	setenv("LONG_SALT", salt, 1);
	unsetenv("NO_SALT");
	PSHARE("run --salt-file @/none -- true", "No such file");
	PSHARE("run --salt-file @ -- true", "directory");
	PSHARE("run --salt-file @/long -- true", "1024");
	CHECK(!strstr(out, "ssss"));
	write_file("empty", "\n", 1);
	PSHARE("run --salt-file @/empty -- true", "is empty");
	PSHARE("set --vm a sched.mem.pshare.salt --salt-file @/empty", "is empty");
	setenv("EMPTY_SALT", "", 1);
	PSHARE("run --salt-env EMPTY_SALT -- true", "is empty");
	write_file("public", "hush", 4);
	snprintf(path, sizeof(path), "%s/public", test_dir());
	REQUIRE_SYS(chmod(path, 0604));
	PSHARE("run --salt-file @/public -- true", "chmod o=");
	PSHARE("set --vm a sched.mem.pshare.salt --salt-file @/public", "chmod o=");
	CHECK(!strstr(out, "hush"));
	PSHARE("run --salt-env NO_SALT -- true", "NO_SALT is not set");
	PSHARE("run --salt-env LONG_SALT -- true", "1024");
	CHECK(!strstr(out, "ssss"));
	PSHARE("run --salt-file a --salt-env b -- true", "exclude");
	PSHARE("set --vm a sched.mem.pshare.salt hush", "--salt-file");
	CHECK(!strstr(out, "hush"));
	PSHARE("set --vm a sched.mem.pshare.salt", "--salt-file");
	PSHARE("set --vm a sched.mem.pshare.salt --salt-file @/none", "No such file");
	PSHARE("set --vm a sched.mem.pshare.salt --salt-file @/none --clear-salt", "one of");
	PSHARE("set Mem.ShareScanTime 10 --clear-salt", "sched.mem.pshare.salt only");
}

/* Every wrong value that a setting of that type has, against a program that takes it. */
static void try_values(const struct setting *setting, void (*expect)(const char *, const char *))
{
	static const char *const words[] = {
		"''", "x", "1x", "-", "0x10", "1.5", "99999999999999999999"};
	char value[64];
	size_t i;

	/* a path may be empty */
	for (i = setting->type == SETTING_STRING; i < sizeof(words) / sizeof(words[0]); i++)
		expect(setting->name, words[i]);
	if (setting->type != SETTING_INT)
		return;
	snprintf(value, sizeof(value), "%" PRId64, setting->min - 1); /* -1 may mean none */
	expect(setting->name, value);
	snprintf(value, sizeof(value), "%" PRId64, setting->max + 1);
	expect(setting->name, value);
}

static void expect_cli_host(const char *name, const char *value)
{
	char line[256];

	snprintf(line, sizeof(line), "set %s%s %s", *value == '-' ? "-- " : "", name, value);
	PSHARE(line, name);
}

static void expect_cli_vm(const char *name, const char *value)
{
	char line[256];

	snprintf(line, sizeof(line), "set --vm a %s%s %s", *value == '-' ? "-- " : "", name, value);
	PSHARE(line, name);
}

static void expect_daemon(const char *name, const char *value)
{
	char line[256], text[256];

	snprintf(line, sizeof(line), "--set %s=%s", name, strcmp(value, "''") ? value : "");
	PSHARED(line, name);
	snprintf(text, sizeof(text), "# a comment\n%s = %s\n", name,
		 strcmp(value, "''") ? value : "");
	write_file("config", text, strlen(text));
	PSHARED("--config @/config", "line 2");
}

TEST("every setting refuses every wrong value in one line, given to whom ever")
{
	int id;

	for (id = 0; id < SETTING_END; id++) {
		const struct setting *setting = setting_get((enum setting_id)id);

		if (setting->secret)
			continue;
		try_values(setting, setting->vm ? expect_cli_vm : expect_cli_host);
		if (!setting->vm)
			try_values(setting, expect_daemon);
	}
}

TEST("a setting that there is not, or that is another's, is one line")
{
	int id;

	PSHARE("get Mem.ShareScanTim", "Mem.ShareScanTime");
	PSHARE("set Mem.Nothing 1", "Mem.Nothing");
	PSHARE("get --vm a sched.mem.nothing", "sched.mem.nothing");
	for (id = 0; id < SETTING_END; id++) {
		const struct setting *setting = setting_get((enum setting_id)id);
		char line[128];

		snprintf(line, sizeof(line), "get %s%s", setting->vm ? "" : "--vm a ",
			 setting->name);
		PSHARE(line, "--vm");
		snprintf(line, sizeof(line), "set %s%s 1", setting->vm ? "" : "--vm a ",
			 setting->name);
		PSHARE(line, "--vm");
		if (!setting->vm)
			snprintf(line, sizeof(line), "set %s", setting->name);
		PSHARE(line, setting->vm ? "--vm" : "needs a value");
	}
}

TEST("pshared: a bad option, value or file is one line")
{
	PSHARED("--frobnicate", "--frobnicate");
	PSHARED("-x", "-x");
	PSHARED("one", "one");
	PSHARED("--runtime-dir", "needs a value");
	PSHARED("--runtime-dir relative", "relative");
	PSHARED("--runtime-dir /none/such/folder", "/none/such");
	PSHARED("--exit-when-idle 0", "--exit-when-idle");
	PSHARED("--exit-when-idle -1", "--exit-when-idle");
	PSHARED("--exit-when-idle soon", "soon");
	PSHARED("--exit-when-idle 99999999999999999999", "--exit-when-idle");
	PSHARED("--log-level loud", "loud");
	PSHARED("--set nothing", "nothing");
	PSHARED("--set Mem.Nothing=1", "Mem.Nothing");
	PSHARED("--set sched.mem.pshare.enable=TRUE", "sched.mem.pshare.enable");
	PSHARED("--config @/none", "No such file");
	PSHARED("--policy @/none", "No such file");
	write_file("policy", "[meet web]\nuid = no such user\n", 30);
	PSHARED("--policy @/policy", "line 2");
	write_file("policy", "uid = 1000\n", 11);
	PSHARED("--policy @/policy", "line 1");
	write_file("config", "Mem.ShareScanTime\n", 18);
	PSHARED("--config @/config", "line 1");
}

/* What somebody typed, in the place of '%': with what moves a cursor or ends a line; too long. */
static void expect_plain(const char *program, const char *line)
{
	static const char typed[] = "a\nb\033[31mc\302\233\177\200";
	char words[1024];
	int n;

	n = snprintf(words, sizeof(words), "%.*s%s%s", (int)strcspn(line, "%"), line, typed,
		     strchr(line, '%') + 1);
	expect_line(program, words, "");
	for (const char *at = out; at[1]; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
			NOTE_FAIL("%s: a control character: %s", line, out);
	n = snprintf(words, sizeof(words), "%.*s", (int)strcspn(line, "%"), line);
	for (int i = 0; i < 400; i++)
		words[n++] = 'x';
	snprintf(words + n, sizeof(words) - (size_t)n, "%s", strchr(line, '%') + 1);
	expect_line(program, words, "");
	if (strstr(out, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"))
		NOTE_FAIL("%s: all of it is repeated: %s", line, out);
}

TEST("what was typed is repeated on one line, without control characters, and at most 40 bytes of it")
{
	static const char *const daemons[] = {
		"--http %",
		"--log-size %",
		"--log-files %",
		"--log-level %",
		"--log-dir %",
		"--journal %",
		"--swap-dir %",
		"--runtime-dir %",
		"--config-dir %",
		"--exit-when-idle %",
		"--likeness-key %",
		"--set %",
		"--%",
		"%",
		"--user %",
		"--admin-group %",
	};
	static const char *const commands[] = {
		"%",
		"--%",
		"list --%",
		"list %",
		"list --watch=%",
		"run --name % -- true",
		"show --vm %",
		"get --vm %",
		"help %",
		"doctor --pid %",
		"log --lines %",
		"fork P --count %",
		"top --delay %",
		"balloon a %",
		"reclaim a %",
		"libvirt % a",
		"proxmox % 1",
		"fleet %",
		"run --memory % x",
		"run --set % x",
		"plan --price %",
		"set %",
		"set Mem.ShareScanTime %",
	};

	for (size_t i = 0; i < sizeof(daemons) / sizeof(daemons[0]); i++)
		expect_plain("src/daemon/pshared", daemons[i]);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		expect_plain("src/cli/pshare", commands[i]);
}

TEST("pshared: a file that it cannot take is one line that says what would do")
{
	static char long_text[70000];
	char path[512];

	memset(long_text, '#', sizeof(long_text));
	PSHARED("--config ''", "give the path of a file");
	PSHARED("--policy ''", "give the path of a file");
	write_file("long", long_text, sizeof(long_text));
	PSHARED("--config @/long", "longer than 64 KiB");
	snprintf(path, sizeof(path), "%s/pipe", test_dir());
	REQUIRE_SYS(mkfifo(path, 0600));
	PSHARED("--config @/pipe", "no regular file");
	PSHARED("--policy @/pipe", "no regular file");
	PSHARED("--likeness-key @/pipe", "no regular file");
	PSHARED("--config @", "no regular file");
	PSHARED("--likeness-key @", "no regular file");
	PSHARED("--likeness-key @/none", "there is no such file");
	PSHARED("--operate-group nope", "there is no such group");
	/* who can write the policy decides who shares */
	write_file("policy", "# nothing\n", 10);
	snprintf(path, sizeof(path), "%s/policy", test_dir());
	REQUIRE_SYS(chmod(path, 0666));
	PSHARED("--check --policy @/policy", "chmod go-w");
	REQUIRE_SYS(chmod(path, 0644));
	CHECK_EQ(run_words("src/daemon/pshared", "--check --policy @/policy"), 0);
	if (geteuid())
		return;
	REQUIRE_SYS(chown(path, 4001, 4001));
	PSHARED("--check --policy @/policy", "belongs to user 4001");
	/* root asks about files of the user that the daemon is to be */
	REQUIRE_SYS(chown(path, 65534, 65534));
	PSHARED("--check --policy @/policy", "belongs to user 65534");
	CHECK_EQ(run_words("src/daemon/pshared", "--check --user nobody --policy @/policy"), 0);
}

TEST("with a daemon there, what it does not know or does not want is one line")
{
	struct t_daemon d;
	char line[256];

	t_daemon_init(&d);
	t_daemon_start(&d, NULL, NULL, NULL);
	snprintf(line, sizeof(line), "show nobody --runtime-dir %s", d.dir);
	PSHARE(line, "nobody");
	snprintf(line, sizeof(line), "get --vm nobody --runtime-dir %s", d.dir);
	PSHARE(line, "nobody");
	snprintf(line, sizeof(line),
		 "set --vm nobody sched.mem.pshare.enable FALSE --runtime-dir %s", d.dir);
	PSHARE(line, "nobody");
	snprintf(line, sizeof(line),
		 "set --vm nobody sched.mem.pshare.salt --clear-salt --runtime-dir %s", d.dir);
	PSHARE(line, "nobody");
	snprintf(line, sizeof(line), "--runtime-dir %s", d.dir);
	PSHARED(line, d.dir);
	t_daemon_free(&d);
}
