/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view: the daemon's books as the API shows them, and the changes it asks for (view.h).
 *
 * Whose word is it? References, and so SHRD, common and SHRDSVD, are counted by the daemon
 * itself. What only the agent can see (GRANT, ZERO, large, quarantined, COWH, mappings, CPU) is
 * its claim: shown, cut to the size of the VM where it is a part of it, and used for nothing.
 */
#include "daemon/view.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/member.h"
#include "daemon/rehome.h"
#include "daemon/saved.h"
#include "daemon/session.h"
#include "daemon/vm-salt.h"
#include "daemon/vm.h"
#include "policy/firstpass.h"
#include "policy/progress.h"
#include "sys/cleanup.h"
#include "sys/proc.h"
#include "sys/process.h"
#include "sys/self.h"

/* What a mapping costs the kernel: an isolated run of one page makes two, and 510 to 540 bytes
 * (vm_area_struct, anon_vma_chain, its part of a maple node). */
#define MAPPING_BYTES 262u

static int no(struct view_reason *why, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int no(struct view_reason *why, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return error;
}

/* ---- one VM ---- */

static uint64_t mapped_pages(const struct vm *vm)
{
	uint64_t pages = vm->member ? vmmap_mapped(vm->member->map) : 0;

	list_for_each(m, &vm->old, struct member, link)
		pages += vmmap_mapped(m->map);
	return pages;
}

/* Frames of an earlier daemon's store, mapped still: on nobody's books but the agent's. */
static uint64_t unknown_pages(const struct vm *vm, const struct ps_agent_stats *stats)
{
	uint64_t mapped = mapped_pages(vm);

	if (!vm->holds_unknown || stats->shared <= mapped || stats->shared > vm->pages)
		return 0;
	return stats->shared - mapped;
}

static const char *state_of(const struct vm *vm)
{
	if (!vm->session)
		return "gone";
	if (vm->left_by)
		return "leaving";
	return vm->member ? "sharing" : "off";
}

/* Bytes of a part of the VM that its agent claims. */
static uint64_t claim(const struct vm *vm, uint64_t pages)
{
	return (pages < vm->pages ? pages : vm->pages) * PS_PAGE_SIZE;
}

static uint64_t bytes_of(uint64_t count, uint64_t each)
{
	uint64_t bytes;

	return __builtin_mul_overflow(count, each, &bytes) ? UINT64_MAX : bytes;
}

static void fill_counts(const struct ps_agent_stats *stats, const struct vm *vm,
			struct view_vm *out)
{
	out->passes = stats->pass;
	out->looked = stats->looked;
	out->scanned = stats->scanned;
	out->hinted = stats->hinted;
	out->shares = stats->shares;
	out->zeroed = stats->zeroed;
	out->unshares = stats->unshares;
	out->discards = stats->discards;
	out->late_writes = stats->late_writes;
	out->faults = stats->faults;
	out->stuck = stats->stuck;
	out->brought_back = stats->brought_back;
	out->reshares = stats->reshares;
	out->batches = stats->batches;
	out->pin_forks = stats->pin_forks;
	out->stall_max_ns = stats->stall_max_ns;
	out->pins = ps_pins_name((unsigned int)stats->pins);
	out->broken = bytes_of(stats->broken, PS_PAGE_SIZE);
	for (unsigned int i = 0; i < PS_CAUSE_END; i++)
		out->refused[i] = stats->refused[i];
	/* these two only the daemon knows */
	out->refused[PS_CAUSE_LIMIT] += vm->count.refused[PS_CAUSE_LIMIT];
	out->refused[PS_CAUSE_NO_MEMORY] += vm->count.refused[PS_CAUSE_NO_MEMORY];
	out->mappings = stats->mappings;
	out->cpu_ns = stats->cpu_ns;
	out->overhead_agent = stats->agent_bytes;
	out->overhead_kernel = bytes_of(stats->mappings, MAPPING_BYTES);
}

static void fill_sizes(const struct ps_agent_stats *stats, struct vm *vm, struct view_vm *out)
{
	uint64_t mapped = mapped_pages(vm) + unknown_pages(vm, stats), saved;

	out->size = vm->pages * PS_PAGE_SIZE;
	out->grant = claim(vm, stats->grant);
	out->zero = claim(vm, stats->zero);
	out->shrd = mapped * PS_PAGE_SIZE + out->zero;
	/* counted up to a second ago, when more may have been shared */
	saved = saved_pages(vm);
	out->shrdsvd = (saved < mapped ? saved : mapped) * PS_PAGE_SIZE + out->zero;
	out->priv = out->grant > out->shrd ? out->grant - out->shrd : 0;
	out->large = claim(vm, stats->large);
	out->quarantined = claim(vm, stats->quarantined);
	out->cowh = claim(vm, stats->cowh);
}

static uint64_t parts_waiting(const struct member *m)
{
	return vmmap_pending(m->map) + m->parked_count + (PS_CONTENT_SLOTS - m->free_slots);
}

/* A look is a 60th of a pass, within a second and a minute, as the agents have it. */
static uint64_t look_ms(const struct vm *vm, const struct ps_agent_stats *stats)
{
	uint64_t ms = vm->session->config.pass_seconds * 1000ull / 60;
	uint64_t most = 60000;

	if (stats->first_pass && vm->session->config.first_pages_per_second)
		most = FIRST_PASS_LOOK_MS;

	return ms < 1000 ? 1000 : ms > most ? most : ms;
}

/* Pages a second that it may hash now. */
static uint64_t config_rate(const struct vm *vm, const struct ps_agent_stats *stats)
{
	const struct ps_msg_config *config = &vm->session->config;
	struct first_pass first = {.over = !stats->first_pass};

	return first_pass_rate(&first, config->pages_per_second, config->first_pages_per_second);
}

static void fill_progress(const struct ps_agent_stats *stats, const struct vm *vm,
			  struct view_vm *out)
{
	const struct member *m = vm->member;
	struct progress_input in = {
		.active = vm->session && m && m->state == MEMBER_ACTIVE && vm->pages,
		.present = out->grant / PS_PAGE_SIZE,
		.unseen = stats->unseen,
		.saved = out->shrdsvd / PS_PAGE_SIZE,
		.quarantined = out->quarantined / PS_PAGE_SIZE,
		.quarantine_ms = (uint64_t)vm->daemon->settings.value[SETTING_SHARE_QUARANTINE_MS],
	};
	struct progress got;

	if (in.active) {
		in.waiting = parts_waiting(m);
		in.looks = stats->pass > m->looks_before ? stats->pass - m->looks_before : 0;
		in.lost = m->hints.lost || m->restarting;
		in.rate = config_rate(vm, stats);
		in.look_ms = look_ms(vm, stats);
	}
	got = progress_of(&in);
	out->progress = (struct view_progress){
		.looked = got.looked,
		.saved = got.saved * PS_PAGE_SIZE,
		.expected = got.expected * PS_PAGE_SIZE,
		.left_ns = got.left_ms == PROGRESS_NEVER ? UINT64_MAX : got.left_ms * MSEC,
		.settled = got.settled,
		.first = stats->first_pass,
	};
	if (!m)
		return;
	out->hints = vmmap_hinted(m->map);
	out->hints_quota = m->hints.quota;
	out->hints_evicted = m->hints.evicted;
	out->hints_lost = m->hints.lost;
	out->rehints = vm->count.rehints;
}

static void fill_vm(struct vm *vm, struct view_vm *out)
{
	struct ps_agent_stats stats;

	*out = (struct view_vm){
		.state = state_of(vm),
		.pid = vm->pid,
		.uid = vm->user->uid,
		.enable = vm->enable,
		.has_salt = vm->has_salt,
		.nregions = vm->nregions,
	};
	vm_stats(vm, &stats);
	out->reason = vm_reason(vm, &stats);
	out->error = stats.error;
	memcpy(out->name, vm->name, sizeof(out->name));
	memcpy(out->comm, vm->comm, sizeof(out->comm));
	snprintf(out->domain, sizeof(out->domain), "-");
	if (vm->member)
		snprintf(out->domain, sizeof(out->domain), "%08x", vm->member->domain->fingerprint);
	fill_sizes(&stats, vm, out);
	fill_counts(&stats, vm, out);
	fill_progress(&stats, vm, out);
	for (uint32_t i = 0; i < vm->nregions; i++)
		out->regions[i] = (struct view_region){
			.base = vm->region[i].base,
			.size = (uint64_t)vm->region[i].npages * PS_PAGE_SIZE,
			.cause = vm->region[i].cause,
		};
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct vm *const *)a)->name, (*(struct vm *const *)b)->name);
}

