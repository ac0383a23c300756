/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balloon: a VM's balloon, shown, and made larger by hand. */
#include <stdio.h>
#include <string.h>

#include "cli/balloon-lines.h"
#include "cli/cli.h"
#include "cli/format.h"

/* {"target": ..., "force": ...}; or NULL, and *r is an exit code, said. */
static json_t *body_of(const struct args *args, int *r)
{
	const char *size = args->operands[1];
	json_t *target = NULL;
	uint64_t bytes = 0;

	*r = CLI_FAILED;
	if (strcmp(size, "none") != 0) {
		if (size_parse(size, &bytes) < 0) {
			*r = say_usage(
				args->command,
				"'%.40s' is no size: MiB, a number with K, M, G or T, or none",
				size);
			return NULL;
		}
		target = json_integer((json_int_t)bytes);
	} else {
		target = json_null();
	}
	return json_pack("{s:o, s:b}", "target", target, "force", args->force);
}

int cmd_balloon(struct args *args)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *balloon = NULL;
	_cleanup_json_ json_t *body = NULL;
	int r = 0;

	if (args->noperands == 2) {
		body = body_of(args, &r);
		if (!body)
			return r;
	} else if (args->force) {
		return say_usage(args->command, "--force needs a size");
	}
	r = client_open(&client, args);
	if (!r && body)
		r = client_put(client, &balloon, body, NULL, "/v1/vms/%s/balloon",
			       args->operands[0], NULL);
	else if (!r)
		r = client_get(client, &balloon, "/v1/vms/%s/balloon", args->operands[0], NULL);
	if (r)
		return r;
	if (args->json)
		return print_json(balloon);
	balloon_lines(balloon, false);
	return CLI_OK;
}
