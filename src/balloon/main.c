/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pshare-balloon: the keeper. It takes START messages of pshared and makes a worker for each; it
 * reads nothing that a VM could have written. It ends when pshared has ended.
 *
 * A process for each VM, and not one for all: a QEMU that takes its worker over holds nothing of
 * another VM's, one that stalls holds up nobody, and a worker is a straight line of questions and
 * answers. What it costs is a few hundred KiB.
 */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balloon/confine.h"
#include "balloon/worker.h"
#include "sys/cleanup.h"
#include "sys/process.h"
#include "sys/sock.h"
#include "sys/wait.h"

#define DATA_MAX (64ul << 20)

static _Noreturn void become_worker(const struct ps_balloon_start *start, int fds[2])
{
	int kept[] = {fds[0], fds[1]};

	sys_close_others(kept, 2);
#ifndef __SANITIZE_ADDRESS__
	(void)sys_limit_data(DATA_MAX);
#endif
	(void)worker_run(start, fds[0], fds[1]);
	sys_exit_child(EXIT_SUCCESS);
}

/* False: pshared has ended. */
static bool take_message(void)
{
	struct ps_balloon_start start;
	int fds[SYS_FDS_MAX];
	unsigned int nfds = 0;
	size_t got = 0;
	int r = sys_recv_fds(PS_BALLOON_KEEPER_FD, &start, sizeof(start), &got, fds, &nfds);

	if (r == -EAGAIN)
		return true;
	if (r < 0 || got == 0)
		return false;
	if (ps_balloon_check(&start, (uint32_t)got, PS_BALLOON_START) == 0 && nfds == 2 &&
	    ps_name_check(start.name) == 0) {
		r = sys_fork();
		if (r == 0)
			become_worker(&start, fds);
		if (r < 0)
			fprintf(stderr, "pshare-balloon: %s: no process for it: %s\n", start.name,
				strerror(-r));
	}
	while (nfds)
		close_fd(&fds[--nfds]);
	return true;
}

int main(void)
{
	static const int control = PS_BALLOON_KEEPER_FD;
	unsigned int ready;
	int r = confine_keeper();

	if (r < 0) {
		fprintf(stderr, "pshare-balloon: cannot give up its rights: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	json_object_seed((size_t)sys_self_pid() | 1);
	while ((r = sys_wait_readable(&control, 1, -1, &ready)) == 0)
		if (ready && !take_message())
			return EXIT_SUCCESS;
	fprintf(stderr, "pshare-balloon: is started by pshared, not by hand: %s\n", strerror(-r));
	return EXIT_FAILURE;
}
