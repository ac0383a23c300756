/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * smaps: each mapping is a head line "START-END PERMS OFFSET DEVICE INODE PATH", then lines
 * "Name: value", of which the last, VmFlags, says what it is. So a mapping is counted there.
 * A kernel may add lines and flags: unknown ones are passed over.
 */
#include "cli/smaps.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool read_head(struct smaps *smaps, const char *line)
{
	uint64_t start, end, offset, inode;
	char permissions[8];
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %" SCNu64 " %n", &start, &end,
		   permissions, &offset, &inode, &at) != 5)
		return false;
	smaps->size = end - start;
	smaps->resident = 0;
	smaps->shared = permissions[3] == 's';
	smaps->writable = permissions[0] == 'r' && permissions[1] == 'w' && permissions[2] == '-';
	smaps->file = inode != 0;
	smaps->behind = offset != 0;
	smaps->special = line[at] == '['; /* [heap], [stack], [vvar]; [anon:...] is a name */
	if (!strncmp(line + at, "[anon", 5))
		smaps->special = false;
	if (strstr(line + at, "libpshare-agent.so"))
		smaps->agent = true;
	smaps->mappings++;
	return true;
}

/* flags: two letters each, between spaces */
static bool has_flag(const char *flags, const char *flag)
{
	const char *at = flags;

	while ((at = strstr(at, flag))) {
		if (at > flags && at[-1] == ' ' && (at[2] == ' ' || !at[2]))
			return true;
		at += 2;
	}
	return false;
}

static enum smaps_kind kind_of(const struct smaps *smaps, const char *flags, bool uffd)
{
	if (has_flag(flags, "ht"))
		return SMAPS_HUGETLB;
	if (has_flag(flags, "pf") || has_flag(flags, "io"))
		return SMAPS_DEVICE;
	if (smaps->shared)
		return SMAPS_SHARED;
	if (uffd) /* a run of shared pages is a private mapping of the store */
		return SMAPS_UFFD;
	/* A program's own text, constants and data are nobody's RAM. Its data lies behind its
	 * headers, RAM in a file begins where the file does. */
	if (smaps->file)
		return smaps->writable && !smaps->behind ? SMAPS_FILE : SMAPS_OTHER;
	if (has_flag(flags, "lo"))
		return SMAPS_LOCKED;
	if (!smaps->writable || smaps->special || has_flag(flags, "gd"))
		return SMAPS_OTHER;
	return SMAPS_PLAIN;
}

/* Memory with the agent in it is cut into many small mappings: those count whatever their size. */
static void count(struct smaps *smaps, const char *flags)
{
	bool uffd = has_flag(flags, "um") || has_flag(flags, "uw") || has_flag(flags, "ui");
	enum smaps_kind kind = kind_of(smaps, flags, uffd);

	if (smaps->size < SMAPS_MIN && kind != SMAPS_UFFD)
		return;
	smaps->n[kind]++;
	smaps->bytes[kind] += smaps->size;
	smaps->present[kind] += smaps->resident;
	if (kind == SMAPS_PLAIN && has_flag(flags, "mg"))
		smaps->mergeable += smaps->size;
}

void smaps_line(struct smaps *smaps, const char *line)
{
	uint64_t kib;

	if (!strncmp(line, "VmFlags:", 8))
		count(smaps, line + 8);
	else if (sscanf(line, "Rss: %" SCNu64 " kB", &kib) == 1)
		smaps->resident = kib * 1024;
	else if (line[0] >= 'A' && line[0] <= 'Z')
		return;
	else
		(void)read_head(smaps, line);
}
