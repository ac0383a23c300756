/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plan-load: hosts and VMs, as daemons and fleets tell of them, into a plan. */
#ifndef PSHARE_CLI_PLAN_LOAD_H
#define PSHARE_CLI_PLAN_LOAD_H

#include "cli/plan.h"

/* A host of so many bytes. Its number, or -ENOMEM, -EEXIST. */
int64_t plan_load_host(struct plan *plan, const char *name, uint64_t memory,
		       enum plan_host_state state, unsigned int mode);
/*
 * A VM: its record has size, GRANT and ZERO in bytes; its likeness (or NULL) is as the daemon's API
 * has it, and what cannot be understood of that is as if it were not there. *keys: the names of
 * likeness keys met so far. tokens: of a sketch, that many at most. 0 or -ENOMEM.
 */
int plan_load_vm(struct plan *plan, struct plan_names *keys, uint32_t host, const json_t *vm,
		 const json_t *likeness, uint32_t tokens);
/* Of each of so many VMs: so that all sketches together fit into memory and time. */
uint32_t plan_load_tokens(size_t nvms, size_t nhosts);

/* What sharing saves on the host by its daemon's own count: what is more than zero pages and what
 * its VMs have in common is their doubles. 0 or -ENOMEM. */
int plan_load_measured(struct planned *planned, uint32_t host, uint64_t bytes);
/* Everything is loaded. CLI_OK or an exit code, said. */
int plan_load_end(struct planned *planned);

#endif
