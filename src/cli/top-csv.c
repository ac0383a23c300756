/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Batch mode, as `esxtop -b` writes it: the CSV of Windows' performance logs, which perfmon,
 * esxplot and spreadsheets read. The first cell is "(PDH-CSV 4.0) (UTC)(0)", each other one of the
 * header is \\HOST\OBJECT(INSTANCE)\COUNTER; a line begins with the time, month first; everything
 * is quoted.
 *
 * Counters that esxtop has are named as it names them, as public readers of its files quote them:
 * "Memory" and "Group Memory(ID:NAME)". Names that no public text was found for are not guessed:
 * those figures are in objects of our own, "pshare Memory" and "pshare Group Memory", under the
 * titles of `pshare list`. ID is the VMM's pid.
 *
 * esxtop's MBytes are MiB. Its "Kernel State" is 0 high, 1 soft, 2 hard, 3 low, from a time before
 * the state clear, which is told as high; the object of our own has all five, 0 to 4.
 */
#include <math.h>
#include <string.h>

#include "cli/top.h"

#define MIB (1024.0 * 1024.0)

enum from {
	AT_HOST, /* a double of struct top_host */
	AT_VM,	 /* the same of struct top_vm */
	FIELD,	 /* of a VM, by its title */
	OVERCOMMIT,
	KERNEL_STATE,
	STATE,
	KERNEL,	   /* what sharing itself takes */
	NONKERNEL, /* what others take */
};

struct counter {
	const char *object, *name;
	enum from from;
	size_t at; /* offset; seconds of OVERCOMMIT */
	const char *title;
	double scale; /* divided by; 0: percent of SIZE */
};

#define HOST(object, name, member)                                                  \
	{                                                                           \
		object, name, AT_HOST, offsetof(struct top_host, member), NULL, MIB \
	}
#define VM_FIELD(object, name, title, scale)         \
	{                                            \
		object, name, FIELD, 0, title, scale \
	}
#define VM(object, name, member)                                              \
	{                                                                     \
		object, name, AT_VM, offsetof(struct top_vm, member), NULL, 0 \
	}

#define MEMORY "Memory"
#define OWN "pshare Memory"

static const struct counter host_counters[] = {
	{MEMORY, "Memory Overcommit (1 Minute Avg)", OVERCOMMIT, 60, NULL, 1},
	{MEMORY, "Memory Overcommit (5 Minute Avg)", OVERCOMMIT, 300, NULL, 1},
	{MEMORY, "Memory Overcommit (15 Minute Avg)", OVERCOMMIT, 900, NULL, 1},
	HOST(MEMORY, "Machine MBytes", machine),
	{MEMORY, "Kernel MBytes", KERNEL, 0, NULL, MIB},
	{MEMORY, "NonKernel MBytes", NONKERNEL, 0, NULL, MIB},
	HOST(MEMORY, "Free MBytes", machine_free),
	{MEMORY, "Kernel State", KERNEL_STATE, 0, NULL, 1},
	HOST(MEMORY, "PShare Shared MBytes", shared),
	HOST(MEMORY, "Swap Target MBytes", out_target),
	HOST(MEMORY, "Swap MBytes Read/sec", swap_read),
	HOST(MEMORY, "Swap MBytes Write/sec", swap_written),
	HOST(MEMORY, "Memctl Current MBytes", balloon),
	HOST(MEMORY, "Memctl Target MBytes", balloon_target),
	HOST(OWN, "Common MBytes", common),
	HOST(OWN, "Saving MBytes", saving),
	HOST(OWN, "Zero MBytes", zero),
	HOST(OWN, "Managed MBytes", managed),
	HOST(OWN, "Minfree MBytes", minfree),
	HOST(OWN, "Reserved MBytes", reserved),
	HOST(OWN, "Unreserved MBytes", unreserved),
	HOST(OWN, "Memctl Max MBytes", balloon_max),
	HOST(OWN, "Staged MBytes", staged),
	HOST(OWN, "Twin MBytes", twin),
	HOST(OWN, "Zipped MBytes", zipped),
	HOST(OWN, "Swapped MBytes", swapped),
	HOST(OWN, "Zip MBytes/sec", zip),
	HOST(OWN, "Unzip MBytes/sec", unzip),
	{OWN, "State", STATE, 0, NULL, 1},
};

#define GROUP "Group Memory"
#define OWN_GROUP "pshare Group Memory"

