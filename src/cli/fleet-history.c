/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fleet history: how what is in force came to be. Changes by administrators are in history/, those
 * that hosts noticed in drift/HOST/; the newest of both together are shown.
 *
 * A fleet may have hundreds of thousands: they are read page by page, and no more of them is kept
 * than is to be shown. Etcd could sort, but would read all of them at once to do so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fleet-change.h"
#include "fleet/prune.h"
#include "sys/launch.h"

#define LINES_DEFAULT 20u
#define PAGE 100u /* an entry may name thousands of hosts; an answer has a limit */

static const struct column columns[] = {{"WHEN", false},  {"WHO", false},   {"NAME", false},
					{"WHERE", false}, {"BEFORE", true}, {"AFTER", true},
					{"HOW", false}};

struct entry {
	int64_t revision;
	json_t *record; /* ours */
};

struct newest {
	struct entry *entries; /* a heap: the oldest first */
	size_t n, max;
	uint64_t seen; /* of this name */
};

static void newest_free(struct newest *newest)
{
	for (size_t i = 0; i < newest->n; i++)
		json_decref(newest->entries[i].record);
	free(newest->entries);
}
#define _cleanup_newest_ _cleanup_(newest_free)

static int by_revision(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->revision < y->revision ? -1 : x->revision > y->revision;
}

static void swap(struct entry *a, struct entry *b)
{
	struct entry was = *a;

	*a = *b;
	*b = was;
}

static void sink(struct newest *newest)
{
	struct entry *e = newest->entries;
	size_t i = 0, child;

	while ((child = 2 * i + 1) < newest->n) {
		if (child + 1 < newest->n && e[child + 1].revision < e[child].revision)
			child++;
		if (e[i].revision <= e[child].revision)
			return;
		swap(&e[i], &e[child]);
		i = child;
	}
}

static void add(struct newest *newest, const struct etcd_kv *kv)
{
	struct entry *e = newest->entries;
	size_t i = newest->n;

	newest->seen++;
	if (newest->n == newest->max) {
		if (kv->create_revision <= e[0].revision)
			return;
		json_decref(e[0].record);
		e[0] = (struct entry){kv->create_revision, json_incref(kv->value)};
		sink(newest);
		return;
	}
	e[newest->n++] = (struct entry){kv->create_revision, json_incref(kv->value)};
	for (; i && e[i].revision < e[(i - 1) / 2].revision; i = (i - 1) / 2)
		swap(&e[i], &e[(i - 1) / 2]);
}

/* All of one kind, page by page. */
static int read_kind(struct fleet *fleet, enum fleet_key kind, const char *name,
		     struct newest *newest)
{
	char prefix[FLEET_KEY_MAX];
	_cleanup_json_ json_t *page = NULL;

	fleet_key(prefix, fleet->config.fleet, kind, NULL, NULL);
	page = etcd_page_body(prefix, PAGE, false);
	while (page) {
		_cleanup_json_ json_t *answer = NULL;
		int r = fleet_call(fleet, "/v3/kv/range", json_incref(page), false, &answer);
		const json_t *list, *one;
		size_t i;

		if (r)
			return r;
		list = etcd_kvs(answer);
		json_array_foreach((json_t *)(uintptr_t)list, i, one)
		{
			_cleanup_kv_ struct etcd_kv kv = {0};

			if (etcd_kv(one, &kv))
				continue;
			if (kv.value && (!name || strcmp(ask_text(kv.value, "name"), name) == 0))
				add(newest, &kv);
		}
		r = fleet_behind(etcd_page_next(&page, answer));
		if (r)
			return r;
	}
	return 0;
}

/* One line: a change by an administrator, or what a host noticed. */
static int add_line(struct table *table, const json_t *record)
{
	const json_t *who = json_object_get(record, "who");
	const char *what = ask_text(record, "what");
	char when[FLEET_WHEN_MAX];

	if (table_row(table))
		return -ENOMEM;
	table_text(table, 0, "%s", fleet_when(when, (time_t)ask_number(record, "when")));
	if (who)
		table_text(table, 1, "%s@%s", ask_text(who, "user"), ask_text(who, "host"));
	else
		table_text(table, 1, "%s",
			   strcmp(what, "corrected") == 0 ? "pshare-fleet" : "(by hand)");
	table_text(table, 2, "%s", ask_text(record, "name"));
	table_text(table, 3, "%s", ask_text(record, who ? "where" : "host"));
	table_text(table, 4, "%s", ask_text(record, "before"));
	table_text(table, 5, "%s", ask_text(record, "after"));
	table_text(table, 6, "%s", what);
	return 0;
}

static int print_newest(const struct fleet *fleet, struct newest *newest)
{
	_cleanup_table_ struct table *table = table_new(columns, 7);
	_cleanup_json_ json_t *list = json_array();

	qsort(newest->entries, newest->n, sizeof(*newest->entries), by_revision);
	if (!table || !list)
		return say_error(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < newest->n; i++) {
		if (json_array_append(list, newest->entries[i].record) ||
		    add_line(table, newest->entries[i].record))
			return say_error(CLI_FAILED, "out of memory");
	}
	if (fleet->args->json)
		return print_json(list);
	table_print(table, stdout);
	if (newest->seen > newest->n)
		printf("\nthe last %zu of %llu changes: --lines N for more\n", newest->n,
		       (unsigned long long)newest->seen);
	return CLI_OK;
}

int fleet_history(struct fleet *fleet)
{
	_cleanup_newest_ struct newest newest = {
		.max = fleet->args->lines ? (size_t)fleet->args->lines : LINES_DEFAULT};
	const char *name = NULL;
	int rule, r;

	if (fleet->args->noperands > 1) {
		name = fleet_name(fleet->args->operands[1], &rule);
		if (!name)
			return CLI_USAGE;
	}
	newest.entries = calloc(newest.max, sizeof(*newest.entries));
	if (!newest.entries)
		return say_error(CLI_FAILED, "out of memory");
	r = read_kind(fleet, FLEET_HISTORY, name, &newest);
	if (!r)
		r = read_kind(fleet, FLEET_DRIFT, name, &newest);
	return r ? r : print_newest(fleet, &newest);
}

int fleet_history_prune(struct fleet *fleet)
{
	_cleanup_json_ json_t *answer = NULL;
	char prefix[FLEET_KEY_MAX];
	json_t *body;
	int r;

	fleet_key(prefix, fleet->config.fleet, FLEET_HISTORY, NULL, NULL);
	r = fleet_call(fleet, "/v3/kv/range", fleet_prune_look(prefix), false, &answer);
	if (r)
		return r;
	body = fleet_prune_body(prefix, answer, &fleet->state.rules, 1, sys_wall_time());
	return body ? fleet_call(fleet, "/v3/kv/deleterange", body, false, NULL) : 0;
}
