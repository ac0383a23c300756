/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of what a fleet as a whole can be told. One row says all of a rule; the command, the
 * hosts and the manual read it here. A value travels as text and is checked by whoever reads it:
 * what a newer version wrote and an older one does not know leaves the default in force there.
 */
#include "policy/fleetrules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wire/wire.h"

#define MIB (1ull << 20)
#define MB_MAX (1 << 24) /* 16 TiB */

static const char *const control_words[] = {"off", "warn", "refuse", NULL};
static const char *const policy_words[] = {"failoverLevel", "failoverResources", "failoverHosts",
					   NULL};

static const struct fleetrule_row rows[FLEETRULE_END] = {
	[FLEETRULE_DRIFT] = {.name = "Fleet.CorrectDrift",
			     .unit = "",
			     .text = "1: what is set by hand on a host is set back; 0: it is shown",
			     .max = 1},
	[FLEETRULE_HISTORY_DAYS] = {.name = "Fleet.HistoryDays",
				    .unit = "days",
				    .text = "how long the history keeps a change",
				    .min = 1,
				    .max = 3650,
				    .def = 400},
	[FLEETRULE_HISTORY_MAX] =
		{.name = "Fleet.HistoryMax",
		 .unit = "changes",
		 .text = "most that the history keeps; of one host by hand 1 in 100",
		 .min = 100,
		 .max = 100000,
		 .def = 10000},
	[FLEETRULE_CONTROL] = {.name = "das.admissionControl",
			       .unit = "",
			       .text = "what 'pshare run' does with a VM that could not fail over",
			       .words = control_words,
			       .max = CONTROL_REFUSE,
			       .def = CONTROL_OFF},
	[FLEETRULE_POLICY] =
		{.name = "das.admissionControlPolicy",
		 .unit = "",
		 .text = "how room for failover is counted: in slots, percent, or hosts",
		 .words = policy_words,
		 .max = ADMISSION_DEDICATED,
		 .def = ADMISSION_SLOTS},
	[FLEETRULE_FAILURES] = {.name = "das.failoverLevel",
				.unit = "hosts",
				.text = "failoverLevel: hosts that may fail",
				.max = 31,
				.def = 1},
	[FLEETRULE_PERCENT] = {.name = "das.memoryFailoverResourcesPercent",
			       .unit = "percent",
			       .text = "failoverResources: memory of all hosts that stays unused",
			       .max = 100,
			       .def = 25},
	[FLEETRULE_FAILOVER_HOSTS] =
		{.name = "das.failoverHosts",
		 .unit = "",
		 .text = "failoverHosts: hosts that run nothing until one fails",
		 .list = true},
	[FLEETRULE_SLOT_MB] = {.name = "das.slotMemInMB",
			       .unit = "MiB",
			       .text = "failoverLevel: most that a slot may be; 0: the largest VM",
			       .max = MB_MAX},
	[FLEETRULE_VM_MIN_MB] = {.name = "das.vmMemoryMinMB",
				 .unit = "MiB",
				 .text = "no VM counts as less",
				 .max = MB_MAX},
	[FLEETRULE_VM_OVERHEAD_MB] = {.name = "das.vmMemoryOverheadMB",
				      .unit = "MiB",
				      .text = "what a VMM takes beside the memory of its guest",
				      .max = MB_MAX,
				      .def = 64},
	[FLEETRULE_HOST_RESERVE] = {.name = "das.hostReservePercent",
				    .unit = "percent",
				    .text = "of a host's memory, what is not for VMs",
				    .max = 90,
				    .def = 6},
	[FLEETRULE_COUNT_SHARING] =
		{.name = "das.countSharingPercent",
		 .unit = "percent",
		 .text = "of what sharing saves now, what counts as free; 0: none",
		 .max = 100},
};

const struct fleetrule_row *fleetrule_get(enum fleetrule id)
{
	return &rows[id];
}

void fleetrules_defaults(struct fleetrules *rules)
{
	*rules = (struct fleetrules){0};
	for (int id = 0; id < FLEETRULE_END; id++)
		rules->value[id] = rows[id].def;
}

int fleetrule_find(const char *name)
{
	for (int id = 0; id < FLEETRULE_END; id++)
		if (strcasecmp(name, rows[id].name) == 0)
			return id;
	return -ENOENT;
}

