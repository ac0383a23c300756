/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* smaps: what the mappings of a process are to sharing, from the lines of /proc/PID/smaps. Pure. */
#ifndef PSHARE_CLI_SMAPS_H
#define PSHARE_CLI_SMAPS_H

#include <stdbool.h>
#include <stdint.h>

/* What a mapping of at least SMAPS_MIN bytes is. The first that fits. */
enum smaps_kind {
	SMAPS_HUGETLB,
	SMAPS_DEVICE, /* PFNMAP, IO */
	SMAPS_SHARED, /* MAP_SHARED: memfd, shmem, files */
	SMAPS_FILE,   /* private, writable mapping of a file from its start on */
	SMAPS_LOCKED,
	SMAPS_UFFD,  /* registered with a userfaultfd: the agent's, or somebody else's */
	SMAPS_OTHER, /* not readable and writable, a stack, a heap */
	SMAPS_PLAIN, /* private anonymous: could be shared */
	SMAPS_KINDS
};

#define SMAPS_MIN (2u << 20)

struct smaps {
	/* the mapping that is being read */
	uint64_t size, resident;
	bool shared, writable, file, special;
	bool behind; /* does not begin where its file does */
	/* so far */
	bool agent; /* libpshare-agent.so is mapped */
	uint64_t bytes[SMAPS_KINDS];
	uint64_t present[SMAPS_KINDS];
	unsigned int n[SMAPS_KINDS];
	uint64_t mergeable; /* bytes of PLAIN with MADV_MERGEABLE: what the agent takes */
	unsigned int mappings;
};

/* One line after the other; *smaps starts as zeros. */
void smaps_line(struct smaps *smaps, const char *line);

#endif
