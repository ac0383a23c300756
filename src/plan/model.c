/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The model is filled once, finished, and then read by all parts of a plan. VMs of one host lie
 * together in by_host, so that what is counted host by host stays in the CPU's caches: with three
 * million VMs that decides whether a plan takes seconds or minutes.
 */
#include "plan/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Domains: groups and users have small numbers; a VM by itself has one of its own. */
#define DOMAIN_COMMON (1ull << 40) /* + user: VMs without a salt, under mode 1 */
#define DOMAIN_USER (2ull << 40)   /* + user: all, under mode 0 */
#define DOMAIN_OWN (3ull << 40)	   /* + number of the VM */

int plan_init(struct plan *plan)
{
	*plan = (struct plan){0};
	fleetrules_defaults(&plan->rules);
	return plan_names_put(&plan->users, "root", NULL) < 0 ? -ENOMEM : 0;
}

void plan_free(struct plan *plan)
{
	plan_names_free(&plan->names);
	plan_names_free(&plan->host_names);
	plan_names_free(&plan->users);
	plan_names_free(&plan->salts);
	plan_names_free(&plan->contents);
	free(plan->hosts);
	free(plan->vms);
	free(plan->parts);
	free(plan->by_host);
	free(plan->first);
	*plan = (struct plan){0};
}

/* Room for one more of n; *room is in things of this size. */
static int make_room(void **array, size_t *room, size_t n, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	void *moved;

	if (n < *room)
		return 0;
	moved = realloc(*array, more * size);
	if (!moved)
		return -ENOMEM;
	*array = moved;
	*room = more;
	return 0;
}

int64_t plan_add_host(struct plan *plan, const char *name)
{
	int64_t number;
	int made;

	if (make_room((void **)&plan->hosts, &plan->hosts_room, plan->nhosts, sizeof(*plan->hosts)))
		return -ENOMEM;
	number = plan_names_put(&plan->host_names, name, &made);
	if (number < 0)
		return number;
	if (!made)
		return -EEXIST;
	plan->hosts[plan->nhosts] = (struct plan_host){.name = (uint32_t)number, .mode = 2};
	return plan->nhosts++;
}

int64_t plan_add_vm(struct plan *plan, const char *name, uint32_t host)
{
	int64_t number = name ? plan_names_put(&plan->names, name, NULL) : PLAN_NONE;

	if (number < 0 || plan->nvms == PLAN_NONE ||
	    make_room((void **)&plan->vms, &plan->vms_room, plan->nvms, sizeof(*plan->vms)))
		return -ENOMEM;
	plan->vms[plan->nvms] = (struct plan_vm){
		.name = (uint32_t)number, .host = host, .salt = PLAN_NONE, .part = plan->nparts};
	return plan->nvms++;
}

