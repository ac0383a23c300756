/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * command: what pshare(1) promises, seen from outside: run leaves no process between, hands the
 * salt over and nothing else, starts one daemon however many want it; set returns when it is true;
 * list and show print what there is.
 */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "harness/harness.h"
#include "lib/api.h"

#define OUT_MAX 65536
#define CLOSED_FD_MAX 64

static char out[OUT_MAX];

#define PSHARE test_built("src/cli/pshare")

/* A runtime folder that no daemon of ours is in yet; private ones end with the test's processes. */
static void use_folder(void)
{
	setenv("PSHARE_RUNTIME_DIR", test_dir(), 1);
}

/* The pid of the daemon that answers in the folder; 0: none does. */
static pid_t daemon_pid(void)
{
	char *at;

	if (TEST_RUN(out, sizeof(out), PSHARE, "status", "--json"))
		return 0;
	at = strstr(out, "\"pid\": ");
	return at ? (pid_t)atoi(at + 7) : 0;
}

/* A private daemon outlives whoever started it; a test may not leave it behind. */
static void end_daemon(void)
{
	pid_t pid = daemon_pid();

	if (!pid)
		return;
	kill(pid, SIGTERM);
	REQUIRE_WITHIN(10000, kill(pid, 0) < 0);
}

struct vm {
	pid_t pid;
	int input; /* closing it ends the VM */
};

/* Ends in an offer, until it has offered its memory. */
static struct vm start_command(const char *const *argv)
{
	int in[2], back[2];
	char word[6];
	struct vm vm;

	REQUIRE_SYS(pipe2(in, O_CLOEXEC));
	REQUIRE_SYS(pipe2(back, O_CLOEXEC));
	vm = (struct vm){.pid = fork(), .input = in[1]};
	if (vm.pid == 0) {
		dup2(in[0], 0);
		dup2(back[1], 1);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(in[0]);
	close(back[1]);
	REQUIRE_EQ(read(back[0], word, 6), 6);
	close(back[0]);
	return vm;
}

static struct vm start_vm(const char *const *options)
{
	const char *argv[16] = {PSHARE, "run"};
	int n = 2;

	while (*options)
		argv[n++] = *options++;
	argv[n++] = "--";
	argv[n] = test_built("tests/system/offer");
	return start_command(argv);
}

/* Its memory must be as it was. */
static void end_vm(struct vm *vm)
{
	int status;

	close(vm->input);
	REQUIRE_SYS(waitpid(vm->pid, &status, 0));
	CHECK_EQ(status, 0);
}

#define VM(...) start_vm((const char *const[]){__VA_ARGS__, NULL})

static bool shows(const char *command, const char *operand, const char *what)
{
	return !TEST_RUN(out, sizeof(out), PSHARE, command, operand) && strstr(out, what);
}

/* ---- run ------------------------------------------------------------------------------------ */

TEST("run leaves no process between: pid, parent and exit status are the command's own")
{
	char script[128];
	int status;
	pid_t pid;

	use_folder();
	pid = fork();
	if (pid == 0) {
		snprintf(script, sizeof(script), "test $$ = %d && test $PPID = %d && exit 41",
			 getpid(), getppid());
		execl(PSHARE, "pshare", "run", "--", "sh", "-c", script, NULL);
		_exit(127);
	}
	REQUIRE_SYS(waitpid(pid, &status, 0));
	CHECK_EQ(status, 41 << 8);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "none-of-this-name"), 127);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "/"), 126);
	end_daemon();
}

