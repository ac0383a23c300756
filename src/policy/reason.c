/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One row for each cause, and this is the only place that has the words: the agent's line on the
 * VMM's stderr, the API, `pshare show`, `list` and `doctor` all read it here, so they say the same.
 *
 * A row speaks of a region or of a VM ("its memory is locked"). Pages are refused by the thousand
 * for causes that pass by themselves (changed, gone, pinned): those have no mend.
 */
#include "policy/reason.h"

#include <stddef.h>
#include <string.h>

#include "wire/wire.h"

#define PLAIN_RAM "QEMU: plain -m SIZE, or memory-backend-ram without share=on"

static const struct {
	const char *text;
	const char *mend;
} reasons[PS_CAUSE_END] = {
	[PS_CAUSE_NONE] = {"", NULL},
	[PS_CAUSE_CHANGED] = {"its content changes all the time", NULL},
	[PS_CAUSE_GONE] = {"its agent is not connected, or its memory is gone", NULL},
	[PS_CAUSE_PINNED] = {"its pages are pinned for DMA", NULL},
	[PS_CAUSE_LARGE] = {"its memory is in huge pages, which are left whole",
			    "pshare set Mem.AllocGuestLargePage 0"},
	[PS_CAUSE_MAPPINGS] = {"the process has nearly as many mappings as vm.max_map_count lets it",
			       "as root: sysctl -w vm.max_map_count=1048576"},
	[PS_CAUSE_QUARANTINE] = {"it waits in quarantine", NULL},
	[PS_CAUSE_FOREIGN] = {"another userfaultfd is registered on it",
			      "end postcopy migration or background snapshot first"},
	[PS_CAUSE_HUGETLB] = {"it is made of hugetlb pages, which cannot be shared at 4 KiB",
			      "QEMU: leave out -mem-path and hugetlb=on; huge pages come by "
			      "themselves"},
	[PS_CAUSE_SHARED] = {"it is a shared mapping (memfd, shmem or a file), which cannot be "
			     "taken out page by page",
			     PLAIN_RAM},
	[PS_CAUSE_LOCKED] = {"it is locked (mlock), so it is never taken out",
			     "QEMU: -overcommit mem-lock=off; libvirt: no <locked/>"},
	[PS_CAUSE_FILE] = {"it is a private mapping of a file",
			   "QEMU: memory-backend-ram in the place of memory-backend-file"},
	[PS_CAUSE_NO_MEMORY] = {"there is no memory for what sharing needs", NULL},
	[PS_CAUSE_LIMIT] = {"it is more than one VM may have (64 regions, 1 TiB)", NULL},
	[PS_CAUSE_ERROR] = {"the kernel answered with an error that was not expected",
			    "see the VMM's stderr"},
	[PS_CAUSE_MEMFD] = {"it is a private mapping of a memfd",
			    "QEMU: memory-backend-ram in the place of memory-backend-memfd"},
	[PS_CAUSE_DEVICE] = {"it is a device's memory, not RAM", NULL},
	[PS_CAUSE_ACCESS] = {"part of it is not mapped, or not readable and writable", NULL},
	[PS_CAUSE_USERFAULTFD] = {"its user may not have a userfaultfd",
				  "see 'pshare doctor', as that user"},
	[PS_CAUSE_KERNEL] = {"the kernel lacks what the agent needs",
			     "run Linux 6.8 or newer; see 'pshare doctor'"},
	[PS_CAUSE_RLIMIT_AS] = {"RLIMIT_AS leaves no address space for the agent's mappings, which "
				"take no memory but hundreds of GiB of addresses",
				"start the VMM without 'ulimit -v' (systemd: LimitAS=infinity)"},
	[PS_CAUSE_RLIMIT_FSIZE] = {"RLIMIT_FSIZE does not let the daemon make a store",
				   "start pshared without 'ulimit -f' (systemd: "
				   "LimitFSIZE=infinity)"},
	[PS_CAUSE_NOT_OFFERED] = {"the VMM has offered no memory (MADV_MERGEABLE)",
				  "QEMU: -machine mem-merge=on (the default)"},
	[PS_CAUSE_DISABLED] = {"sched.mem.pshare.enable is FALSE",
			       "pshare set --vm VM sched.mem.pshare.enable TRUE"},
	[PS_CAUSE_RATE] = {"Mem.ShareScanGHz or Mem.ShareRateMax is 0: nothing is looked at",
			   "pshare set Mem.ShareScanGHz 4; pshare set Mem.ShareRateMax 1024"},
	[PS_CAUSE_SALT] = {"the policy does not let its user use that salt, so it shares with "
			   "itself alone",
			   "see pshared(8), POLICY"},
	[PS_CAUSE_NO_SALT] = {"its salt cannot be read, so nobody knows with whom it may share",
			      "see the VMM's stderr for the file"},
	[PS_CAUSE_STOPPED] = {"its agent met an error that it did not expect, and takes nothing "
			      "out any more",
			      "see the VMM's stderr"},
};

const char *reason_text(unsigned int cause)
{
	return cause < PS_CAUSE_END ? reasons[cause].text : "for an unknown reason";
}

const char *reason_mend(unsigned int cause)
{
	return cause < PS_CAUSE_END ? reasons[cause].mend : NULL;
}

unsigned int reason_find(const char *name)
{
	unsigned int cause = PS_CAUSE_NONE + 1;

	while (cause < PS_CAUSE_END && strcmp(name, ps_cause_name(cause)) != 0)
		cause++;
	return cause;
}
