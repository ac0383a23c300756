/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rights: what the daemon is once it runs, who may do what over its sockets, what stays of what was
 * set, and what is written down of it. The real daemon and the real command, as root, with users
 * and groups that are numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"
#include "lib/api.h"
#include "lib/peer.h"

#define PSHARE test_built("src/cli/pshare")
#define NOBODY 65534u
#define LOOKER 4001u
#define OPERATE "4050"
#define ADMINISTER "4060"
#define SCAN "Mem.ShareScanTime"

static struct t_daemon d;
static char out[65536];
static char conf[160], conf_dir[160], log_dir[160];

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	REQUIRE(file != NULL);
	fputs(text, file);
	REQUIRE_EQ(fclose(file), 0);
	REQUIRE_SYS(chmod(path, 0644));
}

static const char *const *options(void)
{
	static const char *words[16];
	const char *const all[] = {"--user",	      "nobody", "--config",	 conf,
				   "--config-dir",    conf_dir, "--log-dir",	 log_dir,
				   "--operate-group", OPERATE,	"--admin-group", ADMINISTER};

	memcpy(words, all, sizeof(all));
	return words;
}

/* A daemon that is nobody's, with files of its own. */
static void begin(void)
{
	t_need_product();
	t_daemon_init(&d);
	snprintf(conf, sizeof(conf), "%s/conf", d.dir);
	snprintf(conf_dir, sizeof(conf_dir), "%s/conf.d", d.dir);
	snprintf(log_dir, sizeof(log_dir), "%s/audit", d.dir);
	write_text(conf, SCAN " = 30\n");
	REQUIRE_SYS(setenv("PSHARE_RUNTIME_DIR", d.dir, 1));
	t_daemon_start(&d, options(), NULL, NULL);
}

static void again(int sig)
{
	t_daemon_kill(&d, sig);
	t_daemon_start(&d, options(), NULL, NULL);
}

#define RUN(...) TEST_RUN(out, sizeof(out), PSHARE, __VA_ARGS__)

static double value_of(const char *setting)
{
	char path[128];

	snprintf(path, sizeof(path), "/v1/settings/%s", setting);
	return t_api_number(&d, path, "value");
}

static void from(const char *setting, const char *where)
{
	REQUIRE_EQ(RUN("get", setting, "--json"), 0);
	CHECK_IN(where, out);
}

/* ---- what it is ----------------------------------------------------------------------------- */

static bool status_has(const char *line)
{
	char path[64], text[8192];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)d.pid);
	REQUIRE(t_slurp(path, text, sizeof(text)) > 0);
	return strstr(text, line) != NULL;
}

