/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics: the views as OpenMetrics text, for GET /metrics. */
#ifndef PSHARE_DAEMON_METRICS_H
#define PSHARE_DAEMON_METRICS_H

#include <stddef.h>

#include "daemon/view.h"

/* *text is to be freed. 0 or -ENOMEM; outputs untouched on failure. */
int metrics_text(struct daemon *daemon, char **text, size_t *length);

#endif
