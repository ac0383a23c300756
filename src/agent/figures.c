/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * figures: what `pshare list` shows of this VM, counted four times a second, and the limits that
 * the agent itself keeps to: mappings (vm.max_map_count), memory (the VMM's control group, of which
 * the quarantine may have a part), and how pins can be told.
 *
 * What is asked of /proc and of the control group's files is asked without a lock.
 */
#include "agent/figures.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/pins.h"
#include "agent/swapfile.h"
#include "agent/zip.h"
#include "policy/headroom.h"
#include "sys/cgroup.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/proc.h"
#include "sys/thread.h"
#include "sys/vmas.h"

#define COUNT_TABLES_NS 5000000000ull
#define COUNT_MAPPINGS_NS 60000000000ull
#define LIMIT_NS 2000000000ull /* while nothing is in quarantine */
#define PINS_NS 2000000000ull

static void add_region(struct ps_agent_stats *s, const struct region *r)
{
	s->size += r->end - r->first;
	s->agent_bytes += r->table_used;
	for (uint32_t i = 0; i < r->blocks; i++) {
		const struct block *b = &r->block[i];

		s->grant += b->grant;
		s->zero += b->zero;
		s->unseen += b->unseen;
		s->large += b->large;
		if (b->large && !b->split) {
			s->cowh += block_worth(b);
			s->large_worth += block_worth(b) >= LARGE_WORTH;
		}
		s->shared += b->shared;
		s->mappings += b->borders;
		s->broken += b->broken;
	}
}

/* What our threads have ever touched of their stacks. */
static size_t stack_bytes(const struct agent *a)
{
	size_t bytes = 0;

	for (int i = 0; i < AGENT_THREADS; i++) {
		uintptr_t top = (uintptr_t)__atomic_load_n(&a->stack[i], __ATOMIC_ACQUIRE);

		top &= ~(uintptr_t)(PS_PAGE_SIZE - 1);
		if (top)
			bytes += map_resident((void *)(top + PS_PAGE_SIZE - AGENT_STACK_SEEN),
					      AGENT_STACK_SEEN);
	}
	return bytes;
}

/* What of the agent itself has ever been touched. */
static size_t own_bytes(const struct agent *a)
{
	uintptr_t at = (uintptr_t)a & ~(uintptr_t)(PS_PAGE_SIZE - 1);
	size_t len = ((uintptr_t)(a + 1) - at + PS_PAGE_SIZE - 1) & ~(size_t)(PS_PAGE_SIZE - 1);

	_Static_assert(sizeof(*a) < (MAP_WHOLE_PAGES - 2) * PS_PAGE_SIZE, "one call tells");
	return map_resident((void *)at, len);
}

/* What is out, and how it comes back. */
static void cold_figures(struct agent *a)
{
	const struct workset *set = &a->sample.set;
	struct ps_agent_stats *s = &a->stats;
	struct cold *c = &a->cold;
	double pages = (double)(s->grant + c->staged + cold_out(c));

	s->active = (uint64_t)(pages * workset_part(set));
	s->active_slow = (uint64_t)(pages * set->slow);
	s->active_fast = (uint64_t)(pages * set->fast);
	s->active_now = (uint64_t)(pages * set->now);
	s->staged = c->staged;
	s->twin = c->twin;
	s->zipped = c->zipped;
	s->swapped = c->swapped;
	s->staged_back = c->staged_back;
	s->twinins = c->twinins;
	s->unzips = c->unzips;
	s->swapins = c->swapins;
	s->out_discards = c->discards;
	s->promotions = c->promotions;
	s->promote_rate = c->promote.rate;
	s->scanned_in = c->scanned_in;
	s->slowed = promote_slowed(&c->promote);
	s->wait_ns = c->wait_ns;
	s->target_out = a->link.target.out_pages;
	s->target_flags = a->link.target.flags;
	for (uint32_t t = 0; t < PS_TIERS; t++)
		for (uint32_t i = 0; i < PS_LATENCY_BUCKETS; i++)
			s->latency[t][i] = c->page_in[t].count[i];
	if (c->zip) {
		struct zip_figures f;

		zip_count(c->zip, &f);
		s->zip_bytes = f.held;
		s->zip_payload = f.payload;
	}
	if (c->swap) {
		struct swapfile_figures f;

		swapfile_count(c->swap, &f);
		s->swap_bytes = f.used * PS_PAGE_SIZE;
	}
}

static void tell_times(struct agent *a, struct ps_agent_times *out)
{
	for (uint32_t t = 0; t < PS_TIERS; t++)
		out->page_in_ns[t] = a->cold.page_in[t].sum_ns;
	for (uint32_t i = 0; i < PS_TIMED_END; i++) {
		for (uint32_t b = 0; b < PS_LATENCY_BUCKETS; b++)
			out->timed[i].count[b] = a->timed[i].count[b];
		out->timed[i].sum_ns = a->timed[i].sum_ns;
	}
}

