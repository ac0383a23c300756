/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet-change: one change of what a fleet desires, written whole or not at all. */
#ifndef PSHARE_CLI_FLEET_CHANGE_H
#define PSHARE_CLI_FLEET_CHANGE_H

#include "cli/fleet.h"

struct fleet_change {
	const char *name;
	const char *value; /* NULL: nothing is desired of these hosts any more */
	bool once;	   /* put in force, and not managed from then on */
	bool rule;
	const char *what;	  /* for the history: "set", "canary", "put-back" */
	const char *where;	  /* "all", or a pattern */
	const char *before;	  /* text, for the history */
	const char *const *hosts; /* NULL: all */
	size_t nhosts;
	char id[FLEET_ID_MAX]; /* set: of this change */
	int64_t head;	       /* revision of head/NAME that this change builds on; updated */
	int64_t revision;      /* set: of etcd, when it was written */
};

/* Reads head/NAME, which the change is to build on. 0 or an exit code, said. */
int fleet_change_begin(struct fleet *fleet, struct fleet_change *change);
/* Writes it. If somebody else changed NAME since begin(), nothing is written, and it is said who.
 * */
int fleet_change_write(struct fleet *fleet, struct fleet_change *change);
/* Lets go of what is too old, or too much, of the history. 0 or an exit code, said. */
int fleet_history_prune(struct fleet *fleet);

#endif
