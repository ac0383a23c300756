/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Balloons end to end but for QEMU: the real daemon, the real pshare-balloon, agents of paper that
 * hand over connections to monitors of paper, honest and not.
 */
#include "harness/harness.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/fakeqmp.h"
#include "../lib/peer.h"
#include "wire/balloon.h"

#define MIB (1ull << 20)
#define LONG_MS 60000 /* on a machine with much else to do */

/* ---- agents with a monitor ------------------------------------------------------------------- */

struct vm {
	struct peer peer;
	struct fakeqmp qmp;
	uint32_t asked; /* what its agent says that its balloon was asked for: pages + 1 */
	char name[PS_NAME_MAX];
};

static const char *const at_once[] = {"--set", "Mem.CtlUpTime=0", NULL};

static void start_daemon(struct t_daemon *d)
{
	t_need_product();
	t_daemon_init(d);
	t_daemon_start(d, at_once, NULL, NULL);
}

/* With the monitor that it has. */
static void vm_connect(struct vm *vm, const struct t_daemon *d, const char *name)
{
	union peer_msg m;

	snprintf(vm->name, sizeof(vm->name), "%s", name);
	peer_connect(&vm->peer, d);
	peer_hello_make(&vm->peer, &m, name);
	m.hello.flags = PS_HELLO_QMP;
	t_check(!peer_say(&vm->peer, PS_MSG_HELLO, &m, NULL, 0), "%m");
	REQUIRE_EQ(peer_hear(&vm->peer, PS_MSG_DOMAIN, PEER_MS), PS_MSG_DOMAIN);
}

static void vm_join(struct vm *vm, const struct t_daemon *d, const char *name,
		    enum fakeqmp_kind kind)
{
	fakeqmp_init(&vm->qmp, kind);
	vm->asked = 0;
	vm_connect(vm, d, name);
}

/* The agent's part: whenever a connection is wanted it gives one. */
static void vm_serve(struct vm *vm)
{
	union peer_msg m = {.qmp = {.held = vm->asked}};
	int fd;

	(void)peer_hear(&vm->peer, PS_MSG_TYPE_END, 0);
	if (!vm->peer.qmp_wants)
		return;
	vm->peer.qmp_wants = 0;
	fd = fakeqmp_connect(&vm->qmp);
	CHECK_EQ(peer_say(&vm->peer, PS_MSG_QMP, &m, &fd, 1), 0);
	close(fd);
}

static bool state_is(const struct t_daemon *d, const struct vm *vm, const char *state)
{
	char path[128], body[16384], wanted[64];

	snprintf(path, sizeof(path), "/v1/vms/%s/balloon", vm->name);
	snprintf(wanted, sizeof(wanted), "{\"state\":\"%s\"", state);
	return t_http(d, "GET", path, NULL, body, sizeof(body)) == 200 && strstr(body, wanted);
}

static double figure(const struct t_daemon *d, const struct vm *vm, const char *way)
{
	char path[128];

	snprintf(path, sizeof(path), "/v1/vms/%s/balloon", vm->name);
	return t_api_number(d, path, way);
}

static int want(const struct t_daemon *d, const struct vm *vm, const char *body)
{
	char path[128], answer[16384];

	snprintf(path, sizeof(path), "/v1/vms/%s/balloon", vm->name);
	return t_http(d, "PUT", path, body, answer, sizeof(answer));
}

#define TARGET_256 "{\"target\": 268435456}"

#define REQUIRE_SERVED(vm, what) REQUIRE_WITHIN(LONG_MS, (vm_serve(vm), (what)))

