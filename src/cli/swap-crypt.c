/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All of the device mapper is called dm-N: LVM's volumes as well as dm-crypt's. What one is says
 * its uuid, whose beginning is that of the program that made it: "CRYPT-LUKS2-...", "LVM-...". Of
 * cryptsetup's some encrypt nothing: they only check. What does not encrypt may lie on what does:
 * a volume of LVM on an encrypted partition, or on a RAID of such.
 */
#include "cli/swap-crypt.h"

#include <string.h>

#define DEPTH_MAX 16u /* what lies on itself is no device; the kernel has a limit of its own */

static bool encrypts(const char *uuid)
{
	static const char *const others[] = {"VERITY-", "INTEGRITY-", "SUBDEV-"};

	if (strncmp(uuid, "CRYPT-", 6) != 0)
		return false;
	for (unsigned int i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strncmp(uuid + 6, others[i], strlen(others[i])))
			return false;
	return true;
}

struct walk {
	const struct swap_devices *devices;
	unsigned int depth, below, plain;
};

static bool is_encrypted(const struct swap_devices *devices, const char *name, unsigned int depth);

static int take_below(const char *below, void *arg)
{
	struct walk *walk = arg;

	walk->below++;
	walk->plain += !is_encrypted(walk->devices, below, walk->depth + 1);
	return walk->plain != 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as devices lie on each other, and bounded */
static bool is_encrypted(const struct swap_devices *devices, const char *name, unsigned int depth)
{
	struct walk walk = {.devices = devices, .depth = depth};
	char uuid[SWAP_UUID_MAX] = "";

	devices->uuid(name, uuid);
	if (encrypts(uuid))
		return true;
	if (depth < DEPTH_MAX)
		devices->each_below(name, take_below, &walk);
	return walk.below && !walk.plain;
}

bool swap_is_encrypted(const struct swap_devices *devices, const char *name)
{
	return is_encrypted(devices, name, 0);
}
