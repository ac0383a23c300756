/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plan: what the parts of 'pshare plan' have in common. */
#ifndef PSHARE_CLI_PLAN_H
#define PSHARE_CLI_PLAN_H

#include "cli/cli.h"
#include "cli/format.h"
#include "plan/outcome.h"
#include "sys/cleanup.h"

/* What is planned, and how it came out. */
struct planned {
	const struct args *args;
	struct plan plan;
	struct plan_outcome outcome;
	struct plan_names keys; /* likeness keys that sketches were made with */
	uint32_t unsketched;	/* VMs of which there is no sketch */
	struct {
		double *pages; /* saved on each host, as counted there */
		uint32_t n;
	} measured;
	char from[128]; /* "host h1", "fleet default", "FILE" */
};

DEFINE_CLEANUP(struct table *, plan_table, table_free);
#define _cleanup_plan_table_ _cleanup_(cleanup_plan_table)

/* plan-host.c, plan-fleet.c: fill planned->plan. CLI_OK or an exit code, said. */
int plan_of_host(struct planned *planned);
int plan_of_fleet(struct planned *planned);

static inline uint64_t plan_bytes(double pages)
{
	return pages > 0 ? (uint64_t)(pages * PLAN_PAGE + 0.5) : 0;
}

extern const char *const plan_basis_names[PLAN_BASES]; /* of JSON */
extern const char *const plan_way_names[PLAN_WAYS];
extern const char *const plan_state_names[];

#define PLAN_PLACEMENT_SHOWN 50u /* VMs; of more the placement is shown if asked for */
static inline bool plan_shows_placement(const struct planned *planned)
{
	return planned->args->placement || planned->plan.nvms <= PLAN_PLACEMENT_SHOWN;
}

#define PLAN_PLACEMENT_LISTED 100000u /* VMs; the same of JSON: 3 million make 380 MB of it */
static inline bool plan_lists_placement(const struct planned *planned)
{
	return planned->args->placement || planned->plan.nvms <= PLAN_PLACEMENT_LISTED;
}

int plan_print(const struct planned *planned); /* tables */
json_t *plan_json(const struct planned *planned);
/* 0 or an exit code, said. */
int plan_write_html(const struct planned *planned, const char *path);

#endif