TEST_SECONDS("a balloon follows its target, is shown, and is given back when its guest runs short",
	     180)
{
	struct t_daemon d;
	struct vm vm;

	start_daemon(&d);
	vm_join(&vm, &d, "web", FAKEQMP_HONEST);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "ready"));
	CHECK_EQ(figure(&d, &vm, "memory"), 512 * MIB);
	CHECK_EQ(figure(&d, &vm, "guest/available"), 412 * MIB);
	CHECK_EQ(want(&d, &vm, TARGET_256), 200);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "at-target"));
	CHECK_EQ(fakeqmp_left(&vm.qmp), 256 * MIB);
	CHECK_EQ(figure(&d, &vm, "MCTLSZ"), 256 * MIB);
	CHECK_EQ(figure(&d, &vm, "MCTLTGT"), 256 * MIB);
	CHECK_EQ(figure(&d, &vm, "MCTLMAX"), 512 * MIB / 100 * 65);
	fakeqmp_need(&vm.qmp, 250 * MIB);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "guest-short"));
	REQUIRE_SERVED(&vm, fakeqmp_left(&vm.qmp) >= 250 * MIB + 64 * MIB);
	fakeqmp_need(&vm.qmp, 100 * MIB);
	CHECK_EQ(want(&d, &vm, "{\"target\": null}"), 200);
	REQUIRE_SERVED(&vm, fakeqmp_left(&vm.qmp) == 512 * MIB);
	peer_close(&vm.peer);
	t_daemon_free(&d);
}

TEST_SECONDS("settings limit the balloon; 0 percent gives back what it holds", 180)
{
	struct t_daemon d;
	struct vm vm;

	start_daemon(&d);
	vm_join(&vm, &d, "web", FAKEQMP_HONEST);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "ready"));
	CHECK_EQ(t_setting_put(&d, "Mem.CtlMaxPercent", "20"), 200);
	CHECK_EQ(want(&d, &vm, TARGET_256), 200);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "at-max"));
	CHECK_EQ(512 * MIB - fakeqmp_left(&vm.qmp), 512 * MIB / 100 * 20);
	CHECK_EQ(t_setting_put(&d, "Mem.CtlMaxPercent", "0"), 200);
	REQUIRE_SERVED(&vm, fakeqmp_left(&vm.qmp) == 512 * MIB);
	peer_close(&vm.peer);
	t_daemon_free(&d);
}

static const struct {
	enum fakeqmp_kind kind;
	const char *name, *state, *other;
} bad[] = {
	{FAKEQMP_NO_DEVICE, "no-device", "no-device", ""},
	{FAKEQMP_NO_DRIVER, "no-driver", "no-driver", ""},
	{FAKEQMP_NO_ROOM, "no-room", "slow", ""},
	{FAKEQMP_REFUSES, "refuses", "refused", ""},
	{FAKEQMP_SILENT, "silent", "stalled", ""},
	{FAKEQMP_STALLS, "stalls", "stalled", ""},
	{FAKEQMP_CLOSES, "closes", "lost", ""},
	{FAKEQMP_WRONG_ID, "wrong-id", "lies", ""},
	{FAKEQMP_NO_JSON, "no-json", "lies", ""},
	{FAKEQMP_FLOODS, "floods", "lies", "stalled"}, /* what comes first on a busy machine */
	{FAKEQMP_HUGE, "huge", "lies", "stalled"},
	{FAKEQMP_DEEP, "deep", "lies", "stalled"},
	{FAKEQMP_DRIPS, "drips", "stalled", ""},
	{FAKEQMP_IMPOSSIBLE, "impossible", "lies", ""},
};
#define BAD (sizeof(bad) / sizeof(bad[0]))

TEST_WITH("a QEMU that lies, stalls, closes or floods costs only itself", .seconds = 240,
	  .load = 60)
{
	struct vm *vm = calloc(BAD + 1, sizeof(*vm)), *good = &vm[BAD];
	bool seen[BAD] = {false}, wanted[BAD] = {false};
	size_t left = BAD;
	struct t_daemon d;
	double begun;

	start_daemon(&d);
	for (size_t i = 0; i < BAD; i++)
		vm_join(&vm[i], &d, bad[i].name, bad[i].kind);
	vm_join(good, &d, "good", FAKEQMP_HONEST);
	REQUIRE_SERVED(good, state_is(&d, good, "ready"));
	CHECK_EQ(want(&d, good, TARGET_256), 200);
	for (begun = t_now(); left && !t_late(begun, LONG_MS / 1e3); t_sleep(0.05)) {
		for (size_t i = 0; i < BAD; i++) {
			vm_serve(&vm[i]);
			wanted[i] = wanted[i] || want(&d, &vm[i], TARGET_256) == 200;
			if (seen[i] || (!state_is(&d, &vm[i], bad[i].state) &&
					!state_is(&d, &vm[i], bad[i].other)))
				continue;
			seen[i] = true;
			left--;
		}
		vm_serve(good);
	}
	for (size_t i = 0; i < BAD; i++)
		if (!seen[i])
			NOTE_FAIL("%s is not seen to be %s", bad[i].name, bad[i].state);
	REQUIRE_SERVED(good, state_is(&d, good, "at-target"));
	CHECK_EQ(fakeqmp_connections(&good->qmp), 1);
	for (size_t i = 0; i <= BAD; i++)
		peer_close(&vm[i].peer);
	t_daemon_free(&d);
	free(vm);
}

