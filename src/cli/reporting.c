/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that a guest has used once and freed stays in the host, with its old content, which
 * hardly ever has a twin: it is neither shared nor zero. A virtio-balloon with
 * free-page-reporting=on (QEMU 5.1 and newer, Linux 5.7 and newer in the guest) lets the guest say
 * so, and QEMU discards it. It is off by default, and QEMU offers no question by which another
 * process could ask; so the command line is read. A device that was plugged in later is not seen.
 */
#include "cli/reporting.h"

#include <string.h>

void reporting_word(struct reporting *reporting, const char *word)
{
	const char *base = strrchr(word, '/');

	if (!reporting->begun) {
		base = base ? base + 1 : word;
		reporting->qemu = !strncmp(base, "qemu", 4) || !strcmp(base, "kvm");
	}
	reporting->begun = true;
	if (!strstr(word, "virtio-balloon"))
		return;
	reporting->balloon = true;
	/* -device virtio-balloon-pci,free-page-reporting=on, or the same as JSON (libvirt) */
	reporting->on |= strstr(word, "free-page-reporting=on") ||
			 strstr(word, "free-page-reporting=true") ||
			 strstr(word, "\"free-page-reporting\":true") ||
			 strstr(word, "\"free-page-reporting\": true");
}
