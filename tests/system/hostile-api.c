/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hostile-api: clients of the HTTP API that do everything wrong, against a daemon with a VM in it.
 * After each, the daemon answers the next good request, has no descriptor more than before, and
 * the VM is as it was. (src/daemon/test-api.c has the single behaviours, under sanitizers.)
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"
#include "lib/fakevmm.h"

#define GOOD_MS 2000   /* within which a good request is answered, whatever others do */
#define STRANGER 4001  /* a user who owns nothing here */
#define STRANGERS 200u /* connections that he tries to hold */
#define FUZZ_ROUNDS 4000u
#define PAGES 512u

static struct t_daemon d;
static struct fakevmm vm;

static const char good_put[] = "PUT /v1/settings/Mem.ShareScanTime HTTP/1.1\r\nHost: x\r\n"
			       "Content-Type: application/json\r\nContent-Length: 13\r\n\r\n"
			       "{\"value\": 60}";

static bool is_sharing(void)
{
	static char body[65536];

	return t_http(&d, "GET", "/v1/vms/good", NULL, body, sizeof(body)) == 200 &&
	       strstr(body, "\"state\":\"sharing\"");
}

static void begin(void)
{
	char path[192];

	t_need_root();
	t_sys(chmod(test_dir(), 0755));
	t_daemon_init(&d);
	t_daemon_start(&d, NULL, NULL, NULL);
	snprintf(path, sizeof(path), "%s/api.sock", d.dir);
	t_sys(chmod(path, 0666)); /* the worst administrator: everybody may connect */
	fv_start(&vm, &d, (struct t_vm_opts){.name = "good"});
	fv_do(&vm, FV_MAP, 0, 0, PAGES, 0, FV_MAP_NOHUGE);
	fv_do(&vm, FV_POOL, 0, 0, PAGES, 0, 1);
	/* its sockets, rings and store are there from then on */
	REQUIRE_WITHIN(10000, is_sharing());
}

