/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Texts that kernels print, of x86 (arch/x86/kernel/cpu/bugs.c) and of arm64. */
#include "cli/weakness.h"
#include "harness/harness.h"

static const struct row {
	enum weakness is;
	const char *text;
} rows[] = {
	{WEAKNESS_NONE, "Not affected\n"},
	{WEAKNESS_NONE, "Mitigation: PTI\n"},
	{WEAKNESS_NONE, "Mitigation: PTE Inversion\n"},
	{WEAKNESS_NONE, "Mitigation: PTE Inversion; VMX: EPT disabled\n"},
	{WEAKNESS_NONE, "Mitigation: PTE Inversion; VMX: flush not necessary, SMT disabled\n"},
	{WEAKNESS_NONE, "Mitigation: PTE Inversion; VMX: cache flushes, SMT disabled\n"},
	{WEAKNESS_NONE, "KVM: Mitigation: Split huge pages\n"},
	{WEAKNESS_NONE, "KVM: Mitigation: VMX disabled\n"},
	{WEAKNESS_NONE, "KVM: Mitigation: VMX unsupported\n"},
	{WEAKNESS_NONE, "Mitigation: Clear CPU buffers; SMT disabled\n"},
	{WEAKNESS_NONE, "Mitigation: Clear CPU buffers; SMT mitigated\n"},
	{WEAKNESS_NONE, "Mitigation: Speculative Store Bypass disabled via prctl\n"},
	{WEAKNESS_NONE, "Mitigation: usercopy/swapgs barriers and __user pointer sanitization\n"},
	{WEAKNESS_NONE, "Mitigation: Retpolines; IBPB: conditional; STIBP: disabled; RSB filling; "
			"PBRSB-eIBRS: Not affected; BHI: Not affected\n"},
	{WEAKNESS_NONE, "Mitigation: untrained return thunk; SMT enabled with STIBP protection\n"},
	{WEAKNESS_NONE, "Mitigation: Safe RET\n"},
	{WEAKNESS_NONE, "Mitigation: IBPB before exit to userspace\n"},
	{WEAKNESS_NONE, "Mitigation: CSV2, BHB\n"},
	{WEAKNESS_UNKNOWN, "Unknown: Dependent on hypervisor status\n"},
	{WEAKNESS_UNKNOWN, "Unknown (XEN PV detected, hypervisor mitigation required)\n"},
	{WEAKNESS_UNKNOWN, "Mitigation: Clear CPU buffers; SMT Host state unknown\n"},
	{WEAKNESS_UNKNOWN, "\n"},
	{WEAKNESS_UNKNOWN, "what no kernel says yet\n"},
	{WEAKNESS_SMT, "Mitigation: Clear CPU buffers; SMT vulnerable\n"},
	{WEAKNESS_SMT, "Mitigation: untrained return thunk; SMT vulnerable\n"},
	{WEAKNESS_SMT,
	 "Mitigation: PTE Inversion; VMX: conditional cache flushes, SMT vulnerable\n"},
	{WEAKNESS_OPEN, "Vulnerable\n"},
	{WEAKNESS_OPEN, "Vulnerable: No microcode\n"},
	{WEAKNESS_OPEN, "Vulnerable: Safe RET, no microcode\n"},
	{WEAKNESS_OPEN, "Vulnerable: eIBRS with unprivileged eBPF\n"},
	{WEAKNESS_OPEN, "Vulnerable: __user pointer sanitization and usercopy barriers only; no "
			"swapgs barriers\n"},
	{WEAKNESS_OPEN, "Vulnerable: Clear CPU buffers attempted, no microcode; SMT vulnerable\n"},
	{WEAKNESS_OPEN, "Mitigation: PTE Inversion; VMX: vulnerable\n"},
	{WEAKNESS_OPEN, "Mitigation: PTE Inversion; VMX: vulnerable, SMT vulnerable\n"},
	{WEAKNESS_OPEN, "KVM: Vulnerable\n"},
	{WEAKNESS_OPEN, "Processor vulnerable\n"},
	{WEAKNESS_OPEN, "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional; PBRSB-eIBRS: "
			"Vulnerable; BHI: SW loop, KVM: SW loop\n"},
	{WEAKNESS_OPEN,
	 "Mitigation: Retpolines; IBPB: conditional; BHI: Vulnerable, KVM: SW loop\n"},
	{WEAKNESS_OPEN, "Unknown: No mitigations\n"},
	{WEAKNESS_OPEN, "Mitigation: CSV2, but not BHB\n"},
};

TEST("the worst part of what a kernel says of a processor's weakness counts")
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (weakness_judge(rows[i].text) != rows[i].is)
			FAIL("%d, not %d: %s", (int)weakness_judge(rows[i].text), (int)rows[i].is,
			     rows[i].text);
}
