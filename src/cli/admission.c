/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * admission: 'pshare run' on a host of a fleet asks before a VM starts (fleet/admit.h). Who started
 * pshare-fleet beside the daemon wants it asked.
 *
 * A fleet that does not answer refuses nothing: the VM starts, unchecked, and it is said. So it is
 * where no pshare-fleet has a socket, if this host is in a fleet: one has run in this folder, and
 * left its lock there, or this is the system's folder and the system has a fleet's configuration.
 * (The command's own, $PSHARE_FLEET_CONFIG, may be an administrator's, and says nothing of the
 * host.)
 */
#include "cli/admission.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/vmsize.h"
#include "fleet/admit.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/proc.h"
#include "sys/process.h"
#include "sys/sock.h"
#include "sys/wait.h"

#define SYSTEM_DIR "/run/pshare"

/* The VM as the fleet is asked about it. */
static json_t *question(const struct args *args, uint64_t bytes)
{
	char name[32];

	snprintf(name, sizeof(name), "pid-%d", (int)sys_self_pid());
	return json_pack("{s:s, s:I}", "vm", args->name ? args->name : name, "bytes",
			 (json_int_t)bytes);
}

static int ask(int fd, const json_t *body, json_t **answer)
{
	_cleanup_free_ char *text = json_line(body);
	uint64_t end = sys_now() + ADMIT_WAIT_MS * 1000000ull;
	char reply[ADMIT_MESSAGE_MAX];
	int fds[SYS_FDS_MAX], r;
	unsigned int nfds = 0, ready;
	size_t got = 0;

	r = text ? sys_send_fds(fd, text, strlen(text), NULL, 0) : -ENOMEM;
	if (r < 0)
		return r;
	do {
		if (sys_now() > end)
			return -ETIMEDOUT;
		r = sys_wait_readable(&fd, 1, 200000, &ready);
		if (!r)
			r = sys_recv_fds(fd, reply, sizeof(reply), &got, fds, &nfds);
		while (nfds)
			close_fd(&fds[--nfds]);
	} while (r == -EAGAIN);
	*answer = r < 0 ? NULL : json_loadb(reply, got, 0, NULL);
	return *answer ? 0 : -EBADMSG;
}

static int take_answer(const json_t *answer)
{
	const char *why = ask_text(answer, "why"), *control = ask_text(answer, "control");

	if (strcmp(control, "off") == 0)
		return 0;
	if (!ask_true(answer, "checked"))
		say_error(0, "warning: the fleet did not check this VM: %s", why);
	else if (!ask_true(answer, "admit") && strcmp(control, "refuse") == 0)
		return say_error(CLI_FAILED, "the fleet does not admit this VM: %s", why);
	else if (!ask_true(answer, "admit"))
		say_error(0, "warning: this VM is more than the fleet can fail over: %s", why);
	return 0;
}

static bool is_in_fleet(const struct runtime *runtime)
{
	char path[PATH_MAX + 32];
	struct sys_file file;

	snprintf(path, sizeof(path), "%s/" ADMIT_LOCK, runtime->dir);
	if (!sys_file_look(path, &file))
		return true;
	return strcmp(runtime->dir, SYSTEM_DIR) == 0 && !sys_file_look(FLEET_CONFIG_PATH, &file);
}

int admission_ask(const struct args *args, const struct runtime *runtime)
{
	_cleanup_json_ json_t *body = NULL;
	_cleanup_json_ json_t *answer = NULL;
	_cleanup_close_ int fd = -1;
	uint64_t bytes = args->memory;
	char path[PATH_MAX + 32];
	int r;

	snprintf(path, sizeof(path), "%s/" ADMIT_SOCKET, runtime->dir);
	fd = sys_unix_connect(path, SYS_SOCK_SEQPACKET);
	if (fd == -ENOENT && !is_in_fleet(runtime))
		return 0;
	if (fd < 0) {
		say_error(0,
			  "warning: this host is in a fleet, but pshare-fleet does not %s: this VM "
			  "is not checked",
			  fd == -ENOENT ? "run" : "answer");
		return 0;
	}
	if (!bytes && vm_size_of_command((const char *const *)args->operands, &bytes))
		bytes = 0; /* not known, which matters only if the fleet checks */
	body = question(args, bytes);
	r = ask(fd, body, &answer);
	if (!r)
		return take_answer(answer);
	say_error(0, "warning: the fleet did not check this VM: pshare-fleet does not answer");
	return 0;
}