static int join(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = t_sys(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.90s/api.sock", d.dir);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

static unsigned int daemon_fds(void)
{
	char path[64];
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", d.pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* A good request, answered in time. */
static bool good(void)
{
	static char body[65536];
	int64_t start = test_now_ns();
	int status = t_http(&d, "GET", "/v1/vms/good", NULL, body, sizeof(body));

	return status == 200 && test_now_ns() - start < GOOD_MS * 1000000ll;
}

static void end(unsigned int fds)
{
	CHECK(good());
	REQUIRE_WITHIN(10000, daemon_fds() <= fds);
	fv_do(&vm, FV_CHECK, 0, 0, PAGES, 0, 0);
	fv_end(&vm);
	t_daemon_free(&d);
}

static void drain(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[4096];

	while (poll(&p, 1, ms) > 0 && recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
		;
}

TEST_SECONDS("a stranger who holds all the connections that he gets keeps nobody out", 120)
{
	unsigned int fds, i, open = 0;
	int ready[2];
	pid_t pid;
	char byte;

	begin();
	fds = daemon_fds();
	REQUIRE_SYS(pipe(ready));
	pid = fork();
	if (pid == 0) {
		t_sys(setgid(STRANGER));
		t_sys(setuid(STRANGER));
		for (i = 0; i < STRANGERS; i++) {
			int fd = join();

			REQUIRE_LE(0, fd);
			(void)!send(fd, "GET /v1/st", 10, MSG_NOSIGNAL);
		}
		(void)!write(ready[1], "x", 1);
		pause();
		_exit(0);
	}
	REQUIRE_EQ(read(ready[0], &byte, 1), 1);
	for (i = 0; i < 20; i++)
		CHECK(good());
	open = daemon_fds() - fds;
	CHECK_LT(0, open);
	CHECK_LE(open, 16 + 1); /* and the end of the last good one */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	end(fds);
}

TEST_SECONDS("a stranger may read and change nothing", 120)
{
	unsigned int fds;
	int status;
	pid_t pid;

	begin();
	fds = daemon_fds();
	pid = fork();
	if (pid == 0) {
		static char body[65536];

		t_sys(setgid(STRANGER));
		t_sys(setuid(STRANGER));
		REQUIRE_EQ(t_http(&d, "GET", "/v1/status", NULL, body, sizeof(body)), 200);
		REQUIRE_EQ(t_setting_put(&d, "Mem.ShareForceSalting", "0"), 403);
		REQUIRE_EQ(t_vm_setting_put(&d, "good", "sched.mem.pshare.enable",
					    "{\"value\": false}"),
			   403);
		REQUIRE_EQ(t_vm_setting_put(&d, "good", "sched.mem.pshare.salt",
					    "{\"salt\": \"mine\"}"),
			   403);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
	end(fds);
}

TEST_SECONDS("a client that goes after any byte of a good request leaves nothing behind", 120)
{
	unsigned int fds;
	size_t n;

	begin();
	fds = daemon_fds();
	for (n = 0; n < sizeof(good_put); n++) {
		int fd = join();

		REQUIRE_LE(0, fd);
		(void)!send(fd, good_put, n, MSG_NOSIGNAL);
		close(fd);
	}
	end(fds);
}

TEST_SECONDS("thousands of requests with bytes changed, left out and doubled do no harm", 180)
{
	static char text[4 * sizeof(good_put)];
	uint64_t rng = test_seed();
	unsigned int fds, round;

	begin();
	fds = daemon_fds();
	for (round = 0; round < FUZZ_ROUNDS; round++) {
		size_t length = sizeof(good_put) - 1;
		uint32_t changes = 1 + t_below(&rng, 6);
		int fd = join();

		memcpy(text, good_put, length);
		while (changes--) {
			size_t at = t_below(&rng, (uint32_t)length);

			switch (t_below(&rng, 4)) {
			case 0:
				text[at] = (char)t_rand(&rng);
				break;
			case 1:
				memmove(text + at, text + at + 1, length - at - 1);
				length--;
				break;
			case 2:
				memmove(text + at + 1, text + at, length - at);
				length++;
				break;
			default:
				text[at] = "\r\n:{}[]\"%/ "[t_below(&rng, 11)];
			}
		}
		REQUIRE_LE(0, fd);
		(void)!send(fd, text, length, MSG_NOSIGNAL);
		if (t_below(&rng, 2))
			shutdown(fd, SHUT_WR);
		drain(fd, 1);
		close(fd);
		if (round % 500 == 0)
			CHECK(good());
	}
	end(fds);
}

TEST_SECONDS("a thousand requests in one breath, and no answer read, hold up nobody", 120)
{
	static const char one[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	unsigned int fds, i;
	int fd;

	begin();
	fds = daemon_fds();
	fd = join();
	REQUIRE_LE(0, fd);
	for (i = 0; i < 1000; i++) {
		if (send(fd, one, sizeof(one) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	}
	for (i = 0; i < 20; i++)
		CHECK(good());
	close(fd);
	end(fds);
}

TEST_SECONDS("who sends a byte a second is cut off in the end", 120)
{
	int64_t start = test_now_ns();
	unsigned int fds, i;
	bool ended = false;
	int fd;

	begin();
	fds = daemon_fds();
	fd = join();
	REQUIRE_LE(0, fd);
	for (i = 0; i < 60 && !ended; i++) {
		char byte = i < sizeof(good_put) ? good_put[i] : 'x';

		ended = send(fd, &byte, 1, MSG_NOSIGNAL) < 0;
		test_sleep_ms(1000);
	}
	CHECK(ended);
	CHECK_LT(test_now_ns() - start, 45000000000ll);
	close(fd);
	end(fds);
}

TEST_SECONDS("the same change asked for by many at once ends for each of them", 120)
{
	static char text[sizeof(good_put)];
	unsigned int fds, i;
	int fd[16];

	begin();
	fds = daemon_fds();
	memcpy(text, good_put, sizeof(text));
	for (i = 0; i < 16; i++) {
		fd[i] = join();
		REQUIRE_LE(0, fd[i]);
		REQUIRE_LT(0, send(fd[i], text, sizeof(text) - 1, MSG_NOSIGNAL));
	}
	for (i = 0; i < 16; i++) {
		struct pollfd p = {.fd = fd[i], .events = POLLIN};
		char answer[1024] = "";

		REQUIRE_LT(0, poll(&p, 1, 10000));
		REQUIRE_LT(0, recv(fd[i], answer, sizeof(answer) - 1, 0));
		CHECK(!strncmp(answer, "HTTP/1.1 200", 12) || !strncmp(answer, "HTTP/1.1 409", 12));
		close(fd[i]);
	}
	end(fds);
}
