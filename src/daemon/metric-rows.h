/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metric-rows: which metrics there are, and where in a view each number is. */
#ifndef PSHARE_DAEMON_METRIC_ROWS_H
#define PSHARE_DAEMON_METRIC_ROWS_H

#include <stddef.h>

enum metric_type { METRIC_GAUGE, METRIC_COUNTER };

/* What the view has there. A number that is UINT64_MAX is not known, and not shown. */
enum metric_value {
	METRIC_NUMBER,	 /* an uint64_t that is shown as it is: bytes, or a count */
	METRIC_NS,	 /* an uint64_t, shown in seconds */
	METRIC_UNSIGNED, /* an unsigned int */
	METRIC_DOUBLE,
	METRIC_BOOL, /* 0 or 1 */
};

/* Rows of one family follow each other, and each has a label of its own. */
struct metric_row {
	const char *name;  /* of the family, without pshare_ and without a counter's _total */
	const char *label; /* name="value", or NULL */
	const char *help;  /* of the first row of a family */
	enum metric_type type;
	enum metric_value value;
	size_t offset;
};

/* What all times are counted in is one table too: a histogram each, of struct ps_times. */
struct metric_times {
	const char *name;
	const char *label;
	const char *help;
	size_t offset; /* in struct view_vm */
};

extern const struct metric_row metric_host_rows[]; /* of struct view_host */
extern const size_t metric_host_count;
extern const struct metric_row metric_vm_rows[]; /* of struct view_vm */
extern const size_t metric_vm_count;
extern const struct metric_times metric_vm_times[];
extern const size_t metric_vm_times_count;

#endif