static int value_bad(const struct fleetrule_row *row, const char *text, char *err)
{
	char shown[POLICY_SHOWN_MAX + 4], words[128] = "";
	size_t n = 0;

	policy_shown(shown, text, strlen(text));
	if (!row->words)
		return policy_error(err,
				    "%s cannot be '%s': give a whole number from %" PRId64
				    " to %" PRId64 "%s%s",
				    row->name, shown, row->min, row->max, *row->unit ? " " : "",
				    row->unit);
	for (int i = 0; row->words[i]; i++)
		n += (size_t)snprintf(words + n, sizeof(words) - n, "%s%s", i ? ", " : "",
				      row->words[i]);
	return policy_error(err, "%s cannot be '%s': give one of %s", row->name, shown, words);
}

/* Names of hosts, commas between; the same rule as for names of VMs. */
static int check_list(const struct fleetrule_row *row, const char *text, char *err)
{
	if (strlen(text) >= FLEETRULE_TEXT_MAX)
		return policy_error(err, "%s is %zu bytes long: %u would do", row->name,
				    strlen(text), FLEETRULE_TEXT_MAX - 1);
	while (*text) {
		char name[PS_NAME_MAX] = "";
		size_t length = strcspn(text, ",");

		if (length && length < sizeof(name))
			memcpy(name, text, length);
		if (!name[0] || ps_name_check(name) || (text[length] && !text[length + 1])) {
			char shown[POLICY_SHOWN_MAX + 4];

			return policy_error(err, "%s: '%s' is no name of a host; give A,B,...",
					    row->name, policy_shown(shown, text, length));
		}
		text += length + (text[length] == ',');
	}
	return 0;
}

static bool parse_number(const struct fleetrule_row *row, const char *text, int64_t *number)
{
	size_t length = strlen(text);

	if (row->words) {
		for (int i = 0; row->words[i]; i++) {
			if (strcasecmp(text, row->words[i]) == 0) {
				*number = i;
				return true;
			}
		}
		return false;
	}
	if (!length || length > 9 || strspn(text, "0123456789") != length)
		return false;
	*number = strtoll(text, NULL, 10);
	return *number >= row->min && *number <= row->max;
}

int fleetrule_set(struct fleetrules *rules, enum fleetrule id, const char *text, char *err)
{
	const struct fleetrule_row *row = &rows[id];
	int64_t number = 0;
	int r;

	if (row->list) {
		r = check_list(row, text, err);
		if (!r)
			snprintf(rules->failover_hosts, sizeof(rules->failover_hosts), "%s", text);
		return r;
	}
	if (!parse_number(row, text, &number))
		return value_bad(row, text, err);
	rules->value[id] = number;
	return 0;
}

void fleetrule_format(const struct fleetrules *rules, enum fleetrule id,
		      char out[FLEETRULE_TEXT_MAX])
{
	const struct fleetrule_row *row = &rows[id];

	if (row->list)
		snprintf(out, FLEETRULE_TEXT_MAX, "%s", rules->failover_hosts);
	else if (row->words)
		snprintf(out, FLEETRULE_TEXT_MAX, "%s", row->words[rules->value[id]]);
	else
		snprintf(out, FLEETRULE_TEXT_MAX, "%" PRId64, rules->value[id]);
}

bool fleetrules_next_host(const char **at, char name[PS_NAME_MAX])
{
	size_t length = strcspn(*at, ",");

	if (!length || length >= PS_NAME_MAX)
		return false;
	memcpy(name, *at, length);
	name[length] = '\0';
	*at += length + ((*at)[length] == ',');
	return true;
}

bool fleetrules_standby(const struct fleetrules *rules, const char *host)
{
	const char *at = rules->failover_hosts;
	char name[PS_NAME_MAX];

	if (rules->value[FLEETRULE_POLICY] != ADMISSION_DEDICATED)
		return false;
	while (fleetrules_next_host(&at, name))
		if (strcmp(name, host) == 0)
			return true;
	return false;
}

struct admission_rules fleetrules_admission(const struct fleetrules *rules)
{
	return (struct admission_rules){
		.policy = (enum admission_policy)rules->value[FLEETRULE_POLICY],
		.failures = (uint32_t)rules->value[FLEETRULE_FAILURES],
		.percent = (uint32_t)rules->value[FLEETRULE_PERCENT],
		.slot_max = (uint64_t)rules->value[FLEETRULE_SLOT_MB] * MIB,
		.vm_min = (uint64_t)rules->value[FLEETRULE_VM_MIN_MB] * MIB,
		.count_sharing = (uint32_t)rules->value[FLEETRULE_COUNT_SHARING],
	};
}

uint64_t fleetrules_usable(const struct fleetrules *rules, uint64_t memory)
{
	uint64_t percent = (uint64_t)(100 - rules->value[FLEETRULE_HOST_RESERVE]);

	return memory / 100 * percent + memory % 100 * percent / 100;
}
