/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet: what the parts of 'pshare fleet' have in common. */
#ifndef PSHARE_CLI_FLEET_H
#define PSHARE_CLI_FLEET_H

#include "cli/cli.h"
#include "cli/format.h"
#include "fleet/id.h"
#include "fleet/state.h"

struct fleet {
	const struct args *args;
	struct fleet_config config;
	struct http *http;
	struct etcd *etcd;
	struct fleet_state state;
};

/* Reads the configuration; nothing is asked yet. 0 or an exit code, said. */
int fleet_open(struct fleet *fleet, const struct args *args);
void fleet_close(struct fleet *fleet);
#define _cleanup_fleet_ _cleanup_(fleet_close)

/* Reads these kinds of keys into fleet->state. */
int fleet_read(struct fleet *fleet, const enum fleet_key *kinds, size_t n);
/* One request; the answer's reference is the caller's. */
int fleet_call(struct fleet *fleet, const char *path, json_t *body, bool once, json_t **answer);
/* Says what went wrong with a page behind another (etcd_page_next); 0 or the exit code. */
int fleet_behind(int r);

/* "2026-11-29 00:45:00", local time; "-" for 0. */
#define FLEET_WHEN_MAX 32u
const char *fleet_when(char out[FLEET_WHEN_MAX], time_t when);
/* Who runs this command, for the history: {"user", "host", "etcd"}. */
json_t *fleet_who(const struct fleet *fleet);
/* A setting's or a rule's name as the tables have it; NULL, said: there is none. *rule: the
 * rule's id, or -1. */
const char *fleet_name(const char *name, int *rule);
/* Does the host match --host (or is there none)? */
bool fleet_matches(const struct fleet *fleet, const char *host);

DEFINE_CLEANUP(struct table *, fleet_table, table_free);
#define _cleanup_table_ _cleanup_(cleanup_fleet_table)

int fleet_hosts(struct fleet *fleet);
int fleet_get(struct fleet *fleet);
int fleet_history(struct fleet *fleet);
int fleet_set(struct fleet *fleet);
int fleet_audit(struct fleet *fleet);
int fleet_drain(struct fleet *fleet);

#endif
