/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: know which process may still map a frame, and never take a reference from one that may.
 *
 * A VM is a process: its pidfd comes from the kernel with the connection, so nobody can speak for
 * another process. The uuid that its agent says only finds the VM again after a reconnect, and
 * only together with the same live process; the id of its own domain is ours, random.
 *
 * A session that ends says nothing about memory: the process may go on with every frame mapped. So
 * the VM stays, a ghost, with its references, until its pidfd says that the process has ended or
 * its agent comes back and later says OLD_GONE. What it holds meanwhile is its user's charge; and
 * since a process could come again and again under another uuid, leaving a ghost each time, there
 * is a cap on the VMs of one process and of one user.
 *
 * A process that executes another program keeps its pidfd, but not its memory: what it mapped went
 * with the old program. A process has one agent, and an agent one uuid for life, so a HELLO of the
 * same process under another uuid, from one that maps nothing yet, says that its ghosts are of
 * programs before. (An agent that lies there loses its own pages, nobody else's: it has the store
 * of its domain anyway, and no other.) A program without an agent says nothing: then the ghost
 * stays for as long as the process.
 */
#include "daemon/vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/domain.h"
#include "daemon/grant.h"
#include "daemon/host.h"
#include "daemon/rehome.h"
#include "daemon/ring.h"
#include "daemon/session.h"
#include "sys/cleanup.h"
#include "sys/entropy.h"
#include "sys/events.h"
#include "sys/unsafe.h"

#define VMS_PER_PROCESS 128u /* one is the rule; a simulator plays many */
#define SIZE_FACTOR 16u	     /* a VM's size is at most so many times the host's memory */
#define SWEEP_SLICE 16384u
#define DROP_SLICE 4096u
/* What a VM costs whatever it does: its own record, and the part of its rings that stays. */
#define VM_BYTES (sizeof(struct vm) + offsetof(struct ps_ring_map, content))

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

