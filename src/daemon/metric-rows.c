/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names: pshare_ for the host, pshare_vm_ for a VM, then what is counted, then its base unit:
 * bytes, seconds, ratio (0 to 1); nothing for what is counted one by one. ESX's names (SHRD,
 * MCTLSZ) are kept where a figure has one. A thing that has a few kinds is one family with a label,
 * so that its parts can be summed up and stacked: tier, of, who, cause. Pages that something
 * happened to are counted as pages: a page is a thing, as a request is, and no unit.
 *
 * A counter of pages is never named as a gauge of bytes is: without their endings they would be one
 * family.
 */
#include "daemon/metric-rows.h"

#include "daemon/view.h"

#define ROW(of, name, label, type, value, member, help)                                       \
	{                                                                                     \
		name, label, help, METRIC_##type, METRIC_##value, offsetof(struct of, member) \
	}

#define HOST(type, value, name, label, member, help) \
	ROW(view_host, name, label, type, value, member, help)

const struct metric_row metric_host_rows[] = {
	HOST(GAUGE, NS, "uptime_seconds", NULL, uptime_ns, "Time since the daemon started."),
	HOST(GAUGE, UNSIGNED, "vms", NULL, vms, "VMs known."),
	HOST(GAUGE, UNSIGNED, "vms_held", NULL, memory.held,
	     "VMs held back: the state is low, and they are furthest above their targets."),
	HOST(GAUGE, UNSIGNED, "domains", NULL, domains, "Trust domains."),
	HOST(GAUGE, NUMBER, "shared_bytes", NULL, shared,
	     "Guest memory that is mapped from frames or the zero page."),
	HOST(GAUGE, NUMBER, "common_bytes", NULL, common, "Host memory behind it."),
	HOST(GAUGE, NUMBER, "saving_bytes", NULL, saving, "Host memory saved: shared less common."),
	HOST(GAUGE, NUMBER, "zero_bytes", NULL, zero,
	     "Guest memory given back as the zero page; shared has it too."),
	HOST(GAUGE, NUMBER, "expected_bytes", NULL, progress.expected,
	     "What is to be saved when sharing has settled."),
	HOST(GAUGE, DOUBLE, "progress_ratio", NULL, progress.done,
	     "How far sharing has come: 1 when it has settled."),
	HOST(GAUGE, NUMBER, "metadata_bytes", NULL, metadata,
	     "Host memory that sharing itself takes: daemon, agents, kernel."),
	HOST(GAUGE, NUMBER, "managed_bytes", NULL, memory.managed, "Memory that VMs may have."),
	HOST(GAUGE, NUMBER, "free_bytes", NULL, memory.free, "Of it, free."),
	HOST(GAUGE, NUMBER, "minfree_bytes", NULL, memory.min_free, "Of it, to be kept free."),
	HOST(GAUGE, NUMBER, "consumed_bytes", NULL, memory.consumed,
	     "Host memory that VMs take, frames counted once."),
	HOST(GAUGE, NUMBER, "reserved_bytes", NULL, memory.reserved, "Reserved by VMs."),
	HOST(GAUGE, NUMBER, "unreserved_bytes", NULL, memory.unreserved,
	     "What may still be reserved."),
	HOST(GAUGE, NUMBER, "balloon_bytes", NULL, memory.balloon, "In balloons, all VMs."),
	HOST(GAUGE, NUMBER, "balloon_target_bytes", NULL, memory.balloon_target,
	     "What is to be in balloons."),
	HOST(GAUGE, NUMBER, "balloon_max_bytes", NULL, memory.balloon_max,
	     "What may be in balloons."),
	HOST(GAUGE, NUMBER, "out_bytes", "tier=\"staged\"", memory.staged,
	     "Guest memory that is taken out, by where it is: staged (whole), twin (equal to a "
	     "frame), zipped, swapped."),
	HOST(GAUGE, NUMBER, "out_bytes", "tier=\"twin\"", memory.twin, NULL),
	HOST(GAUGE, NUMBER, "out_bytes", "tier=\"zipped\"", memory.zipped, NULL),
	HOST(GAUGE, NUMBER, "out_bytes", "tier=\"swapped\"", memory.swapped, NULL),
	HOST(GAUGE, NUMBER, "out_target_bytes", NULL, memory.out_target, "What is to be out."),
	HOST(GAUGE, NUMBER, "zip_bytes", NULL, memory.zip_bytes,
	     "Host memory that compressed pages take."),
	HOST(GAUGE, BOOL, "stalled", NULL, memory.stalled,
	     "1 while tasks of the host wait for memory (PSI)."),
	HOST(GAUGE, NS, "state_age_seconds", NULL, memory.state_ns,
	     "For how long the state of memory has been what it is."),
	HOST(COUNTER, NS, "cpu_seconds", "who=\"daemon\"", cpu_daemon_ns,
	     "CPU time of the daemon and of all agents."),
	HOST(COUNTER, NS, "cpu_seconds", "who=\"agents\"", cpu_agents_ns, NULL),
	HOST(COUNTER, NUMBER, "pages_scanned", NULL, scanned, "Pages hashed."),
	HOST(COUNTER, NUMBER, "pages_shared", NULL, shares, "Pages that became shared."),
	HOST(COUNTER, NUMBER, "pages_zeroed", NULL, zeroed, "Pages given back as the zero page."),
	HOST(COUNTER, NUMBER, "pages_unshared", NULL, unshares, "Shared pages that were written."),
	HOST(COUNTER, NUMBER, "frames_verified", NULL, verified,
	     "Frames read again and compared with their hash."),
	HOST(COUNTER, NUMBER, "frames_damaged", NULL, damaged,
	     "Frames that were not what they had been: the host's memory fails."),
	HOST(COUNTER, NUMBER, "frames_mended", NULL, mended, "Damaged frames set right again."),
};
const size_t metric_host_count = sizeof(metric_host_rows) / sizeof(metric_host_rows[0]);

