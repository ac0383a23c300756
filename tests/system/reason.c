/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reason: whatever keeps a VM from sharing is named by one word in the API, in `pshare show` and
 * `pshare list`, and `pshare doctor --pid` exits with 1 for it; when it is gone, so is the reason.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"
#include "lib/api.h"

#define PSHARE test_built("src/cli/pshare")
#define NOBODY 65534

static char out[65536];
static struct t_daemon d;

struct vm {
	pid_t pid;
	int input;
};

static void start(void)
{
	t_need_product();
	t_daemon_init(&d);
	t_daemon_start(&d, NULL, NULL, NULL);
	setenv("PSHARE_RUNTIME_DIR", d.dir, 1);
}

/* pshare run OPTION -- unfit KIND. False: this host has no such memory. */
static bool start_vm(struct vm *vm, const char *option, const char *kind)
{
	int in[2], back[2];
	char word[6];

	REQUIRE_SYS(pipe2(in, O_CLOEXEC));
	REQUIRE_SYS(pipe2(back, O_CLOEXEC));
	*vm = (struct vm){.pid = fork(), .input = in[1]};
	if (vm->pid == 0) {
		dup2(in[0], 0);
		dup2(back[1], 1);
		execl(PSHARE, "pshare", "run", "--name", kind, option,
		      test_built("tests/system/unfit"), kind, NULL);
		_exit(127);
	}
	close(in[0]);
	close(back[1]);
	if (read(back[0], word, 6) == 6) {
		close(back[0]);
		return true;
	}
	close(back[0]);
	REQUIRE_SYS(waitpid(vm->pid, &(int){0}, 0));
	return false;
}

static void end_vm(struct vm *vm)
{
	int status;

	close(vm->input);
	REQUIRE_SYS(waitpid(vm->pid, &status, 0));
	CHECK_EQ(status, 0);
}

/* What show says on the line that begins so, or "". */
static bool show_says(const char *name, const char *line)
{
	return !TEST_RUN(out, sizeof(out), PSHARE, "show", name) && strstr(out, line);
}

static bool json_says(const char *name, const char *text)
{
	return !TEST_RUN(out, sizeof(out), PSHARE, "show", name, "--json") && strstr(out, text);
}

/* Everywhere, the same word. */
static void must_say(const struct vm *vm, const char *name, const char *reason)
{
	char json[64], line[64], pid[16];

	snprintf(json, sizeof(json), "\"reason\": \"%s\"", reason);
	snprintf(line, sizeof(line), "reason                 %s: ", reason);
	snprintf(pid, sizeof(pid), "%d", vm->pid);
	REQUIRE_WITHIN(10000, json_says(name, json));
	CHECK_IN("\"why\": ", out);
	CHECK(show_says(name, line));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "list"), 0);
	snprintf(line, sizeof(line), "\n%s: ", reason);
	CHECK_IN(line, out);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "list", "--json"), 0);
	CHECK_IN(json, out);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "doctor", "--pid", pid), 1);
	CHECK_IN(reason, out);
}

static void must_not_share(const char *kind)
{
	struct vm vm;

	start();
	if (!start_vm(&vm, "--", kind))
		SKIP("this host has no such memory");
	must_say(&vm, kind, kind);
	end_vm(&vm);
	t_daemon_free(&d);
}

/* Of the VM itself, in what json_says() has read; its balloon has a why of its own. */
static bool has_why(void)
{
	const char *reason = strstr(out, "\"reason\""), *why, *balloon;

	REQUIRE(reason != NULL);
	why = strstr(reason, "\"why\"");
	balloon = strstr(reason, "\"balloon\"");
	return why && (!balloon || why < balloon);
}

/* ... and when what stood in the way is gone, and the memory is offered again, it shares. */
static void must_share_after(const char *kind)
{
	struct vm vm;

	start();
	if (!start_vm(&vm, "--", kind))
		SKIP("this host has no such memory");
	must_say(&vm, kind, kind);
	REQUIRE_EQ(write(vm.input, "u", 1), 1);
	REQUIRE_WITHIN(20000, json_says(kind, "\"reason\": null"));
	CHECK(!has_why());
	CHECK(show_says(kind, "state                  sharing"));
	end_vm(&vm);
	t_daemon_free(&d);
}

TEST("locked memory is said to be locked, and shares when it is not any more")
{
	must_share_after("locked");
}

