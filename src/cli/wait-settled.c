/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list --wait-settled: returns when sharing has settled in all VMs that take part, for scripts. A
 * guest may rest for a moment while it boots, so it has to be seen twice in a row. Without a VM
 * there is nothing to settle: one is waited for, because whoever started it in the background a
 * moment ago means that one.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "sys/launch.h"
#include "sys/proc.h"

#define LOOK_MS 1000u
#define LOOKS 2
#define NS_PER_S 1e9

static int is_over(const json_t *host, const json_t *progress, double seconds)
{
	if (!ask_number(host, "vms"))
		return say_error(CLI_FAILED, "no VM came in %g seconds", seconds);
	return say_error(CLI_FAILED, "not settled after %g seconds: %.1f %% looked at", seconds,
			 ask_real(progress, "looked_percent"));
}

int wait_settled(struct client *client, double seconds)
{
	uint64_t begun = sys_now();
	int settled = 0;

	for (;;) {
		_cleanup_json_ json_t *host = NULL;
		const json_t *progress;
		int r = client_get(client, &host, "/v1/status", NULL, NULL);

		if (r)
			return r;
		progress = json_object_get(host, "progress");
		settled = ask_number(host, "vms") && ask_true(progress, "settled") ? settled + 1 :
										     0;
		if (settled == LOOKS)
			return CLI_OK;
		if (seconds > 0 && (double)(sys_now() - begun) / NS_PER_S >= seconds)
			return is_over(host, progress, seconds);
		sys_sleep_ms(LOOK_MS);
	}
}
