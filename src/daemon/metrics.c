/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics: OpenMetrics 1.0 text, by hand (there is no library for it in C worth the name).
 *
 * The format wants all samples of a family next to each other. So the VMs are copied first, and
 * each family walks over the copies. Families are rows of tables: a name, a help line, and where
 * in the view the number is. The names follow the API's: pshare_vm_shrd_bytes is SHRD. Labels
 * hold only what has a checked alphabet (names, fingerprints, causes), so nothing needs escaping.
 */
#include "daemon/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/cleanup.h"

#define NS_PER_S 1e9

struct row {
	const char *name; /* of the family, without pshare_ and without a counter's _total */
	const char *unit; /* "bytes", "seconds" or "" */
	const char *help;
	size_t offset; /* of an uint64_t in the view */
};

#define HOST(name, unit, help, member)                               \
	{                                                            \
		name, unit, help, offsetof(struct view_host, member) \
	}
#define VM(name, unit, help, member)                               \
	{                                                          \
		name, unit, help, offsetof(struct view_vm, member) \
	}

static const struct row host_gauges[] = {
	HOST("uptime_seconds", "seconds", "Time since the daemon started.", uptime_ns),
	HOST("shared_bytes", "bytes", "Guest memory that is shared.", shared),
	HOST("common_bytes", "bytes", "Host memory behind it.", common),
	HOST("saving_bytes", "bytes", "Host memory saved: shared less common.", saving),
	HOST("zero_bytes", "bytes", "Guest memory given back as the zero page.", zero),
	HOST("managed_bytes", "bytes", "Memory that VMs may have.", memory.managed),
	HOST("free_bytes", "bytes", "Of it, free.", memory.free),
	HOST("minfree_bytes", "bytes", "Of it, to be kept free.", memory.min_free),
	HOST("consumed_bytes", "bytes", "Host memory that VMs take, frames once.", memory.consumed),
	HOST("reserved_bytes", "bytes", "Reserved by VMs.", memory.reserved),
	HOST("unreserved_bytes", "bytes", "What may still be reserved.", memory.unreserved),
	HOST("state_seconds", "seconds", "Since when the state is what it is.", memory.state_ns),
	HOST("metadata_bytes", "bytes", "Host memory that sharing itself takes.", metadata),
};

static const struct row host_counters[] = {
	HOST("scanned_pages", "", "Pages hashed.", scanned),
	HOST("shared_pages", "", "Pages shared.", shares),
	HOST("zeroed_pages", "", "Pages given back as the zero page.", zeroed),
	HOST("unshared_pages", "", "Shared pages that were written.", unshares),
	HOST("verified_frames", "", "Frames read again and compared with their hash.", verified),
	HOST("damaged_frames", "", "Of them, those that were not what they had been.", damaged),
	HOST("mended_frames", "", "Of the damaged, those set right again.", mended),
};

static const struct row vm_gauges[] = {
	VM("vm_size_bytes", "bytes", "Memory of the VM that takes part.", size),
	VM("vm_grant_bytes", "bytes", "GRANT: mapped for the guest.", grant),
	VM("vm_shrd_bytes", "bytes", "SHRD: shared, zero pages too.", shrd),
	VM("vm_shrdsvd_bytes", "bytes", "SHRDSVD: saved by sharing.", shrdsvd),
	VM("vm_zero_bytes", "bytes", "ZERO: given back as the zero page.", zero),
	VM("vm_private_bytes", "bytes", "GRANT less SHRD.", priv),
	VM("vm_large_bytes", "bytes", "In huge pages.", large),
	VM("vm_quarantined_bytes", "bytes", "Taken out, not given back yet.", quarantined),
	VM("vm_cowh_bytes", "bytes", "COWH: what breaking huge pages would share.", cowh),
	VM("vm_overhead_agent_bytes", "bytes", "Memory of the agent.", overhead_agent),
	VM("vm_overhead_kernel_bytes", "bytes", "Kernel memory for mappings.", overhead_kernel),
	VM("vm_mappings", "", "Mappings that exist because of sharing.", mappings),
	VM("vm_hints", "", "Pages with a hint in the index.", hints),
	VM("vm_consumed_bytes", "bytes", "Host memory that the VM takes.", memory.consumed),
	VM("vm_target_bytes", "bytes", "SZTGT: host memory that it is to have.", memory.target),
	VM("vm_active_bytes", "bytes", "ACTV: working set, estimated.", memory.active),
	VM("vm_shares", "", "ASHRS: shares.", memory.shares),
	VM("vm_balloon_bytes", "bytes", "MCTLSZ: balloon.", memory.mctlsz),
	VM("vm_balloon_target_bytes", "bytes", "MCTLTGT: what it is to be.", memory.mctltgt),
	VM("vm_balloon_max_bytes", "bytes", "MCTLMAX: what it may be.", memory.mctlmax),
	VM("vm_staged_bytes", "bytes", "Taken out, whole.", memory.staged),
	VM("vm_twin_bytes", "bytes", "Out, and equal to a frame.", memory.twin),
	VM("vm_zipped_bytes", "bytes", "Out, compressed: guest memory.", memory.zipped),
	VM("vm_cachesz_bytes", "bytes", "CACHESZ: host memory for compressed pages.",
	   memory.cachesz),
	VM("vm_cacheusd_bytes", "bytes", "CACHEUSD: of it, in use.", memory.cacheusd),
	VM("vm_swcur_bytes", "bytes", "SWCUR: out, swapped.", memory.swcur),
	VM("vm_swtgt_bytes", "bytes", "SWTGT: what is to be out.", memory.swtgt),
	VM("vm_expected_bytes", "bytes", "What is to be saved at the end.", progress.expected),
};

