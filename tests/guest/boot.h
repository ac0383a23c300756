/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* boot: from the initramfs to the Debian root. */
#ifndef PSHARE_GUEST_BOOT_H
#define PSHARE_GUEST_BOOT_H

#include <stdint.h>

/* Loads the modules that /modules lists, mounts the disk and its file systems, moves there.
 * /run is a tmpfs that holds the files of the initramfs' /run. 0, or -errno after a line on
 * stderr that says which step failed. */
int boot_to_root(void);
/* Mounts the disk for writing, and executes the init that is on it. Returns only if it cannot. */
int boot_to_system(const char *init);
/* MemTotal of the guest, in bytes; 0 if it cannot be read. */
uint64_t boot_memory(void);
/* Starts contrib/guest's helper, where there is a port for it. */
void boot_start_helper(void);

#endif
