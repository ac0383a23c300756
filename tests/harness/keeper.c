// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The keeper: a process between the harness and one test. It waits for the test with a timeout,
 * inherits whatever the test leaves behind (it is a subreaper, so even a daemon that forked twice
 * comes back to it), kills that, and removes the test's folder. It is single threaded, and it dies
 * with the harness, taking everything with it: Ctrl-C leaves nothing running.
 */
#include "harness/internal.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEFT_GRACE_MS 2000 /* children on their way out are not "left behind" */
#define KILL_WAIT_MS 10000 /* a killed process that stays longer is stuck in the kernel */
#define LATE_LOOK_MS 1000  /* a slow machine's limit is looked at so often */
#define NS_PER_MS 1000000ll

static sigset_t kept_signals;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)st;
	(void)kind;
	(void)walk;
	remove(path);
	return 0;
}

void tree_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* The text of a small file in /proc, without its newline; empty if it cannot be read. */
static void proc_text(char *text, size_t size, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);

	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

static void proc_field(char *text, size_t size, pid_t pid, const char *field)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, field);
	proc_text(text, size, path);
}

static void where_add(const char *text)
{
	size_t len = strlen(test_record->where);

	snprintf(test_record->where + len, REASON_SIZE - len, "%s%s", len ? ", " : "", text);
}

static void children_text(char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	proc_text(text, size, path);
}

/* Says of each child of the keeper what it is and, if asked, what it waits in. */
static void describe_children(bool waits)
{
	char children[512], name[64], wchan[64], line[160];
	char *next = children;
	pid_t pid;

	children_text(children, sizeof(children));
	while ((pid = (pid_t)strtol(next, &next, 10)) > 0) {
		proc_field(name, sizeof(name), pid, "comm");
		proc_field(wchan, sizeof(wchan), pid, "wchan");
		if (waits)
			snprintf(line, sizeof(line), "%s (%d) in %s", name, pid, wchan);
		else
			snprintf(line, sizeof(line), "%s (%d)", name, pid);
		where_add(line);
	}
}

/* Kills the direct children; theirs then come to us, and go in the next round. */
static unsigned int kill_children(void)
{
	char children[4096];
	char *next = children;
	unsigned int killed = 0;
	pid_t pid;

	children_text(children, sizeof(children));
	while ((pid = (pid_t)strtol(next, &next, 10)) > 0) {
		kill(pid, SIGKILL);
		killed++;
	}
	return killed;
}

/* Reaps until no child is left (true) or the time is over. */
static bool reap_all(int ms, bool killing)
{
	int64_t end = test_now_ns() + ms * NS_PER_MS;

	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return true;
		if (pid > 0)
			continue;
		if (test_now_ns() > end)
			return false;
		if (killing)
			kill_children();
		test_sleep_ms(2);
	}
}

static void give_up(int signal_number)
{
	kill_children();
	reap_all(KILL_WAIT_MS, true);
	if (test_record->dir[0])
		tree_remove(test_record->dir);
	_exit(128 + signal_number);
}

/* Reaps what has ended; true once the test's process is among it. */
static bool reap(pid_t test_pid)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == test_pid) {
			test_record->status = status;
			return true;
		}
	}
	return false;
}

static void wait_test(pid_t test_pid, unsigned int seconds)
{
	int64_t start = test_now_ns();
	int64_t end = start + seconds * 1000 * NS_PER_MS;

	while (!reap(test_pid)) {
		int64_t rest = end - test_now_ns();
		struct timespec ts = {.tv_sec = rest / 1000000000, .tv_nsec = rest % 1000000000};
		int sig;

		if (rest <= 0 && !test_late(start, seconds * 1000ll)) {
			test_record->slow = true;
			end = test_now_ns() + LATE_LOOK_MS * NS_PER_MS;
			continue;
		}
		if (rest <= 0) {
			test_record->hung = true;
			describe_children(true);
			kill_children();
			return;
		}
		sig = sigtimedwait(&kept_signals, NULL, &ts);
		if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP)
			give_up(sig);
	}
}

static void test_process(const struct test *test, int out_fd, pid_t keeper)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(EXIT_TEST_FAILED);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	sigprocmask(SIG_UNBLOCK, &kept_signals, NULL);
	dup2(null, STDIN_FILENO);
	dup2(out_fd, STDOUT_FILENO);
	dup2(out_fd, STDERR_FILENO);
	close(null);
	close(out_fd);
	setvbuf(stdout, NULL, _IONBF, 0); /* nothing is lost at a crash */

	test->body();

	test_record->returned = true;
	exit(0); /* and not _exit(): LeakSanitizer looks now */
}

void keeper_run(const struct test *test, unsigned int seconds, int out_fd)
{
	pid_t harness = getppid();
	pid_t keeper = getpid();
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&kept_signals);
	sigaddset(&kept_signals, SIGCHLD);
	sigaddset(&kept_signals, SIGINT);
	sigaddset(&kept_signals, SIGTERM);
	sigaddset(&kept_signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &kept_signals, NULL);
	if (getppid() != harness)
		_exit(1);

	pid = fork();
	if (pid < 0)
		_exit(1);
	if (pid == 0)
		test_process(test, out_fd, keeper);

	wait_test(pid, seconds);
	if (!test_record->hung && !reap_all(LEFT_GRACE_MS, false)) {
		describe_children(false);
		test_record->left = kill_children();
	}
	reap_all(KILL_WAIT_MS, true);
	if (test_record->dir[0])
		tree_remove(test_record->dir);
	test_record->kept = true;
	_exit(0);
}
