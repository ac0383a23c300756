/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inject-daemon: the Nth system call, or the Nth allocation, of the daemon fails, for every N of a
 * whole life: it starts, two agents come, share, change their domain and go, it is told to end.
 * What it may do then: refuse somebody, share less, end with a line. What it may not: crash, hang,
 * leak. The daemon of this build runs under ASan and UBSan, so those are seen.
 */
#include "harness/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/peer.h"

#define SANITIZER_STATUS 99
#define START_SECONDS 20.0
#define END_SECONDS 20
#define CALLS_MAX 5000 /* a life has a few hundred */
#define MISSES 3       /* so many N in a row that were never reached: that was all */
#define SERVE_SECONDS 0.1
#define PAGES 8u

static struct t_daemon d;

static void child(const char *variable, unsigned int n)
{
	char number[16], log[192];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(number, sizeof(number), "%u", n);
	setenv(variable, number, 1);
	setenv("ASAN_OPTIONS", "exitcode=" T_STR(SANITIZER_STATUS), 1);
	setenv("LSAN_OPTIONS", "exitcode=" T_STR(SANITIZER_STATUS), 1);
	setenv("UBSAN_OPTIONS", "halt_on_error=1:exitcode=" T_STR(SANITIZER_STATUS), 1);
	snprintf(log, sizeof(log), "%s/log", d.dir);
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	dup2(fd, STDERR_FILENO);
	execl(test_built("src/daemon/pshared"), "pshared", "--runtime-dir", d.dir, "--set",
	      "Mem.ShareRateMax=1000000", (char *)NULL);
	_exit(127);
}

/* True if somebody listens on the agents' socket. */
static bool listens(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool yes;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.90s/agent.sock", d.dir);
	yes = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	close(fd);
	return yes;
}

/* True: it is there. False: it has ended, *status is how. */
static bool start(const char *variable, unsigned int n, int *status)
{
	double end = t_now() + START_SECONDS;

	d.pid = fork();
	REQUIRE_SYS(d.pid);
	if (!d.pid)
		child(variable, n);
	for (; t_now() < end; t_sleep(0.01)) {
		if (waitpid(d.pid, status, WNOHANG) == d.pid)
			return false;
		if (listens())
			return true;
	}
	FAIL("%s=%u: neither there nor ended after %.0f s", variable, n, START_SECONDS);
}

/* Joins if it is let. */
static bool try_join(struct peer *p, const char *name)
{
	union peer_msg m;
	int fd, r;

	/* it may end at any moment */
	if (peer_try_connect(p, &d))
		return false;
	fd = peer_salt_fd("inject");
	peer_hello_make(p, &m, name);
	m.hello.flags = PS_HELLO_SALT;
	r = peer_say(p, PS_MSG_HELLO, &m, &fd, 1);
	close(fd);
	if (r || peer_hear(p, PS_MSG_DOMAIN, 500) != PS_MSG_DOMAIN)
		return false;
	return !peer_region(p, PS_MSG_REGION_ADD, 0, 512, 0);
}

static void fill(uint8_t page[T_PAGE], uint32_t key)
{
	memset(page, (int)key + 1, T_PAGE);
}

static void obey(struct peer *p, const struct ps_entry *order)
{
	if (order->op == PS_D_WANT) {
		uint8_t *content = p->map->content[order->slot % PS_CONTENT_SLOTS];

		fill(content, order->page % PAGES);
		peer_up(p, PS_U_CONTENT, 0, order->slot, order->page,
			XXH3_64bits_withSeed(content, T_PAGE, p->domain.seed));
	} else {
		peer_up(p, PS_U_SHARED, 0, 0, order->page, order->arg);
	}
	peer_ring(p);
}

static void serve(struct peer *peers, unsigned int n)
{
	for (double end = t_now() + SERVE_SECONDS; t_now() < end; t_sleep(0.002)) {
		for (unsigned int i = 0; i < n; i++) {
			union peer_msg m = {0};
			struct ps_entry order;

			if (!peers[i].map || peers[i].over)
				continue;
			while (peer_down(&peers[i], &order))
				obey(&peers[i], &order);
			peer_hear(&peers[i], 0, 0);
			m.leave.generation = peers[i].leave;
			if (peers[i].leave)
				peer_say(&peers[i], PS_MSG_LEFT, &m, NULL, 0);
			peers[i].leave = 0;
		}
	}
}

static void hint_all(struct peer *p)
{
	for (uint32_t page = 0; page < PAGES; page++) {
		uint8_t content[T_PAGE];

		fill(content, page);
		peer_up(p, PS_U_HINT, 0, 0, page,
			XXH3_64bits_withSeed(content, T_PAGE, p->domain.seed));
	}
	peer_ring(p);
}

static void live(void)
{
	static struct peer peers[2];
	char body[8192];
	pid_t asker;

	memset(peers, 0, sizeof(peers));
	for (unsigned int i = 0; i < 2; i++)
		if (try_join(&peers[i], i ? "b" : "a"))
			hint_all(&peers[i]);
	serve(peers, 2);
	t_http(&d, "GET", "/v1/vms", NULL, body, sizeof(body));
	asker = fork();
	if (!asker) {
		t_http(&d, "PUT", "/v1/vms/b/settings/sched.mem.pshare.enable",
		       "{\"value\":\"FALSE\"}", body, sizeof(body));
		_exit(0);
	}
	serve(peers, 2);
	for (unsigned int i = 0; i < 2; i++) {
		for (uint32_t page = 0; peers[i].map && page < PAGES; page++)
			peer_up(&peers[i], PS_U_UNSHARED, 0, 0, page, 0);
		if (peers[i].map)
			peer_ring(&peers[i]);
	}
	serve(peers, 2);
	for (unsigned int i = 0; i < 2; i++)
		peer_close(&peers[i]);
	kill(asker, SIGKILL);
	waitpid(asker, NULL, 0);
}

/* One life. True if the chosen call was reached. */
static bool life(const char *variable, unsigned int n)
{
	char path[192], log[16384] = "";
	int status = 0;

	if (start(variable, n, &status)) {
		live();
		kill(d.pid, SIGTERM);
		if (t_wait(d.pid, END_SECONDS, &status))
			FAIL("%s=%u: it does not end", variable, n);
	}
	snprintf(path, sizeof(path), "%s/log", d.dir);
	t_slurp(path, log, sizeof(log));
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1 || strstr(log, "Sanitizer") ||
	    strstr(log, "runtime error"))
		NOTE_FAIL("%s=%u: status 0x%x\n%s", variable, n, (unsigned int)status, log);
	return strstr(log, "inject: ") != NULL;
}

static void every(const char *variable)
{
	unsigned int missed = 0, n = 1;

	t_daemon_init(&d);
	for (; n < CALLS_MAX && missed < MISSES; n++)
		missed = life(variable, n) ? 0 : missed + 1;
	t_note("%u lives with %s", n - 1, variable);
	CHECK_GT(n, 30);
	CHECK_LT(n, CALLS_MAX);
	t_rmdir(d.dir);
}

TEST_SECONDS("the daemon outlives the failure of any system call, or ends in order", 900)
{
	every("PSHARE_INJECT_SYS");
}

TEST_SECONDS("the daemon outlives the failure of any allocation, or ends in order", 600)
{
	every("PSHARE_INJECT_ALLOC");
}