int view_vms(struct daemon *daemon, int (*each)(const struct view_vm *vm, void *arg), void *arg)
{
	_cleanup_free_ struct vm **sorted = calloc(daemon->nvms + 1, sizeof(struct vm *));
	_cleanup_free_ struct view_vm *view = malloc(sizeof(*view));
	uint32_t n = 0;
	int r = 0;

	if (!sorted || !view)
		return -ENOMEM;
	list_for_each(vm, &daemon->vms, struct vm, link)
		if (n < daemon->nvms)
			sorted[n++] = vm;
	qsort(sorted, n, sizeof(struct vm *), by_name);
	for (uint32_t i = 0; i < n && r == 0; i++) {
		fill_vm(sorted[i], view);
		r = each(view, arg);
	}
	return r;
}

int view_vm(struct daemon *daemon, const char *name, struct view_vm *out)
{
	struct vm *vm = vm_by_name(daemon, name);

	if (!vm)
		return -ENOENT;
	fill_vm(vm, out);
	return 0;
}

/* ---- the host ---- */

static void add_domains(struct daemon *daemon, struct view_host *out)
{
	list_for_each(domain, &daemon->domains, struct domain, link) {
		struct frames_stats frames = frames_stats(domain->frames);
		struct index_stats index = index_stats(domain->index);

		out->common += frames.live * PS_PAGE_SIZE;
		out->metadata += frames.bytes + index.bytes + sizeof(*domain);
		out->metadata += domain->nslots * sizeof(struct member *);
		for (uint32_t i = 0; i < domain->nslots; i++)
			if (domain->slot[i])
				out->metadata +=
					vmmap_bytes(domain->slot[i]->map) + sizeof(struct member) +
					domain->slot[i]->parked_cap * sizeof(struct parked);
	}
}

