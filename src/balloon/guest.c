/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The balloon device is found in QEMU's tree of objects, by its type: users
 * give it any id, or none. Its properties (guest-stats, the polling interval,
 * deflate-on-oom, free-page-reporting) are there too, under whatever bus it
 * sits on.
 *
 * QEMU's "actual" counts the memory of the start and of DIMMs; memory of a
 * virtio-mem device is plugged in as well and is not in it. So both are asked
 * for.
 */
#include "balloon/guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 96u

static const char *const places[] = {"/machine/peripheral", "/machine/peripheral-anon"};

static int get(struct guest *g, const char *property, json_t **value)
{
	return qmp_command(g->qmp, "qom-get",
			   json_pack("{s:s, s:s}", "path", g->device, "property", property), value);
}

/* A property that an older QEMU may not have: then no. */
static int get_switch(struct guest *g, const char *property, bool *on)
{
	json_t *value = NULL;
	int r = get(g, property, &value);

	*on = r == 0 && json_is_true(value);
	json_decref(value);
	return r == -EREMOTEIO ? 0 : r;
}

static bool fits_path(const char *name)
{
	size_t length = strlen(name);

	if (!length || length >= NAME_MAX_BYTES)
		return false;
	for (const char *c = name; *c; c++)
		if (*c < '!' || *c > '~' || *c == '/')
			return false;
	return true;
}

static void pick(struct guest *g, const char *place, const json_t *list)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		const char *type = qmp_text(entry, "type"), *name = qmp_text(entry, "name");

		if (type && name && !strncmp(type, "child<virtio-balloon", 20) && fits_path(name)) {
			snprintf(g->device, sizeof(g->device), "%s/%s", place, name);
			return;
		}
	}
}

int guest_find_balloon(struct guest *g)
{
	int r = 0;

	g->device[0] = '\0';
	g->oom = g->reporting = false;
	g->poll_s = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && r == 0; i++) {
		json_t *list = NULL;

		r = qmp_command(g->qmp, "qom-list", json_pack("{s:s}", "path", places[i]), &list);
		if (r == 0)
			pick(g, places[i], list);
		json_decref(list);
		if (g->device[0])
			break;
	}
	if (r == 0 && g->device[0])
		r = get_switch(g, "deflate-on-oom", &g->oom);
	if (r == 0 && g->device[0])
		r = get_switch(g, "free-page-reporting", &g->reporting);
	return r == -EREMOTEIO ? 0 : r;
}

/* The sum of what QEMU's balloon counts of what was plugged in. */
static int count_dimms(struct guest *g)
{
	json_t *list = NULL, *entry;
	uint64_t sum = 0, size;
	size_t i;
	int r = qmp_command(g->qmp, "query-memory-devices", NULL, &list);

	if (r < 0)
		return r == -EREMOTEIO ? 0 : r;
	json_array_foreach(list, i, entry)
	{
		const char *type = qmp_text(entry, "type");

		if (type && !strcmp(type, "dimm") &&
		    qmp_number(json_object_get(entry, "data"), "size", &size) == 0 &&
		    size != QMP_UNKNOWN && __builtin_add_overflow(sum, size, &sum))
			r = -EPROTO;
	}
	json_decref(list);
	if (r == 0)
		g->counted = sum;
	return r;
}

int guest_sizes(struct guest *g)
{
	json_t *answer = NULL;
	uint64_t base, plugged = 0;
	int r = qmp_command(g->qmp, "query-memory-size-summary", NULL, &answer);

	if (r < 0)
		return r;
	r = qmp_number(answer, "base-memory", &base) < 0 || base == QMP_UNKNOWN ? -EPROTO : 0;
	/* not there where the machine can have none */
	if (qmp_number(answer, "plugged-memory", &plugged) == 0 && plugged == QMP_UNKNOWN)
		r = -EPROTO;
	json_decref(answer);
	if (r < 0)
		return r;
	g->base = base;
	g->plugged = plugged;
	g->counted = 0;
	return plugged ? count_dimms(g) : 0;
}

int guest_actual(struct guest *g, uint64_t *actual)
{
	json_t *answer = NULL;
	int r = qmp_command(g->qmp, "query-balloon", NULL, &answer);

	if (r < 0) /* DeviceNotActive, or KVM without a synchronous MMU */
		return r == -EREMOTEIO ? -ENODEV : r;
	r = qmp_number(answer, "actual", actual) < 0 || *actual == QMP_UNKNOWN ? -EPROTO : 0;
	json_decref(answer);
	return r;
}

static uint64_t figure(const json_t *stats, const char *name)
{
	uint64_t value;

	return qmp_number(stats, name, &value) == 0 ? value : BALLOON_UNKNOWN;
}

int guest_figures(struct guest *g, struct balloon_figures *figures)
{
	json_t *answer = NULL;
	const json_t *stats;
	int r;

	*figures = (struct balloon_figures){.stamp = 0};
	if (!g->device[0])
		return 0;
	r = get(g, "guest-stats", &answer);
	if (r < 0)
		return r == -EREMOTEIO ? 0 : r;
	stats = json_object_get(answer, "stats");
	if (qmp_number(answer, "last-update", &figures->stamp) < 0 || !json_is_object(stats))
		r = -EPROTO;
	figures->total = figure(stats, "stat-total-memory");
	figures->available = figure(stats, "stat-available-memory");
	figures->free = figure(stats, "stat-free-memory");
	figures->swap_in = figure(stats, "stat-swap-in");
	figures->major_faults = figure(stats, "stat-major-faults");
	figures->stalls = figure(stats, "stat-alloc-stalls"); /* QEMU 9.2, Linux 6.12 */
	json_decref(answer);
	return r;
}

int guest_poll(struct guest *g, uint32_t seconds)
{
	int r;

	if (!g->device[0] || seconds == g->poll_s)
		return 0;
	r = qmp_command(g->qmp, "qom-set",
			json_pack("{s:s, s:s, s:i}", "path", g->device, "property",
				  "guest-stats-polling-interval", "value", (int)seconds),
			NULL);
	if (r == 0)
		g->poll_s = seconds;
	return r;
}

int guest_leave(struct guest *g, uint64_t bytes)
{
	return qmp_command(g->qmp, "balloon", json_pack("{s:I}", "value", (json_int_t)bytes), NULL);
}

int guest_runs(struct guest *g, bool *runs)
{
	json_t *answer = NULL;
	int r = qmp_command(g->qmp, "query-status", NULL, &answer);

	if (r < 0)
		return r;
	r = qmp_bool(answer, "running", runs) < 0 ? -EPROTO : 0;
	json_decref(answer);
	return r;
}

int guest_stop(struct guest *g)
{
	return qmp_command(g->qmp, "stop", NULL, NULL);
}

int guest_go_on(struct guest *g)
{
	return qmp_command(g->qmp, "cont", NULL, NULL);
}
