/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit-salts: who has a salt open, by descriptor or mapping?
 *
 *	a salt's memfd	may be had by VMs, for the moment of a greeting by daemons, and by a wrapper
 *			that was given it for the VMM that it is going to execute;
 *	a salt's file	by processes of root, of the file's owner, and of its group where that may
 *			read it. Whoever opened it while he could has it still, whatever its mode
 *			is now.
 *
 * Processes come and go while this is read: a VM forks for milliseconds to tell pinned pages, and
 * its child has all that it has; a VM that has just started is not on the list yet. So what seems
 * wrong is looked at again, books and all, and is a violation only if it was there each time.
 */
#include "cli/audit-salts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/creds.h"
#include "sys/launch.h"
#include "sys/look.h"

#define SALT_NAME "/memfd:pshare-salt"
#define LOOKS 5
#define LOOK_AGAIN_MS 150

struct holder {
	pid_t pid;
	const struct salt_file *file; /* NULL: the memfd of one */
};

struct holders {
	struct audit *audit;
	const struct salt_files *files;
	struct holder *at;
	size_t count, room;
	/* who is looked at now */
	pid_t pid;
	bool has_right; /* to a memfd */
	bool knows;	/* creds are his */
	struct sys_creds creds;
};

/* ---- who may -------------------------------------------------------------------------------- */

/* A wrapper that was given the salt for the VMM that it is going to execute has it by right. */
static bool was_given(pid_t pid)
{
	char from[64];

	return !sys_process_variable(pid, "PSHARE_SALT_FROM", from, sizeof(from)) &&
	       atoi(from) == (int)pid;
}

/* What was forked off a VM and still runs its program is the same VM. */
static bool is_child_of_vm(const struct audit *audit, pid_t pid)
{
	char own[PATH_MAX], above[PATH_MAX];
	pid_t parent = 0;

	return !sys_parent(pid, &parent) && audit_vm_of(audit, parent) &&
	       !sys_program(pid, own, sizeof(own)) && !sys_program(parent, above, sizeof(above)) &&
	       !strcmp(own, above);
}

/* A daemon that is to be believed of that user has it among its VMs, by now. */
static bool is_new_vm(const struct audit *audit, pid_t pid)
{
	const json_t *vm;
	uid_t uid;
	size_t k;

	if (sys_process_uid(pid, &uid))
		return false;
	for (size_t i = 0; i < audit->ndaemons; i++) {
		const struct audit_daemon *d = &audit->daemons[i];

		if (!audit_believes(d, uid))
			continue;
		json_array_foreach(json_object_get(d->books, "vms"), k, vm)
		{
			if ((pid_t)ask_number(vm, "pid") == pid)
				return true;
		}
	}
	return false;
}

static bool may_have_memfd(const struct audit *audit, pid_t pid)
{
	return audit_vm_of(audit, pid) || audit_is_daemon(audit, pid) || was_given(pid) ||
	       is_child_of_vm(audit, pid) || is_new_vm(audit, pid);
}

static bool may_read(const struct sys_creds *creds, const struct sys_secret_file *file)
{
	if (!creds->uid || creds->uid == file->uid)
		return true;
	if (!file->group)
		return false;
	for (size_t i = 0; i < creds->ngroups; i++)
		if (creds->groups[i] == file->gid)
			return true;
	return creds->gid == file->gid;
}

/* ---- who has -------------------------------------------------------------------------------- */

static int add(struct holders *h, const struct salt_file *file)
{
	struct holder *grown;

	for (size_t i = h->count; i-- && h->at[i].pid == h->pid;)
		if (h->at[i].file == file)
			return 0;
	if (h->count == h->room) {
		h->room = h->room ? 2 * h->room : 16;
		grown = reallocarray(h->at, h->room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		h->at = grown;
	}
	h->at[h->count++] = (struct holder){h->pid, file};
	return 0;
}

static int take(struct holders *h, const char *name, uint64_t device, uint64_t inode)
{
	if (!strncmp(name, SALT_NAME, strlen(SALT_NAME))) {
		h->has_right = h->has_right || may_have_memfd(h->audit, h->pid);
		return h->has_right ? 0 : add(h, NULL);
	}
	for (size_t i = 0; i < h->files->count; i++) {
		const struct salt_file *file = &h->files->at[i];

		if (file->error || !file->is.plain || file->is.inode != inode ||
		    file->is.device != device)
			continue;
		h->knows = h->knows || !sys_creds_of_process(h->pid, &h->creds);
		return !h->knows || may_read(&h->creds, &file->is) ? 0 : add(h, file);
	}
	return 0;
}

static int take_open(const struct sys_open *open_file, void *holders)
{
	return take(holders, open_file->target, open_file->device, open_file->inode);
}

static int take_map(const struct sys_map *map, void *holders)
{
	return map->inode ? take(holders, map->path, map->device, map->inode) : 0;
}

static int take_table(pid_t thread, void *holders)
{
	return sys_each_open(thread, take_open, holders) == -ENOMEM ? -ENOMEM : 0;
}

static int take_process(pid_t pid, void *arg)
{
	struct holders *h = arg;
	int r;

	h->pid = pid;
	h->has_right = h->knows = false;
	r = sys_each_fd_table(pid, take_table, h);
	if (r != -ENOMEM)
		r = sys_each_map(sys_live_thread(pid), take_map, h);
	return r == -ENOMEM ? r : 0;
}

static int look(const struct holders *like, struct holders *h)
{
	*h = (struct holders){.audit = like->audit, .files = like->files};
	return sys_each_process(take_process, h);
}

/* Keeps those that were found again. */
static void keep(struct holders *h, const struct holders *again)
{
	size_t left = 0;

	for (size_t i = 0; i < h->count; i++)
		for (size_t k = 0; k < again->count; k++)
			if (h->at[i].pid == again->at[k].pid &&
			    h->at[i].file == again->at[k].file) {
				h->at[left++] = h->at[i];
				break;
			}
	h->count = left;
}

static void say(struct audit *audit, const struct holder *holder)
{
	json_t *pids = json_pack("[i]", (int)holder->pid);
	char comm[SYS_COMM_MAX] = "?", user[SYS_USER_MAX] = "?";
	uid_t uid;

	(void)sys_comm(holder->pid, comm);
	if (!holder->file) {
		audit_say(audit, "salts", AUDIT_VIOLATION, pids, 1,
			  "end that process, and make a new salt",
			  "%s (process %d) holds the descriptor of a salt and is no VM", comm,
			  (int)holder->pid);
		return;
	}
	if (!sys_process_uid(holder->pid, &uid))
		sys_user_name(uid, user, sizeof(user));
	audit_say(audit, "salts", AUDIT_VIOLATION, pids, 1, "end that process, and make a new salt",
		  "%s (process %d) of user %s has %.300s open, which that user may not read", comm,
		  (int)holder->pid, user, holder->file->path);
}

int audit_salts(struct audit *audit, const struct salt_files *files, unsigned int *found)
{
	const struct holders like = {.audit = audit, .files = files};
	struct holders h, again;
	int r = look(&like, &h);

	for (int i = 1; !r && h.count && i < LOOKS; i++) {
		sys_sleep_ms(LOOK_AGAIN_MS);
		audit_read_books(audit);
		r = look(&like, &again);
		if (!r)
			keep(&h, &again);
		free(again.at);
	}
	for (size_t i = 0; !r && i < h.count; i++)
		say(audit, &h.at[i]);
	*found += (unsigned int)(r ? 0 : h.count);
	free(h.at);
	return r;
}