TEST("started by root, it is its own user, with no capability, no group, and a filter; VMs come")
{
	struct peer a, b;
	struct stat st;
	char path[192];

	begin();
	CHECK(status_has("\nUid:\t65534\t65534\t65534\t65534\n"));
	CHECK(status_has("\nGroups:\t \n"));
	CHECK(status_has("\nCapPrm:\t0000000000000000\n"));
	CHECK(status_has("\nCapEff:\t0000000000000000\n"));
	CHECK(status_has("\nCapBnd:\t0000000000000000\n"));
	CHECK(status_has("\nNoNewPrivs:\t1\n"));
	CHECK(status_has("\nSeccomp:\t2\n"));
	peer_join(&a, &d, "a", "salt");
	peer_join(&b, &d, "b", "salt");
	CHECK_EQ(a.domain.generation, b.domain.generation);
	REQUIRE_SYS(fstat(a.store_fd, &st));
	CHECK_EQ(st.st_uid, NOBODY);
	CHECK_EQ(fcntl(a.store_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	peer_close(&a);
	peer_close(&b);
	t_daemon_kill(&d, SIGTERM);
	snprintf(path, sizeof(path), "%s/api.sock", d.dir);
	CHECK(access(path, F_OK) < 0); /* it could take its sockets away */
	t_daemon_free(&d);
}

/* The exposure, by what systemd counts: 0 (none) to 10. */
static void unit_is_hardened(const char *unit, const char *tenths)
{
	char threshold[32];

	snprintf(threshold, sizeof(threshold), "--threshold=%s", tenths);
	if (TEST_RUN(out, sizeof(out), "systemd-analyze", "security", "--offline=yes", "--no-pager",
		     threshold, test_built(unit)))
		FAIL("%s: more than %s tenths: %s", unit, tenths, out);
	t_note("%s", strstr(out, "Overall") ? strstr(out, "Overall") : out);
	REQUIRE(t_slurp(test_built(unit), out, sizeof(out)) > 0);
	CHECK_IN("\nMemoryMax=", out);
}

TEST("the units are as hardened as they can be, and bounded in memory")
{
	if (TEST_RUN(out, sizeof(out), "sh", "-c",
		     "systemd-analyze security --help | grep -q -- --offline"))
		SKIP("no systemd-analyze that reads a file");
	unit_is_hardened("data/pshared.service", "12");
	unit_is_hardened("data/pshare-fleet.service", "29");
}

TEST("a user that there is not, or a group, ends it with one line")
{
	const char *const user[] = {"--user", "no-such-user", NULL};
	const char *const group[] = {"--admin-group", "no-such-group", NULL};
	int status;

	t_need_product();
	t_daemon_init(&d);
	CHECK(!t_daemon_try(&d, user, NULL, NULL, &status));
	CHECK_EQ(WEXITSTATUS(status), 1);
	CHECK(!t_daemon_try(&d, group, NULL, NULL, &status));
	CHECK_EQ(WEXITSTATUS(status), 1);
	t_daemon_free(&d);
}

/* ---- who may --------------------------------------------------------------------------------- */

static void become(gid_t group)
{
	REQUIRE_SYS(setgroups(group ? 1 : 0, &group));
	REQUIRE_SYS(setgid(LOOKER));
	REQUIRE_SYS(setuid(LOOKER));
}

/* pshare as that user, with that group (0: none of ours). Its exit status. */
static int as(gid_t group, const char *const words[])
{
	/* opened now: the build folder may be private */
	int program = open(PSHARE, O_PATH | O_CLOEXEC), status, pipe_fd[2], n = 1;
	const char *argv[8] = {"pshare"};
	ssize_t got;
	size_t have = 0;
	pid_t pid;

	while (*words)
		argv[n++] = *words++;
	REQUIRE_SYS(pipe(pipe_fd));
	pid = fork();
	if (pid == 0) {
		dup2(pipe_fd[1], 1);
		dup2(pipe_fd[1], 2);
		become(group);
		fexecve(program, (char *const *)(uintptr_t)argv, environ);
		_exit(127);
	}
	close(program);
	close(pipe_fd[1]);
	while ((got = read(pipe_fd[0], out + have, sizeof(out) - have - 1)) > 0)
		have += (size_t)got;
	out[have] = '\0';
	close(pipe_fd[0]);
	REQUIRE_SYS(waitpid(pid, &status, 0));
	return WEXITSTATUS(status);
}
#define AS(group, ...) as(group, (const char *const[]){__VA_ARGS__, NULL})

TEST("groups give roles: who is in none is not let in, and each does what is his")
{
	char path[192];
	gid_t socket_group = NOBODY + 1;

	begin();
	CHECK_EQ(AS(0, "status"), 1);
	CHECK_IN("not for this user", out);
	/* a group of the socket's own looks */
	snprintf(path, sizeof(path), "%s/api.sock", d.dir);
	REQUIRE_SYS(chown(path, (uid_t)-1, socket_group));
	CHECK_EQ(AS(socket_group, "get", SCAN), 0);
	CHECK_EQ(AS(socket_group, "log"), 1);
	CHECK_IN("role 'operate'", out);
	CHECK_EQ(AS(socket_group, "set", SCAN, "20"), 1);
	CHECK_IN("role 'administer', and this user's is 'look'", out);
	CHECK_EQ(AS(4050, "get", SCAN), 0);
	CHECK_EQ(AS(4050, "log"), 0);
	CHECK_EQ(AS(4050, "set", SCAN, "20"), 1);
	CHECK_EQ(value_of(SCAN), 30);
	CHECK_EQ(AS(4060, "set", SCAN, "20"), 0);
	CHECK_EQ(value_of(SCAN), 20);
	/* all of it is written down */
	REQUIRE_EQ(RUN("log", "--json"), 0);
	CHECK_IN("\"result\":\"refused\"", out);
	CHECK_IN("\"uid\":4001", out);
	CHECK_IN("\"role\":\"administer\"", out);
	/* a try too, with what was asked and what it was */
	CHECK_EQ(AS(4050, "set", SCAN, "44"), 1);
	REQUIRE_EQ(RUN("log", "--lines", "1"), 0);
	CHECK_IN("set " SCAN ": 20 -> -  asked 44  refused", out);
	t_daemon_free(&d);
}

/* A VM of that user, until its standard input ends. */
static pid_t start_vm(gid_t group, const char *agent, int input)
{
	int program = open(test_built("tests/system/offer"), O_PATH | O_CLOEXEC);
	char *const argv[] = {(char *)(uintptr_t) "offer", NULL};
	pid_t pid = fork();

	if (pid == 0) {
		become(group);
		dup2(input, 0);
		setenv("LD_PRELOAD", agent, 1);
		setenv("PSHARE_NAME", "vm", 1);
		fexecve(program, argv, environ);
		_exit(127);
	}
	close(program);
	return pid;
}

static double shared(void)
{
	return t_api_number(&d, "/v1/vms/vm", "SHRD");
}

TEST("an agent that may open no device has it from the daemon, if its user is in the group")
{
	static const gid_t groups[] = {NOBODY + 1, NOBODY + 2};
	char path[192], agent[192];
	struct stat st;
	pid_t pid;

	if (stat("/dev/userfaultfd", &st) < 0 || (st.st_mode & 0006))
		SKIP("everybody may open /dev/userfaultfd here, or nobody");
	begin();
	t_daemon_full_speed(&d);
	snprintf(path, sizeof(path), "%s/uffd.sock", d.dir);
	REQUIRE_SYS(chown(path, (uid_t)-1, groups[0]));
	snprintf(agent, sizeof(agent), "%s/agent.so", d.dir);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "cp", test_built("src/agent/libpshare-agent.so"),
			    agent),
		   0);
	for (int i = 0; i < 2; i++) {
		int pipe_fd[2];

		REQUIRE_SYS(pipe2(pipe_fd, O_CLOEXEC));
		pid = start_vm(groups[i], agent, pipe_fd[0]);
		close(pipe_fd[0]);
		if (i == 0)
			REQUIRE_WITHIN(20000, shared() > 0);
		else
			REQUIRE_WITHIN(20000, !RUN("show", "vm") && strstr(out, "userfaultfd"));
		close(pipe_fd[1]);
		REQUIRE_SYS(waitpid(pid, NULL, 0));
		REQUIRE_WITHIN(10000, t_api_number(&d, "/v1/status", "vms") == 0);
	}
	t_daemon_free(&d);
}