static const struct row vm_counters[] = {
	VM("vm_cpu_seconds", "seconds", "CPU time of the agent.", cpu_ns),
	VM("vm_passes", "", "Passes over all memory.", passes),
	VM("vm_looked_pages", "", "Pages whose state was read.", looked),
	VM("vm_scanned_pages", "", "Pages hashed.", scanned),
	VM("vm_hinted_pages", "", "Hashes published.", hinted),
	VM("vm_shared_pages", "", "Pages shared.", shares),
	VM("vm_zeroed_pages", "", "Pages given back as the zero page.", zeroed),
	VM("vm_unshared_pages", "", "Shared pages that were written.", unshares),
	VM("vm_discarded_pages", "", "Shared pages that the VMM discarded.", discards),
	VM("vm_late_writes", "", "Writes found in quarantine and put back.", late_writes),
	VM("vm_faults", "", "Write faults settled.", faults),
	VM("vm_brought_back_pages", "", "Pages brought back into anonymous memory.", brought_back),
	VM("vm_shared_again_pages", "", "Written pages that were shared again in place.", reshares),
	VM("vm_stuck_pages", "", "Written pages that cannot be shared again: pins cannot be told.",
	   stuck),
	VM("vm_wait_seconds", "seconds", "Time that accesses waited for pages to come in.",
	   memory.wait_ns),
	VM("vm_staged_pages", "", "Pages staged.", memory.stagings),
	VM("vm_staged_back_pages", "", "Staged pages put back.", memory.staged_back),
	VM("vm_twin_pages", "", "Pages that went twin.", memory.twins),
	VM("vm_twin_back_pages", "", "Pages that came back from twin.", memory.twinins),
	VM("vm_zipped_pages", "", "Pages compressed.", memory.zips),
	VM("vm_unzipped_pages", "", "Pages unpacked.", memory.unzips),
	VM("vm_swapped_out_pages", "", "Pages written to the swap file.", memory.swapouts),
	VM("vm_swapped_in_pages", "", "Pages read from the swap file.", memory.swapins),
	VM("vm_promoted_pages", "", "Pages that came back because they were touched.",
	   memory.promotions),
	VM("vm_swap_errors", "", "Pages that could not be written.", memory.swap_errors),
	VM("vm_blocks_broken", "", "Large blocks broken.", memory.breaks),
	VM("vm_blocks_collapsed", "", "Blocks made huge again.", memory.collapses),
	VM("vm_hints_evicted", "", "Hints that made room for newer ones.", hints_evicted),
};

struct vms {
	struct view_vm *vm;
	size_t n, room;
};

static void vms_free(struct vms *all)
{
	free(all->vm);
}

static int collect(const struct view_vm *vm, void *arg)
{
	struct vms *all = arg;

	if (all->n == all->room) {
		size_t room = all->room ? all->room * 2 : 16;
		struct view_vm *bigger = reallocarray(all->vm, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		all->vm = bigger;
		all->room = room;
	}
	all->vm[all->n++] = *vm;
	return 0;
}

static void put_family(FILE *out, const char *name, const char *type, const char *unit,
		       const char *help)
{
	fprintf(out, "# TYPE pshare_%s %s\n", name, type);
	if (*unit)
		fprintf(out, "# UNIT pshare_%s %s\n", name, unit);
	fprintf(out, "# HELP pshare_%s %s\n", name, help);
}

/* The number that a row names, with what stands in front of it on its line. */
static void put_number(FILE *out, const struct row *row, const void *view)
{
	uint64_t number;

	memcpy(&number, (const char *)view + row->offset, sizeof(number));
	if (!strcmp(row->unit, "seconds"))
		fprintf(out, " %.6f\n", (double)number / NS_PER_S);
	else
		fprintf(out, " %" PRIu64 "\n", number);
}

static void put_host_rows(FILE *out, const struct row *rows, size_t n, bool counter,
			  const struct view_host *host)
{
	size_t i;

	for (i = 0; i < n; i++) {
		put_family(out, rows[i].name, counter ? "counter" : "gauge", rows[i].unit,
			   rows[i].help);
		fprintf(out, "pshare_%s%s", rows[i].name, counter ? "_total" : "");
		put_number(out, &rows[i], host);
	}
}

static void put_vm_rows(FILE *out, const struct row *rows, size_t n, bool counter,
			const struct vms *all)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		put_family(out, rows[i].name, counter ? "counter" : "gauge", rows[i].unit,
			   rows[i].help);
		for (k = 0; k < all->n; k++) {
			fprintf(out, "pshare_%s%s{vm=\"%s\"}", rows[i].name,
				counter ? "_total" : "", all->vm[k].name);
			put_number(out, &rows[i], &all->vm[k]);
		}
	}
}

