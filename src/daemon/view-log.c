/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit log, as the API sees it (view.h). */
#include "daemon/auditlog.h"
#include "daemon/daemon.h"
#include "daemon/view.h"

void view_record(struct daemon *daemon, const struct view_record *record)
{
	auditlog_add(daemon->log, record);
}

int view_log(struct daemon *daemon, uint64_t after, unsigned int max,
	     int (*each)(const char *line, void *arg), void *arg)
{
	return auditlog_each(daemon->log, after, max, each, arg);
}

void view_log_state(struct daemon *daemon, struct view_log_state *out)
{
	auditlog_state(daemon->log, out);
}