/* ---- what stays ------------------------------------------------------------------------------ */

TEST("what was set is there after a crash, says where it is from, and can be taken back")
{
	begin();
	CHECK_EQ(value_of(SCAN), 30);
	from(SCAN, "/conf:1\"");
	REQUIRE_EQ(RUN("set", SCAN, "10"), 0);
	REQUIRE_EQ(RUN("set", "Mem.ShareZeroOnly", "1"), 0);
	from(SCAN, "/conf.d/99-set.conf:");
	again(SIGKILL);
	CHECK_EQ(value_of(SCAN), 10);
	CHECK_EQ(value_of("Mem.ShareZeroOnly"), 1);
	from(SCAN, "/conf.d/99-set.conf:");
	REQUIRE_EQ(RUN("set", SCAN, "--reset"), 0);
	CHECK_EQ(value_of(SCAN), 30);
	from("Mem.ShareRateMax", "\"default\"");
	again(SIGTERM);
	CHECK_EQ(value_of(SCAN), 30);
	CHECK_EQ(value_of("Mem.ShareZeroOnly"), 1);
	t_daemon_free(&d);
}

TEST("a later file has the last word, and who sets over it is told")
{
	char path[224];

	begin();
	snprintf(path, sizeof(path), "%s/99-z.conf", conf_dir);
	write_text(path, SCAN " = 44\n");
	REQUIRE_EQ(RUN("set", SCAN, "10"), 0);
	CHECK_IN("99-z.conf:1 says otherwise", out);
	CHECK_EQ(value_of(SCAN), 10);
	again(SIGTERM);
	CHECK_EQ(value_of(SCAN), 44);
	from(SCAN, "99-z.conf:1");
	t_daemon_free(&d);
}