TEST_SECONDS("a QEMU that says it shrank while the host has not got one page is found out", 180)
{
	struct t_daemon d;
	struct vm vm;

	start_daemon(&d);
	peer_look_large(900 * MIB); /* this process is the VMM, and keeps all that it has */
	vm_join(&vm, &d, "web", FAKEQMP_HONEST);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "ready"));
	CHECK_EQ(want(&d, &vm, TARGET_256), 200);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "not-freed"));
	REQUIRE_SERVED(&vm, fakeqmp_left(&vm.qmp) == 512 * MIB); /* it suffers for nothing */
	CHECK_EQ(figure(&d, &vm, "usable"), 0);
	peer_close(&vm.peer);
	t_daemon_free(&d);
}

TEST("locked memory is known before anything is tried")
{
	struct t_daemon d;
	struct vm vm;

	start_daemon(&d);
	vm_join(&vm, &d, "web", FAKEQMP_HONEST);
	CHECK_EQ(peer_region(&vm.peer, PS_MSG_REGION_REFUSED, 0, 1u << 17, PS_CAUSE_LOCKED), 0);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "locked"));
	REQUIRE_SERVED(&vm, want(&d, &vm, TARGET_256) == 200);
	t_sleep(3);
	CHECK(state_is(&d, &vm, "locked"));
	CHECK_EQ(fakeqmp_left(&vm.qmp), 512 * MIB);
	peer_close(&vm.peer);
	t_daemon_free(&d);
}

TEST("a monitor that its agent cannot reach is told, and tried again")
{
	struct t_daemon d;
	struct vm vm;
	union peer_msg m = {.qmp = {.error = ECONNREFUSED}};

	start_daemon(&d);
	vm_join(&vm, &d, "web", FAKEQMP_HONEST);
	REQUIRE_WITHIN(LONG_MS, (peer_hear(&vm.peer, PS_MSG_TYPE_END, 0), vm.peer.qmp_wants));
	vm.peer.qmp_wants = 0;
	CHECK_EQ(peer_say(&vm.peer, PS_MSG_QMP, &m, NULL, 0), 0);
	REQUIRE_WITHIN(LONG_MS, state_is(&d, &vm, "no-socket"));
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "ready"));
	peer_close(&vm.peer);
	t_daemon_free(&d);
}

TEST("an agent that answers with no descriptor, or with none asked for, harms nobody")
{
	struct t_daemon d;
	struct vm vm, other;
	union peer_msg m = {.qmp = {.error = 0}};
	int fds[2];

	start_daemon(&d);
	vm_join(&vm, &d, "web", FAKEQMP_HONEST);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "ready"));
	REQUIRE_SYS(pipe(fds));
	CHECK_EQ(peer_say(&vm.peer, PS_MSG_QMP, &m, fds, 1), 0); /* a second one, of no use */
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "ready"));
	CHECK_EQ(peer_say(&vm.peer, PS_MSG_QMP, &m, NULL, 0), 0);
	REQUIRE_WITHIN(LONG_MS, peer_is_cut(&vm.peer, 50));
	vm_join(&other, &d, "other", FAKEQMP_HONEST);
	REQUIRE_SERVED(&other, state_is(&d, &other, "ready"));
	peer_close(&vm.peer);
	peer_close(&other.peer);
	t_daemon_free(&d);
}

TEST("a monitor that cannot be had is not asked for without a pause, though the VM stands still")
{
	union peer_msg m, no = {.qmp = {.error = ECONNREFUSED}};
	unsigned int wants = 0;
	struct t_daemon d;
	struct peer p;

	start_daemon(&d);
	peer_connect(&p, &d);
	peer_hello_make(&p, &m, "held");
	m.hello.flags = PS_HELLO_QMP | PS_HELLO_HELD;
	CHECK_EQ(peer_say(&p, PS_MSG_HELLO, &m, NULL, 0), 0);
	for (double end = t_now() + 2; t_now() < end; p.qmp_wants = 0) {
		(void)peer_hear(&p, PS_MSG_QMP_WANT, 100);
		for (unsigned int i = 0; i < p.qmp_wants; i++)
			CHECK_EQ(peer_say(&p, PS_MSG_QMP, &no, NULL, 0), 0);
		wants += p.qmp_wants;
	}
	CHECK_GE(wants, 2);
	CHECK_LE(wants, 10);
	peer_close(&p);
	t_daemon_free(&d);
}