static uint64_t ring_bytes(const struct vm *vm)
{
	if (!vm->session)
		return 0;
	if (vm->session->ring.content_until)
		return sizeof(struct ps_ring_map);
	return offsetof(struct ps_ring_map, content);
}

static void add_vms(struct daemon *daemon, struct view_host *out)
{
	list_for_each(vm, &daemon->vms, struct vm, link) {
		struct ps_agent_stats stats;
		uint64_t unknown;

		vm_stats(vm, &stats);
		unknown = unknown_pages(vm, &stats) * PS_PAGE_SIZE;
		/* how many share a frame of an earlier store nobody knows: it saves nothing */
		out->common += unknown;
		out->shared += unknown;
		out->shared += mapped_pages(vm) * PS_PAGE_SIZE + claim(vm, stats.zero);
		out->zero += claim(vm, stats.zero);
		out->metadata += stats.agent_bytes + bytes_of(stats.mappings, MAPPING_BYTES) +
				 sizeof(*vm) + ring_bytes(vm);
		out->cpu_agents_ns += stats.cpu_ns;
		out->scanned += stats.scanned;
		out->shares += stats.shares;
		out->zeroed += stats.zeroed;
		out->unshares += stats.unshares;
		for (unsigned int i = 0; i < PS_CAUSE_END; i++)
			out->refused[i] += stats.refused[i];
	}
}