static bool logged(const char *part)
{
	return !RUN("log", "--json") && strstr(out, part);
}

TEST("a file with a mistake is refused whole, with its line; the last good settings stay")
{
	int status;

	begin();
	write_text(conf, "Mem.ShareRateMax = 7\n" SCAN " = soon\n");
	REQUIRE_SYS(kill(d.pid, SIGHUP));
	REQUIRE_WITHIN(5000, logged("/conf: line 2: " SCAN " cannot be 'soon'"));
	CHECK_EQ(value_of(SCAN), 30);
	CHECK_EQ(value_of("Mem.ShareRateMax"), 1024);
	/* nothing is set while a file is bad, or the next start would fail */
	CHECK_EQ(RUN("set", "Mem.ShareZeroOnly", "1"), 1);
	CHECK_IN("line 2", out);
	write_text(conf, "Mem.ShareRateMax = 7\n" SCAN " = 8\n");
	REQUIRE_SYS(kill(d.pid, SIGHUP));
	REQUIRE_WITHIN(5000, value_of(SCAN) == 8);
	CHECK_EQ(value_of("Mem.ShareRateMax"), 7);
	/* neither a pipe with nobody at its other end nor a folder stops it */
	REQUIRE_SYS(unlink(conf));
	REQUIRE_SYS(mkfifo(conf, 0644));
	REQUIRE_SYS(kill(d.pid, SIGHUP));
	REQUIRE_WITHIN(5000, logged("/conf: is no regular file"));
	CHECK_EQ(value_of(SCAN), 8);
	REQUIRE_SYS(unlink(conf));
	REQUIRE_SYS(mkdir(conf, 0755));
	REQUIRE_SYS(kill(d.pid, SIGHUP));
	REQUIRE_WITHIN(5000, logged("/conf: is no regular file: it is a folder"));
	CHECK_EQ(value_of(SCAN), 8);
	REQUIRE_SYS(rmdir(conf));
	write_text(conf, "nonsense\n");
	t_daemon_kill(&d, SIGTERM);
	CHECK(!t_daemon_try(&d, options(), NULL, NULL, &status));
	CHECK_EQ(WEXITSTATUS(status), 1);
	CHECK_EQ(TEST_RUN(out, sizeof(out), test_built("src/daemon/pshared"), "--check",
			  "--runtime-dir", d.dir, "--config", conf),
		 1);
	CHECK_IN("/conf: line 1", out);
	t_daemon_free(&d);
}

/* ---- what is written down -------------------------------------------------------------------- */