static const struct counter vm_counters[] = {
	VM_FIELD(GROUP, "Memory Size MBytes", "SIZE", MIB),
	VM_FIELD(GROUP, "Memory Granted Size MBytes", "GRANT", MIB),
	VM_FIELD(GROUP, "Memory Consumed Size MBytes", "CONS", MIB),
	VM_FIELD(GROUP, "Target Size MBytes", "SZTGT", MIB),
	VM_FIELD(GROUP, "Touched MBytes", "ACTV", MIB),
	VM_FIELD(GROUP, "% Active Estimate", "ACTV", 0),
	VM(GROUP, "% Active Slow Estimate", active_slow),
	VM(GROUP, "% Active Fast Estimate", active_fast),
	VM(GROUP, "% Active Next Estimate", active_now),
	VM_FIELD(GROUP, "Shared Saved MBytes", "SHRDSVD", MIB),
	VM_FIELD(GROUP, "Overhead MBytes", "OVHD", MIB),
	VM_FIELD(GROUP, "Swapped MBytes", "SWCUR", MIB),
	VM_FIELD(GROUP, "Swap Read MBytes/sec", "SWR/s", MIB),
	VM_FIELD(GROUP, "Swap Written MBytes/sec", "SWW/s", MIB),
	VM_FIELD(GROUP, "Compressed Memory MBytes", "ZIP", MIB),
	VM_FIELD(GROUP, "Compression MBytes/sec", "ZIP/s", MIB),
	VM_FIELD(GROUP, "Decompression MBytes/sec", "UNZIP/s", MIB),
	VM_FIELD(OWN_GROUP, "SHRD MBytes", "SHRD", MIB),
	VM_FIELD(OWN_GROUP, "ZERO MBytes", "ZERO", MIB),
	VM_FIELD(OWN_GROUP, "MCTLSZ MBytes", "MCTLSZ", MIB),
	VM_FIELD(OWN_GROUP, "MCTLTGT MBytes", "MCTLTGT", MIB),
	VM_FIELD(OWN_GROUP, "MCTLMAX MBytes", "MCTLMAX", MIB),
	VM_FIELD(OWN_GROUP, "STAGED MBytes", "STAGED", MIB),
	VM_FIELD(OWN_GROUP, "TWIN MBytes", "TWIN", MIB),
	VM_FIELD(OWN_GROUP, "CACHESZ MBytes", "CACHESZ", MIB),
	VM_FIELD(OWN_GROUP, "CACHEUSD MBytes", "CACHEUSD", MIB),
	VM_FIELD(OWN_GROUP, "SWTGT MBytes", "SWTGT", MIB),
	VM_FIELD(OWN_GROUP, "PRIV MBytes", "PRIV", MIB),
	VM_FIELD(OWN_GROUP, "LARGE MBytes", "LARGE", MIB),
	VM_FIELD(OWN_GROUP, "COWH MBytes", "COWH", MIB),
	VM_FIELD(OWN_GROUP, "% LAT", "%LAT", 1),
	VM_FIELD(OWN_GROUP, "ASHRS", "ASHRS", 1),
};

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

/* A name is cut where it would end the cell or the path of a counter. */
static void put_plain(FILE *out, const char *text)
{
	for (; *text; text++)
		putc(*text < ' ' || *text == 0x7f || strchr("\"\\,()", *text) ? '_' : *text, out);
}

void top_csv_head(FILE *out, const char *host, const struct top_sample *sample)
{
	fputs("\"(PDH-CSV 4.0) (UTC)(0)\"", out);
	for (size_t c = 0; c < COUNT(host_counters); c++) {
		fputs(",\"\\\\", out);
		put_plain(out, host);
		fprintf(out, "\\%s\\%s\"", host_counters[c].object, host_counters[c].name);
	}
	for (size_t i = 0; i < sample->n; i++) {
		for (size_t c = 0; c < COUNT(vm_counters); c++) {
			fputs(",\"\\\\", out);
			put_plain(out, host);
			fprintf(out, "\\%s(%ld:", vm_counters[c].object, sample->vm[i].pid);
			put_plain(out, sample->vm[i].name);
			fprintf(out, ")\\%s\"", vm_counters[c].name);
		}
	}
	putc('\n', out);
}

static double host_value(const struct counter *c, const struct top_host *host,
			 const struct top_history *history)
{
	int state = top_state_number(host->state);
	double value;

	switch (c->from) {
	case OVERCOMMIT:
		return top_history_overcommit(history, (double)c->at);
	case KERNEL_STATE:
		return state > 1 ? state - 1 : 0;
	case STATE:
		return state > 0 ? state : 0;
	case KERNEL:
		return host->metadata / c->scale;
	case NONKERNEL:
		value = host->machine - host->machine_free - host->metadata;
		return value > 0 ? value / c->scale : 0;
	default:
		memcpy(&value, (const char *)host + c->at, sizeof(value));
		return value / c->scale;
	}
}

static double vm_value(const struct counter *c, const struct top_vm *vm)
{
	double size = vm->value[top_field_find("SIZE")], value;

	if (c->from == AT_VM)
		memcpy(&value, (const char *)vm + c->at, sizeof(value));
	else
		value = vm->value[top_field_find(c->title)];
	if (c->scale > 0)
		return value / c->scale;
	return size > 0 ? value * 100 / size : 0;
}

static const struct top_vm *find(const struct top_sample *sample, const struct top_vm *wanted)
{
	for (size_t i = 0; i < sample->n; i++)
		if (sample->vm[i].pid == wanted->pid && !strcmp(sample->vm[i].name, wanted->name))
			return &sample->vm[i];
	return NULL;
}

void top_csv_line(FILE *out, const struct tm *utc, const struct top_sample *begun,
		  const struct top_sample *now, const struct top_history *history)
{
	char stamp[24] = "";

	strftime(stamp, sizeof(stamp), "%m/%d/%Y %H:%M:%S", utc);
	fprintf(out, "\"%s\"", stamp);
	for (size_t c = 0; c < COUNT(host_counters); c++)
		fprintf(out, ",\"%.2f\"", host_value(&host_counters[c], &now->host, history));
	for (size_t i = 0; i < begun->n; i++) {
		const struct top_vm *vm = find(now, &begun->vm[i]);

		for (size_t c = 0; c < COUNT(vm_counters); c++) {
			if (vm)
				fprintf(out, ",\"%.2f\"", vm_value(&vm_counters[c], vm));
			else
				fputs(",\"\"", out);
		}
	}
	putc('\n', out);
}