void vm_end_former(struct daemon *d, const struct user *user, pid_t pid)
{
	list_for_each(vm, &d->vms, struct vm, link) {
		if (vm->pid != pid || vm->user != user || vm->session || vm->ended)
			continue;
		log_info("%s: process %d executed another program: its frames are given back",
			 vm->name, (int)pid);
		vm_end(vm);
	}
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
	list_init(&vm->old);
	list_init(&vm->grave);
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

/* Does the process, as far as we know, map nothing of any store? And nothing was set for it? */
static bool holds_nothing(const struct vm *vm)
{
	const struct member *m = vm->member;

	if (vm->enable_set || vm->salt_set)
		return false;
	return !vm->nold && (!m || (vmmap_mapped(m->map) == 0 && vmmap_pending(m->map) == 0));
}

void vm_end(struct vm *vm)
{
	if (vm->member)
		member_retire(vm->member);
	vm->member = NULL;
	list_for_each(m, &vm->old, struct member, link)
		member_retire(m);
	vm->nold = 0;
	vm->holds_unknown = false;
	vm_bury(vm);
}

void vm_detach(struct vm *vm)
{
	struct session *s = vm->session;

	if (s->ring.map)
		ring_stats(&s->ring, &vm->last_stats);
	vm->session = NULL;
	vm->left_by = 0;
	vm_forget_regions(vm);
	if (vm_process_ended(vm)) {
		vm->ended = true;
		vm_end(vm);
		return;
	}
	if (vm->member) {
		member_silence(vm->member);
		vm->member->state = MEMBER_OLD;
	}
	if (holds_nothing(vm)) {
		vm_end(vm);
		return;
	}
	log_debug("%s: session ended, process %d lives: its frames stay", vm->name, (int)vm->pid);
}

void vm_process_event(struct vm *vm)
{
	vm->ended = true;
	loop_unwatch(&vm->daemon->loop, &vm->process);
	if (vm->session)
		session_end(vm->session);
	else
		vm_end(vm);
}

static void add_ended(struct agent_sum *sum, const struct ps_agent_stats *stats)
{
	sum->cpu_ns += stats->cpu_ns;
	sum->scanned += stats->scanned;
	sum->shares += stats->shares;
	sum->zeroed += stats->zeroed;
	sum->unshares += stats->unshares;
	for (unsigned int i = 0; i < PS_CAUSE_END; i++)
		sum->refused[i] += stats->refused[i];
}

void vm_bury(struct vm *vm)
{
	struct daemon *d = vm->daemon;

	if (!list_empty(&vm->grave))
		return;
	add_ended(&d->ended, &vm->last_stats);
	loop_unwatch(&d->loop, &vm->process);
	list_del(&vm->link);
	vm->user->vms--;
	d->nvms--;
	if (!d->nvms)
		d->idle_since = d->now;
	sessions_configure_soon(d);
	list_add_tail(&d->dead_vms, &vm->grave);
	log_info("%s: gone (process %d)", vm->name, (int)vm->pid);
	rehome_vm_gone(vm);
}

void vm_free(struct vm *vm)
{
	list_del(&vm->grave);
	close_fd(&vm->pidfd);
	vm->user->bytes -= VM_BYTES;
	vm->daemon->bytes -= VM_BYTES;
	user_release(vm->daemon, vm->user);
	explicit_bzero(&vm->salt, sizeof(vm->salt));
	free(vm);
}

void vm_stats(const struct vm *vm, struct ps_agent_stats *stats)
{
	if (vm->session && vm->session->ring.map)
		ring_stats(&vm->session->ring, stats);
	else
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

uint64_t vm_looks(const struct vm *vm)
{
	struct ps_agent_stats stats;

	vm_stats(vm, &stats);
	return stats.pass;
}

/* ---- its salt ---- */

struct domain_key vm_target(const struct vm *vm)
{
	const struct daemon *d = vm->daemon;
	struct salt_input in = {
		.salting = (enum force_salting)d->settings.value[SETTING_SHARE_FORCE_SALTING],
		.has_salt = vm->has_salt,
		.salt_empty = vm->salt_empty || vm->salt_refused,
	};
	bool named = vm->has_salt && !in.salt_empty && in.salting != SALTING_OFF;

	memcpy(in.digest, vm->salt.byte, sizeof(in.digest));
	memcpy(in.uuid, vm->own_id, sizeof(in.uuid));
	if (!ps_unsafe("any-user"))
		in.uid_group =
			access_uid_group(d->policy, vm->user->uid, named ? &vm->fingerprint : NULL);
	return domain_key_make(&in);
}

void vm_judge_salt(struct vm *vm)
{
	struct daemon *d = vm->daemon;
	bool refused = vm->has_salt && !vm->salt_empty &&
		       !access_may_use(d->policy, vm->user->uid, vm->fingerprint);

	if (refused && !vm->salt_refused) {
		d->count.salts_refused++;
		if (log_gate_pass(&vm->user->gate, d->now))
			log_warn("%s: user %u may not use salt %08x: a domain of its own", vm->name,
				 vm->user->uid, vm->fingerprint);
	}
	vm->salt_refused = refused;
}

int vm_set_salt(struct vm *vm, const void *secret, size_t len)
{
	struct salt_digest digest = {0};
	uint32_t fingerprint = 0;
	int r = 0;

	if (len)
		r = secret_digest(vm->user, vm->daemon->now, secret, len, &digest, &fingerprint);
	if (r < 0)
		return r;
	vm->has_salt = true;
	vm->salt_empty = len == 0;
	vm->salt = digest;
	vm->fingerprint = fingerprint;
	vm->salt_refused = false;
	vm_judge_salt(vm);
	return 0;
}

void vm_clear_salt(struct vm *vm)
{
	vm->has_salt = vm->salt_empty = vm->salt_refused = false;
	vm->fingerprint = 0;
	explicit_bzero(&vm->salt, sizeof(vm->salt));
}

/* ---- its regions ---- */

static bool overlaps(uint32_t base, uint32_t npages, uint64_t first, uint64_t last)
{
	return base <= last && (uint64_t)base + npages - 1 >= first;
}

static int region_check(const struct vm *vm, const struct ps_msg_region *msg, const char **why)
{
	*why = "a region must start at a multiple of 512 pages and end within 2^28";
	if (msg->base % PS_BLOCK_PAGES || !msg->npages || msg->base >= PS_PAGES_MAX ||
	    msg->npages > PS_PAGES_MAX - msg->base)
		return -EPROTO;
	*why = "a region overlaps another";
	for (uint32_t i = 0; i < vm->nregions; i++)
		if (vm->region[i].cause == PS_CAUSE_NONE &&
		    overlaps(msg->base, msg->npages, vm->region[i].base,
			     (uint64_t)vm->region[i].base + vm->region[i].npages - 1))
			return -EPROTO;
	*why = "a region's page numbers were used before";
	for (uint32_t i = 0; i < vm->nsweeps; i++)
		if (overlaps(msg->base, msg->npages, vm->sweep[i].first, vm->sweep[i].last))
			return -EPROTO;
	return 0;
}

static void resized(struct vm *vm)
{
	grants_changed(vm);
	sessions_configure_soon(vm->daemon);
}

static void region_remove(struct vm *vm, uint32_t i)
{
	if (vm->region[i].cause == PS_CAUSE_NONE) {
		vm->pages -= vm->region[i].npages;
		vm->daemon->size -= vm->region[i].npages;
	}
	memmove(&vm->region[i], &vm->region[i + 1], (vm->nregions - i - 1) * sizeof(vm->region[0]));
	vm->nregions--;
	vm->last_region = 0;
}

/* One that takes no part is only kept to be shown. */
static bool forget_a_refused_one(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->nregions; i++) {
		if (vm->region[i].cause != PS_CAUSE_NONE) {
			region_remove(vm, i);
			return true;
		}
	}
	return false;
}

/* A region that could not take part, and now can, or cannot for another cause. */
static void forget_refusal(struct vm *vm, uint32_t base)
{
	for (uint32_t i = 0; i < vm->nregions; i++)
		if (vm->region[i].base == base && vm->region[i].cause != PS_CAUSE_NONE) {
			region_remove(vm, i);
			return;
		}
}

int vm_region_add(struct vm *vm, const struct ps_msg_region *msg, const char **why)
{
	const struct daemon *d = vm->daemon;
	int r = region_check(vm, msg, why);

	if (r < 0)
		return r;
	forget_refusal(vm, msg->base);
	*why = "too many regions: 64 would do";
	if (vm->nregions == PS_REGIONS_MAX && !forget_a_refused_one(vm))
		return -E2BIG;
	*why = "the VM is far larger than the host";
	if (d->host.pages && vm->pages + msg->npages > d->host.pages * SIZE_FACTOR)
		return -E2BIG;
	vm->region[vm->nregions++] = (struct region){.base = msg->base, .npages = msg->npages};
	vm->pages += msg->npages;
	vm->daemon->size += msg->npages;
	resized(vm);
	return 0;
}

int vm_region_refused(struct vm *vm, const struct ps_msg_region *msg, const char **why)
{
	*why = "a refused region must say a cause";
	if (msg->cause == PS_CAUSE_NONE || msg->cause >= PS_CAUSES_ROOM || !msg->npages)
		return -EPROTO;
	forget_refusal(vm, msg->base);
	if (vm->nregions == PS_REGIONS_MAX)
		return 0; /* shown or not, it takes no part */
	vm->region[vm->nregions++] = (struct region){
		.base = msg->base,
		.npages = msg->npages,
		.cause = msg->cause < PS_CAUSE_END ? msg->cause : PS_CAUSE_ERROR,
	};
	return 0;
}

int vm_region_del(struct vm *vm, const struct ps_msg_region *msg, const char **why)
{
	for (uint32_t i = 0; i < vm->nregions; i++) {
		const struct region region = vm->region[i];

		if (region.base != msg->base || region.npages != msg->npages)
			continue;
		*why = "too many regions went in a short time";
		if (vm->nsweeps == PS_REGIONS_MAX)
			return -E2BIG;
		region_remove(vm, i);
		if (region.cause == PS_CAUSE_NONE) {
			if (vm->member)
				vm->sweep[vm->nsweeps++] = (struct vm_sweep){
					.first = region.base,
					.page = region.base,
					.last = region.base + region.npages - 1,
				};
			resized(vm);
		}
		return 0;
	}
	*why = "there is no such region";
	return -EPROTO;
}

bool vm_has_page(struct vm *vm, uint32_t page)
{
	for (uint32_t n = 0; n < vm->nregions; n++) {
		uint32_t i = (vm->last_region + n) % vm->nregions;
		const struct region *region = &vm->region[i];

		if (page >= region->base && page - region->base < region->npages &&
		    region->cause == PS_CAUSE_NONE) {
			vm->last_region = i;
			return true;
		}
	}
	return false;
}

void vm_forget_regions(struct vm *vm)
{
	while (vm->nregions)
		region_remove(vm, vm->nregions - 1);
	vm->nsweeps = 0;
	resized(vm);
}

/* True when the pages of a region that went have no reference any more. */
static bool drop_pages(struct member *m, struct vm_sweep *sweep)
{
	struct vmmap_entry entry;

	for (uint32_t n = 0; vmmap_next(m->map, &sweep->page, &entry); sweep->page++) {
		if (sweep->page > sweep->last)
			break;
		if (n++ == DROP_SLICE)
			return false;
		member_drop_page(m, sweep->page);
	}
	return true;
}

bool vm_sweep_work(struct vm *vm)
{
	struct vm_sweep *sweep = &vm->sweep[0];
	struct member *m = vm->member;

	if (!vm->nsweeps)
		return false;
	if (!m)
		vm->nsweeps = 0;
	else if (drop_pages(m, sweep) && index_sweep(m->domain->index, m->slot, sweep->first,
						     sweep->last, &sweep->cursor, SWEEP_SLICE))
		memmove(sweep, sweep + 1, --vm->nsweeps * sizeof(*sweep));
	return vm->nsweeps > 0;
}
