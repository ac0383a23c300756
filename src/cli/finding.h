/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* finding: one thing that the doctor looked at, what was found, and the command that mends it. */
#ifndef PSHARE_CLI_FINDING_H
#define PSHARE_CLI_FINDING_H

#include <jansson.h>
#include <stdbool.h>

enum finding_state {
	FINDING_OK,
	FINDING_NOTE,	 /* good to know; nothing is missing */
	FINDING_MISSING, /* sharing does not work, or not fully, without it */
	FINDING_UNKNOWN, /* could not be found out */
};

struct report {
	json_t *findings; /* array of {"check", "state", "found", "mend"} */
	bool missing;
};

int report_init(struct report *report); /* 0 or -ENOMEM */
void report_free(struct report *report);

/* mend: a command (or what to do) for anything but OK; NULL: there is none. format is what was
 * found, for mend see report_mend(). */
void report_add(struct report *report, const char *check, enum finding_state state,
		const char *mend, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Prints it: as JSON or as lines. Returns an exit code. */
int report_print(const struct report *report, bool json);

#endif