static void figures(struct agent *a)
{
	struct ps_agent_stats *s = &a->stats;

	s->size = s->grant = s->zero = s->unseen = s->large = s->cowh = s->shared = s->mappings = 0;
	s->broken = s->large_worth = 0;
	s->agent_bytes = own_bytes(a) + stack_bytes(a); /* rings: the daemon's */
	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		if (a->region[i].life == REGION_MANAGED)
			add_region(s, &a->region[i]);
	s->quarantined = a->quarantine.pages;
	s->batch_waiting = a->reshare.n;
	s->first_pass = !a->walk.first.over;
	s->stuck = s->pins == PS_PINS_GUARDED ? s->broken : 0;
	s->cause = a->gave_up ? PS_CAUSE_STOPPED : PS_CAUSE_NONE;
	s->faults = a->faults;
	s->unshares = a->unshares;
	s->discards = a->discards;
	s->cpu_ns = sys_thread_cpu_ns(a->worker) + sys_thread_cpu_ns(a->settler);
	for (uint32_t i = 0; i < READERS; i++)
		s->cpu_ns += sys_thread_cpu_ns(a->readers.thread[i]);
	cold_figures(a);
	if (a->link.state != LINK_UP)
		return;
	memcpy(&a->link.map->stats, s, sizeof(*s));
	tell_times(a, &a->link.map->times);
}

/* Of the tables only what was written is memory: the rest reads as zeros. */
static void count_tables(struct agent *a)
{
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];
		uintptr_t at = (uintptr_t)r->state;

		if (r->life == REGION_MANAGED)
			r->table_used = pagemap_own(a->pagemap, at, at + r->table_bytes);
	}
}

static void count_mappings(struct agent *a, long limit, long count)
{
	if (limit > 0)
		a->budget.limit = (uint64_t)limit;
	if (count > 0)
		a->budget.baseline = (uint64_t)count > a->stats.mappings ?
					     (uint64_t)count - a->stats.mappings :
					     0;
}

/* The limit on the VMM's memory, asked for again and again: somebody may set one, or move the
 * process.
 */
static void read_limit(struct agent *a, struct sys_cgroup_memory *memory)
{
	memory->limit = UINT64_MAX;
	if (a->has_cgroup && !sys_cgroup_memory(&a->cgroup, memory))
		return;
	a->has_cgroup = sys_cgroup_find(&a->cgroup) == 0;
	if (a->has_cgroup && sys_cgroup_memory(&a->cgroup, memory))
		memory->limit = UINT64_MAX;
}

/* What the guest has of its own is what is neither a frame nor the zero page. */
static void follow_limit(struct agent *a, const struct sys_cgroup_memory *memory)
{
	const struct ps_agent_stats *s = &a->stats;
	uint64_t given = s->shared + s->zero;

	a->quarantine.limit = headroom_quarantine(&(struct headroom){
		.limit = memory->limit,
		.used = memory->used,
		.size = s->size,
		.own = s->grant > given ? s->grant - given : 0,
		.quarantined = s->quarantined,
	});
}

static void probe(struct agent *a)
{
	uint64_t ns = probe_write(&a->probe);

	if (ns)
		times_add(&a->timed[PS_TIMED_PROBE], ns);
}

/* How pins are told decides what becomes of frames: asked before the first is mapped, and again and
 * again, for descriptors come and go, and so may a seccomp filter. */
static void serve_pins(struct agent *a, uint64_t now)
{
	if (now < a->pins_next)
		return;
	a->pins_next = now + PINS_NS;
	__atomic_store_n(&a->stats.pins, pins_way(), __ATOMIC_RELAXED);
}

void figures_begin(struct agent *a)
{
	long limit = vmas_limit(), count = vmas_count();

	a->budget.next = sys_now() + COUNT_MAPPINGS_NS;
	pthread_mutex_lock(&a->act);
	count_mappings(a, limit, count);
	pthread_mutex_unlock(&a->act);
}

void figures_serve(struct agent *a, uint64_t now, uint64_t *next)
{
	struct sys_cgroup_memory memory;
	bool ask = a->stats.quarantined || now >= a->limit_next;
	/* whoever forks it waits for just that */
	bool hurry = a->link.config.flags & PS_CONFIG_HURRY && a->stats.pass != a->pass_told;
	long limit = 0, count = 0;

	if (now < *next && !hurry)
		return;
	a->pass_told = a->stats.pass;
	*next = now + FIGURES_NS;
	if (now >= a->budget.next) { /* long: no lock is held meanwhile */
		a->budget.next = now + COUNT_MAPPINGS_NS;
		limit = vmas_limit();
		count = vmas_count();
	}
	serve_pins(a, now);
	probe(a);
	if (ask) {
		a->limit_next = now + LIMIT_NS;
		read_limit(a, &memory);
	}
	pthread_mutex_lock(&a->act);
	if (now >= a->count_at) {
		a->count_at = now + COUNT_TABLES_NS;
		count_tables(a);
	}
	figures(a);
	count_mappings(a, limit, count);
	store_sweep(a);
	if (ask)
		follow_limit(a, &memory);
	pthread_mutex_unlock(&a->act);
	if (a->link.state == LINK_UP && a->link.holds_old && a->walk.look > 1 &&
	    !a->walk.under_way && link_no_old(a) && link_plain(&a->link, PS_MSG_OLD_GONE, 0) == 0)
		a->link.holds_old = false;
}
