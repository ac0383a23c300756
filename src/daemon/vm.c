/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM is a process: its pidfd comes from the kernel with the connection, so nobody can speak for
 * another process. The uuid that its agent says only finds the VM again after a reconnect, and
 * only together with the same live process; the id of its own domain is ours, random.
 *
 * Since a process could come again and again under another uuid, leaving a ghost each time
 * (vm-end.c), there is a cap on the VMs of one process and of one user.
 */
#include "daemon/vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host.h"
#include "daemon/ring.h"
#include "daemon/session.h"
#include "sys/cleanup.h"
#include "sys/entropy.h"
#include "sys/events.h"

#define VMS_PER_PROCESS 128u /* one is the rule; a simulator plays many */
/* What a VM costs whatever it does: its own record, and the part of its rings that stays. */
#define VM_BYTES                                                                                 \
	(sizeof(struct vm) + offsetof(struct ps_ring_map, content) + sizeof(struct ps_picture) + \
	 sizeof(struct ps_likeness))

struct vm *vm_find(struct daemon *d, const uint8_t uuid[VM_UUID_SIZE])
{
	list_for_each(vm, &d->vms, struct vm, link)
		if (memcmp(vm->uuid, uuid, VM_UUID_SIZE) == 0)
			return vm;
	return NULL;
}

struct vm *vm_by_name(struct daemon *d, const char *name)
{
	list_for_each(vm, &d->vms, struct vm, link)
		if (strcmp(vm->name, name) == 0)
			return vm;
	return NULL;
}

bool vm_process_ended(const struct vm *vm)
{
	return vm->ended || sys_readable(vm->pidfd) > 0;
}

/* A name that no other VM has: what was asked for, else with the pid, else with a number. */
static void name_vm(struct vm *vm, const char *wanted)
{
	char base[PS_NAME_MAX];

	if (wanted[0])
		snprintf(base, sizeof(base), "%s", wanted);
	else
		snprintf(base, sizeof(base), "%s-%d", vm->comm, (int)vm->pid);
	for (char *c = base; *c; c++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-",
			    *c))
			*c = '_';
	snprintf(vm->name, sizeof(vm->name), "%s", base);
	for (unsigned int n = 2; vm_by_name(vm->daemon, vm->name); n++)
		snprintf(vm->name, sizeof(vm->name), "%.50s.%u", base, n);
}

bool vm_has_room(struct daemon *d, const struct user *user, pid_t pid, char *why)
{
	unsigned int same = 0;

	list_for_each(vm, &d->vms, struct vm, link)
		same += vm->pid == pid && vm->user == user;
	if (same >= VMS_PER_PROCESS)
		snprintf(why, PS_REASON_MAX, "process %d is %u VMs already, no more are allowed",
			 (int)pid, same);
	else if (user->vms >= user_part(d, d->nvms, user->vms))
		snprintf(why, PS_REASON_MAX, "user %u has %u VMs, no more are allowed", user->uid,
			 user->vms);
	else if (host_books_short(d))
		snprintf(why, PS_REASON_MAX, "the daemon has no memory for another VM");
	else if (!user_has_room(d, user))
		snprintf(why, PS_REASON_MAX,
			 "the daemon holds %llu MiB for the VMs of user %u, no more is allowed",
			 (unsigned long long)(user->bytes >> 20), user->uid);
	else
		return true;
	return false;
}

int vm_new(struct daemon *d, struct user *user, pid_t pid, int *pidfd,
	   const struct ps_msg_hello *hello, struct vm **out)
{
	_cleanup_free_ struct vm *vm = calloc(1, sizeof(*vm));
	int r;

	if (!vm)
		return -ENOMEM;
	vm->daemon = d;
	vm->pid = pid;
	vm->pidfd = *pidfd;
	vm->process.fd = -1;
	vm_balloon_init(&vm->balloon);
	memcpy(vm->uuid, hello->uuid, sizeof(vm->uuid));
	r = sys_random(vm->own_id, sizeof(vm->own_id));
	if (r < 0)
		return r; // cppcheck-suppress memleak ; the cleanup attribute frees it
	r = loop_watch(&d->loop, &vm->process, LOOP_PROCESS, vm->pidfd, LOOP_READ);
	if (r < 0)
		return r;
	if (sys_comm(pid, vm->comm) < 0)
		strcpy(vm->comm, "?");
	name_vm(vm, hello->name);
	vm->enable = !(hello->flags & PS_HELLO_NO_SHARE);
	for (int id = SETTING_HOST_END; id < SETTING_END; id++)
		vm->set[id - SETTING_HOST_END] = setting_get((enum setting_id)id)->def;
	vm->memory.group_limit = UINT64_MAX;
	list_init(&vm->old);
	list_init(&vm->gone);
	vm->user = user;
	user->holders++;
	user->vms++;
	user->bytes += VM_BYTES;
	d->bytes += VM_BYTES;
	list_for_each(each, &d->vms, struct vm, link) {
		if (each->pid != pid || each->user != user)
			continue;
		each->many = vm->many = true;
	}
	list_add_tail(&d->vms, &vm->link);
	d->nvms++;
	*pidfd = -1;
	*out = TAKE_PTR(vm);
	return 0;
}

