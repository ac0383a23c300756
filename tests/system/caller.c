/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that makes calls which a VMM may make, on memory that is shared, and compares what it
 * sees with what it would see without an agent: errno, content, children, locks. Its first argument
 * names what it does (border.c says why), its second the socket on which it tells the test that it
 * has come to a place to be looked at. It ends with status 0, or says on stderr what was wrong.
 */
#include "caller.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/pmap.h"

static int test_sock = -1;
static int pagemap = -1;

/* ---- memory ------------------------------------------------------------------------------- */

/* The content of page i: the halves of a region are equal. */
static void content(uint64_t *page, uint32_t i, uint32_t n)
{
	uint64_t x = t_mix(i % (n / 2) + 1);

	for (uint32_t k = 0; k < T_PAGE / 8; k++)
		page[k] = t_rand(&x);
}

void fill(uint8_t *base, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		content((uint64_t *)(void *)(base + (size_t)i * T_PAGE), i, n);
}

uint8_t *plain(uint32_t n)
{
	uint8_t *base = t_sys(mmap(NULL, (size_t)n * T_PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	t_sys(madvise(base, (size_t)n * T_PAGE, MADV_NOHUGEPAGE));
	fill(base, n);
	return base;
}

uint8_t *offered(uint32_t n)
{
	uint8_t *base = plain(n);

	t_sys(madvise(base, (size_t)n * T_PAGE, MADV_MERGEABLE));
	return base;
}

uint32_t framed(const uint8_t *base, uint32_t n)
{
	return pm_count(pagemap, (uintptr_t)base, n).file;
}

void wait_shared(const uint8_t *base, uint32_t n)
{
	double start = t_now();

	while (framed(base, n) < n * 9 / 10) {
		if (t_late(start, WAIT_SECONDS))
			t_fail("only %u of %u pages are shared after %d s", framed(base, n), n,
			       WAIT_SECONDS);
		t_sleep(0.01);
	}
}

uint8_t *shared(uint32_t n)
{
	uint8_t *base = offered(n);

	wait_shared(base, n);
	return base;
}

uint32_t wrong(const uint8_t *base, uint32_t n)
{
	uint64_t page[T_PAGE / 8];
	uint32_t bad = 0;

	for (uint32_t i = 0; i < n; i++) {
		content(page, i, n);
		bad += memcmp(page, base + (size_t)i * T_PAGE, T_PAGE) != 0;
	}
	return bad;
}

void check(const uint8_t *base, uint32_t n, const char *when)
{
	uint32_t bad = wrong(base, n);

	if (bad)
		t_fail("%u of %u pages are wrong %s", bad, n, when);
}

void look_at_me(void)
{
	char byte = 0;

	t_check(write(test_sock, &byte, 1) == 1, "%m");
	t_check(read(test_sock, &byte, 1) == 1, "%m");
}

/* ---- signals ------------------------------------------------------------------------------ */

static uint8_t *touched, *own;
static volatile unsigned int handled;

static void touch_shared(int sig)
{
	static uint64_t state = 1;
	volatile uint8_t *p = touched + (size_t)t_below(&state, PAGES) * T_PAGE;

	(void)sig;
	p[100]++;
	p[100]--;
	handled++;
}

static void map_own(int sig)
{
	int error = errno;
	void *p = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)sig;
	munmap(p, T_PAGE);
	/* in the region too: the very call that may have been interrupted */
	madvise(touched + (size_t)(handled % PAGES) * T_PAGE, T_PAGE, MADV_WILLNEED);
	madvise(touched + (size_t)PAGES * T_PAGE, T_PAGE, MADV_DONTNEED);
	handled++;
	errno = error;
}

/* Calls of all kinds, in the region and out of it, while signals come. */
static void call_under_signals(void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	struct itimerval every = {{0, 300}, {0, 300}}, never = {0};
	uint32_t n = PAGES + 512;
	double end;

	touched = shared(n);
	own = plain(2);
	t_sys(sigaction(SIGALRM, &action, NULL));
	t_sys(setitimer(ITIMER_REAL, &every, NULL));
	end = t_now() + SIGNAL_SECONDS;
	for (unsigned int i = 0; t_now() < end; i++) {
		uint8_t *p = touched + (size_t)(PAGES + 1 + i % 500) * T_PAGE;

		t_sys(mprotect(own, T_PAGE, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE));
		t_sys(madvise(p, T_PAGE, i & 1 ? MADV_DONTNEED : MADV_DODUMP));
	}
	t_sys(setitimer(ITIMER_REAL, &never, NULL));
	t_check(handled > 100, "only %u signals came", handled);
	t_check(wrong(touched, n) <= n - PAGES, "the handler's pages");
}

static void signals_touch(void)
{
	call_under_signals(touch_shared);
}

static void signals_map(void)
{
	call_under_signals(map_own);
}

static volatile bool stop;

static void *cancelled_in(void *arg)
{
	uint8_t *base = arg;

	for (uint32_t i = 0; !stop; i++) {
		uint8_t *p = base + (size_t)(i % PAGES) * T_PAGE;

		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		madvise(p, T_PAGE, MADV_DONTNEED);
		madvise(base, (size_t)PAGES * T_PAGE, MADV_MERGEABLE);
		mlock(p, T_PAGE);
		munlock(p, T_PAGE);
		mprotect(p, T_PAGE, PROT_READ | PROT_WRITE);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	}
	return base;
}

/* None of those calls is a cancellation point, and after one no lock is left held. */
static void cancellation(void)
{
	uint8_t *base = offered(PAGES);

	for (int i = 0; i < 100; i++) {
		pthread_t thread;
		void *end;

		stop = false;
		t_check(pthread_create(&thread, NULL, cancelled_in, base) == 0, "no thread");
		t_sleep(0.002);
		pthread_cancel(thread);
		t_sleep(0.0005);
		stop = true;
		pthread_join(thread, &end);
		t_check(end != PTHREAD_CANCELED, "cancelled inside a call, in turn %d", i);
		t_sys(madvise(base, T_PAGE, MADV_DONTNEED));
	}
}

/* ---- children ----------------------------------------------------------------------------- */

static uint8_t *inherited;

static int child(void *arg)
{
	(void)arg;
	_exit(wrong(inherited, PAGES) ? 1 : 0);
}

static void ended_well(pid_t pid, const char *how)
{
	int status = 0;

	t_check(pid > 0, "%s: %m", how);
	t_sys(waitpid(pid, &status, __WALL));
	if (status)
		t_fail("the child of %s ended with status 0x%x", how, (unsigned int)status);
}

static void children(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	pid_t pid;

	inherited = shared(PAGES);
	pid = _Fork();
	if (!pid)
		child(NULL);
	ended_well(pid, "_Fork()");
	wait_shared(inherited, PAGES);
	ended_well(clone(child, stack + sizeof(stack), SIGCHLD, NULL), "clone()");
	wait_shared(inherited, PAGES);
	ended_well(clone(child, stack + sizeof(stack), SIGCHLD | CLONE_FILES, NULL),
		   "clone(CLONE_FILES)");
	wait_shared(inherited, PAGES);
	ended_well(clone(child, stack + sizeof(stack), SIGCHLD | CLONE_VM | CLONE_VFORK, NULL),
		   "clone(CLONE_VM)");
	errno = 0;
	t_check(clone(child, stack + sizeof(stack), SIGCHLD | CLONE_SIGHAND, NULL) < 0 &&
			errno == EINVAL,
		"a clone() that the kernel refuses: %m");
	pid = t_sys(fork());
	if (!pid)
		child(NULL);
	ended_well(pid, "fork()");
	/* nobody writes, and all is shared again */
	wait_shared(inherited, PAGES);
	check(inherited, PAGES, "after all children");
}

/* -------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*run)(void);
} scenes[] = {
	{"advices", advices},
	{"cancellation", cancellation},
	{"children", children},
	{"core", core},
	{"discards", discards},
	{"foreign", foreign},
	{"locked-after", locked_after},
	{"locked-before", locked_before},
	{"mergeable", mergeable},
	{"moves", moves},
	{"protected", protected_by_key},
	{"signals-map", signals_map},
	{"signals-touch", signals_touch},
	{"wipe", wipe_on_fork},
};

int main(int argc, char **argv)
{
	test_sock = argc == 3 ? atoi(argv[2]) : -1;
	pagemap = t_sys(pm_open(0));
	for (size_t i = 0; argc > 1 && i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		if (strcmp(argv[1], scenes[i].name) != 0)
			continue;
		scenes[i].run();
		return 0;
	}
	t_fail("there is no such scene");
}