TEST("run gives the agent its place and its settings, and nothing of an earlier run's")
{
	use_folder();
	setenv("LD_PRELOAD", "libc.so.6", 1);
	setenv("PSHARE_SALT_FD", "77", 1);
	setenv("PSHARE_SALT_FILE", "/none", 1);
	setenv("PSHARE_SALT_PATH", "/none", 1);
	setenv("PSHARE_NAME", "stale", 1);
	setenv("PSHARE_NO_SHARE", "1", 1);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--", "env"), 0);
	CHECK_IN("libpshare-agent.so:libc.so.6\n", out);
	CHECK_IN(test_dir(), out);
	CHECK(!strstr(out, "PSHARE_SALT"));
	CHECK(!strstr(out, "PSHARE_NAME"));
	CHECK(!strstr(out, "PSHARE_NO_SHARE"));
	unsetenv("LD_PRELOAD");
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--name", "n1", "--no-share", "--",
			    "env"),
		   0);
	CHECK_IN("PSHARE_NAME=n1\n", out);
	CHECK_IN("PSHARE_NO_SHARE=1\n", out);
	end_daemon();
}

/* Is text in a file of /proc of that process? */
static bool proc_has(pid_t pid, const char *file, const char *text)
{
	static char data[1 << 20];
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY);
	REQUIRE_SYS(fd);
	n = read(fd, data, sizeof(data));
	close(fd);
	return n > 0 && memmem(data, (size_t)n, text, strlen(text));
}

TEST("a salt of the environment is in no environment and no command line afterwards")
{
	struct vm vm;

	use_folder();
	setenv("GUEST_SALT", "hush-hush", 1);
	vm = VM("--name", "s1", "--salt-env", "GUEST_SALT");
	CHECK(!proc_has(vm.pid, "environ", "hush"));
	CHECK(!proc_has(vm.pid, "environ", "GUEST_SALT"));
	CHECK(!proc_has(vm.pid, "cmdline", "hush"));
	CHECK(!proc_has(daemon_pid(), "environ", "hush"));
	CHECK(!shows("show", "s1", "hush"));
	end_vm(&vm);
	end_daemon();
}

TEST("a file and a variable with one salt are one domain; the file's newline is not of it")
{
	char path[256], first[16] = "", second[16] = "";
	struct vm a, b;
	int fd;

	use_folder();
	t_need_root();
	snprintf(path, sizeof(path), "%s/salt", test_dir());
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	REQUIRE_EQ(write(fd, "hush-hush\n", 10), 10);
	close(fd);
	setenv("GUEST_SALT", "hush-hush", 1);
	a = VM("--name", "a", "--salt-file", path);
	b = VM("--name", "b", "--salt-env", "GUEST_SALT");
	REQUIRE_WITHIN(10000, shows("show", "a", "sharing\n") && shows("show", "b", "sharing\n"));
	REQUIRE(shows("show", "a", "\ndomain "));
	sscanf(strstr(out, "\ndomain "), " domain %15s", first);
	REQUIRE(shows("show", "b", "\ndomain "));
	sscanf(strstr(out, "\ndomain "), " domain %15s", second);
	CHECK_STR(first, second);
	CHECK_EQ(strlen(first), 8);
	end_vm(&a);
	end_vm(&b);
	end_daemon();
}

static void write_salt(char path[256])
{
	int fd;

	snprintf(path, 256, "%s/salt", test_dir());
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	REQUIRE_EQ(write(fd, "hush-hush\n", 10), 10);
	close(fd);
}

static void domain_of(const char *name, char domain[16])
{
	REQUIRE_WITHIN(10000, shows("show", name, "sharing\n"));
	sscanf(strstr(out, "\ndomain "), " domain %15s", domain);
}

/* A wrapper's command line: pshare run --salt-file PATH -- sh -c SCRIPT offer. */
static struct vm start_wrapped(const char *name, const char *path, const char *script)
{
	return start_command((const char *const[]){PSHARE, "run", "--name", name, "--salt-file",
						   path, "--", "sh", "-c", script,
						   test_built("tests/system/offer"), NULL});
}

