/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fleetrules: what can be set for a fleet as a whole, beside the settings of its hosts. The names
 * of vSphere HA's advanced options and fields where it has the thing, with "das." before them.
 */
#ifndef PSHARE_POLICY_FLEETRULES_H
#define PSHARE_POLICY_FLEETRULES_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/admission.h"
#include "policy/error.h"
#include "wire/wire.h"

enum fleetrule {
	FLEETRULE_DRIFT,	  /* Fleet.CorrectDrift */
	FLEETRULE_HISTORY_DAYS,	  /* Fleet.HistoryDays */
	FLEETRULE_HISTORY_MAX,	  /* Fleet.HistoryMax */
	FLEETRULE_CONTROL,	  /* das.admissionControl */
	FLEETRULE_POLICY,	  /* das.admissionControlPolicy */
	FLEETRULE_FAILURES,	  /* das.failoverLevel */
	FLEETRULE_PERCENT,	  /* das.memoryFailoverResourcesPercent */
	FLEETRULE_FAILOVER_HOSTS, /* das.failoverHosts */
	FLEETRULE_SLOT_MB,	  /* das.slotMemInMB */
	FLEETRULE_VM_MIN_MB,	  /* das.vmMemoryMinMB */
	FLEETRULE_VM_OVERHEAD_MB, /* das.vmMemoryOverheadMB */
	FLEETRULE_HOST_RESERVE,	  /* das.hostReservePercent */
	FLEETRULE_COUNT_SHARING,  /* das.countSharingPercent */
	FLEETRULE_END
};

enum fleetrule_control { CONTROL_OFF, CONTROL_WARN, CONTROL_REFUSE };

#define FLEETRULE_TEXT_MAX 1024u /* bytes of a value with its NUL: a list of hosts */

struct fleetrule_row {
	const char *name;
	const char *unit;
	const char *text; /* one line, no full stop */
	const char *const
		*words; /* of a choice: its words, NULL at the end; the number is the index */
	bool list;	/* of names of hosts, commas between; the value is text */
	int64_t min, max, def;
};

/* All of them. failover_hosts: "" or "a,b". */
struct fleetrules {
	int64_t value[FLEETRULE_END];
	char failover_hosts[FLEETRULE_TEXT_MAX];
};

void fleetrules_defaults(struct fleetrules *rules);
const struct fleetrule_row *fleetrule_get(enum fleetrule id);
/* The id of a whole name, upper or lower case; -ENOENT. */
int fleetrule_find(const char *name);
/* Takes a value of text. 0, or -EINVAL with a line in err and *rules untouched. */
int fleetrule_set(struct fleetrules *rules, enum fleetrule id, const char *text, char *err);
/* The value as fleetrule_set() would read it. */
void fleetrule_format(const struct fleetrules *rules, enum fleetrule id,
		      char out[FLEETRULE_TEXT_MAX]);
/* Does this host stand by: is it one of das.failoverHosts, under the policy of that name? Under
 * another one they say nothing. */
bool fleetrules_standby(const struct fleetrules *rules, const char *host);
/* The next name of das.failoverHosts: *at is where it begins, then where the one behind it does.
 * False: there is none (or what is no name, in a list that nobody checked). */
bool fleetrules_next_host(const char **at, char name[PS_NAME_MAX]);
/* The rules that admission_judge() goes by. */
struct admission_rules fleetrules_admission(const struct fleetrules *rules);
/* Of a host's memory, what VMs may have. */
uint64_t fleetrules_usable(const struct fleetrules *rules, uint64_t memory);

#endif