/* ---- deaths ---------------------------------------------------------------------------------- */

static pid_t parent_of(pid_t pid)
{
	char path[64], text[512], *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (t_slurp(path, text, sizeof(text)) <= 0 || !(end = strrchr(text, ')')))
		return 0;
	return (pid_t)strtol(end + 4, NULL, 10);
}

/* Processes of pshare-balloon that this test's daemons started; all of them are killed. */
static unsigned int kill_balloons(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned int killed = 0;

	while ((entry = readdir(proc))) {
		pid_t pid = (pid_t)atoi(entry->d_name), up;
		char path[64], comm[64] = "";

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		if (pid <= 1 || t_slurp(path, comm, sizeof(comm)) <= 0 ||
		    strcmp(comm, "pshare-balloon\n") != 0)
			continue;
		for (up = parent_of(pid); up > 1 && up != getpid(); up = parent_of(up))
			;
		if (up == getpid())
			killed += kill(pid, SIGKILL) == 0;
	}
	closedir(proc);
	return killed;
}

TEST_SECONDS("pshare-balloon, all of it killed, is there again, and goes on where it was", 180)
{
	struct t_daemon d;
	struct vm vm;

	start_daemon(&d);
	t_sys(prctl(PR_SET_CHILD_SUBREAPER, 1));
	vm_join(&vm, &d, "web", FAKEQMP_HONEST);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "ready"));
	CHECK_EQ(want(&d, &vm, TARGET_256), 200);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "at-target"));
	REQUIRE_EQ(kill_balloons(), 2);
	REQUIRE_SERVED(&vm, fakeqmp_connections(&vm.qmp) == 2);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "at-target"));
	CHECK_EQ(fakeqmp_left(&vm.qmp), 256 * MIB);
	peer_close(&vm.peer);
	t_daemon_free(&d);
}

TEST_SECONDS("a daemon that ends leaves a balloon to a guest that can deflate it by itself", 180)
{
	struct t_daemon d;
	struct vm vm;

	start_daemon(&d);
	vm_join(&vm, &d, "web", FAKEQMP_HONEST); /* it says deflate-on-oom=on */
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "ready"));
	CHECK_EQ(want(&d, &vm, TARGET_256), 200);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "at-target"));
	t_daemon_kill(&d, SIGKILL);
	t_sleep(1);
	CHECK_EQ(fakeqmp_left(&vm.qmp), 256 * MIB);
	peer_close(&vm.peer);
	t_daemon_free(&d);
}

/* The daemon is killed while the VM's balloon is of 256 MiB, and another one is there. */
static void meet_next_daemon(struct t_daemon *d, struct vm *vm)
{
	start_daemon(d);
	vm_join(vm, d, "web", FAKEQMP_HONEST);
	REQUIRE_SERVED(vm, state_is(d, vm, "ready"));
	CHECK_EQ(want(d, vm, TARGET_256), 200);
	REQUIRE_SERVED(vm, state_is(d, vm, "at-target"));
	t_daemon_kill(d, SIGKILL);
	peer_close(&vm->peer);
	t_daemon_start(d, at_once, NULL, NULL);
}

TEST_SECONDS("a balloon that an earlier daemon asked for is given back by the next", 180)
{
	struct t_daemon d;
	struct vm vm;

	meet_next_daemon(&d, &vm);
	vm.asked = (256 * MIB / PS_PAGE_SIZE) + 1; /* as its agent was told */
	vm_connect(&vm, &d, "web");
	CHECK_EQ(peer_region(&vm.peer, PS_MSG_REGION_ADD, 0, 512 * MIB / PS_PAGE_SIZE, 0), 0);
	REQUIRE_SERVED(&vm, fakeqmp_left(&vm.qmp) == 512 * MIB);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "ready"));
	peer_close(&vm.peer);
	t_daemon_free(&d);
}