/* The sum over the VMs that take part: it has settled when all of them have. */
struct progress_sum {
	struct view_progress progress;
	double looked, granted;
};

static int add_progress(const struct view_vm *vm, void *arg)
{
	bool off = strcmp(vm->state, "off") == 0 && vm->reason != PS_CAUSE_NONE;
	struct progress_sum *sum = arg;

	if (off || strcmp(vm->state, "gone") == 0 || !vm->size)
		return 0;
	sum->looked += vm->progress.looked * (double)vm->grant;
	sum->granted += (double)vm->grant;
	sum->progress.saved += vm->progress.saved;
	sum->progress.expected += vm->progress.expected;
	if (vm->progress.left_ns > sum->progress.left_ns)
		sum->progress.left_ns = vm->progress.left_ns;
	sum->progress.settled &= vm->progress.settled;
	sum->progress.first |= vm->progress.first;
	return 0;
}

static void host_progress(struct daemon *daemon, struct view_progress *out)
{
	struct progress_sum sum = {.progress = {.settled = true}};

	if (view_vms(daemon, add_progress, &sum) < 0)
		sum.progress.settled = false;
	*out = sum.progress;
	out->looked = sum.granted > 0 ? sum.looked / sum.granted : out->settled ? 100 : 0;
}

void view_host(struct daemon *daemon, struct view_host *out)
{
	const struct agent_sum *ended = &daemon->ended;

	*out = (struct view_host){
		.state = memstate_name(daemon->memstate),
		.pid = sys_self_pid(),
		.uptime_ns = daemon->now - daemon->started,
		.domains = daemon->ndomains,
		.vms = daemon->nvms,
		.cpu_agents_ns = ended->cpu_ns,
		.scanned = ended->scanned,
		.shares = ended->shares,
		.zeroed = ended->zeroed,
		.unshares = ended->unshares,
	};
	(void)sys_self_cpu(&out->cpu_daemon_ns);
	for (unsigned int i = 0; i < PS_CAUSE_END; i++)
		out->refused[i] = ended->refused[i];
	out->refused[PS_CAUSE_LIMIT] += daemon->count.refused[PS_CAUSE_LIMIT];
	out->refused[PS_CAUSE_NO_MEMORY] += daemon->count.refused[PS_CAUSE_NO_MEMORY];
	add_domains(daemon, out);
	add_vms(daemon, out);
	host_progress(daemon, &out->progress);
	out->saving = out->shared > out->common ? out->shared - out->common : 0;
}

/* ---- settings ---- */

int view_setting(struct daemon *daemon, const char *name, char *value, size_t size)
{
	int id = setting_find(name, false, NULL);

	if (id < 0)
		return -ENOENT;
	return setting_format((enum setting_id)id, daemon->settings.value[id], value, size) < 0 ?
		       -ENOENT :
		       0;
}

static bool is_admin(const struct view_peer *peer)
{
	return peer->uid == 0 || peer->uid == sys_self_uid();
}

int view_set(struct daemon *daemon, const char *name, const char *value,
	     const struct view_change *change, struct view_reason *why)
{
	char err[POLICY_ERROR_MAX];
	struct setting_value parsed;
	const char *what;
	int id;

	if (!is_admin(&change->peer))
		return no(why, -EPERM, "settings of the host are for root and the daemon's user");
	id = setting_find(name, false, err);
	if (id < 0)
		return no(why, -ENOENT, "%s", err);
	if (setting_parse((enum setting_id)id, value, strlen(value), &parsed, err) < 0)
		return no(why, -EINVAL, "%s", err);
	what = setting_get((enum setting_id)id)->name;
	if (rehome_busy(daemon, NULL, what))
		return no(why, -EBUSY, "another change of %s is under way", what);
	daemon->settings.value[id] = parsed.num;
	sessions_configure(daemon);
	if (id != SETTING_SHARE_FORCE_SALTING)
		return 0;
	rehome_all(daemon);
	return rehome_wait(daemon, NULL, what, change, why);
}

