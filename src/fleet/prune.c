/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each entry of a history is a key of its own, whose name begins with the time it was made. Whoever
 * adds one looks at the oldest, and lets those go that are too old or too many: administrators in
 * history/, a host in its own drift/HOST/. So a history is bounded by how it grows, nothing has to
 * run beside it, and a fleet that nobody changes keeps what it has.
 *
 * At most FLEET_PRUNE_PAGE go with one change. So each request is small, whatever has come
 * together, and somebody whose clock is years ahead takes that many with him and not all. Never all
 * that the look showed, if that is all there is: the newest entry stays, however old it seems.
 */
#include "fleet/prune.h"

#include <string.h>

#include "fleet/id.h"

#define DAY_S 86400

json_t *fleet_prune_look(const char *prefix)
{
	return etcd_page_body(prefix, FLEET_PRUNE_PAGE, true);
}

json_t *fleet_prune_body(const char *prefix, const json_t *range, const struct fleetrules *rules,
			 unsigned int many, time_t now)
{
	const json_t *kvs = etcd_kvs(range);
	int64_t there = etcd_int(range, "count");
	int64_t over = there - rules->value[FLEETRULE_HISTORY_MAX] / many;
	char last[FLEET_KEY_MAX] = "", since[FLEET_TIME_MAX];

	fleet_time(since, now - rules->value[FLEETRULE_HISTORY_DAYS] * DAY_S);
	for (size_t i = 0; i < json_array_size(kvs) && (int64_t)i + 1 < there; i++) {
		_cleanup_kv_ struct etcd_kv kv = {0};
		const char *id;

		if (etcd_kv(json_array_get(kvs, i), &kv))
			continue; /* not one of ours: it goes with what is behind it */
		id = fleet_after(kv.key, prefix);
		if (!id || ((int64_t)i >= over && strcmp(id, since) >= 0))
			break;
		memcpy(last, kv.key, sizeof(last));
	}
	return *last ? etcd_delete_to_body(prefix, last) : NULL;
}