TEST("what a wrapper starts besides the VMM does not have the salt, the VMM has it")
{
	char path[256], direct[16] = "", executed[16] = "", child[16] = "";
	struct vm a, b, c;

	use_folder();
	t_need_root();
	write_salt(path);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--salt-file", path, "--", "sh", "-c",
			    "ls -l /proc/self/fd; LD_PRELOAD= ls -l /proc/self/fd; "
			    "cat /proc/self/fd/$PSHARE_SALT_FD; LD_PRELOAD= cat "
			    "/proc/self/fd/$PSHARE_SALT_FD; "
			    "exec ls -l /proc/self/fd"),
		   0);
	CHECK(!strstr(out, "hush"));
	CHECK_IN("-> /memfd:pshare-salt", out); /* the last one is on the way, and alone so */
	CHECK(!strstr(strstr(out, "-> /memfd:pshare-salt") + 1, "-> /memfd:pshare-salt"));
	a = VM("--name", "a", "--salt-file", path);
	b = start_wrapped("b", path, "ls >/dev/null; exec env \"$0\"");
	c = start_wrapped("c", path, "\"$0\"; true");
	domain_of("a", direct);
	domain_of("b", executed);
	domain_of("c", child);
	CHECK_STR(executed, direct);
	CHECK_STR(child, direct);
	end_vm(&a);
	end_vm(&b);
	end_vm(&c);
	end_daemon();
}

TEST("the environment says which file the salt was read from, whole, and says nothing of a pipe")
{
	char path[256], word[300], link[300];

	use_folder();
	write_salt(path);
	snprintf(link, sizeof(link), "%s/link", test_dir());
	REQUIRE_SYS(symlink("salt", link));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--salt-file", link, "--", "env"), 0);
	snprintf(word, sizeof(word), "\nPSHARE_SALT_PATH=%s\n", path);
	CHECK_IN(word, out);
	CHECK(!strstr(out, "PSHARE_SALT_FILE"));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "sh", "-c",
			    "echo hush-hush | \"$0\" run --salt-file /dev/stdin -- env", PSHARE),
		   0);
	CHECK(!strstr(out, "PSHARE_SALT_PATH"));
	CHECK_IN("PSHARE_SALT_FD", out);
	end_daemon();
}

TEST("a pipe where a VM says that its record is holds no fork up")
{
	char path[256], script[400], pipe[300];
	struct vm vm;

	use_folder();
	t_need_root();
	write_salt(path);
	snprintf(pipe, sizeof(pipe), "%s/vm.json", test_dir());
	REQUIRE_SYS(mkfifo(pipe, 0600));
	snprintf(script, sizeof(script), "PSHARE_VM_DIR=%s exec env \"$0\"", test_dir());
	vm = start_wrapped("piped", path, script);
	REQUIRE_WITHIN(10000, shows("show", "piped", "sharing\n"));
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "fork", "piped"), 1);
	CHECK_IN("vm.json cannot be read", out);
	end_vm(&vm);
	end_daemon();
}

TEST("a name that runs already is refused")
{
	struct vm vm;

	use_folder();
	t_need_root();
	vm = VM("--name", "twin");
	REQUIRE_WITHIN(10000, shows("show", "twin", "pid"));
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--name", "twin", "--", "true"), 1);
	CHECK_IN("twin runs already", out);
	end_vm(&vm);
	end_daemon();
}

/* ---- the private daemon --------------------------------------------------------------------- */

#define RUNS 12

TEST("many runs at once start one daemon, which is nobody's child")
{
	char parent[64], path[256], log[8192];
	unsigned int starts = 0;
	const char *at;
	int status, i;
	pid_t pid;

	use_folder();
	for (i = 0; i < RUNS; i++) {
		pid = fork();
		if (pid == 0) {
			execl(PSHARE, "pshare", "run", "--", "true", NULL);
			_exit(127);
		}
	}
	while (waitpid(-1, &status, 0) > 0)
		CHECK_EQ(status, 0);
	pid = daemon_pid();
	REQUIRE_LT(0, pid);
	snprintf(path, sizeof(path), "%s/pshared.log", test_dir());
	REQUIRE_LT(0, t_slurp(path, log, sizeof(log)));
	for (at = log; (at = strstr(at, "runtime folder")); at++)
		starts++;
	CHECK_EQ(starts, 1);
	snprintf(parent, sizeof(parent), "PPid:\t%d\n", getpid());
	CHECK(!proc_has(pid, "status", parent));
	end_daemon();
}