TEST_SECONDS("one that somebody else asked for stays, until it is taken back by hand", 180)
{
	struct t_daemon d;
	struct vm vm;

	meet_next_daemon(&d, &vm);
	vm_connect(&vm, &d, "web");
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "at-target"));
	t_sleep(2);
	vm_serve(&vm);
	CHECK_EQ(fakeqmp_left(&vm.qmp), 256 * MIB);
	CHECK_EQ(want(&d, &vm, "{\"target\": 0}"), 200);
	REQUIRE_SERVED(&vm, fakeqmp_left(&vm.qmp) == 512 * MIB);
	peer_close(&vm.peer);
	t_daemon_free(&d);
}

/* A VM in low. Memory is that of this process here: more than the budget, and none of it comes
 * back, so when the balloon is at its end the VM is held. */
static char *low_start(struct t_daemon *d, struct vm *vm, enum fakeqmp_kind kind, size_t bytes)
{
	static const char *const low[] = {"--set", "Mem.CtlUpTime=0",
					  "--set", "Mem.ManagedMB=32",
					  "--set", "Mem.MemZipEnable=0",
					  "--set", "Mem.MemSwapEnable=0",
					  NULL};
	char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(memory != MAP_FAILED);
	memset(memory, 1, bytes);
	t_need_product();
	t_daemon_init(d);
	t_daemon_start(d, low, NULL, NULL);
	vm_join(vm, d, "web", kind);
	CHECK_EQ(peer_region(&vm->peer, PS_MSG_REGION_ADD, 0, 512 * MIB / PS_PAGE_SIZE, 0), 0);
	vm->peer.map->stats.size = 512 * MIB / PS_PAGE_SIZE;
	vm->peer.map->stats.grant = bytes / PS_PAGE_SIZE;
	return memory;
}

/* Who stands still gives nothing by a balloon. */
TEST_SECONDS("in low a VM is not held while its balloon can grow, and is when it cannot", 180)
{
	size_t bytes = 64 * MIB;
	struct t_daemon d;
	struct vm vm;
	char *memory = low_start(&d, &vm, FAKEQMP_HONEST, bytes);

	REQUIRE_SERVED(&vm, fakeqmp_stops(&vm.qmp) > 0);
	CHECK_LE(fakeqmp_left(&vm.qmp), 512 * MIB - 300 * MIB); /* its guest can spare 348 */
	peer_close(&vm.peer);
	t_daemon_free(&d);
	munmap(memory, bytes);
}

TEST_SECONDS("a balloon that was asked for by pressure stays when its worker is lost", 180)
{
	size_t bytes = 64 * MIB, before, most;
	struct t_daemon d;
	struct vm vm;
	char *memory = low_start(&d, &vm, FAKEQMP_HONEST, bytes);

	t_sys(prctl(PR_SET_CHILD_SUBREAPER, 1));
	REQUIRE_SERVED(&vm, fakeqmp_left(&vm.qmp) <= 400 * MIB);
	REQUIRE_EQ(kill_balloons(), 2);
	before = most = fakeqmp_left(&vm.qmp);
	REQUIRE_SERVED(&vm, (most = fakeqmp_left(&vm.qmp) > most ? fakeqmp_left(&vm.qmp) : most,
			     fakeqmp_left(&vm.qmp) < before - 8 * MIB));
	CHECK_LE(most, before);
	peer_close(&vm.peer);
	t_daemon_free(&d);
	munmap(memory, bytes);
}

TEST_SECONDS("a VM whose QEMU falls silent when it is held goes on all the same", 180)
{
	size_t bytes = 64 * MIB;
	struct t_daemon d;
	struct vm vm;
	char *memory = low_start(&d, &vm, FAKEQMP_HUSHED, bytes);

	REQUIRE_SERVED(&vm, fakeqmp_stops(&vm.qmp) > 0);
	CHECK_EQ(t_setting_put(&d, "Mem.ManagedMB", "0"), 200);
	REQUIRE_SERVED(&vm, fakeqmp_runs(&vm.qmp));
	peer_close(&vm.peer);
	t_daemon_free(&d);
	munmap(memory, bytes);
}

/* ---- a worker by itself: the test is pshared ------------------------------------------------- */

