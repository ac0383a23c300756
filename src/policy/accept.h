/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* accept: which of the formats of metrics a client would rather have. */
#ifndef PSHARE_POLICY_ACCEPT_H
#define PSHARE_POLICY_ACCEPT_H

#include <stdbool.h>

/* header: of an Accept, or NULL. True: OpenMetrics 1.0; false: Prometheus' text format 0.0.4, which
 * is what anybody gets who does not ask for the other. */
bool accept_openmetrics(const char *header);

#endif
