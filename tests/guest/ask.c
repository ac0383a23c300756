/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ask: puts one command to a test guest through its console, and waits for the answer.
 *
 *	ask SOCKET SECONDS COMMAND [ARGUMENT]
 *
 * SOCKET is QEMU's end of the guest's second serial port. The answer is printed without its tag:
 * "ok KEY=VALUE ..." or "bad ...". Exit status 0: ok; 1: bad; 2: nobody answered in time. "hello"
 * may be asked before the guest runs: it is asked again and again, until the answer is "ok" (the
 * first question may have been cut in two when the guest opened the port).
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sys/cleanup.h"

#define LINE_BYTES 1024
#define AGAIN_MS 1000
#define CONNECT_MS 100

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Connects to the socket, which may not be there yet. The descriptor, or -errno. */
static int connect_until(const char *path, long long end)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t length = strlen(path);

	if (length >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, length);
	for (;;) {
		_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return -errno;
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
			return TAKE_FD(fd);
		if (now_ms() >= end)
			return -errno;
		usleep(CONNECT_MS * 1000);
	}
}

/* One line from the guest into line, without its end. False: none in time, or the guest went. */
static bool read_line(int fd, char line[static LINE_BYTES], long long end)
{
	size_t have = 0;

	while (now_ms() < end) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		char c;

		if (poll(&ready, 1, (int)(end - now_ms())) <= 0)
			continue;
		if (read(fd, &c, 1) != 1)
			return false;
		if (c == '\n') {
			line[have] = '\0';
			return true;
		}
		if (c != '\r' && have < LINE_BYTES - 1)
			line[have++] = c;
	}
	return false;
}

/* Waits for the line that starts with tag; prints the rest if it is wanted: "ok", or also "bad".
 * Exit status, or -1: none in time. */
static int wait_answer(int fd, const char *tag, bool bad_too, long long end)
{
	char line[LINE_BYTES];
	size_t n = strlen(tag);

	while (read_line(fd, line, end)) {
		bool ok;

		if (strncmp(line, tag, n) != 0 || line[n] != ' ')
			continue;
		ok = strncmp(line + n + 1, "ok", 2) == 0;
		if (!ok && !bad_too)
			continue;
		puts(line + n + 1);
		return ok ? 0 : 1;
	}
	return -1;
}

int main(int argc, char **argv)
{
	_cleanup_close_ int fd = -1;
	char tag[32], line[LINE_BYTES];
	long long end;
	bool again;

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: %s SOCKET SECONDS COMMAND [ARGUMENT]\n", argv[0]);
		return 2;
	}
	end = now_ms() + strtoll(argv[2], NULL, 10) * 1000;
	again = strcmp(argv[3], "hello") == 0;
	snprintf(tag, sizeof(tag), "%lld.%d", now_ms(), (int)getpid());
	/* the line end before it closes what an earlier asker may have left unfinished */
	snprintf(line, sizeof(line), "\n%s %s %s\n", tag, argv[3], argc > 4 ? argv[4] : "");
	fd = connect_until(argv[1], end);
	if (fd < 0) {
		fprintf(stderr, "no guest at %s: %s\n", argv[1], strerror(-fd));
		return 2;
	}
	do {
		long long until;
		int status;

		if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
			break;
		until = now_ms() + AGAIN_MS;
		status = wait_answer(fd, tag, !again, again && until < end ? until : end);
		if (status >= 0)
			return status;
	} while (again && now_ms() < end);
	fprintf(stderr, "the guest at %s did not answer \"%s\"\n", argv[1], argv[3]);
	return 2;
}
