/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much memory there is, and what the daemon gives up first when it ends.
 *
 * Two things may run out: the host's memory, and that of the daemon's control group, to which its
 * stores are charged; over the group's limit the kernel ends the daemon. So of the limit a reserve
 * is left: new frames stop at the reserve, new hints and new VMs at half of it, and what is left
 * then is for what the loop itself needs. A successor starts in the same group, with the stores of
 * its predecessor still there for as long as VMs map them: it finds the reserve, and the memory
 * that the predecessor itself had, makes no frame until those stores have gone, and lives.
 *
 * Between two readings the daemon counts what it takes: who is near a limit reads more often.
 */
#include "daemon/host.h"

#include <errno.h>
#include <string.h>

#include "daemon/log.h"
#include "sys/proc.h"

#define MEMINFO_MAX_AGE (250 * MSEC)
#define MHZ_UNKNOWN 1000u /* one slow CPU: rates are then too low, never too high */
#define MAP_COUNT_UNKNOWN 65530u

#define RESERVE_PART 8u /* of the group's limit, within bounds */
#define RESERVE_MIN (2ull << 20)
#define RESERVE_MAX (64ull << 20)
#define READ_MIN (64u << 10)
#define READ_PART 8u /* read anew when so much of the room was taken */

static uint64_t reserve_of(uint64_t limit)
{
	uint64_t reserve = limit / RESERVE_PART;

	reserve = reserve > RESERVE_MIN ? reserve : RESERVE_MIN;
	return reserve < RESERVE_MAX ? reserve : RESERVE_MAX;
}

/* What the group leaves for frames; limits d->room. */
static void read_group(struct daemon *d)
{
	struct sys_cgroup_memory memory;
	uint64_t reserve, left;

	d->books_short = false;
	if (!d->grouped || sys_cgroup_memory(&d->group, &memory) < 0)
		return;
	d->group_limit = memory.limit == UINT64_MAX ? 0 : memory.limit;
	if (!d->group_limit)
		return;
	reserve = reserve_of(memory.limit);
	left = memory.limit > memory.used ? memory.limit - memory.used : 0;
	d->books_short = left <= reserve / 2;
	left = left > reserve ? left - reserve : 0;
	if (left < d->room)
		d->room = left;
	if (!left && !d->group_short)
		log_warn("the daemon's control group has %llu of %llu MiB in use: no new frames",
			 (unsigned long long)(memory.used >> 20),
			 (unsigned long long)(memory.limit >> 20));
	d->group_short = !left;
}

static void read_memory(struct daemon *d)
{
	struct sys_meminfo info;
	uint64_t low;

	if (sys_meminfo(&info) < 0)
		return;
	d->host.memory = info.total;
	d->host.pages = info.total / PS_PAGE_SIZE;
	d->mem_available = info.available;
	d->host_read_at = d->now;
	low = memstate_min_free(info.total, 0) / 100 * memstate_threshold(MEMSTATE_LOW);
	d->room = info.available > low ? info.available - low : 0;
	read_group(d);
	d->memory_short = !d->room;
	d->read_frames = d->count.frames_made;
	d->read_bytes = d->bytes;
}

struct memstate_levels host_levels(const struct daemon *d)
{
	struct memstate_levels levels;

	for (unsigned int i = 0; i < MEMSTATE_END; i++)
		levels.pct[i] = (uint32_t)d->settings.value[SETTING_STATE_HIGH_PCT + i];
	return levels;
}

/* Do all tasks wait for memory? Where the kernel does not say, they do not. */
static bool is_stalled(const struct daemon *d)
{
	int64_t most = d->settings.value[SETTING_PSI_BRAKE_PCT];
	double percent;

	return most && sys_memory_stall(&percent) == 0 && percent >= (double)most;
}

static void step_memstate(struct daemon *d)
{
	struct memstate_levels levels = host_levels(d);
	struct mem_source *host = &d->host_memory;
	struct memstate_input in;

	host->managed = d->host.memory;
	host->free = d->mem_available;
	host->min_free = memstate_min_free(d->host.memory,
					   (uint32_t)d->settings.value[SETTING_MEM_MIN_FREE_PCT]);
	in = (struct memstate_input){host->free, host->min_free, d->stalled};
	host->state = memstate_step(host->state, &in, &levels);
}

void host_step(struct daemon *d)
{
	read_memory(d);
	d->stalled = is_stalled(d);
	if (d->host_read_at)
		step_memstate(d);
}

bool host_maps_changed(struct daemon *d)
{
	uint64_t before = d->host.max_map_count;

	return sys_read_u64("/proc/sys/vm/max_map_count", &d->host.max_map_count) == 0 &&
	       d->host.max_map_count != before;
}

void host_read_facts(struct daemon *d)
{
	int r;

	d->grouped = sys_cgroup_find(&d->group) == 0;
	read_memory(d);
	if (!d->host_read_at)
		log_warn("cannot read how much memory the host has: stores stay small");
	for (unsigned int i = 0; d->host_read_at && i < MEMSTATE_END; i++)
		step_memstate(d);
	d->memstate = d->host_memory.state;
	r = sys_cpu_mhz(&d->host.mhz);
	if (r < 0) {
		d->host.mhz = MHZ_UNKNOWN;
		log_warn("cannot read the clock of the CPUs (%s): taken for 1 GHz in all",
			 strerror(-r));
	}
	if (sys_read_u64("/proc/sys/vm/max_map_count", &d->host.max_map_count) < 0)
		d->host.max_map_count = MAP_COUNT_UNKNOWN;
}

static void refresh(struct daemon *d)
{
	uint64_t taken = (d->count.frames_made - d->read_frames) * PS_PAGE_SIZE;

	if (d->bytes > d->read_bytes)
		taken += d->bytes - d->read_bytes;
	if (d->now - d->host_read_at > MEMINFO_MAX_AGE ||
	    (taken > READ_MIN && taken > d->room / READ_PART))
		read_memory(d);
}

uint64_t host_pages(const struct daemon *d)
{
	return d->host.pages ? d->host.pages : PS_BLOCK_PAGES;
}

uint64_t host_daemon_memory(const struct daemon *d)
{
	uint64_t bytes = host_pages(d) * PS_PAGE_SIZE;

	return d->group_limit && d->group_limit < bytes ? d->group_limit : bytes;
}

bool host_memory_short(struct daemon *d)
{
	refresh(d);
	return d->memory_short;
}

bool host_books_short(struct daemon *d)
{
	refresh(d);
	return d->books_short;
}
