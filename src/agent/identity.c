/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * identity: who this VM is, taken from the environment once.
 *
 *   PSHARE_RUNTIME_DIR  where agent.sock is; else /run/pshare (root), $XDG_RUNTIME_DIR/pshare
 *   PSHARE_NAME         the VM's name; else what QEMU's -name calls the guest
 *   PSHARE_SALT_FD, PSHARE_SALT_FROM  a sealed memfd that holds the salt (pshare run; saltpass.c)
 *   PSHARE_SALT_FILE    a file that holds the salt (an emulator wrapper of libvirt)
 *   PSHARE_SALT_PATH    not read here: where pshare run read the salt, for an audit
 *   PSHARE_NO_SHARE     set: sched.mem.pshare.enable = FALSE
 *   PSHARE_QMP          socket of the VMM's monitor, for the balloon (monitor.c)
 *
 * The salt is handed to the daemon as a descriptor: a sealed memfd, so that the daemon takes
 * nothing that could change or make it wait, and so that no core dump and no reader of this
 * process's memory finds it here. A salt file is read into the stack for the moment that it takes
 * to make one.
 */
#include "agent/identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/bringback.h"
#include "agent/saltpass.h"
#include "agent/say.h"
#include "policy/guestname.h"
#include "sys/cleanup.h"
#include "sys/entropy.h"
#include "sys/mapping.h"
#include "sys/saltfile.h"
#include "sys/self.h"

static int agent_path(struct link *l)
{
	const char *dir = getenv("PSHARE_RUNTIME_DIR");
	const char *sub = "";
	int n;

	if (!dir || !*dir) {
		bool root = sys_self_uid() == 0;

		dir = root ? "/run/pshare" : getenv("XDG_RUNTIME_DIR");
		sub = root ? "" : "/pshare";
	}
	if (!dir)
		return -ENOENT;
	n = snprintf(l->path, sizeof(l->path), "%s%s/agent.sock", dir, sub);
	if (n < 0 || (size_t)n >= sizeof(l->path))
		return -ENAMETOOLONG;
	return 0;
}

/* libvirt's name for it stands early on QEMU's command line, which may be longer than this. */
static void take_guest_name(struct link *l)
{
	char words[4096];
	int length = sys_self_words(words, sizeof(words));

	if (length > 0)
		(void)guest_name(words, (size_t)length, l->name);
}

static void take_name(struct link *l)
{
	const char *name = getenv("PSHARE_NAME");

	if (!name) {
		take_guest_name(l);
		return;
	}
	strncpy(l->name, name, PS_NAME_MAX - 1);
	if (ps_name_check(l->name)) {
		agent_say("PSHARE_NAME is not a name ([A-Za-z0-9._:@-], 63 at most): not used", 0);
		memset(l->name, 0, sizeof(l->name));
	}
}

/* A salt that was asked for but cannot be had must not turn into "no salt": under
 * Mem.ShareForceSalting 1 that would be the domain of everybody. */
static int load_salt(const char *path)
{
	unsigned char salt[PS_SALT_MAX];
	size_t length = 0;
	int r = sys_salt_read_file(path, salt, &length);

	if (!r)
		r = sys_salt_memfd(salt, length);
	explicit_bzero(salt, sizeof(salt));
	return r;
}

static int take_salt(struct link *l)
{
	const char *file = getenv("PSHARE_SALT_FILE");
	bool given = saltpass_given();

	if (given) {
		l->salt_fd = saltpass_take();
	} else if (file) {
		l->salt_fd = load_salt(file);
	} else {
		return 0;
	}
	if (l->salt_fd == -ENODATA)
		agent_say("the salt file is empty", 0);
	else if (l->salt_fd == -EPERM && !given)
		agent_say("users other than its owner and group may read or write the salt file: "
			  "chmod o= it, or setfacl -b it",
			  0);
	else if (l->salt_fd < 0)
		agent_say("the salt cannot be read", -l->salt_fd);
	return l->salt_fd < 0 ? l->salt_fd : 0;
}

int identity_init(struct agent *a)
{
	int err = agent_path(&a->link);

	if (!err)
		err = sys_random(a->link.uuid, sizeof(a->link.uuid));
	if (!err)
		err = take_salt(&a->link);
	if (err)
		return err;
	take_name(&a->link);
	a->no_share = getenv("PSHARE_NO_SHARE") != NULL;
	map_leave_ksm(); /* where somebody opted in the whole process: needs the same right */
	return 0;
}

enum ps_cause setup_cause(int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return PS_CAUSE_USERFAULTFD;
	case -ENOSYS:
	case -EINVAL:
		return PS_CAUSE_KERNEL;
	case -ENOMEM:
		return sys_self_limited_as() ? PS_CAUSE_RLIMIT_AS : PS_CAUSE_NO_MEMORY;
	default:
		agent_say("sharing could not be set up", -err);
		return PS_CAUSE_ERROR;
	}
}