TEST("a private daemon keeps no descriptor of whoever started it")
{
	char path[64], target[256];
	int fd, ends[2];
	pid_t pid;
	ssize_t n;

	use_folder();
	REQUIRE_SYS(pipe(ends)); /* not CLOEXEC: a careless parent's */
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--", "true"), 0);
	pid = daemon_pid();
	REQUIRE_LT(0, pid);
	for (fd = 0; fd < CLOSED_FD_MAX; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		CHECK(strncmp(target, "pipe:", 5) != 0);
	}
	close(ends[0]);
	close(ends[1]);
	end_daemon();
}

TEST_SECONDS("a private daemon ends by itself when nobody has come", 120)
{
	pid_t pid;

	use_folder();
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--", "true"), 0);
	pid = daemon_pid();
	REQUIRE_LT(0, pid);
	REQUIRE_WITHIN(90000, kill(pid, 0) < 0);
}

TEST("where a daemon answers, run starts none")
{
	struct t_daemon d;
	char path[256];

	t_daemon_init(&d);
	t_daemon_start(&d, NULL, NULL, NULL);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--runtime-dir", d.dir, "--", "true"),
		   0);
	snprintf(path, sizeof(path), "%s/pshared.log", d.dir);
	CHECK(access(path, F_OK) < 0);
	t_daemon_free(&d);
}

TEST("a private daemon that cannot start is told of in one line with its own")
{
	use_folder();
	setenv("PSHARE_DAEMON", "/bin/false", 1);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--", "true"), 1);
	CHECK_IN("ended at once", out);
	CHECK_STR(strchr(out, '\n') + 1, "");
	setenv("PSHARE_DAEMON", "/none", 1);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--", "true"), 1);
	CHECK_IN("no pshared is found", out);
}

/* ---- looking -------------------------------------------------------------------------------- */

TEST("list, show, status and get agree with --json, in the units that they name")
{
	struct vm vm;

	use_folder();
	t_need_root();
	vm = VM("--name", "web1", "--no-share");
	REQUIRE_WITHIN(10000, shows("show", "web1", "16.0 MiB"));
	CHECK(shows("show", "web1", "sharing enabled        FALSE"));
	CHECK(shows("list", "--json", "\"size\": 16777216"));
	CHECK(shows("list", "--bytes", " 16777216 "));
	CHECK(shows("list", "--bytes", "PSHARE/bytes: "));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "list"), 0);
	CHECK_IN("NAME ", out);
	CHECK_IN("\nweb1 ", out);
	CHECK_IN("\nTOTAL ", out);
	CHECK_IN(" USER ", out);
	CHECK_IN(" root ", out);
	CHECK_IN("PSHARE/MiB: ", out);
	CHECK(shows("status", "--json", "\"vms\": 1"));
	CHECK(shows("get", "Mem.ShareScanTime", "60\n"));
	CHECK(shows("get", "--json", "\"name\": \"Mem.ShareScanTime\""));
	end_vm(&vm);
	end_daemon();
}

static double headline_shared(void)
{
	const char *at = strstr(out, "PSHARE/bytes: ");
	double shared = 0;

	REQUIRE(at && sscanf(at, "PSHARE/bytes: %lf shared", &shared) == 1);
	return shared;
}

static double total_shared(void)
{
	const char *at = strstr(out, "\nTOTAL ");
	double size, grant, shared = 0;

	REQUIRE(at && sscanf(at, " TOTAL %lf %lf %lf", &size, &grant, &shared) == 3);
	return shared;
}