/* The VM, if this peer may change it; else NULL, *r and *why. */
static struct vm *may_change(struct daemon *daemon, const char *name,
			     const struct view_change *change, int *r, struct view_reason *why)
{
	struct vm *vm = vm_by_name(daemon, name);

	if (!vm) {
		*r = no(why, -ENOENT, "there is no VM \"%.64s\"", name);
		return NULL;
	}
	if (!is_admin(&change->peer) && change->peer.uid != vm->user->uid) {
		*r = no(why, -EPERM, "%s belongs to user %u: that user and root may change it",
			vm->name, vm->user->uid);
		return NULL;
	}
	return vm;
}

/* The VM's target may have changed: it moves, and the change waits for it. */
static int moved(struct vm *vm, const char *what, const struct view_change *change,
		 struct view_reason *why)
{
	vm->must_leave = vm->holds_unknown;
	rehome_vm(vm);
	return rehome_wait(vm->daemon, vm, what, change, why);
}

int view_vm_set(struct daemon *daemon, const char *vm_name, const char *name, const char *value,
		const struct view_change *change, struct view_reason *why)
{
	const char *what = setting_get(SETTING_PSHARE_ENABLE)->name;
	char err[POLICY_ERROR_MAX];
	struct setting_value parsed;
	int r, id;
	struct vm *vm = may_change(daemon, vm_name, change, &r, why);

	if (!vm)
		return r;
	id = setting_find(name, true, err);
	if (id < 0)
		return no(why, -ENOENT, "%s", err);
	if (id == SETTING_PSHARE_SALT)
		return view_vm_salt(daemon, vm_name, value, strlen(value), change, why);
	if (setting_parse((enum setting_id)id, value, strlen(value), &parsed, err) < 0)
		return no(why, -EINVAL, "%s", err);
	if (rehome_busy(daemon, vm, what))
		return no(why, -EBUSY, "another change of %s is under way", what);
	vm->enable = parsed.num != 0;
	vm->enable_set = true;
	sessions_configure(daemon);
	return moved(vm, what, change, why);
}

int view_vm_salt(struct daemon *daemon, const char *vm_name, const void *salt, size_t length,
		 const struct view_change *change, struct view_reason *why)
{
	const char *what = setting_get(SETTING_PSHARE_SALT)->name;
	struct salt_digest digest;
	uint32_t fingerprint;
	int r = 0;
	struct vm *vm = may_change(daemon, vm_name, change, &r, why);

	if (!vm)
		return r;
	if (rehome_busy(daemon, vm, what))
		return no(why, -EBUSY, "another change of %s is under way", what);
	if (length > PS_SALT_MAX)
		return no(why, -EINVAL, "a salt of %zu bytes is too long: up to %u would do",
			  length, PS_SALT_MAX);
	if (!salt) {
		vm_clear_salt(vm);
		vm->salt_set = true;
		return moved(vm, what, change, why);
	}
	if (length) {
		r = secret_digest(vm->user, daemon->now, salt, length, &digest, &fingerprint);
		explicit_bzero(&digest, sizeof(digest));
		if (r == 0 && !access_may_use(daemon->policy, vm->user->uid, fingerprint))
			return no(why, -EPERM, "the policy does not let user %u use that salt",
				  vm->user->uid);
	}
	if (r == 0)
		r = vm_set_salt(vm, salt, length);
	if (r < 0)
		return no(why, r, "the salt was not taken: %s", strerror(-r));
	vm->salt_set = true;
	return moved(vm, what, change, why);
}

void view_cancel(struct daemon *daemon, const void *arg)
{
	rehome_forget(daemon, arg);
}
