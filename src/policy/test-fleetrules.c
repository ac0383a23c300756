/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/fleetrules.h"

TEST("every rule reads back what it prints, and its default is in its range")
{
	struct fleetrules rules, again;
	char text[FLEETRULE_TEXT_MAX];

	fleetrules_defaults(&rules);
	fleetrules_defaults(&again);
	for (int id = 0; id < FLEETRULE_END; id++) {
		const struct fleetrule_row *row = fleetrule_get((enum fleetrule)id);

		CHECK_EQ(fleetrule_find(row->name), id);
		CHECK(row->def >= row->min && row->def <= row->max);
		fleetrule_format(&rules, (enum fleetrule)id, text);
		CHECK_OK(fleetrule_set(&again, (enum fleetrule)id, text, NULL));
		CHECK_EQ(again.value[id], rules.value[id]);
	}
	CHECK_EQ(fleetrule_find("das.none"), -ENOENT);
}

TEST("a bad value changes nothing, and one line says what would do")
{
	char err[POLICY_ERROR_MAX];
	struct fleetrules rules;

	fleetrules_defaults(&rules);
	CHECK_EQ(fleetrule_set(&rules, FLEETRULE_CONTROL, "maybe", err), -EINVAL);
	CHECK_STR(err, "das.admissionControl cannot be 'maybe': give one of off, warn, refuse");
	CHECK_EQ(fleetrule_set(&rules, FLEETRULE_PERCENT, "101", err), -EINVAL);
	CHECK_IN("a whole number from 0 to 100 percent", err);
	CHECK_EQ(fleetrule_set(&rules, FLEETRULE_PERCENT, "-1", err), -EINVAL);
	CHECK_EQ(fleetrule_set(&rules, FLEETRULE_FAILOVER_HOSTS, "a,,b", err), -EINVAL);
	CHECK_EQ(fleetrule_set(&rules, FLEETRULE_FAILOVER_HOSTS, "a,", err), -EINVAL);
	CHECK_EQ(fleetrule_set(&rules, FLEETRULE_FAILOVER_HOSTS, "a/b", err), -EINVAL);
	CHECK_EQ(rules.value[FLEETRULE_PERCENT], 25);
	CHECK_STR(rules.failover_hosts, "");
}

TEST("a standby host is one whose whole name is in the list, under the policy that has them")
{
	struct fleetrules rules;

	fleetrules_defaults(&rules);
	CHECK(!fleetrules_standby(&rules, "h"));
	CHECK_OK(fleetrule_set(&rules, FLEETRULE_FAILOVER_HOSTS, "h10,h2", NULL));
	CHECK(!fleetrules_standby(&rules, "h2"));
	CHECK_OK(fleetrule_set(&rules, FLEETRULE_POLICY, "failoverHosts", NULL));
	CHECK(fleetrules_standby(&rules, "h2"));
	CHECK(fleetrules_standby(&rules, "h10"));
	CHECK(!fleetrules_standby(&rules, "h1"));
	CHECK(!fleetrules_standby(&rules, ""));
	CHECK_EQ(fleetrules_usable(&rules, 1000), 940u);
	CHECK_OK(fleetrule_set(&rules, FLEETRULE_HOST_RESERVE, "0", NULL));
	CHECK_EQ(fleetrules_usable(&rules, 4096ull << 20), 4096ull << 20);
}