/* Frames of the store of the daemon before were in TOTAL and not in the headline. */
TEST("the headline and TOTAL agree while VMs map frames of a daemon before")
{
	struct t_daemon d;
	struct vm vm;

	t_need_product();
	t_daemon_fresh(&d);
	setenv("PSHARE_RUNTIME_DIR", d.dir, 1);
	vm = VM("--name", "a");
	REQUIRE_WITHIN(20000, t_api_number(&d, "/v1/vms/a", "SHRD") > 12 << 20);
	t_daemon_kill(&d, SIGKILL);
	t_daemon_start(&d, NULL, NULL, NULL);
	REQUIRE_WITHIN(20000, t_api_number(&d, "/v1/vms/a", "SHRD") > 0);
	REQUIRE_SYS(kill(vm.pid, SIGSTOP)); /* nothing changes between two questions */
	t_sleep(0.3);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "list", "--bytes"), 0);
	CHECK_GT(headline_shared(), 0);
	CHECK_EQ(headline_shared(), total_shared());
	kill(vm.pid, SIGCONT);
	end_vm(&vm);
	t_daemon_free(&d);
}

TEST("a setting is in force when set returns, the host's and a VM's")
{
	struct vm vm;

	use_folder();
	t_need_root();
	vm = VM("--name", "web1");
	REQUIRE_WITHIN(10000, shows("show", "web1", "sharing enabled        TRUE"));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "mem.sharescantime", "7"), 0);
	CHECK_STR(out, "");
	CHECK(shows("get", "Mem.ShareScanTime", "7\n"));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "--vm", "web1",
			    "sched.mem.pshare.enable", "off"),
		   0);
	CHECK(shows("show", "web1", "sharing enabled        FALSE"));
	setenv("NEW_SALT", "hush-hush", 1);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "--vm", "web1", "--salt-env",
			    "NEW_SALT", "sched.mem.pshare.salt"),
		   0);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "get", "--vm", "web1"), 0);
	CHECK_IN("(set; fingerprint ", out);
	CHECK(!strstr(out, "hush"));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "--vm", "web1", "--clear-salt",
			    "sched.mem.pshare.salt"),
		   0);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "--vm", "web1", "sched.mem.shares",
			    "high"),
		   0);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "get", "--vm", "web1"), 0);
	CHECK_IN("(none)", out);
	CHECK_IN("sched.mem.shares         high", out);
	end_vm(&vm);
	end_daemon();
}

TEST("doctor tells of this host and of a process, and exits by what it found")
{
	char pid[16];
	struct vm vm;

	use_folder();
	t_need_root();
	vm = VM("--name", "web1");
	REQUIRE_WITHIN(10000, shows("show", "web1", "sharing\n"));
	snprintf(pid, sizeof(pid), "%d", vm.pid);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "doctor", "--pid", pid), 0);
	CHECK_IN("knows it as VM web1", out);
	snprintf(pid, sizeof(pid), "%d", getpid());
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "doctor", "--pid", pid), 1);
	CHECK_IN("libpshare-agent.so is not loaded", out);
	CHECK_LE(TEST_RUN(out, sizeof(out), PSHARE, "doctor", "--json"), 1);
	CHECK_IN("\"check\": \"UFFDIO_MOVE\"", out);
	end_vm(&vm);
	end_daemon();
}

/* Another user than the daemon's, in a file system of this test's own: there is no /run/pshare but
 * ours. False where that cannot be had. */
static bool own_run_folder(void)
{
	return !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("none", "/run", "tmpfs", 0, "mode=755");
}

static int as_nobody(const char *const *argv)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open("/run/said", O_WRONLY | O_CREAT | O_TRUNC, 0644);

		dup2(fd, 1);
		dup2(fd, 2);
		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(77);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(77);
	}
	REQUIRE_SYS(waitpid(pid, &status, 0));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "cat", "/run/said"), 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#define AS_NOBODY(...) as_nobody((const char *const[]){PSHARE, __VA_ARGS__, NULL})