int plan_add_part(struct plan *plan, uint32_t id, double pages)
{
	struct plan_vm *vm = &plan->vms[plan->nvms - 1];

	for (uint32_t i = 0; !(id & PLAN_SAMPLE) && i < vm->nparts; i++) {
		struct plan_part *part = &plan->parts[vm->part + i];

		if (part->id == id) {
			part->pages = pages > part->pages ? (float)pages : part->pages;
			return 0;
		}
	}
	if (make_room((void **)&plan->parts, &plan->parts_room, plan->nparts, sizeof(*plan->parts)))
		return -ENOMEM;
	plan->parts[plan->nparts++] = (struct plan_part){id, (float)pages};
	vm->nparts++;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct plan_part *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* In order, each once: a sketch may have one token of two pages. */
static void sort_parts(struct plan *plan, struct plan_vm *vm)
{
	struct plan_part *parts = plan->parts + vm->part;
	uint32_t n = 0;

	if (vm->nparts < 2)
		return;
	qsort(parts, vm->nparts, sizeof(*parts), by_id);
	for (uint32_t i = 1; i < vm->nparts; i++)
		if (parts[i].id != parts[n].id)
			parts[++n] = parts[i];
	vm->nparts = n + 1;
}

/* (user, salt) to numbers: a table of open addresses. */
static int number_groups(struct plan *plan)
{
	uint64_t room = 64, *slots;

	while (room < (uint64_t)plan->nvms * 2)
		room *= 2;
	slots = calloc(room, 2 * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	plan->ngroups = 0;
	for (uint32_t i = 0; i < plan->nvms; i++) {
		struct plan_vm *vm = &plan->vms[i];
		uint64_t key = (uint64_t)vm->user << 32 | vm->salt;
		uint64_t at = (key ^ key >> 31) * 0x9e3779b97f4a7c15ull >> 20;

		vm->group = PLAN_NONE;
		if (vm->salt == PLAN_NONE)
			continue;
		while (slots[2 * (at & (room - 1))] && slots[2 * (at & (room - 1)) + 1] != key)
			at++;
		at &= room - 1;
		if (!slots[2 * at]) {
			slots[2 * at] = ++plan->ngroups;
			slots[2 * at + 1] = key;
		}
		vm->group = (uint32_t)slots[2 * at] - 1;
	}
	free(slots);
	return 0;
}

static int index_hosts(struct plan *plan)
{
	uint32_t *first = calloc((size_t)plan->nhosts + 2, sizeof(*first));
	uint32_t *list = malloc(((size_t)plan->nvms + 1) * sizeof(*list));

	free(plan->first);
	free(plan->by_host);
	plan->first = first;
	plan->by_host = list;
	if (!first || !list)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->nvms; i++)
		first[plan->vms[i].host + 2]++;
	for (uint32_t h = 0; h < plan->nhosts; h++)
		first[h + 2] += first[h + 1];
	for (uint32_t i = 0; i < plan->nvms; i++)
		list[first[plan->vms[i].host + 1]++] = i;
	return 0;
}

int plan_finish(struct plan *plan)
{
	int r;

	for (uint32_t h = 0; h < plan->nhosts; h++) {
		struct plan_host *host = &plan->hosts[h];

		host->usable =
			fleetrules_usable(&plan->rules, host->memory * PLAN_PAGE) / PLAN_PAGE;
		host->standby |= host->state == PLAN_STANDBY ||
				 fleetrules_standby(&plan->rules, plan_host_name(plan, h));
		if (host->state == PLAN_HERE && host->standby)
			host->state = PLAN_STANDBY;
	}
	for (uint32_t i = 0; i < plan->nvms; i++)
		sort_parts(plan, &plan->vms[i]);
	r = number_groups(plan);
	return r ? r : index_hosts(plan);
}

int plan_without_away(const struct plan *plan, struct plan *here)
{
	struct plan_vm *vms = malloc(((size_t)plan->nvms + 1) * sizeof(*vms));

	if (!vms)
		return -ENOMEM;
	*here = *plan;
	here->vms = vms;
	here->nvms = 0;
	for (uint32_t i = 0; i < plan->nvms; i++)
		if (plan->hosts[plan->vms[i].host].state != PLAN_AWAY)
			vms[here->nvms++] = plan->vms[i];
	return 0;
}

const char *plan_host_name(const struct plan *plan, uint32_t host)
{
	return plan_names_get(&plan->host_names, plan->hosts[host].name);
}

const char *plan_vm_name(const struct plan *plan, uint32_t vm)
{
	static char made_up[32];

	if (vm < plan->nvms && plan->vms[vm].name != PLAN_NONE)
		return plan_names_get(&plan->names, plan->vms[vm].name);
	snprintf(made_up, sizeof(made_up), "vm-%u", vm);
	return made_up;
}

uint64_t plan_domain(const struct plan *plan, uint64_t i, unsigned int mode)
{
	const struct plan_vm *vm = plan_of(plan, i);

	if (mode == 0)
		return DOMAIN_USER + vm->user;
	if (vm->group != PLAN_NONE)
		return vm->group;
	return mode == 1 ? DOMAIN_COMMON + vm->user : DOMAIN_OWN + i;
}

uint64_t plan_overhead(const struct plan *plan)
{
	return ((uint64_t)plan->rules.value[FLEETRULE_VM_OVERHEAD_MB] << 20) / PLAN_PAGE;
}
