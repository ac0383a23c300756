/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is made up, and why so:
 *
 *	tenants		as many as a hundredth of the VMs, sized by Zipf's law: few have
 *			thousands of VMs, most have some. Each has one salt; one VM in twenty has
 *			none.
 *	images		forty operating systems, the first by far the most used (Zipf again);
 *			a tenant uses one to three of them. A VM has 150 to 600 MiB of its
 *			image: kernel, libraries, page cache.
 *	stacks		of each tenant up to eight: 50 to 800 MiB that VMs of one role have.
 *	sizes		2, 4, 8, 16, 32 GiB, half of them 4 and 8; 40 to 95 % touched, 3 to 25 % of
 *			that zero pages, 1 % doubles.
 *	today		VMs lie on hosts at random, as they came and went, as far as the hosts
 *			have room.
 *
 * They are plausible, not measured: what a plan says of a made-up fleet tells how the planner
 * works, and how fast, and nothing about yours.
 */
#include "plan/generate.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define GIB ((1u << 30) / PLAN_PAGE)
#define MIB ((1u << 20) / PLAN_PAGE)
#define IMAGES 40u
#define STACKS 8u
#define TRIES 16u
#define VMS_PER_TENANT 100u

/* xorshift64*: small, and the same everywhere. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717ull;
}

static double unit(uint64_t *state)
{
	return (double)(next(state) >> 11) / (double)(1ull << 53);
}

static uint32_t between(uint64_t *state, uint32_t low, uint32_t high)
{
	return low + (uint32_t)(unit(state) * (double)(high - low + 1));
}

/* 0 to n - 1, the k-th about as often as 1 / (k + 1). */
static uint32_t zipf(uint64_t *state, uint32_t n)
{
	uint32_t k = (uint32_t)(exp(unit(state) * log((double)n + 1)) - 1);

	return k < n ? k : n - 1;
}

/* A number of its own for each name of content. */
static uint32_t image_of(uint64_t tenant, uint64_t which)
{
	uint64_t state = tenant * 0x9e3779b97f4a7c15ull + which + 1;

	(void)next(&state);
	return zipf(&state, IMAGES);
}

static int make_vm(struct plan *plan, uint64_t *state, uint32_t tenants)
{
	static const uint32_t sizes[] = {2, 4, 4, 8, 8, 8, 16, 32};
	uint32_t tenant = zipf(state, tenants), distinct, image, stack;
	int64_t number = plan_add_vm(plan, NULL, 0);
	struct plan_vm *vm;

	if (number < 0)
		return -ENOMEM;
	vm = &plan->vms[number];
	vm->size = sizes[between(state, 0, 7)] * GIB;
	vm->touched = (uint32_t)((double)vm->size * (0.40 + 0.55 * unit(state)));
	vm->self = (uint32_t)((double)vm->touched * (0.04 + 0.22 * unit(state)));
	vm->salt = unit(state) < 0.05 ? PLAN_NONE : tenant;
	distinct = vm->touched - vm->self;
	image = between(state, 150 * MIB, 600 * MIB);
	stack = between(state, 50 * MIB, 800 * MIB);
	if (image > distinct / 2)
		image = distinct / 2;
	if (stack > distinct / 3)
		stack = distinct / 3;
	if (plan_add_part(plan, 1 + image_of(tenant, between(state, 0, 2)), image) ||
	    plan_add_part(plan, 1 + IMAGES + tenant * STACKS + zipf(state, STACKS), stack))
		return -ENOMEM;
	return 0;
}

static uint64_t host_memory(const struct plan_generate *what, uint64_t *state)
{
	static const uint64_t sizes[] = {256, 384, 384, 512, 512, 1024};

	return what->memory ? what->memory : sizes[between(state, 0, 5)] * GIB;
}

static int put_somewhere(struct plan *plan, uint64_t *state)
{
	double *left = malloc(((size_t)plan->nhosts + 1) * sizeof(*left));

	if (!left)
		return -ENOMEM;
	for (uint32_t h = 0; h < plan->nhosts; h++)
		left[h] =
			(double)fleetrules_usable(&plan->rules, plan->hosts[h].memory * PLAN_PAGE) /
			PLAN_PAGE;
	for (uint32_t i = 0; i < plan->nvms; i++) {
		double size = (double)plan->vms[i].touched + (double)plan_overhead(plan);
		uint32_t host = 0;

		for (unsigned int try = 0; try < TRIES; try++) {
			host = between(state, 0, plan->nhosts - 1);
			if (left[host] >= size)
				break;
		}
		left[host] -= size;
		plan->vms[i].host = host;
	}
	free(left);
	return 0;
}

int plan_generate(struct plan *plan, const struct plan_generate *what)
{
	uint64_t state = what->seed * 0x9e3779b97f4a7c15ull + 0x1234567;
	uint32_t tenants = (uint32_t)(what->vms / VMS_PER_TENANT) + 1;
	char name[32];

	plan->generated = true;
	for (uint64_t h = 0; h < what->hosts; h++) {
		int64_t number;

		snprintf(name, sizeof(name), "host-%llu", (unsigned long long)h);
		number = plan_add_host(plan, name);
		if (number < 0)
			return (int)number;
		plan->hosts[number].memory = host_memory(what, &state);
	}
	for (uint64_t i = 0; i < what->vms; i++)
		if (make_vm(plan, &state, tenants))
			return -ENOMEM;
	return put_somewhere(plan, &state);
}
