/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* swap-crypt: is what a block device takes encrypted before it comes to a disk? Pure. */
#ifndef PSHARE_CLI_SWAP_CRYPT_H
#define PSHARE_CLI_SWAP_CRYPT_H

#include <stdbool.h>
#include <stddef.h>

#define SWAP_UUID_MAX 160u

/* Block devices by their kernel names ("dm-3", "md0", "sda2"), as /sys/block has them. */
struct swap_devices {
	/* The uuid of a device of the device mapper; "": it is none. */
	void (*uuid)(const char *name, char uuid[SWAP_UUID_MAX]);
	/* Calls each() with every device that this one lies on, until it returns non-zero. */
	void (*each_below)(const char *name, int (*each)(const char *below, void *arg), void *arg);
};

/* Itself, or each device that it lies on, is dm-crypt's. */
bool swap_is_encrypted(const struct swap_devices *devices, const char *name);

#endif