TEST("a user outside the daemon's group is told so by list and run, not that there is none")
{
	static const char *const daemon[] = {"pshared", NULL};
	int status;
	pid_t pid;

	t_need_root();
	if (!own_run_folder())
		SKIP("no mount namespace to be had");
	unsetenv("PSHARE_RUNTIME_DIR");
	setenv("XDG_RUNTIME_DIR", "/run/nobody", 1);
	REQUIRE_SYS(mkdir("/run/nobody", 0700));
	REQUIRE_SYS(chown("/run/nobody", 65534, 65534));
	pid = fork();
	if (pid == 0) {
		execv(test_built("src/daemon/pshared"), (char *const *)(uintptr_t)daemon);
		_exit(127);
	}
	REQUIRE_WITHIN(10000, !TEST_RUN(out, sizeof(out), PSHARE, "status"));
	status = AS_NOBODY("list");
	if (status == 77)
		SKIP("that user cannot reach the build folder");
	CHECK_EQ(status, 1);
	CHECK_IN("the daemon of /run/pshare is not for this user: join the group", out);
	CHECK_EQ(AS_NOBODY("run", "--", "true"), 0);
	CHECK_IN("note: the daemon of /run/pshare is not for this user", out);
	CHECK_EQ(AS_NOBODY("status", "--json"), 0); /* of his private one */
	kill(atoi(strstr(out, "\"pid\": ") + 7), SIGTERM);
	unsetenv("XDG_RUNTIME_DIR");
	CHECK_EQ(AS_NOBODY("run", "--", "true"), 1);
	CHECK_IN("is not for this user", out);
	kill(pid, SIGTERM);
	REQUIRE_SYS(waitpid(pid, &status, 0));
}

TEST("doctor says that the right to a userfaultfd is missing once, not for each feature")
{
	unsigned int lines = 0;
	int status;

	t_need_root();
	if (!own_run_folder())
		SKIP("no mount namespace to be had");
	status = AS_NOBODY("doctor", "--runtime-dir", "/run/none");
	if (status == 77)
		SKIP("that user cannot reach the build folder");
	if (!strstr(out, "missing  userfaultfd"))
		SKIP("every user of this host may have a userfaultfd");
	for (const char *at = out; (at = strstr(at, "\nunknown ")); at++)
		lines++;
	CHECK_LE(lines, 1);
}

TEST("list --wait-settled waits for a VM and until its sharing has settled, or says that it has not")
{
	struct vm vm;

	use_folder();
	t_need_root();
	vm = VM("--name", "web1", "--no-share");
	REQUIRE_WITHIN(10000, shows("show", "web1", "16.0 MiB"));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "Mem.ShareScanTime", "0"), 0);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "Mem.ShareRateMax", "1000000"), 0);
	/* nothing is looked at: it cannot settle once it is to share */
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "Mem.ShareScanGHz", "0"), 0);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "--vm", "web1",
			    "sched.mem.pshare.enable", "TRUE"),
		   0);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "list", "--wait-settled", "2.5"), 1);
	CHECK_IN("not settled after 2.5 seconds", out);
	CHECK(shows("list", "--json", "\"settled\": false"));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "Mem.ShareScanGHz", "32"), 0);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "list", "--wait-settled"), 0);
	CHECK_IN("\nweb1 ", out);
	CHECK(shows("status", "--json", "\"settled\": true"));
	end_vm(&vm);
	REQUIRE_WITHIN(5000, shows("status", "--json", "\"vms\": 0"));
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "list", "--wait-settled=1.5"), 1);
	CHECK_IN("no VM came", out);
	end_daemon();
}

/* ---- watching ------------------------------------------------------------------------------- */

/* Reads what comes from a terminal until part is in it, or for 5 s. */
static bool see(int terminal, const char *part)
{
	static char seen[OUT_MAX];
	int64_t end = test_now_ns() + 30000000000ll;
	size_t length = 0;

	while (test_now_ns() < end && length < sizeof(seen) - 1) {
		struct pollfd fd = {.fd = terminal, .events = POLLIN};
		ssize_t n;

		if (poll(&fd, 1, 100) <= 0)
			continue;
		n = read(terminal, seen + length, sizeof(seen) - 1 - length);
		if (n <= 0)
			return false;
		length += (size_t)n;
		seen[length] = '\0';
		if (strstr(seen, part))
			return true;
	}
	return false;
}

