/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * border: calls that a VMM makes on its memory mean under the agent what they mean without it, and
 * none of them, made in a signal handler or by a thread that is cancelled, waits for ever.
 *
 * Each test starts the program `caller` with the name of what it is to do.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dangers.h"

#define CALLER_SECONDS 100
#define CALLER_PAGES 2048u

struct t_daemon d;

static pid_t call(const char *scene, int sock)
{
	char path[512], fd[16];
	char *argv[] = {path, (char *)(uintptr_t)scene, fd, NULL};
	struct t_vm_opts opts = {.name = "caller", .salt = "salt of the border", .keep_fd = sock};

	t_build_path("tests/system/caller", path, sizeof(path));
	snprintf(fd, sizeof(fd), "%d", sock);
	return t_vm_spawn(&d, &opts, argv);
}

static int ended(pid_t pid)
{
	int status = -1;

	if (t_wait(pid, CALLER_SECONDS, &status)) {
		kill(pid, SIGKILL);
		t_wait(pid, 5, &status);
		FAIL("it hangs");
	}
	return status;
}

static void does(const char *scene)
{
	t_daemon_fresh(&d);
	REQUIRE_EQ(ended(call(scene, 0)), 0);
	t_daemon_free(&d);
}

/* The same; at each place where it wants to be looked at, look() is called. */
static void does_and_shows(const char *scene, void (*look)(int turn))
{
	int pair[2], turn = 0;
	char byte;
	pid_t pid;

	t_daemon_fresh(&d);
	REQUIRE_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	pid = call(scene, pair[1]);
	close(pair[1]);
	while (read(pair[0], &byte, 1) == 1) {
		look(turn++);
		REQUIRE_EQ(write(pair[0], &byte, 1), 1);
	}
	CHECK_EQ(ended(pid), 0);
	CHECK_GT(turn, 0);
	t_daemon_free(&d);
}

static bool said(const char *what)
{
	char body[1 << 16];

	return t_http(&d, "GET", "/v1/vms/caller", NULL, body, sizeof(body)) == 200 &&
	       strstr(body, what);
}

TEST_SECONDS("a discard that the kernel refuses leaves every byte, and one with a hole goes on",
	     120)
{
	does("discards");
}

TEST_SECONDS("every advice, known or not, does to shared memory what it does to plain memory", 180)
{
	does("advices");
}

TEST_SECONDS("memory that is to be wiped in a child is", 120)
{
	does("wipe");
}

TEST_SECONDS("what may be mergeable is judged as the kernel judges it", 120)
{
	does("mergeable");
}

TEST_SECONDS("a signal handler may write to shared memory, whatever call it came into", 120)
{
	does("signals-touch");
}

TEST_SECONDS("a signal handler may map and unmap, whatever call it came into", 120)
{
	does("signals-map");
}

TEST_SECONDS("no thread is cancelled inside a call that is no cancellation point", 120)
{
	does("cancellation");
}

TEST_SECONDS("children of fork(), _Fork() and clone() see the memory, shared again after", 180)
{
	does("children");
}

TEST_SECONDS("calls that the kernel refuses take nothing away, and memory that moves is shared on",
	     120)
{
	does("moves");
}

TEST_SECONDS("pkey_mprotect() is followed as mprotect() is", 120)
{
	does("protected");
}

static void shown_locked(int turn)
{
	double store = (double)pm_memfd_bytes(d.pid, "pshare");

	(void)turn;
	REQUIRE_WITHIN(SHARED_MS, said("\"locked\""));
	t_sleep(1);
	/* nobody has filled the store's holes meanwhile */
	CHECK_LE((double)pm_memfd_bytes(d.pid, "pshare"), store + (1 << 20));
}

TEST_SECONDS("mlockall() locks what it would natively, and sharing is back after munlockall()", 180)
{
	does_and_shows("locked-after", shown_locked);
}

TEST_SECONDS("a process that has locked its future takes no memory for the agent's mappings", 120)
{
	does_and_shows("locked-before", shown_locked);
}

static void shown_foreign(int turn)
{
	(void)turn;
	REQUIRE_WITHIN(SHARED_MS, said("\"foreign\""));
}

TEST_SECONDS("a userfaultfd of the VMM's own comes first, is shown, and sharing is back after it",
	     180)
{
	does_and_shows("foreign", shown_foreign);
}

/* ---- a core dump -------------------------------------------------------------------------- */

static uint64_t word_at(int fd, uint64_t offset)
{
	uint64_t word = 0;

	REQUIRE_EQ(pread(fd, &word, sizeof(word), (off_t)offset), (ssize_t)sizeof(word));
	return word;
}