void vm_free(struct vm *vm)
{
	list_del(&vm->gone);
	close_fd(&vm->pidfd);
	for (uint32_t i = 0; i < PS_FORK_RAMS_MAX; i++)
		if (vm->birth[i].copies)
			close_fd(&vm->birth[i].pages);
	vm->user->bytes -= VM_BYTES;
	vm->daemon->bytes -= VM_BYTES;
	user_release(vm->daemon, vm->user);
	explicit_bzero(&vm->salt, sizeof(vm->salt));
	free(vm);
}

/* False: there is no session that could say anything. */
static bool read_stats(struct vm *vm, struct ps_agent_stats *stats)
{
	struct ps_agent_times times;

	if (!vm->session || !vm->session->ring.map)
		return false;
	ring_stats(&vm->session->ring, stats);
	ring_times(&vm->session->ring, &times);
	counts_follow(&vm->seen.stats, stats);
	counts_follow_all(&vm->seen, stats, &times);
	return true;
}

void vm_keep_stats(struct vm *vm)
{
	struct ps_agent_stats stats;

	if (read_stats(vm, &stats))
		vm->last_stats = stats;
}

void vm_stats(struct vm *vm, struct ps_agent_stats *stats)
{
	if (!read_stats(vm, stats))
		*stats = vm->last_stats;
	/* causes of a newer agent, which have no name here */
	for (unsigned int i = PS_CAUSE_END; i < PS_CAUSES_ROOM; i++)
		stats->refused[PS_CAUSE_ERROR] += stats->refused[i];
}

/* That none of its regions takes part: the cause of the largest. NONE: one does. */
static enum ps_cause regions_reason(const struct vm *vm)
{
	const struct region *largest = NULL;

	for (uint32_t i = 0; i < vm->nregions; i++) {
		if (vm->region[i].cause == PS_CAUSE_NONE)
			return PS_CAUSE_NONE;
		if (!largest || vm->region[i].npages > largest->npages)
			largest = &vm->region[i];
	}
	return largest ? (enum ps_cause)largest->cause : PS_CAUSE_NOT_OFFERED;
}

/* Most of it is in huge pages that stay whole, and so nothing is shared yet. */
static bool is_whole(const struct vm *vm, const struct ps_agent_stats *stats)
{
	return vm->daemon->settings.value[SETTING_ALLOC_GUEST_LARGE_PAGE] && !stats->shared &&
	       stats->large > stats->grant / 2;
}

enum ps_cause vm_reason(const struct vm *vm, const struct ps_agent_stats *stats)
{
	const int64_t *value = vm->daemon->settings.value;
	enum ps_cause cause;

	if (!vm->session)
		return PS_CAUSE_GONE;
	if (!vm->enable)
		return PS_CAUSE_DISABLED;
	if (vm->cause)
		return vm->cause;
	if (!vm->member && !vm->left_by && vm->join_cause)
		return vm->join_cause;
	cause = regions_reason(vm);
	if (cause)
		return cause;
	if (stats->cause && stats->cause < PS_CAUSE_END)
		return (enum ps_cause)stats->cause;
	if (!value[SETTING_SHARE_SCAN_GHZ] || !value[SETTING_SHARE_RATE_MAX])
		return PS_CAUSE_RATE;
	if (vm->salt_refused)
		return PS_CAUSE_SALT;
	return is_whole(vm, stats) ? PS_CAUSE_LARGE : PS_CAUSE_NONE;
}

uint64_t vm_looks(struct vm *vm)
{
	struct ps_agent_stats stats;

	vm_stats(vm, &stats);
	return stats.pass;
}
