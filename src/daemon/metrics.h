/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics: the views as text for Prometheus, for GET /metrics. */
#ifndef PSHARE_DAEMON_METRICS_H
#define PSHARE_DAEMON_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/view.h"

/* OpenMetrics 1.0, or (open is false) Prometheus' text format 0.0.4. *text is to be freed. 0 or
 * -ENOMEM; outputs untouched on failure. */
int metrics_text(struct daemon *daemon, bool open, char **text, size_t *length);
const char *metrics_content_type(bool open);

#endif
