/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plan of the host that this command runs on: what its daemon says, and the likeness of its VMs. */
#include <errno.h>
#include <stdio.h>

#include "cli/plan-load.h"
#include "sys/hostname.h"

static int add_vms(struct planned *p, struct client *client, uint32_t host, const json_t *list)
{
	uint32_t tokens = plan_load_tokens(json_array_size(list), 1);
	const json_t *vm;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, vm)
	{
		_cleanup_json_ json_t *likeness = NULL;
		int r = client_look(client, &likeness, "/v1/vms/%s/likeness", ask_text(vm, "name"));

		if (r == -ENOENT)
			continue; /* it ended just now */
		if (r)
			return r;
		p->unsketched += !ask_number(likeness, "tokens");
		if (plan_load_vm(&p->plan, &p->keys, host, vm, likeness, tokens))
			return say_error(CLI_FAILED, "out of memory");
	}
	if (plan_load_measured(p, host, p->plan.measured))
		return say_error(CLI_FAILED, "out of memory");
	return plan_load_end(p);
}

int plan_of_host(struct planned *p)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *status = NULL;
	_cleanup_json_ json_t *vms = NULL;
	const json_t *memory;
	char name[64] = "";
	int64_t host;
	int r = client_open(&client, p->args);

	if (!r)
		r = client_get(client, &status, "/v1/status", NULL, NULL);
	if (!r)
		r = client_get(client, &vms, "/v1/vms", NULL, NULL);
	if (r)
		return r;
	if (sys_host_name(name, sizeof(name)))
		snprintf(name, sizeof(name), "this-host");
	snprintf(p->from, sizeof(p->from), "host %s", name);
	memory = json_object_get(json_object_get(status, "memory"), "host");
	host = plan_load_host(&p->plan, name, ask_number(memory, "managed"), PLAN_HERE,
			      (unsigned int)ask_number(json_object_get(status, "settings"),
						       "Mem.ShareForceSalting"));
	if (host < 0)
		return say_error(CLI_FAILED, "out of memory");
	p->plan.measured = ask_number(json_object_get(status, "pshare"), "saving");
	return add_vms(p, client, (uint32_t)host, json_object_get(vms, "vms"));
}