/* The pages of a range that the dump has, and that are not empty. */
static uint32_t dumped(int fd, uint64_t start, uint32_t pages)
{
	uint64_t end = start + (uint64_t)pages * T_PAGE;
	uint32_t found = 0;
	Elf64_Ehdr head;

	REQUIRE_EQ(pread(fd, &head, sizeof(head), 0), (ssize_t)sizeof(head));
	REQUIRE_LT(head.e_phnum, PN_XNUM);
	for (unsigned int i = 0; i < head.e_phnum; i++) {
		Elf64_Phdr p;

		REQUIRE_EQ(pread(fd, &p, sizeof(p), (off_t)(head.e_phoff + i * sizeof(p))),
			   (ssize_t)sizeof(p));
		if (p.p_type != PT_LOAD)
			continue;
		for (uint64_t at = 0; at < p.p_filesz; at += T_PAGE)
			if (p.p_vaddr + at >= start && p.p_vaddr + at < end)
				found += word_at(fd, p.p_offset + at + 128) != 0;
	}
	return found;
}

static void dumping_caller(uint64_t *base, uint64_t *secret)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	char line[128] = "";
	int fds[2];
	pid_t pid;
	int status;

	REQUIRE_SYS(setrlimit(RLIMIT_CORE, &all));
	REQUIRE_SYS(pipe2(fds, O_CLOEXEC));
	REQUIRE_SYS(dup2(fds[1], STDOUT_FILENO));
	pid = call("core", 0);
	status = ended(pid);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	REQUIRE_EQ(WTERMSIG(status), SIGABRT);
	if (!WCOREDUMP(status))
		SKIP("no core dump was written");
	REQUIRE_GT(read(fds[0], line, sizeof(line) - 1), 0);
	REQUIRE_EQ(sscanf(line, "%lx %lx", base, secret), 2);
}

TEST_SECONDS("a core dump has what is shared, and has not what is left out of dumps", 120)
{
	uint64_t base, secret;
	char pattern[128];
	int fd;

	if (t_slurp("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern)) < 0 ||
	    strcmp(pattern, "core\n") != 0)
		SKIP("core dumps go elsewhere here (kernel.core_pattern)");
	t_daemon_fresh(&d);
	REQUIRE_SYS(chdir(test_dir()));
	dumping_caller(&base, &secret);
	fd = open("core", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		SKIP("the core dump has another name here (kernel.core_uses_pid)");
	CHECK_EQ(dumped(fd, base, CALLER_PAGES), CALLER_PAGES);
	CHECK_EQ(dumped(fd, secret, CALLER_PAGES), 0);
	close(fd);
	t_daemon_free(&d);
}

/* ---- what is left behind ------------------------------------------------------------------ */

static struct t_vm_opts named(const char *name)
{
	return (struct t_vm_opts){.name = name, .salt = "salt of the border"};
}

static void up(struct fakevmm *v, const char *name)
{
	fv_start(v, &d, named(name));
	fv_map(v, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_pool(v, 0, 0, PAGES, 0);
}

/* A region that is given up while no mapping is to be had keeps pages in frames' mappings. */
static void withdrawn_stuck(struct fakevmm *a)
{
	REQUIRE(fv_wait_shared(a, 0, PAGES * 9 / 10, SHARED_MS * 0.001));
	fv_do(a, FV_EAT, 0, 0, 0, 0, 0);
	fv_do(a, FV_MADVISE, 0, 0, PAGES, 0, MADV_UNMERGEABLE);
	fv_do(a, FV_SPIT, 0, 0, 0, 0, 0);
	/* copies, but in mappings of the store still: more than the one that there was */
	REQUIRE_GT(pm_mappings_in(a->pid, a->base[0], PAGES), 1);
	fv_check(a, 0);
}

TEST_SECONDS("pages that stay in a frame's mapping when their region is given up discard to zeros",
	     120)
{
	struct fakevmm a, b;

	T_NEED_FEW_MAPPINGS();
	t_daemon_fresh(&d);
	up(&b, "b");
	up(&a, "a");
	withdrawn_stuck(&a);
	for (uint32_t page = 3; page + 5 < PAGES; page += 50)
		fv_do(&a, FV_DISCARD, 0, page, 5, 0, 0);
	fv_check(&a, 0);
	fv_do(&a, FV_DISCARD, 0, 0, PAGES / 2, 0, 0);
	fv_check(&a, 0);
	fv_do(&a, FV_PATCH, 0, 0, PAGES, 64, 7);
	fv_do(&a, FV_DISCARD, 0, 0, PAGES, 0, 0);
	fv_check(&a, 0);
	/* nothing is left: it may be offered again */
	fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_MERGEABLE);
	fv_pool(&a, 0, 0, PAGES, 0);
	REQUIRE(fv_wait_shared(&a, 0, PAGES * 9 / 10, SHARED_MS * 0.001));
	fv_check(&a, 0);
	fv_check(&b, 0);
	fv_end(&a);
	fv_end(&b);
	t_daemon_free(&d);
}
