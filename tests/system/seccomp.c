/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * seccomp: the system calls that a VMM's filter has to allow, as pshare(1) lists them, are those
 * that the agent makes: all of them, and no other.
 *
 * A filter that traces every call is put on a VMM before the agent is born; the test is its
 * tracer, and notes the calls of the agent's threads, and those of the VMM's main thread while it
 * is in a call that the agent catches. The VMM is taken through a life: sharing, writes, discards,
 * a region given up and offered anew, the death of its daemon, another one.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"
#include "lib/api.h"
#include "lib/vm.h"

#define CALLS_MAX 512

static bool seen[CALLS_MAX], listed[CALLS_MAX], rare[CALLS_MAX];

/* ---- the manual ------------------------------------------------------------------------------ */

/* The calls on the lines behind ".It MARK", up to the next macro. */
static void read_list(const char *page, const char *mark, bool calls[CALLS_MAX])
{
	char word[64], head[64];
	const char *at;
	int n = 0, used;

	snprintf(head, sizeof(head), "\n.It %s\n", mark);
	at = strstr(page, head);
	REQUIRE(at);
	for (at += strlen(head); *at && *at != '.'; n++) {
		int number;

		if (sscanf(at, " %63[a-z0-9_]%n", word, &used) != 1)
			break;
		number = seccomp_syscall_resolve_name(word);
		if (number == __NR_SCMP_ERROR)
			NOTE_FAIL("the manual lists %s, which is no system call", word);
		else if (number >= 0 && number < CALLS_MAX)
			calls[number] = true;
		at += used;
		at += strspn(at, ", \n");
	}
	REQUIRE_GT(n, 0);
}

static void read_manual(void)
{
	static char page[65536];
	int fd = open(test_source("man/pshare.1"), O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, page, sizeof(page) - 1);

	REQUIRE_GT(n, 0);
	page[n] = '\0';
	close(fd);
	read_list(page, "always", listed);
	read_list(page, "at times", rare);
}

/* ---- the tracer ------------------------------------------------------------------------------ */

static void trace_every_call(void)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)};
	struct sock_fprog filter = {1, code};

	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		_exit(77);
}

static bool is_agents(pid_t thread)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", thread);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%31s", name) != 1)
		name[0] = '\0';
	if (file)
		fclose(file);
	return !strncmp(name, "pshare-", 7) || !strcmp(name, "in-agent");
}

static void note_call(pid_t thread)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_SECCOMP && info.seccomp.nr < CALLS_MAX &&
	    is_agents(thread))
		seen[info.seccomp.nr] = true;
}

/* One stop of one of its threads. False: its main thread has ended, and *status is how. */
static bool trace(pid_t pid, int *status)
{
	int state, signal = 0;
	pid_t thread = waitpid(-1, &state, __WALL);

	if (thread < 0 || (thread == pid && !WIFSTOPPED(state))) {
		*status = state;
		return false;
	}
	if (!WIFSTOPPED(state))
		return true;
	if (state >> 8 == (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8)))
		note_call(thread);
	else if (state >> 16 == 0 && WSTOPSIG(state) != SIGSTOP)
		signal = WSTOPSIG(state);
	ptrace(PTRACE_CONT, thread, NULL, (void *)(uintptr_t)signal);
	return true;
}

static pid_t start_vmm(const char *dir, int in, int out)
{
	const char *agent = test_built("src/agent/libpshare-agent.so");
	const char *program = test_built("tests/system/filtered");
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		dup2(in, 0);
		dup2(out, 1);
		setenv("PSHARE_RUNTIME_DIR", dir, 1);
		setenv("PSHARE_NAME", "a", 1);
		setenv("LD_PRELOAD", agent, 1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		trace_every_call();
		execl(program, program, NULL);
		_exit(127);
	}
	REQUIRE_SYS(waitpid(pid, &status, 0));
	REQUIRE(WIFSTOPPED(status));
	REQUIRE_SYS(ptrace(PTRACE_SETOPTIONS, pid, NULL,
			   (void *)(uintptr_t)(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE |
					       PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)));
	REQUIRE_SYS(ptrace(PTRACE_CONT, pid, NULL, NULL));
	return pid;
}

/* ---- its life -------------------------------------------------------------------------------- */

static double number(const struct t_daemon *d, const char *way)
{
	return t_api_number(d, "/v1/vms/a", way);
}

static void next_step(int in, int out)
{
	char word[6];

	REQUIRE_EQ(read(out, word, 6), 6);
	REQUIRE_EQ(write(in, "g", 1), 1);
}

/* In a process of its own, for the tracer has only the stops of the VMM to wait for. */
static void live(struct t_daemon *d, int in, int out)
{
	const double most = 12 << 20;

	t_daemon_start(d, NULL, NULL, NULL);
	t_daemon_full_speed(d);
	REQUIRE_WITHIN(30000, number(d, "SHRD") > most && number(d, "quarantined") == 0);
	next_step(in, out);
	REQUIRE_WITHIN(30000, number(d, "counters/unshared") > 100 && number(d, "SHRD") > 0);
	t_daemon_kill(d, SIGKILL);
	t_daemon_start(d, NULL, NULL, NULL);
	t_daemon_full_speed(d);
	REQUIRE_WITHIN(30000, number(d, "SHRD") > 0);
	next_step(in, out);
	REQUIRE_WITHIN(30000, number(d, "SHRD") > most);
	next_step(in, out);
	REQUIRE_WITHIN(30000, number(d, "SHRD") <= 0);
	next_step(in, out);
	t_daemon_kill(d, SIGTERM);
	_exit(0);
}

/* The calls that are in one set and not in the others, in one line. */
static void must_be_none(const char *what, const bool in[CALLS_MAX], const bool out[CALLS_MAX],
			 const bool nor[CALLS_MAX])
{
	char names[2048] = "";
	size_t n = 0;

	for (int i = 0; i < CALLS_MAX; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);

		if (in[i] && !out[i] && !nor[i] && n < sizeof(names) - 64)
			n += (size_t)sprintf(names + n, " %s", name);
		free(name);
	}
	if (n)
		NOTE_FAIL("%s:%s", what, names);
}

static void compare(void)
{
	static const bool none[CALLS_MAX];

	must_be_none("the agent makes these calls, and pshare(1) does not list them", seen, listed,
		     rare);
	must_be_none("pshare(1) says always, and these calls were not made", listed, seen, none);
}

TEST_SECONDS("pshare(1) lists the system calls that a VMM's filter has to allow, and no other", 180)
{
	int in[2], out[2], status = 0;
	struct t_daemon d;
	pid_t vmm, driver;

	t_need_product();
	read_manual();
	t_daemon_init(&d);
	REQUIRE_SYS(pipe2(in, O_CLOEXEC));
	REQUIRE_SYS(pipe2(out, O_CLOEXEC));
	driver = fork();
	if (driver == 0)
		live(&d, in[1], out[0]);
	close(in[1]); /* without the driver the VMM ends, too */
	close(out[0]);
	vmm = start_vmm(d.dir, in[0], out[1]);
	while (trace(vmm, &status))
		;
	CHECK_EQ(status, 0);
	waitpid(driver, NULL, 0);
	compare();
	t_daemon_free(&d);
}