TEST("memory that somebody else's userfaultfd has is said to be foreign, until that is gone")
{
	must_share_after("foreign");
}

TEST("memory of which a part cannot be written is said so, until it can")
{
	must_share_after("access");
}

TEST("a private mapping of a memfd is called so, not a file")
{
	must_not_share("memfd");
}

TEST("a shared mapping is called so")
{
	must_not_share("shared");
}

TEST("a private mapping of a file is called so")
{
	must_not_share("file");
}

TEST("hugetlb pages are called so")
{
	must_not_share("hugetlb");
}

TEST("a VM that offers no memory is shown with that reason, though the daemon never heard of it")
{
	must_not_share("not-offered");
}

/* Seen before: "is here" and "gone" in the daemon's log four times a second, for ever. */
TEST("RLIMIT_AS is named, the agent rests, and when there is room the VM shares")
{
	const char *const name = "rlimit-as";
	char log[256], *at, *text;
	unsigned int lines = 0;
	struct vm vm;

	start();
	REQUIRE(start_vm(&vm, "--", name));
	must_say(&vm, name, name);
	t_sleep(2);
	snprintf(log, sizeof(log), "%s/log", d.dir);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "cat", log), 0);
	for (text = out; (at = strstr(text, "rlimit-as: process")); text = at + 1)
		lines++;
	CHECK_LE(lines, 2);
	CHECK_IN("and cannot share: RLIMIT_AS", out);
	REQUIRE_EQ(write(vm.input, "u", 1), 1);
	REQUIRE_WITHIN(20000, json_says(name, "\"reason\": null"));
	end_vm(&vm);
	t_daemon_free(&d);
}

static void limit_files(void *arg)
{
	struct rlimit limit = {16 << 20, 16 << 20};

	(void)arg;
	setrlimit(RLIMIT_FSIZE, &limit);
}

TEST("RLIMIT_FSIZE of a daemon that can make no store is named in its VMs")
{
	struct vm vm;

	t_need_product();
	t_daemon_init(&d);
	t_daemon_start(&d, NULL, limit_files, NULL);
	setenv("PSHARE_RUNTIME_DIR", d.dir, 1);
	REQUIRE(start_vm(&vm, "--", "plain"));
	must_say(&vm, "plain", "rlimit-fsize");
	end_vm(&vm);
	t_daemon_free(&d);
}

TEST("a private daemon under a limit that lets it make nothing is told of in one line")
{
	setenv("PSHARE_RUNTIME_DIR", test_dir(), 1);
	CHECK_EQ(TEST_RUN(out, sizeof(out), "sh", "-c", "ulimit -f 100; exec \"$0\" run true",
			  PSHARE),
		 1);
	CHECK_IN("RLIMIT_FSIZE", out);
	CHECK_IN("ulimit -f", out);
}

TEST("a VM whose sharing is off is said to be disabled, and shares when it is on")
{
	struct vm vm;

	start();
	REQUIRE(start_vm(&vm, "--no-share", "plain"));
	must_say(&vm, "plain", "disabled");
	REQUIRE_EQ(t_vm_setting_put(&d, "plain", "sched.mem.pshare.enable", "{\"value\": true}"),
		   200);
	REQUIRE_WITHIN(10000, json_says("plain", "\"reason\": null"));
	end_vm(&vm);
	t_daemon_free(&d);
}

TEST("a rate of nothing is named in every VM")
{
	struct vm vm;

	start();
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareScanGHz", "0"), 200);
	REQUIRE(start_vm(&vm, "--", "plain"));
	must_say(&vm, "plain", "rate");
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareScanGHz", "4"), 200);
	REQUIRE_WITHIN(10000, json_says("plain", "\"reason\": null"));
	end_vm(&vm);
	t_daemon_free(&d);
}