struct worker {
	struct fakeqmp qmp;
	int keeper, channel;
	pid_t pid;
	struct ps_balloon_report report;
	struct ps_balloon_order order;
};

static void worker_start(struct worker *w, uint32_t flags)
{
	struct ps_balloon_start start = {
		.head = ps_balloon_head(PS_BALLOON_START), .flags = flags, .name = "web"};
	struct peer sender = {.sock = -1};
	int keeper[2], channel[2], fds[2];

	memset(&w->report, 0, sizeof(w->report));
	REQUIRE_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, keeper));
	REQUIRE_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel));
	w->pid = t_sys(fork());
	if (!w->pid) {
		const char *path = test_built("src/balloon/pshare-balloon");

		dup2(keeper[1], PS_BALLOON_KEEPER_FD);
		fcntl(PS_BALLOON_KEEPER_FD, F_SETFD, 0);
		execl(path, path, NULL);
		_exit(127);
	}
	w->keeper = sender.sock = keeper[0];
	w->channel = channel[0];
	fds[0] = fakeqmp_connect(&w->qmp);
	fds[1] = channel[1];
	REQUIRE_EQ(peer_send(&sender, &start, sizeof(start), fds, 2), 0);
	close(fds[0]);
	close(fds[1]);
	close(keeper[1]);
	w->order = (struct ps_balloon_order){.head = ps_balloon_head(PS_BALLOON_ORDER),
					     .flags = PS_BALLOON_KEEP,
					     .max = UINT64_MAX,
					     .max_percent = 65};
}

static void worker_order(struct worker *w, uint32_t flags)
{
	w->order.flags = flags;
	REQUIRE_EQ(send(w->channel, &w->order, sizeof(w->order), MSG_NOSIGNAL),
		   (ssize_t)sizeof(w->order));
}

/* Takes the reports that are there; the last one's flags. */
static uint32_t worker_hear(struct worker *w)
{
	while (recv(w->channel, &w->report, sizeof(w->report), MSG_DONTWAIT) > 0)
		;
	return w->report.flags;
}

/* As pshared ends. */
static void worker_end(struct worker *w)
{
	int status;

	close(w->channel);
	close(w->keeper);
	CHECK_EQ(t_wait(w->pid, LONG_MS / 1e3, &status), 0);
	CHECK_EQ(status, 0);
}

TEST("a VM is held while that is ordered, and let go when it is not any more")
{
	struct worker w;

	fakeqmp_init(&w.qmp, FAKEQMP_HONEST);
	worker_start(&w, 0);
	worker_order(&w, PS_BALLOON_HOLD | PS_BALLOON_KEEP);
	REQUIRE_WITHIN(LONG_MS, worker_hear(&w) & PS_BALLOON_HELD);
	CHECK(!fakeqmp_runs(&w.qmp));
	worker_order(&w, PS_BALLOON_KEEP);
	REQUIRE_WITHIN(LONG_MS, fakeqmp_runs(&w.qmp));
	REQUIRE_WITHIN(LONG_MS, !(worker_hear(&w) & PS_BALLOON_HELD));
	CHECK_EQ(fakeqmp_stops(&w.qmp), 1);
	CHECK_EQ(fakeqmp_conts(&w.qmp), 1);
	worker_end(&w);
}

TEST("a VM that is held is let go when pshared ends")
{
	struct worker w;

	fakeqmp_init(&w.qmp, FAKEQMP_HONEST);
	worker_start(&w, 0);
	worker_order(&w, PS_BALLOON_HOLD | PS_BALLOON_KEEP);
	REQUIRE_WITHIN(LONG_MS, worker_hear(&w) & PS_BALLOON_HELD);
	worker_end(&w);
	REQUIRE_WITHIN(LONG_MS, fakeqmp_runs(&w.qmp));
}

TEST_SECONDS("a daemon that ends gives back a balloon that its guest cannot deflate by itself", 120)
{
	struct t_daemon d;
	struct vm vm;

	start_daemon(&d);
	vm_join(&vm, &d, "web", FAKEQMP_NO_OOM);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "ready"));
	CHECK_EQ(want(&d, &vm, TARGET_256), 200);
	REQUIRE_SERVED(&vm, state_is(&d, &vm, "at-target"));
	t_daemon_kill(&d, SIGKILL);
	REQUIRE_WITHIN(LONG_MS, fakeqmp_left(&vm.qmp) == 512 * MIB);
	peer_close(&vm.peer);
	t_daemon_free(&d);
}

