/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* prune: what is old goes, so that a fleet's history does not fill etcd. */
#ifndef PSHARE_FLEET_PRUNE_H
#define PSHARE_FLEET_PRUNE_H

#include <time.h>

#include "fleet/etcd.h"
#include "policy/fleetrules.h"

#define FLEET_PRUNE_PAGE 200u /* most that goes at once */
#define FLEET_DRIFT_PART 100u /* of Fleet.HistoryMax, what one host has of changes by hand */

/* What to ask first: the oldest keys of prefix (history/, drift/HOST/), whose names begin with
 * when they were made (fleet/id.h). */
json_t *fleet_prune_look(const char *prefix);
/* The request that deletes those that are older than the rules say, or too many; NULL: none is.
 * range: the answer to the above; many: of Fleet.HistoryMax, one in how many. */
json_t *fleet_prune_body(const char *prefix, const json_t *range, const struct fleetrules *rules,
			 unsigned int many, time_t now);

#endif