/* pshare list --watch on a terminal of its own. */
static pid_t watch(int *terminal)
{
	struct winsize size = {.ws_row = 10, .ws_col = 60};
	pid_t pid = forkpty(terminal, NULL, NULL, &size);

	REQUIRE_SYS(pid);
	if (pid == 0) {
		execl(PSHARE, "pshare", "list", "--watch", "0.2", NULL);
		_exit(127);
	}
	return pid;
}

TEST("list --watch redraws a terminal, follows its size, and gives it back at q")
{
	struct winsize wide = {.ws_row = 20, .ws_col = 200};
	struct termios before, after;
	struct t_daemon d;
	int terminal, status;
	pid_t pid;

	t_daemon_init(&d);
	t_daemon_start(&d, NULL, NULL, NULL);
	setenv("PSHARE_RUNTIME_DIR", d.dir, 1);
	pid = watch(&terminal);
	REQUIRE_SYS(tcgetattr(terminal, &before));
	before.c_lflag |= ICANON | ECHO;
	CHECK(see(terminal, "q or Ctrl-C ends"));
	CHECK(see(terminal, "\033[H"));
	REQUIRE_SYS(ioctl(terminal, TIOCSWINSZ, &wide));
	CHECK(see(terminal, "CPU"));
	REQUIRE_EQ(write(terminal, "q", 1), 1);
	CHECK(see(terminal, "\033[?25h"));
	REQUIRE_SYS(waitpid(pid, &status, 0));
	CHECK_EQ(status, 0);
	REQUIRE_SYS(tcgetattr(terminal, &after));
	CHECK_EQ(after.c_lflag & (ICANON | ECHO), before.c_lflag & (ICANON | ECHO));
	close(terminal);
	t_daemon_free(&d);
}

TEST("list --watch lives through a daemon's death, and ends at Ctrl-C")
{
	struct t_daemon d;
	int terminal, status;
	pid_t pid;

	t_daemon_init(&d);
	t_daemon_start(&d, NULL, NULL, NULL);
	setenv("PSHARE_RUNTIME_DIR", d.dir, 1);
	pid = watch(&terminal);
	CHECK(see(terminal, "pshared"));
	t_daemon_kill(&d, SIGKILL);
	CHECK(see(terminal, "no daemon answers"));
	t_daemon_start(&d, NULL, NULL, NULL);
	CHECK(see(terminal, "PSHARE/MiB"));
	REQUIRE_EQ(write(terminal, "\003", 1), 1);
	CHECK(see(terminal, "\033[?25h"));
	REQUIRE_SYS(waitpid(pid, &status, 0));
	CHECK_EQ(status, 0);
	close(terminal);
	t_daemon_free(&d);
}

TEST("list --watch into a pipe is a line each time, until the reader has gone")
{
	struct t_daemon d;
	char script[512];

	t_daemon_init(&d);
	t_daemon_start(&d, NULL, NULL, NULL);
	setenv("PSHARE_RUNTIME_DIR", d.dir, 1);
	snprintf(script, sizeof(script), "%s list --watch=0.2 | head -n 3", PSHARE);
	CHECK_EQ(TEST_RUN(out, sizeof(out), "sh", "-c", script), 0);
	CHECK_IN("0 VMs  PSHARE/MiB: ", out);
	CHECK(!strchr(out, '\033'));
	snprintf(script, sizeof(script), "%s list --watch=0.2 --json | head -n 2", PSHARE);
	CHECK_EQ(TEST_RUN(out, sizeof(out), "sh", "-c", script), 0);
	CHECK_STR(out, "{\"vms\":[],\"unmanaged\":[]}\n{\"vms\":[],\"unmanaged\":[]}\n");
	t_daemon_free(&d);
}