TEST_SECONDS("a VM that is held is let go when pshared falls silent", 120)
{
	struct worker w;

	fakeqmp_init(&w.qmp, FAKEQMP_HONEST);
	worker_start(&w, 0);
	worker_order(&w, PS_BALLOON_HOLD | PS_BALLOON_KEEP);
	REQUIRE_WITHIN(LONG_MS, worker_hear(&w) & PS_BALLOON_HELD);
	REQUIRE_WITHIN(LONG_MS, fakeqmp_runs(&w.qmp));
	worker_end(&w);
}

TEST("what an earlier worker held is let go by the next")
{
	struct worker w;

	fakeqmp_init(&w.qmp, FAKEQMP_HONEST);
	fakeqmp_set_runs(&w.qmp, false);
	worker_start(&w, PS_BALLOON_WAS_HELD);
	REQUIRE_WITHIN(LONG_MS, fakeqmp_runs(&w.qmp));
	worker_end(&w);
}

TEST("pshared knows that a VM is held before QEMU does, and when QEMU says no more")
{
	struct worker w;

	fakeqmp_init(&w.qmp, FAKEQMP_HUSHED);
	worker_start(&w, 0);
	worker_order(&w, PS_BALLOON_HOLD | PS_BALLOON_KEEP);
	REQUIRE_WITHIN(LONG_MS, fakeqmp_stops(&w.qmp));
	CHECK(worker_hear(&w) & PS_BALLOON_HELD);
	REQUIRE_WITHIN(LONG_MS, (worker_hear(&w), w.report.state == PS_BALLOON_STALLED));
	CHECK(w.report.flags & PS_BALLOON_HELD);
	worker_end(&w);
	CHECK(!fakeqmp_runs(&w.qmp));
}

TEST("a worker that never reached what an earlier one held leaves it to the next")
{
	struct worker w;

	fakeqmp_init(&w.qmp, FAKEQMP_STALLS);
	worker_start(&w, PS_BALLOON_WAS_HELD);
	REQUIRE_WITHIN(LONG_MS, (worker_hear(&w), w.report.state == PS_BALLOON_STALLED));
	CHECK(w.report.flags & PS_BALLOON_HELD);
	worker_end(&w);
}

TEST("a VM that somebody else stopped is neither held nor let go")
{
	struct worker w;

	fakeqmp_init(&w.qmp, FAKEQMP_HONEST);
	fakeqmp_set_runs(&w.qmp, false);
	worker_start(&w, 0);
	worker_order(&w, PS_BALLOON_HOLD | PS_BALLOON_KEEP);
	REQUIRE_WITHIN(LONG_MS, worker_hear(&w) & PS_BALLOON_PAUSED);
	worker_order(&w, PS_BALLOON_KEEP);
	t_sleep(0.5);
	worker_end(&w);
	t_sleep(0.2);
	CHECK(!fakeqmp_runs(&w.qmp));
	CHECK_EQ(fakeqmp_conts(&w.qmp), 0);
}

/* ---- pshare run ------------------------------------------------------------------------------ */

/* A program of that name, that would do nothing. */
static const char *program(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%.80s/%s", test_dir(), name);
	if (access(path, F_OK) < 0)
		CHECK_EQ(TEST_RUN(NULL, 0, "cp", "/bin/true", path), 0);
	return path;
}

static char said[8192];

#define DRY_RUN(...)                                                                   \
	TEST_RUN(said, sizeof(said), test_built("src/cli/pshare"), "run", "--dry-run", \
		 "--runtime-dir", test_dir(), __VA_ARGS__)

TEST("pshare run adds a monitor and a balloon to a QEMU, says so, and prints what it would run")
{
	const char *qemu = program("qemu-system-x86_64");
	char folder[128];

	CHECK_EQ(DRY_RUN("--balloon", "--", qemu, "-m", "1G", "-name", "it's"), 0);
	CHECK_IN(
		"added for a QMP monitor: -chardev socket,id=pshare-monitor,server=on,wait=off,path=",
		said);
	CHECK_IN("-mon chardev=pshare-monitor,mode=control", said);
	CHECK_IN("added for --balloon: -device virtio-balloon-pci,id=pshare-balloon,"
		 "deflate-on-oom=on,free-page-reporting=on",
		 said);
	CHECK_IN(" -name 'it'\\''s' -device ", said);
	snprintf(folder, sizeof(folder), "%.80s/qmp", test_dir());
	CHECK(access(folder, F_OK) < 0); /* nothing was made */
	CHECK_EQ(DRY_RUN("--balloon", "--", qemu, "-device", "virtio-balloon-pci"), 0);
	CHECK(!strstr(said, "--balloon"));
}

