/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unsafe: what a build with -Dinject=true has in the place of its defences; unsafe.h says why. The
 * list of names is read each time: it is short, and who runs this is not in a hurry.
 *
 * This file is empty in any other build.
 */
#include "sys/unsafe.h"

#ifdef PSHARE_INJECT

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAUSE_US 3000
#define SLOW_US 500000
#define BEYOND_CACHES 4000u /* bytes: more than the C library keeps for a thread */
#define KEPT_MAX 256u

#define PS_DEFENCE_NAME(constant, name, danger, where, without) [constant] = (name),
static const char *const NAMES[] = {PS_DEFENCES(PS_DEFENCE_NAME)};
#undef PS_DEFENCE_NAME

bool ps_without(enum ps_defence defence)
{
	const char *list = getenv("PSHARE_TEST_UNSAFE"), *name = NAMES[defence];
	size_t len = strlen(name);

	for (; list && *list; list = strchr(list, ','), list = list ? list + 1 : NULL)
		if (strncmp(list, name, len) == 0 && (list[len] == ',' || !list[len]))
			return true;
	return false;
}

void ps_unsafe_pause(void)
{
	usleep(PAUSE_US);
}

void ps_unsafe_slow(void)
{
	usleep(SLOW_US);
}

void ps_unsafe_malloc(void)
{
	char *volatile block = malloc(BEYOND_CACHES);

	free(block);
}

int ps_unsafe_dup(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

void ps_unsafe_ask(const char *agent_sock)
{
	static const char QUESTION[] = "GET /v1/status HTTP/1.0\r\n\r\n";
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t folder = strlen(agent_sock) - strlen("agent.sock");
	char answer[64];

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.*s%s", (int)folder, agent_sock, "api.sock");
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
	    send(fd, QUESTION, strlen(QUESTION), MSG_NOSIGNAL) > 0)
		while (recv(fd, answer, sizeof(answer), 0) > 0)
			;
	if (fd >= 0)
		close(fd);
}

void ps_unsafe_keep(const void *secret, size_t len)
{
	static char kept[KEPT_MAX][KEPT_MAX];
	static atomic_uint next;

	memcpy(kept[next++ % KEPT_MAX], secret, len < KEPT_MAX ? len : KEPT_MAX);
}

#endif
