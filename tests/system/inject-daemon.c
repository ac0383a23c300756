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
#include "lib/walk.h"

#define SANITIZER_STATUS 99
#define START_SECONDS 20.0
#define END_SECONDS 20
#define LIVES 4
#define MISSES 12 /* so many N in a row that were never reached: that was all */
/* For what may never come, as what it needs has failed. Else the wait is for what comes. */
#define SERVE_SECONDS 0.3
#define PEERS 2u
#define PAGES 8u

static const char *const ERRNOS[] = {"EIO"};

static struct t_daemon d;

static void child(const char *variable, unsigned int n)
{
	char number[16], log[256];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(number, sizeof(number), "%u", n);
	setenv(variable, number, 1);
	setenv("ASAN_OPTIONS", "exitcode=" T_STR(SANITIZER_STATUS), 1);
	setenv("LSAN_OPTIONS", "exitcode=" T_STR(SANITIZER_STATUS), 1);
	setenv("UBSAN_OPTIONS", "halt_on_error=1:exitcode=" T_STR(SANITIZER_STATUS), 1);
	walk_log(n, log, sizeof(log));
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
	double begun = t_now();

	d.pid = fork();
	REQUIRE_SYS(d.pid);
	if (!d.pid)
		child(variable, n);
	for (; !t_late(begun, START_SECONDS); t_sleep(0.01)) {
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

/* What a peer was told and did. */
struct served {
	struct peer *peer;
	uint32_t shared; /* orders to share */
};

static void obey(struct served *s, const struct ps_entry *order)
{
	struct peer *p = s->peer;

	if (order->op == PS_D_WANT) {
		uint8_t *content = p->map->content[order->slot % PS_CONTENT_SLOTS];

		fill(content, order->page % PAGES);
		peer_up(p, PS_U_CONTENT, 0, order->slot, order->page,
			XXH3_64bits_withSeed(content, T_PAGE, p->domain.seed));
	} else {
		peer_up(p, PS_U_SHARED, 0, 0, order->page, order->arg);
		s->shared++;
	}
	peer_ring(p);
}

static bool is_there(const struct served *s)
{
	return s->peer->map && !s->peer->over;
}

static void serve_one(struct served *s)
{
	struct peer *p = s->peer;
	union peer_msg m = {0};
	struct ps_entry order;

	if (!is_there(s))
		return;
	while (peer_down(p, &order))
		obey(s, &order);
	peer_hear(p, 0, 0);
	m.leave.generation = p->leave;
	if (p->leave)
		peer_say(p, PS_MSG_LEFT, &m, NULL, 0);
	p->leave = 0;
}

/* Until there is nothing more to wait for of any of them. */
static void serve(struct served *s, bool (*is_done)(struct served *s))
{
	bool done = false;

	for (double begun = t_now(); !done && !t_late(begun, SERVE_SECONDS); t_sleep(0.002)) {
		done = true;
		for (unsigned int i = 0; i < PEERS; i++) {
			serve_one(&s[i]);
			done = done && (!is_there(&s[i]) || is_done(&s[i]));
		}
	}
}

static bool shares_all(struct served *s)
{
	return s->shared >= PAGES;
}

/* The daemon has taken in all that it said. */
static bool is_read(struct served *s)
{
	const struct ps_ring_map *map = s->peer->map;

	return __atomic_load_n(&map->up.head, __ATOMIC_ACQUIRE) == map->up.tail;
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

/* Asks for b to leave its domain. The answer comes when b has. */
static pid_t asker;

static void ask(void)
{
	char body[8192];

	asker = fork();
	if (asker)
		return;
	t_http(&d, "PUT", "/v1/vms/b/settings/sched.mem.pshare.enable", "{\"value\":\"FALSE\"}",
	       body, sizeof(body));
	_exit(0);
}

static bool is_answered(struct served *s)
{
	(void)s;
	return asker < 0 || waitpid(asker, NULL, WNOHANG) != 0;
}

static void live(void)
{
	static struct peer peers[PEERS];
	struct served served[PEERS] = {{&peers[0], 0}, {&peers[1], 0}};
	char body[8192];

	memset(peers, 0, sizeof(peers));
	for (unsigned int i = 0; i < PEERS; i++)
		if (try_join(&peers[i], i ? "b" : "a"))
			hint_all(&peers[i]);
	serve(served, shares_all);
	t_http(&d, "GET", "/v1/vms", NULL, body, sizeof(body));
	ask();
	serve(served, is_answered);
	for (unsigned int i = 0; i < PEERS; i++) {
		for (uint32_t page = 0; peers[i].map && page < PAGES; page++)
			peer_up(&peers[i], PS_U_UNSHARED, 0, 0, page, 0);
		if (peers[i].map)
			peer_ring(&peers[i]);
	}
	serve(served, is_read);
	for (unsigned int i = 0; i < PEERS; i++)
		peer_close(&peers[i]);
	kill(asker, SIGKILL);
	waitpid(asker, NULL, 0);
}

/* Or it was told to end when it had given up its signals, on its way out by itself. */
static bool ended_in_order(uint32_t n, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)
		return walk_said(n, "pshared: error: ");
	return WIFEXITED(status) && WEXITSTATUS(status) <= 1;
}

static enum walk_end life(uint32_t n, const struct walk *walk)
{
	int status = 0;

	t_daemon_init(&d);
	if (start(walk->what, n, &status)) {
		live();
		kill(d.pid, SIGTERM);
		if (t_wait(d.pid, END_SECONDS, &status))
			FAIL("%s=%u: it does not end", walk->what, n);
	}
	t_rmdir(d.dir);
	if (!ended_in_order(n, status) || walk_said(n, "Sanitizer") ||
	    walk_said(n, "runtime error"))
		FAIL("%s=%u: status 0x%x", walk->what, n, (unsigned int)status);
	return walk_said(n, "inject: ") ? WALK_FIRED : WALK_MISSED;
}

static void every(const char *variable)
{
	CHECK_GT(walk_all(&(struct walk){.what = variable,
					 .life = life,
					 .errors = ERRNOS,
					 .nerrors = 1,
					 .step = 1,
					 .lives = LIVES,
					 .last = MISSES}),
		 30);
}

TEST_SECONDS("the daemon outlives the failure of any system call, or ends in order", 900)
{
	every("PSHARE_INJECT_SYS");
}

TEST_SECONDS("the daemon outlives the failure of any allocation, or ends in order", 600)
{
	every("PSHARE_INJECT_ALLOC");
}