TEST("--qmp takes a path, finds the command line's, or leaves the VM without")
{
	const char *qemu = program("qemu-system-x86_64");

	CHECK_EQ(DRY_RUN("--qmp", "find", "--", qemu, "-qmp",
			 "unix:/run/q.sock,server=on,wait=off"),
		 0);
	CHECK_IN("the balloon's QMP monitor is /run/q.sock\n", said);
	CHECK(!strstr(said, "added"));
	CHECK_EQ(DRY_RUN("--qmp", "find", "--", qemu), 1);
	CHECK_IN("has no -qmp", said);
	CHECK_EQ(DRY_RUN("--qmp", "/run/other.sock", "--", "/bin/true"), 0);
	CHECK_IN("the balloon's QMP monitor is /run/other.sock\n", said);
	CHECK_EQ(DRY_RUN("--qmp", "none", "--", qemu), 0);
	CHECK(!strstr(said, "monitor") && !strstr(said, "added"));
	CHECK_EQ(DRY_RUN("--", "/bin/true"), 0);
	CHECK(!strstr(said, "monitor") && !strstr(said, "added"));
	CHECK_EQ(DRY_RUN("--balloon", "--", "/bin/true"), 1);
	CHECK_IN("is no QEMU", said);
}

/* ---- the agent, when all others are dead ----------------------------------------------------- */

static int listen_at(const char *name, int type)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = t_sys(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.80s/%s", test_dir(), name);
	REQUIRE_SYS(bind(sock, (struct sockaddr *)&addr, sizeof(addr)));
	REQUIRE_SYS(listen(sock, 4));
	return sock;
}

TEST("a VM that stands still by the order of a daemon that is dead goes on: its agent sees to it")
{
	struct ps_msg_qmp held = {.head = {PS_WIRE_MAGIC, PS_MSG_HELD, sizeof(held)},
				  .held = PS_QMP_HELD};
	int daemon = listen_at("agent.sock", SOCK_SEQPACKET), session, input[2];
	int monitor = listen_at("qmp", SOCK_STREAM);
	struct ps_msg_hello hello;
	struct fakeqmp qmp;
	char path[128];
	pid_t pid;
	int status;

	t_need_root();
	fakeqmp_init(&qmp, FAKEQMP_HONEST);
	fakeqmp_listen(&qmp, monitor);
	REQUIRE_SYS(pipe(input));
	pid = t_sys(fork());
	if (!pid) {
		const char *offer = test_built("tests/system/offer");

		dup2(input[0], 0);
		close(input[1]);
		snprintf(path, sizeof(path), "%.80s/qmp", test_dir());
		setenv("PSHARE_QMP", path, 1);
		setenv("PSHARE_RUNTIME_DIR", test_dir(), 1);
		setenv("LD_PRELOAD", test_built("src/agent/libpshare-agent.so"), 1);
		execl(offer, offer, NULL);
		_exit(127);
	}
	close(input[0]);
	session = t_sys(accept(daemon, NULL, NULL));
	REQUIRE_EQ(recv(session, &hello, sizeof(hello), 0), (ssize_t)sizeof(hello));
	CHECK(hello.flags & PS_HELLO_QMP);
	CHECK(!(hello.flags & PS_HELLO_HELD));
	fakeqmp_set_runs(&qmp, false);
	REQUIRE_EQ(send(session, &held, sizeof(held), 0), (ssize_t)sizeof(held));
	t_sleep(0.3);
	CHECK(!fakeqmp_runs(&qmp)); /* the daemon is there: nothing is done */
	close(session);
	close(daemon);
	REQUIRE_WITHIN(LONG_MS, fakeqmp_runs(&qmp));
	close(input[1]);
	CHECK_EQ(t_wait(pid, LONG_MS / 1e3, &status), 0);
	CHECK_EQ(status, 0);
}
