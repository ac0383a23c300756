/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices on devices, as hosts have them. */
#include <stdio.h>
#include <string.h>

#include "cli/swap-crypt.h"
#include "harness/harness.h"

static const struct device {
	const char *name, *uuid, *below[3];
} devices[] = {
	{"dm-0", "CRYPT-LUKS2-0a1b2c3d-luks-0a1b2c3d", {"sda3"}},
	{"dm-1", "LVM-x1yZzzyyXWvU", {"dm-0"}},		   /* LVM on LUKS */
	{"dm-2", "LVM-x1yZzzyyXWvV", {"sda2"}},		   /* LVM on a bare disk */
	{"dm-3", "CRYPT-PLAIN-swap", {"dm-2"}},		   /* a random key on LVM */
	{"dm-4", "LVM-x1yZzzyyXWvW", {"dm-0", "sdb1"}},	   /* half of it is bare */
	{"dm-5", "mpath-360000000", {"sdc", "sdd"}},	   /* two ways to one disk */
	{"dm-6", "CRYPT-INTEGRITY-0a1b-x", {"sda4"}},	   /* checks, and hides nothing */
	{"dm-7", "CRYPT-LUKS2-0a1b2c3e-luks-2", {"dm-6"}}, /* on it */
	{"dm-8", "LVM-x1yZzzyyXWvX", {"md0"}},		   /* on a RAID of encrypted disks */
	{"md0", "", {"dm-0", "dm-7"}},
	{"dm-9", "LVM-itself", {"dm-9"}},
	{"dm-10", "", {NULL}},
};
#define NDEVICES (sizeof(devices) / sizeof(devices[0]))

static const struct device *find(const char *name)
{
	for (size_t i = 0; i < NDEVICES; i++)
		if (!strcmp(devices[i].name, name))
			return &devices[i];
	return NULL;
}

static void uuid_of(const char *name, char uuid[SWAP_UUID_MAX])
{
	const struct device *device = find(name);

	snprintf(uuid, SWAP_UUID_MAX, "%s", device ? device->uuid : "");
}

static void each_below(const char *name, int (*each)(const char *below, void *arg), void *arg)
{
	const struct device *device = find(name);

	for (int i = 0; device && i < 3 && device->below[i]; i++)
		if (each(device->below[i], arg))
			return;
}

TEST("swap is encrypted where dm-crypt has it, itself or below all that it lies on")
{
	static const char *const encrypted[] = {"dm-0", "dm-1", "dm-3", "dm-7", "dm-8", "md0"};
	const struct swap_devices looks = {uuid_of, each_below};

	for (size_t i = 0; i < NDEVICES; i++) {
		const char *name = devices[i].name;
		bool wanted = false;

		for (size_t k = 0; k < sizeof(encrypted) / sizeof(encrypted[0]); k++)
			wanted |= !strcmp(encrypted[k], name);
		if (swap_is_encrypted(&looks, name) != wanted)
			FAIL("%s is%s encrypted", name, wanted ? "" : " not");
	}
	CHECK(!swap_is_encrypted(&looks, "sda2"));
}
