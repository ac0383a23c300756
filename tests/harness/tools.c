// SPDX-License-Identifier: LGPL-2.1-or-later
/* What many tests need: time, a folder, a seed, paths, a command's output. */
#include "harness/internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATHS_KEPT 4
#define PATH_SIZE 4096

void test_sleep_ms(unsigned int ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l};

	while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
		continue;
}

const char *test_dir(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	const char *base = getenv("TMPDIR");
	char path[DIR_SIZE] = "";

	pthread_mutex_lock(&lock);
	if (!test_record->dir[0]) {
		if (!base || strlen(base) > DIR_SIZE - 24)
			base = P_tmpdir;
		snprintf(path, sizeof(path), "%s/pshare-test-XXXXXX", base);
		if (!mkdtemp(path))
			FAIL("mkdtemp %s: %s", path, strerrorname_np(errno));
		memcpy(test_record->dir, path, sizeof(path));
	}
	pthread_mutex_unlock(&lock);
	return test_record->dir;
}

static const char *path_below(const char *root, const char *path)
{
	static char kept[PATHS_KEPT][PATH_SIZE];
	static atomic_uint next;
	char *text = kept[atomic_fetch_add(&next, 1) % PATHS_KEPT];

	snprintf(text, PATH_SIZE, "%s/%s", root, path);
	if (access(text, F_OK) != 0)
		FAIL("%s is not there", text);
	return text;
}

const char *test_built(const char *path)
{
	return path_below(TEST_BUILD_ROOT, path);
}

const char *test_source(const char *path)
{
	return path_below(TEST_SOURCE_ROOT, path);
}

/* Zero pages all have one number; who may not see numbers believes it. */
bool test_reads_map_zero_page(void)
{
	long page = sysconf(_SC_PAGESIZE);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	volatile char *two = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry[2] = {0};
	ssize_t got;

	REQUIRE(fd >= 0 && two != MAP_FAILED);
	(void)two[0];
	(void)two[page];
	got = pread(fd, entry, sizeof(entry), (off_t)((uintptr_t)two / (uintptr_t)page * 8));
	munmap((void *)two, 2 * (size_t)page);
	close(fd);
	return got != sizeof(entry) || entry[0] == entry[1];
}

static uint64_t seed;

static void seed_choose(void)
{
	const char *asked = getenv("PSHARE_TEST_SEED");

	if (asked)
		seed = strtoull(asked, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		seed = (uint64_t)test_now_ns();
	printf("PSHARE_TEST_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
}

uint64_t test_seed(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, seed_choose);
	return seed;
}

/* Reads to the end of file, keeps what fits. */
static void read_all(int fd, char *out, size_t size)
{
	char rest[4096];
	size_t len = 0;
	ssize_t got;

	for (;;) {
		bool room = out && len + 1 < size;

		got = room ? read(fd, out + len, size - 1 - len) : read(fd, rest, sizeof(rest));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		if (room)
			len += (size_t)got;
	}
	if (out && size)
		out[len] = '\0';
}

int test_run(char *out, size_t size, const char *const argv[])
{
	int status, pipe_fds[2];
	pid_t pid;

	REQUIRE_SYS(pipe2(pipe_fds, O_CLOEXEC));
	pid = fork();
	REQUIRE_SYS(pid);
	if (pid == 0) {
		dup2(pipe_fds[1], STDOUT_FILENO);
		dup2(pipe_fds[1], STDERR_FILENO);
		execvp(argv[0], (char *const *)argv);
		dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerrorname_np(errno));
		_exit(127);
	}
	close(pipe_fds[1]);
	read_all(pipe_fds[0], out, size);
	close(pipe_fds[0]);
	while (waitpid(pid, &status, 0) < 0)
		REQUIRE_EQ(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