#define VM(type, value, name, label, member, help) \
	ROW(view_vm, name, label, type, value, member, help)

const struct metric_row metric_vm_rows[] = {
	VM(GAUGE, NUMBER, "vm_size_bytes", NULL, size, "Memory of the VM that takes part."),
	VM(GAUGE, NUMBER, "vm_grant_bytes", NULL, grant, "GRANT: mapped for the guest."),
	VM(GAUGE, NUMBER, "vm_shrd_bytes", NULL, shrd, "SHRD: shared, zero pages too."),
	VM(GAUGE, NUMBER, "vm_shrdsvd_bytes", NULL, shrdsvd, "SHRDSVD: saved by sharing."),
	VM(GAUGE, NUMBER, "vm_zero_bytes", NULL, zero, "ZERO: given back as the zero page."),
	VM(GAUGE, NUMBER, "vm_private_bytes", NULL, priv, "GRANT less SHRD."),
	VM(GAUGE, NUMBER, "vm_large_bytes", NULL, large, "In huge pages."),
	VM(GAUGE, NUMBER, "vm_broken_bytes", NULL, broken,
	   "Written since it was shared, and not brought back yet."),
	VM(GAUGE, NUMBER, "vm_quarantined_bytes", NULL, quarantined,
	   "Taken out, not given back to the host yet."),
	VM(GAUGE, NUMBER, "vm_cowh_bytes", NULL, cowh,
	   "COWH: what breaking huge pages would share."),
	VM(GAUGE, NUMBER, "vm_overhead_bytes", "of=\"agent\"", overhead_agent,
	   "Host memory that sharing takes: the agent's tables, the kernel's for mappings."),
	VM(GAUGE, NUMBER, "vm_overhead_bytes", "of=\"kernel\"", overhead_kernel, NULL),
	VM(GAUGE, NUMBER, "vm_mappings", NULL, mappings, "Mappings that exist because of sharing."),
	VM(GAUGE, NUMBER, "vm_hints", NULL, hints, "Pages with a hint in the index."),
	VM(GAUGE, NUMBER, "vm_stuck_pages", NULL, stuck,
	   "Written pages that cannot be shared again: pins cannot be told."),
	VM(GAUGE, NUMBER, "vm_expected_bytes", NULL, progress.expected,
	   "What is to be saved when sharing has settled."),
	VM(GAUGE, DOUBLE, "vm_progress_ratio", NULL, progress.done,
	   "How far sharing has come: 1 when it has settled."),
	VM(GAUGE, NUMBER, "vm_consumed_bytes", NULL, memory.consumed,
	   "Host memory that the VM takes."),
	VM(GAUGE, NUMBER, "vm_target_bytes", NULL, memory.target,
	   "SZTGT: host memory that it is to have."),
	VM(GAUGE, NUMBER, "vm_active_bytes", NULL, memory.active, "ACTV: working set, estimated."),
	VM(GAUGE, NUMBER, "vm_shares", NULL, memory.shares, "ASHRS: shares."),
	VM(GAUGE, NUMBER, "vm_balloon_bytes", NULL, memory.mctlsz, "MCTLSZ: balloon."),
	VM(GAUGE, NUMBER, "vm_balloon_target_bytes", NULL, memory.mctltgt,
	   "MCTLTGT: what it is to be."),
	VM(GAUGE, NUMBER, "vm_balloon_max_bytes", NULL, memory.mctlmax, "MCTLMAX: what it may be."),
	VM(GAUGE, NUMBER, "vm_out_bytes", "tier=\"staged\"", memory.staged,
	   "Guest memory that is taken out, by where it is: staged (whole), twin (equal to a "
	   "frame), zipped, swapped (SWCUR)."),
	VM(GAUGE, NUMBER, "vm_out_bytes", "tier=\"twin\"", memory.twin, NULL),
	VM(GAUGE, NUMBER, "vm_out_bytes", "tier=\"zipped\"", memory.zipped, NULL),
	VM(GAUGE, NUMBER, "vm_out_bytes", "tier=\"swapped\"", memory.swcur, NULL),
	VM(GAUGE, NUMBER, "vm_out_target_bytes", NULL, memory.swtgt, "SWTGT: what is to be out."),
	VM(GAUGE, NUMBER, "vm_cachesz_bytes", NULL, memory.cachesz,
	   "CACHESZ: host memory for compressed pages."),
	VM(GAUGE, NUMBER, "vm_cacheusd_bytes", NULL, memory.cacheusd, "CACHEUSD: of it, in use."),
	VM(GAUGE, NUMBER, "vm_swap_file_bytes", NULL, memory.swap_file,
	   "Of its swap file, in use."),
	VM(GAUGE, BOOL, "vm_held", NULL, memory.held, "1 while it is held back: the state is low."),
	VM(GAUGE, BOOL, "vm_suspended", NULL, memory.suspended,
	   "1 while it is pushed out by command."),
	VM(COUNTER, NS, "vm_cpu_seconds", NULL, cpu_ns, "CPU time of the agent."),
	VM(COUNTER, NUMBER, "vm_passes", NULL, passes, "Passes over all memory."),
	VM(COUNTER, NUMBER, "vm_pages_looked_at", NULL, looked, "Pages whose state was read."),
	VM(COUNTER, NUMBER, "vm_pages_scanned", NULL, scanned, "Pages hashed."),
	VM(COUNTER, NUMBER, "vm_pages_hinted", NULL, hinted, "Hashes published."),
	VM(COUNTER, NUMBER, "vm_pages_shared", NULL, shares, "Pages that became shared."),
	VM(COUNTER, NUMBER, "vm_pages_zeroed", NULL, zeroed, "Pages given back as the zero page."),
	VM(COUNTER, NUMBER, "vm_pages_unshared", NULL, unshares,
	   "First writes: shared pages that were written."),
	VM(COUNTER, NUMBER, "vm_pages_brought_back", NULL, brought_back,
	   "Written pages brought back into anonymous memory."),
	VM(COUNTER, NUMBER, "vm_pages_shared_again", NULL, reshares,
	   "Written pages that were shared again in place."),
	VM(COUNTER, NUMBER, "vm_pages_discarded", NULL, discards,
	   "Shared pages that the VMM discarded."),
	VM(COUNTER, NUMBER, "vm_late_writes", NULL, late_writes,
	   "Writes of devices found in quarantine and put back."),
	VM(COUNTER, NUMBER, "vm_write_faults", NULL, faults,
	   "Write faults that the agent had to settle."),
	VM(COUNTER, NUMBER, "vm_pin_forks", NULL, pin_forks, "Short forks that told pinned pages."),
	VM(COUNTER, NUMBER, "vm_hints_evicted", NULL, hints_evicted,
	   "Hints that made room for newer ones."),
	VM(COUNTER, NS, "vm_wait_seconds", NULL, memory.wait_ns,
	   "Time that accesses waited for pages to come in."),
	VM(COUNTER, NUMBER, "vm_pages_out", "tier=\"staged\"", memory.stagings,
	   "Pages taken out, by where they went; one goes through several."),
	VM(COUNTER, NUMBER, "vm_pages_out", "tier=\"twin\"", memory.twins, NULL),
	VM(COUNTER, NUMBER, "vm_pages_out", "tier=\"zipped\"", memory.zips, NULL),
	VM(COUNTER, NUMBER, "vm_pages_out", "tier=\"swapped\"", memory.swapouts, NULL),
	VM(COUNTER, NUMBER, "vm_pages_in", "tier=\"staged\"", memory.staged_back,
	   "Pages that came back, by where they were."),
	VM(COUNTER, NUMBER, "vm_pages_in", "tier=\"twin\"", memory.twinins, NULL),
	VM(COUNTER, NUMBER, "vm_pages_in", "tier=\"zipped\"", memory.unzips, NULL),
	VM(COUNTER, NUMBER, "vm_pages_in", "tier=\"swapped\"", memory.swapins, NULL),
	VM(COUNTER, NUMBER, "vm_pages_promoted", NULL, memory.promotions,
	   "Pages that came back from twin, zipped or swapped because they were touched."),
	VM(COUNTER, NUMBER, "vm_swap_errors", NULL, memory.swap_errors,
	   "Pages that could not be written to the swap file, and stayed."),
	VM(COUNTER, NUMBER, "vm_blocks_broken", NULL, memory.breaks, "Huge pages broken."),
	VM(COUNTER, NUMBER, "vm_blocks_collapsed", NULL, memory.collapses,
	   "Blocks made huge again."),
};
const size_t metric_vm_count = sizeof(metric_vm_rows) / sizeof(metric_vm_rows[0]);