static void put_host(FILE *out, const struct view_host *host)
{
	static const char *const states[] = {"high", "clear", "soft", "hard", "low"};
	unsigned int i;

	put_family(out, "build", "info", "", "The daemon's version.");
	fprintf(out, "pshare_build_info{version=\"%s\"} 1\n", PSHARE_VERSION);
	put_family(out, "state", "stateset", "", "State of the host's memory.");
	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		fprintf(out, "pshare_state{pshare_state=\"%s\"} %d\n", states[i],
			!strcmp(states[i], host->state));
	put_family(out, "vms", "gauge", "", "VMs known.");
	fprintf(out, "pshare_vms %u\n", host->vms);
	put_family(out, "vms_held", "gauge", "", "VMs held back: the state is low.");
	fprintf(out, "pshare_vms_held %u\n", host->memory.held);
	put_family(out, "domains", "gauge", "", "Trust domains.");
	fprintf(out, "pshare_domains %u\n", host->domains);
	put_family(out, "cpu_seconds", "counter", "seconds", "CPU time of daemon and agents.");
	fprintf(out, "pshare_cpu_seconds_total{who=\"daemon\"} %.6f\n",
		(double)host->cpu_daemon_ns / NS_PER_S);
	fprintf(out, "pshare_cpu_seconds_total{who=\"agents\"} %.6f\n",
		(double)host->cpu_agents_ns / NS_PER_S);
	put_family(out, "refused_pages", "counter", "", "Pages left alone, by cause.");
	for (i = PS_CAUSE_NONE + 1; i < PS_CAUSE_END; i++)
		fprintf(out, "pshare_refused_pages_total{cause=\"%s\"} %" PRIu64 "\n",
			ps_cause_name(i), host->refused[i]);
}

static void put_vm_info(FILE *out, const struct vms *all)
{
	size_t k;

	put_family(out, "vm", "info", "", "What a VM is.");
	for (k = 0; k < all->n; k++)
		fprintf(out, "pshare_vm_info{vm=\"%s\",domain=\"%s\",pid=\"%d\",state=\"%s\"} 1\n",
			all->vm[k].name, all->vm[k].domain, all->vm[k].pid, all->vm[k].state);
	put_family(out, "vm_refused_pages", "counter", "", "Pages left alone, by cause.");
	for (k = 0; k < all->n; k++) {
		unsigned int i;

		for (i = PS_CAUSE_NONE + 1; i < PS_CAUSE_END; i++) {
			if (!all->vm[k].refused[i])
				continue;
			fprintf(out,
				"pshare_vm_refused_pages_total{vm=\"%s\",cause=\"%s\"} %" PRIu64
				"\n",
				all->vm[k].name, ps_cause_name(i), all->vm[k].refused[i]);
		}
	}
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void put_all(FILE *out, const struct view_host *host, const struct vms *all)
{
	put_host(out, host);
	put_host_rows(out, host_gauges, COUNT(host_gauges), false, host);
	put_host_rows(out, host_counters, COUNT(host_counters), true, host);
	put_vm_info(out, all);
	put_vm_rows(out, vm_gauges, COUNT(vm_gauges), false, all);
	put_vm_rows(out, vm_counters, COUNT(vm_counters), true, all);
	fputs("# EOF\n", out);
}

int metrics_text(struct daemon *daemon, char **text, size_t *length)
{
	_cleanup_(vms_free) struct vms all = {0};
	struct view_host host = {0};
	char *written = NULL;
	size_t n = 0;
	FILE *out;
	int r = view_vms(daemon, collect, &all);

	if (r)
		return -ENOMEM;
	view_host(daemon, &host);
	out = open_memstream(&written, &n);
	if (!out)
		return -ENOMEM;
	put_all(out, &host, &all);
	r = ferror(out);
	if (fclose(out) || r) {
		free(written);
		return -ENOMEM;
	}
	*text = written;
	*length = n;
	return 0;
}