TEST("the log has each change with before and after, goes on after a crash, and shows edits")
{
	char path[192], text[16384], *at;
	int fd;

	begin();
	REQUIRE_EQ(RUN("set", SCAN, "11"), 0);
	REQUIRE_EQ(RUN("log", "--json", "--lines", "1"), 0);
	CHECK_IN("\"what\":\"set\"", out);
	CHECK_IN("\"setting\":\"" SCAN "\"", out);
	CHECK_IN("\"asked\":11", out);
	CHECK_IN("\"before\":30", out);
	CHECK_IN("\"after\":11", out);
	CHECK_IN("\"result\":\"done\"", out);
	CHECK_IN("\"comm\":\"pshare\"", out);
	again(SIGKILL);
	REQUIRE_EQ(RUN("set", SCAN, "12"), 0);
	REQUIRE_EQ(RUN("log"), 0);
	CHECK_IN("set " SCAN ": 30 -> 11  done", out);
	CHECK_IN("set " SCAN ": 11 -> 12  done", out);
	CHECK_EQ(RUN("log", "--verify"), 0);
	snprintf(path, sizeof(path), "%s/audit.log", log_dir);
	REQUIRE(t_slurp(path, text, sizeof(text)) > 0);
	at = strstr(text, "\"after\":11");
	REQUIRE(at != NULL);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	REQUIRE_SYS(pwrite(fd, "\"after\":10", 10, at - text));
	close(fd);
	CHECK_EQ(RUN("log", "--verify", log_dir), 1);
	CHECK_IN("not the one that was there", out);
	t_daemon_free(&d);
}

/* ---- a log that cannot be written, or was edited at its end --------------------------------- */

static void edit_last(const char *what)
{
	char path[192], change[64];

	snprintf(path, sizeof(path), "%s/audit.log", log_dir);
	snprintf(change, sizeof(change), "$%s", what);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "sed", "-i", change, path), 0);
}

TEST("the last record too cannot be edited or cut off unseen while its daemon is there")
{
	char path[192], away[192];

	begin();
	REQUIRE_EQ(RUN("set", SCAN, "11"), 0);
	REQUIRE_EQ(RUN("set", SCAN, "12"), 0);
	REQUIRE_EQ(RUN("log", "--verify"), 0);
	CHECK_IN("none is missing or edited\n", out);
	CHECK(!strstr(out, "vouched"));
	REQUIRE_EQ(RUN("log", "--verify", "--json"), 0);
	CHECK_IN("\"vouched\": true", out);
	/* a copy that no daemon writes to, with an edit that only the next record would show */
	snprintf(path, sizeof(path), "%s", log_dir);
	snprintf(away, sizeof(away), "%s/copy", d.dir);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "cp", "-r", path, away), 0);
	edit_last("s/\"after\":12/\"after\":77/");
	CHECK_EQ(RUN("log", "--verify"), 1);
	CHECK_IN("the last record is not as the daemon wrote it", out);
	CHECK_EQ(RUN("log", "--verify", log_dir), 1);
	edit_last("d");
	CHECK_EQ(RUN("log", "--verify"), 1);
	CHECK_IN("the last record is not as the daemon wrote it", out);
	CHECK_EQ(RUN("log", "--verify", away), 0);
	CHECK_IN("the last one cannot be vouched for", out);
	t_daemon_free(&d);
}

/* A folder of 12 KiB, in a mount namespace of this test's own. */
static void small_log_folder(void)
{
	t_daemon_init(&d);
	snprintf(log_dir, sizeof(log_dir), "%s/audit", d.dir);
	REQUIRE_SYS(mkdir(log_dir, 0700));
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		SKIP("no mount namespace: %m");
	REQUIRE_SYS(mount("tmpfs", log_dir, "tmpfs", 0, "size=12k,mode=0700,uid=65534"));
}