#define TIMES(name, label, member, help)                            \
	{                                                           \
		name, label, help, offsetof(struct view_vm, member) \
	}

const struct metric_times metric_vm_times[] = {
	TIMES("vm_page_in_seconds", "tier=\"staged\"", memory.page_in[PS_TIER_STAGED],
	      "How long accesses waited for pages that were out, by where they were."),
	TIMES("vm_page_in_seconds", "tier=\"twin\"", memory.page_in[PS_TIER_TWIN], NULL),
	TIMES("vm_page_in_seconds", "tier=\"zipped\"", memory.page_in[PS_TIER_ZIP], NULL),
	TIMES("vm_page_in_seconds", "tier=\"swapped\"", memory.page_in[PS_TIER_SWAP], NULL),
	TIMES("vm_first_write_settled_seconds", NULL, timed[PS_TIMED_WRITE],
	      "How long first writes waited for the agent, where frames are guarded."),
	TIMES("vm_first_write_probe_seconds", NULL, timed[PS_TIMED_PROBE],
	      "What a first write costs where the kernel settles it: tried on a page of the "
	      "agent's own, four times a second."),
	TIMES("vm_batch_hold_seconds", NULL, timed[PS_TIMED_HOLD],
	      "How long batches of written pages were closed; a write to one waits as long at "
	      "most."),
};
const size_t metric_vm_times_count = sizeof(metric_vm_times) / sizeof(metric_vm_times[0]);
