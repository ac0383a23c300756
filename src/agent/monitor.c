/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM may be held back (QMP "stop") by the process that speaks QMP for the daemon. That process
 * lets it go when the daemon ends, and the daemon when that process ends. If all of them are killed
 * at once, only this library is left, inside the VMM: it was told before the VM was stopped, and
 * when the daemon is gone it lets go by itself. It parses nothing for that: it connects, says two
 * commands, and keeps the connection open for a while, for QEMU drops what it has not read from a
 * client that has gone. To let go of a VM that runs does nothing.
 *
 * Somebody may have the socket still: then the connection waits in QEMU's queue with the commands
 * in it. If it cannot be had at all it is tried again.
 */
#include "agent/monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/say.h"
#include "sys/cleanup.h"
#include "sys/sock.h"
#include "sys/stream.h"

#define OPEN_NS 5000000000ull
#define AGAIN_NS 500000000ull

static const char let_go[] = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"cont\"}\n";

void monitor_init(struct agent *a)
{
	const char *path = getenv("PSHARE_QMP");

	a->monitor.fd = -1;
	if (path && *path && strlen(path) < sizeof(a->monitor.path))
		memcpy(a->monitor.path, path, strlen(path) + 1);
}

int monitor_offer(struct agent *a)
{
	struct ps_msg_qmp m = {.head = {.magic = PS_WIRE_MAGIC,
					.type = PS_MSG_QMP,
					.size = sizeof(struct ps_msg_qmp)},
			       .held = a->monitor.balloon};
	_cleanup_close_ int fd = -ENOENT;

	if (a->monitor.path[0])
		fd = sys_unix_connect(a->monitor.path, SYS_SOCK_STREAM);
	m.error = fd < 0 ? -fd : 0;
	return sys_send_fds(a->link.sock, &m, sizeof(m), &fd, fd >= 0);
}

static void let_it_go(struct agent *a, uint64_t now)
{
	struct monitor *m = &a->monitor;
	size_t sent = 0;

	close_fd(&m->fd);
	m->next = now + AGAIN_NS;
	m->fd = sys_unix_connect(m->path, SYS_SOCK_STREAM);
	if (m->fd < 0 || sys_stream_send(m->fd, let_go, sizeof(let_go) - 1, -1, &sent) ||
	    sent != sizeof(let_go) - 1)
		return;
	m->held = false;
	m->next = now + OPEN_NS;
	agent_say("nobody is there to let this VM go: it goes on", 0);
}

int monitor_take_held(struct agent *a, const struct ps_msg_qmp *msg)
{
	if (!a->monitor.path[0] || msg->held > PS_QMP_LET_GO)
		return -EPROTO;
	a->monitor.held = msg->held != PS_QMP_FREE;
	a->monitor.next = msg->held == PS_QMP_LET_GO ? 1 : 0;
	return 0;
}

void monitor_orphaned(struct agent *a, uint64_t now)
{
	if (a->monitor.held)
		a->monitor.next = now + AGAIN_NS; /* who speaks QMP may do it first */
}

uint64_t monitor_service(struct agent *a, uint64_t now)
{
	struct monitor *m = &a->monitor;

	if (!m->next)
		return UINT64_MAX;
	if (now >= m->next) {
		m->next = 0;
		if (m->held)
			let_it_go(a, now);
		else
			close_fd(&m->fd);
	}
	return m->next > now ? m->next - now : UINT64_MAX;
}
