/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where this process may make no userfaultfd by itself, the daemon may have the device open and
 * give it away (uffd.sock beside agent.sock, for members of its group). Asked once, when the agent
 * starts; a daemon that is not there, or does not answer, costs a second at most.
 */
#include "agent/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sys/cleanup.h"
#include "sys/sock.h"
#include "sys/wait.h"

#define PATIENCE_US 1000000
#define OWN_NAME "/agent.sock"
#define NAME "/uffd.sock"

static int receive(int sock)
{
	int fds[SYS_FDS_MAX], r;
	unsigned int nfds = 0, ready = 0;
	size_t got;
	char byte;

	r = sys_wait_readable(&sock, 1, PATIENCE_US, &ready);
	if (r)
		return r;
	if (!ready)
		return -ETIMEDOUT;
	r = sys_recv_fds(sock, &byte, sizeof(byte), &got, fds, &nfds);
	if (r)
		return r;
	while (nfds > 1)
		close_fd(&fds[--nfds]);
	return nfds ? fds[0] : -EPROTO;
}

int device_ask(const char *agent_sock)
{
	_cleanup_close_ int sock = -1;
	size_t length = strlen(agent_sock);
	char path[128];

	if (length < sizeof(OWN_NAME) || length >= sizeof(path) ||
	    strcmp(agent_sock + length - (sizeof(OWN_NAME) - 1), OWN_NAME) != 0)
		return -ENOENT;
	snprintf(path, sizeof(path), "%.*s" NAME, (int)(length - (sizeof(OWN_NAME) - 1)),
		 agent_sock);
	sock = sys_unix_connect(path, SYS_SOCK_STREAM);
	return sock < 0 ? sock : receive(sock);
}
