/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../harness/pace.h"

double t_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

bool t_late(double start, double seconds)
{
	return test_late((int64_t)(start * 1e9), (int64_t)(seconds * 1e3));
}

void t_sleep(double seconds)
{
	double end = t_now() + seconds, left;

	while ((left = end - t_now()) > 0) {
		struct timespec ts = {.tv_sec = (time_t)left,
				      .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
		nanosleep(&ts, NULL);
	}
}

/* In a program of the test harness its own functions are there, and know better. */
__attribute__((weak)) void test_failed(bool end, const char *file, int line, const char *fmt, ...);
__attribute__((weak)) void test_skip(const char *fmt, ...);
__attribute__((weak)) const char *test_dir(void);

/* One write(2) a line: lines of several processes do not mix, and it works in a forked child. */
__attribute__((format(printf, 2, 0))) static void say(const char *what, const char *fmt, va_list ap)
{
	char line[1024];
	int n, m;

	n = snprintf(line, sizeof(line), "[%d] %s", (int)getpid(), what);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	n += m < (int)sizeof(line) - n - 1 ? m : (int)sizeof(line) - n - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

void t_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("FAIL ", fmt, ap);
	va_end(ap);
	if (getenv("PSHARE_TEST_STOP")) /* for whoever looks into it with a debugger */
		raise(SIGSTOP);
	if (test_failed)
		test_failed(true, __FILE__, __LINE__, "see the line before");
	_exit(1);
}

void t_skip(const char *fmt, ...)
{
	char reason[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	if (test_skip)
		test_skip("%s", reason);
	t_note("SKIP %s", reason);
	_exit(T_EXIT_SKIP);
}

void t_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
}

uint64_t t_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint64_t t_rand(uint64_t *state)
{
	return t_mix(*state += 0x9e3779b97f4a7c15u);
}

const char *t_build_path(const char *below, char *buf, size_t size)
{
	const char *root = getenv("PSHARE_BUILD");

	snprintf(buf, size, "%s/%s", root ? root : TEST_BUILD_ROOT, below);
	return buf;
}

bool t_have_pshare(void)
{
	char path[PATH_MAX];

	if (getenv("PSHARE_TEST_BARE"))
		return false;
	return !access(t_build_path("src/agent/libpshare-agent.so", path, sizeof(path)), R_OK) &&
	       !access(t_build_path("src/daemon/pshared", path, sizeof(path)), X_OK);
}

bool t_have_inject(void)
{
	const char *env = getenv("PSHARE_TEST_INJECT");

	return env && *env == '1' && t_have_pshare();
}

void t_need_root(void)
{
	if (geteuid() != 0)
		t_skip("needs root: page frame numbers and userfaultfd");
}

ssize_t t_slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0)
		return -1;
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	close(fd);
	return (ssize_t)len;
}

void t_mkdtemp(char *buf, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	if (test_dir) { /* the harness removes what is in its folder, however the test ends */
		chmod(test_dir(), 0755); /* VMs of other users must get through */
		snprintf(buf, size, "%s/XXXXXX", test_dir());
		if (!mkdtemp(buf))
			t_fail("mkdtemp %s: %m", buf);
		return;
	}

	snprintf(buf, size, "%s/pshare-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(buf))
		t_fail("mkdtemp %s: %m", buf);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

void t_rmdir(const char *dir)
{
	if (*dir)
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int t_wait(pid_t pid, double seconds, int *status)
{
	double start = t_now();
	double nap = 0.0005;

	for (;;) {
		pid_t r = waitpid(pid, status, WNOHANG);
		if (r == pid)
			return 0;
		if (r < 0 && errno != EINTR)
			return -1;
		if (t_late(start, seconds))
			return -1;
		t_sleep(nap);
		if (nap < 0.02)
			nap *= 2;
	}
}
