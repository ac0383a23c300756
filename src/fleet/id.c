/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fleet/id.h"

#include <stdio.h>

#include "sys/entropy.h"
#include "sys/launch.h"

const char *fleet_time(char out[FLEET_TIME_MAX], time_t when)
{
	struct tm parts;

	if (!gmtime_r(&when, &parts) ||
	    !strftime(out, FLEET_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts))
		out[0] = '\0';
	return out;
}

int fleet_new_id(char out[FLEET_ID_MAX])
{
	char time[FLEET_TIME_MAX];
	uint32_t random;
	int r = sys_random(&random, sizeof(random));

	snprintf(out, FLEET_ID_MAX, "%s-%08x", fleet_time(time, sys_wall_time()), r ? 0 : random);
	return r;
}

uint64_t fleet_jitter(uint64_t n)
{
	uint64_t random = 0;

	(void)sys_random(&random, sizeof(random));
	return n ? random % n : 0;
}
