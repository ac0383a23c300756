/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may be shown of a VM, in the order in which it is. */
#include <string.h>

#include "cli/top.h"

#define MEMORY "memory"

const struct top_field top_fields[TOP_FIELDS] = {
	[TOP_NAME] = {"NAME", TOP_TEXT, NULL, NULL, "the VM", 0, true},
	[TOP_STATE] = {"STATE", TOP_TEXT, NULL, NULL, "sharing, held, suspended, ...", 'a', true},
	{"SIZE", TOP_SIZE, NULL, "size", "memory that takes part", 'b', true},
	{"GRANT", TOP_SIZE, NULL, "GRANT", "mapped for the guest", 'c', true},
	{"SHRD", TOP_SIZE, NULL, "SHRD", "shared, zero pages too", 'd', true},
	{"SHRDSVD", TOP_SIZE, NULL, "SHRDSVD", "saved by it", 'e', true},
	{"ZERO", TOP_SIZE, NULL, "ZERO", "given back as the zero page", 'f', true},
	{"CONS", TOP_SIZE, MEMORY, "consumed", "what it takes of the host", 'g', true},
	{"SZTGT", TOP_SIZE, MEMORY, "SZTGT", "what it is to have", 'h', false},
	{"ACTV", TOP_SIZE, MEMORY, "ACTV", "working set, estimated", 'i', false},
	{"MCTLSZ", TOP_SIZE, MEMORY, "MCTLSZ", "balloon", 'j', true},
	{"MCTLTGT", TOP_SIZE, MEMORY, "MCTLTGT", "what the balloon is to be", 'k', false},
	{"MCTLMAX", TOP_SIZE, MEMORY, "MCTLMAX", "what it may be", 'l', false},
	{"STAGED", TOP_SIZE, MEMORY, "staged", "out, whole", 'm', false},
	{"TWIN", TOP_SIZE, MEMORY, "twin", "out, and equal to a frame", 'n', false},
	{"ZIP", TOP_SIZE, MEMORY, "zipped", "out, compressed: guest memory", 'o', true},
	{"CACHESZ", TOP_SIZE, MEMORY, "CACHESZ", "host memory for compressed pages", 'p', false},
	{"CACHEUSD", TOP_SIZE, MEMORY, "CACHEUSD", "of it, in use", 'q', false},
	{"ZIP/s", TOP_SIZE, MEMORY, "ZIP/s", "compressed a second", 'r', false},
	{"UNZIP/s", TOP_SIZE, MEMORY, "UNZIP/s", "unpacked a second", 's', false},
	{"SWCUR", TOP_SIZE, MEMORY, "SWCUR", "out, swapped", 't', true},
	{"SWTGT", TOP_SIZE, MEMORY, "SWTGT", "what is to be out", 'u', false},
	{"SWR/s", TOP_SIZE, MEMORY, "SWR/s", "read from the swap file a second", 'v', false},
	{"SWW/s", TOP_SIZE, MEMORY, "SWW/s", "written to it a second", 'w', false},
	{"%LAT", TOP_PERCENT, MEMORY, "latency_percent", "time that accesses waited", 'x', false},
	{"ASHRS", TOP_COUNT, MEMORY, "ASHRS", "shares", 'y', false},
	{"AMIN", TOP_COUNT, MEMORY, "AMIN", "reservation, MB", 'z', false},
	{"AMAX", TOP_COUNT, MEMORY, "AMAX", "limit, MB; -1: none", 'A', false},
	{"PRIV", TOP_SIZE, NULL, "private", "GRANT less SHRD", 'B', false},
	{"LARGE", TOP_SIZE, NULL, "large", "in huge pages", 'C', false},
	{"COWH", TOP_SIZE, NULL, "COWH", "what breaking huge pages would share", 'D', false},
	{"OVHD", TOP_SIZE, "overhead", "agent", "host memory of its agent", 'E', false},
};

unsigned int top_field_find(const char *title)
{
	unsigned int i = 0;

	while (i < TOP_FIELDS && strcmp(top_fields[i].title, title) != 0)
		i++;
	return i;
}
