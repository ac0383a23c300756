/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* load: work for a test guest whose speed is measured. Answers KEY=VALUE ... without a newline. */
#ifndef PSHARE_GUEST_LOAD_H
#define PSHARE_GUEST_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Three loads in turns, ms in all: memory= reads of `memory` (and some writes to memory of its
 * own), syscall= system calls, io= reads of 64 KiB of the disk past the page cache; each a second.
 * 0 or -errno. */
int load_run(const uint8_t *memory, size_t bytes, unsigned int ms, FILE *out);

/* How long it takes to touch each page of `memory`, in random order, in ns: n=, p50=, p99=, p999=,
 * max=. What is written is what is there. 0 or -errno. */
int load_touch(uint8_t *memory, size_t bytes, bool write, FILE *out);

/* Work as people do it, for ms: "build" compiles Python's library, "database" reads and updates
 * records in a file with an index. done=: bytes of source; records. 0 or -errno. */
int load_job(const char *name, unsigned int ms, FILE *out);

#endif
