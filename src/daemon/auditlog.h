/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* auditlog: who changed what, or tried to, in a file that only grows. */
#ifndef PSHARE_DAEMON_AUDITLOG_H
#define PSHARE_DAEMON_AUDITLOG_H

#include <stdint.h>

#include "daemon/view.h"

struct auditlog;

struct auditlog_place {
	const char *folder;  /* of audit.log; NULL: memory alone */
	const char *journal; /* socket of the journal; NULL: none */
	uint64_t file_max;   /* bytes of one file */
	unsigned int files;  /* that are kept beside the one that grows */
};

#define AUDITLOG_FILE_MAX (4u << 20)
#define AUDITLOG_FILES 15u
#define AUDITLOG_FILE_LEAST 4096u

/* Goes on where the file ends. 0 or -errno, and it is said. */
int auditlog_new(struct auditlog **out, const struct auditlog_place *place);
/* NULL is fine. Returns NULL. */
struct auditlog *auditlog_free(struct auditlog *log);

/* One record. What cannot be written to the file is counted and said, and stays in memory. log
 * NULL: nothing. */
void auditlog_add(struct auditlog *log, const struct view_record *record);

/* Somebody may have moved the file away. */
void auditlog_reopen(struct auditlog *log);

/* As view_log(), view_log_state(). */
int auditlog_each(const struct auditlog *log, uint64_t after, unsigned int max,
		  int (*each)(const char *line, void *arg), void *arg);
void auditlog_state(const struct auditlog *log, struct view_log_state *out);

#endif
