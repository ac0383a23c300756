/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long a plan to empty a host takes in a fleet as large as one may be. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/fleet.h"
#include "harness/harness.h"

#define HOSTS 10000
#define VMS 50

static json_t *printed;

/* All hosts have the same report. */
int fleet_read(struct fleet *fleet, const enum fleet_key *kinds, size_t n)
{
	struct fleet_state *state = &fleet->state;
	json_t *vms = json_array(), *report;

	(void)kinds, (void)n;
	REQUIRE_OK(fleet_state_init(state, "f"));
	for (int i = 0; i < VMS; i++)
		json_array_append_new(vms, json_pack("{s:s, s:i, s:I}", "name", "vm", "pid", i + 1,
						     "size", (json_int_t)1 << 30));
	report = json_pack("{s:{s:I}, s:o}", "memory", "total", (json_int_t)64 << 30, "vms", vms);
	state->hosts = calloc(HOSTS, sizeof(*state->hosts));
	REQUIRE(state->hosts);
	state->nhosts = state->room = HOSTS;
	for (int i = 0; i < HOSTS; i++) {
		snprintf(state->hosts[i].name, sizeof(state->hosts[i].name), "h%05d", i);
		state->hosts[i].connected = true;
		state->hosts[i].report = json_incref(report);
	}
	json_decref(report);
	return 0;
}

int print_json(const json_t *value)
{
	printed = json_deep_copy(value);
	return CLI_OK;
}

int say_error(int code, const char *format, ...)
{
	(void)format;
	return code;
}

int say_usage(const struct command *command, const char *format, ...)
{
	(void)command, (void)format;
	return CLI_USAGE;
}

TEST_SECONDS("a host of 10000 with 50 VMs each is planned empty in no time", 15)
{
	char drain[] = "drain", host[] = "h00007", *words[] = {drain, host, NULL};
	struct args args = {.operands = words, .noperands = 2, .dry_run = true, .json = true};
	struct fleet fleet = {.args = &args};

	CHECK_EQ(fleet_drain(&fleet), CLI_OK);
	CHECK(json_is_true(json_object_get(printed, "fits")));
	CHECK_EQ(json_array_size(json_object_get(printed, "vms")), (size_t)VMS);
	json_decref(printed);
	fleet_state_free(&fleet.state);
}