TEST("a disk that is full is told by doctor, by --verify, and for ever by the log itself")
{
	const char *const words[] = {"--user", "nobody", "--log-dir", log_dir, NULL};
	char number[16];

	t_need_product();
	small_log_folder();
	REQUIRE_SYS(setenv("PSHARE_RUNTIME_DIR", d.dir, 1));
	t_daemon_start(&d, words, NULL, NULL);
	(void)RUN("doctor", "--hardening");
	CHECK_IN("ok       audit log", out);
	for (int i = 0; i < 80; i++) {
		snprintf(number, sizeof(number), "%d", 10 + i);
		REQUIRE_EQ(RUN("set", SCAN, number), 0);
	}
	CHECK_EQ(RUN("doctor", "--hardening"), 1);
	CHECK_IN("missing  audit log", out);
	CHECK_IN("records could not be written", out);
	CHECK_EQ(RUN("log", "--verify"), 1);
	CHECK_IN("records could not be written", out);
	REQUIRE_SYS(mount(NULL, log_dir, NULL, MS_REMOUNT, "size=1m"));
	REQUIRE_EQ(RUN("set", SCAN, "100"), 0);
	REQUIRE_EQ(RUN("log", "--lines", "1"), 0);
	CHECK_IN(" records before it could not be written", out);
	CHECK_EQ(RUN("doctor", "--hardening"), 1);
	CHECK_IN("it is written again, but", out);
	/* whoever reads the files alone, later, finds it too */
	t_daemon_kill(&d, SIGTERM);
	CHECK_EQ(RUN("log", "--verify", log_dir), 1);
	CHECK_IN(" records before it could not be written", out);
	REQUIRE_SYS(umount2(log_dir, MNT_DETACH));
	t_daemon_free(&d);
}

TEST("what is shown holds no line and no colour that a file's name made up; as JSON it is whole")
{
	char path[256];

	begin();
	REQUIRE(mkdir(conf_dir, 0755) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/a\n2026-01-01 root  set\033[31m\302\233\177.conf",
		 conf_dir);
	write_text(path, "nonsense\n");
	REQUIRE_SYS(kill(d.pid, SIGHUP));
	REQUIRE_WITHIN(5000, logged("conf: line 1: "));
	REQUIRE_EQ(RUN("log"), 0);
	CHECK_IN("/a?2026-01-01 root  set?[31m???.conf: line 1", out);
	CHECK(!strchr(out, '\033') && !strstr(out, "\302\233"));
	REQUIRE_EQ(RUN("log", "--json"), 0);
	CHECK_IN("/a\\n2026-01-01 root", out);
	CHECK(!strchr(out, '\033'));
	t_daemon_free(&d);
}

TEST("a salt is in no log and no file: of it only a fingerprint")
{
	static const char salt[] = "a-salt-that-nobody-else-has";
	char path[192], text[65536], body[128];
	union peer_msg left = {0};
	struct peer vm;
	int status;
	pid_t pid;

	begin();
	peer_join(&vm, &d, "web1", NULL);
	snprintf(body, sizeof(body), "{\"salt\": \"%s\"}", salt);
	pid = fork();
	if (pid == 0)
		_exit(t_vm_setting_put(&d, "web1", "sched.mem.pshare.salt", body) == 200 ? 0 : 1);
	REQUIRE_EQ(peer_hear(&vm, PS_MSG_LEAVE, PEER_MS), PS_MSG_LEAVE);
	left.leave.generation = vm.leave;
	REQUIRE_EQ(peer_say(&vm, PS_MSG_LEFT, &left, NULL, 0), 0);
	REQUIRE_EQ(peer_hear(&vm, PS_MSG_DOMAIN, PEER_MS), PS_MSG_DOMAIN);
	REQUIRE_SYS(waitpid(pid, &status, 0));
	CHECK_EQ(status, 0);
	peer_close(&vm);
	snprintf(path, sizeof(path), "%s/audit.log", log_dir);
	REQUIRE(t_slurp(path, text, sizeof(text)) > 0);
	CHECK_IN("\"setting\":\"sched.mem.pshare.salt\"", text);
	CHECK(!strstr(text, salt));
	snprintf(path, sizeof(path), "%s/log", d.dir);
	REQUIRE(t_slurp(path, text, sizeof(text)) > 0);
	CHECK(!strstr(text, salt));
	t_daemon_free(&d);
}