/* With the defaults: nothing is missing, and nothing is shared. */
TEST("huge pages that are left whole are said to be, with what taking them apart would share")
{
	struct vm vm;
	char pid[16];

	start();
	REQUIRE(start_vm(&vm, "--", "large"));
	REQUIRE_WITHIN(10000, t_api_number(&d, "/v1/vms/large", "GRANT") > 0);
	if (t_api_number(&d, "/v1/vms/large", "large") <= 0)
		SKIP("this host gives no huge pages");
	REQUIRE_WITHIN(10000, json_says("large", "\"reason\": \"large\""));
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "list"), 0);
	CHECK_IN(" MiB in huge pages that are left whole; taken apart they would share ", out);
	CHECK_IN("pshare set Mem.AllocGuestLargePage 0", out);
	(void)TEST_RUN(out, sizeof(out), PSHARE, "doctor");
	CHECK_IN(" MiB in huge pages that are left whole; taken apart they would share ", out);
	snprintf(pid, sizeof(pid), "%d", vm.pid);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "doctor", "--pid", pid), 0);
	CHECK_IN("large: ", out);
	/* at the rates of a first pass, not at those of an hour */
	REQUIRE_WITHIN(40000, t_api_number(&d, "/v1/vms/large", "COWH") > 4 << 20);
	REQUIRE_EQ(t_setting_put(&d, "Mem.AllocGuestLargePage", "0"), 200);
	REQUIRE_WITHIN(40000, t_api_number(&d, "/v1/vms/large", "SHRD") > 12 << 20);
	CHECK(json_says("large", "\"reason\": null"));
	end_vm(&vm);
	t_daemon_free(&d);
}

/* At ESX's rates alone 16 MiB would take the hour that is the goal for any VM. */
TEST("a new VM's first pass is fast with the defaults, and not if Mem.ShareRateFirst is 0")
{
	struct vm vm;

	start();
	REQUIRE_EQ(t_setting_put(&d, "Mem.AllocGuestLargePage", "0"), 200);
	REQUIRE(start_vm(&vm, "--", "plain"));
	REQUIRE_WITHIN(40000, t_api_number(&d, "/v1/vms/plain", "SHRD") > 12 << 20);
	end_vm(&vm);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareRateFirst", "0"), 200);
	REQUIRE(start_vm(&vm, "--", "slow"));
	REQUIRE_WITHIN(10000, json_says("slow", "\"state\": \"sharing\""));
	t_sleep(5);
	CHECK_LT(t_api_number(&d, "/v1/vms/slow", "SHRD"), 4 << 20);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "list"), 0);
	CHECK_IN("\nfirst pass ", out);
	CHECK_IN(" %, done in ", out);
	/* GRANT is true all the same: looks are a quarter of a minute apart at best */
	CHECK_LT(t_api_number(&d, "/v1/vms/slow", "GRANT"), 20 << 20);
	REQUIRE_EQ(write(vm.input, "u", 1), 1);
	REQUIRE_WITHIN(9000, t_api_number(&d, "/v1/vms/slow", "GRANT") >= 32 << 20);
	end_vm(&vm);
	t_daemon_free(&d);
}

/* As that user, with a daemon of his own. */
static void without_rights(const char *dir)
{
	struct vm vm;
	pid_t daemon;

	if (setgid(NOBODY) || setuid(NOBODY))
		_exit(2);
	if (access(PSHARE, X_OK) || access(test_built("tests/system/unfit"), X_OK))
		_exit(77);
	setenv("PSHARE_RUNTIME_DIR", dir, 1);
	REQUIRE(start_vm(&vm, "--", "plain"));
	must_say(&vm, "plain", "userfaultfd");
	end_vm(&vm);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), PSHARE, "status", "--json"), 0);
	daemon = (pid_t)atoi(strstr(out, "\"pid\": ") + 7);
	kill(daemon, SIGTERM);
	REQUIRE_WITHIN(10000, kill(daemon, 0) < 0);
	_exit(0);
}

static bool anybody_may(void)
{
	char value = '0';
	struct stat st;
	int fd = open("/proc/sys/vm/unprivileged_userfaultfd", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, &value, 1) != 1)
		value = '0';
	close(fd);
	return value == '1' || (stat("/dev/userfaultfd", &st) == 0 && (st.st_mode & 06));
}

TEST_SECONDS("a user without the right to a userfaultfd is told so everywhere", 120)
{
	int status;
	pid_t pid;

	t_need_product();
	if (anybody_may())
		SKIP("every user of this host may have a userfaultfd");
	REQUIRE_SYS(chmod(test_dir(), 0755));
	REQUIRE_SYS(chown(test_dir(), NOBODY, NOBODY));
	pid = fork();
	if (pid == 0)
		without_rights(test_dir());
	REQUIRE_SYS(waitpid(pid, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP("that user cannot reach the build folder");
	CHECK_EQ(status, 0);
}
