/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VM would take were nothing shared is GRANT: all that is mapped for it, frames and zero
 * pages too. What it saves by itself is its zero pages and the doubles among its pages.
 *
 * How many doubles there are no sample tells well: a guest may have one page ten thousand times,
 * and it is in the sample, or more likely not. But the daemon counts what is saved in all. So what
 * that is more than zero pages and what sketches say VMs have in common is taken for doubles, a
 * part for each VM by its memory; and the sum of today is what was counted.
 *
 * A sketch comes from another host, by way of etcd: it is checked as what it is, a claim. Its sum
 * is held to what the VM has; who claims more spoils his own VM's place.
 */
#include "cli/plan-load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/sketch.h"
#include "policy/plain.h"

/* Of all sketches together; each is some 60 bytes where VMs are placed. Of a fleet of 100,000 VMs
 * each sketch has 160 tokens then: two VMs are compared less exactly, the sum is hardly. */
#define PARTS_MAX (16u << 20)
#define TOKENS_MIN 64u
#define NAME_BYTES 256u
/* In a fleet of few hosts each VM is compared with each of them, token by token. */
#define SCANNED_HOSTS 1024u
#define LOOKS_MAX 400000000u

static int take_sketch(struct plan *plan, struct plan_vm *vm, const struct sketch *sketch)
{
	double own = vm->touched - vm->self, weight = sketch->weight;

	if (weight * sketch->n > own)
		weight = sketch->n ? own / sketch->n : 0;
	for (uint32_t i = 0; i < sketch->n && weight > 0; i++)
		if (plan_add_part(plan, PLAN_SAMPLE | sketch->token[i], weight))
			return -ENOMEM;
	return 0;
}

/* Names come from other hosts, and go to a terminal. */
static const char *as_shown(char shown[NAME_BYTES], const char *name)
{
	snprintf(shown, NAME_BYTES, "%s", name);
	plain_text(shown);
	return shown;
}

int64_t plan_load_host(struct plan *plan, const char *name, uint64_t memory,
		       enum plan_host_state state, unsigned int mode)
{
	char shown[NAME_BYTES];
	int64_t number = plan_add_host(plan, as_shown(shown, name));

	if (number >= 0) {
		plan->hosts[number].memory = memory / PLAN_PAGE;
		plan->hosts[number].state = (uint8_t)state;
		plan->hosts[number].mode = (uint8_t)(mode < PLAN_MODES ? mode : 2);
	}
	return number;
}

static uint32_t pages_of(const json_t *vm, const char *member)
{
	uint64_t pages = ask_number(vm, member) / PLAN_PAGE;

	return pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

/* The number of a text in names; what is no text, or none, is left as it is. */
static int number_of(struct plan_names *names, const char *prefix, const char *text,
		     uint32_t *number)
{
	char name[128];
	int64_t n;

	if (!*text)
		return 0;
	snprintf(name, sizeof(name), "%.20s:%.90s", prefix, text);
	n = plan_names_put(names, name, NULL);
	if (n < 0)
		return (int)n;
	*number = (uint32_t)n;
	return 0;
}

uint32_t plan_load_tokens(size_t nvms, size_t nhosts)
{
	size_t each = nvms ? PARTS_MAX / nvms : SKETCH_MAX;
	size_t looks = nhosts <= SCANNED_HOSTS && nvms ? LOOKS_MAX / nvms / nhosts : each;

	each = looks < each ? looks : each;
	return each < TOKENS_MIN ? TOKENS_MIN : each < SKETCH_MAX ? (uint32_t)each : SKETCH_MAX;
}

int plan_load_vm(struct plan *plan, struct plan_names *keys, uint32_t host, const json_t *record,
		 const json_t *likeness, uint32_t tokens)
{
	const char *key = ask_text(likeness, "key"), *name = ask_text(record, "name");
	char shown[NAME_BYTES];
	int64_t number = plan_add_vm(plan, *name ? as_shown(shown, name) : NULL, host);
	uint32_t ignored;
	struct sketch sketch;
	struct plan_vm *vm;
	int r;

	if (number < 0)
		return (int)number;
	vm = &plan->vms[number];
	vm->size = pages_of(record, "size");
	vm->touched = pages_of(record, "GRANT");
	vm->self = pages_of(record, "ZERO");
	if (vm->self > vm->touched)
		vm->self = vm->touched;
	if (!likeness || !*key)
		return 0;
	/* numbers of users are a host's own policy's; the same on hosts that have the same */
	r = number_of(keys, "", key, &ignored);
	if (!r)
		r = number_of(&plan->users, "", ask_text(likeness, "user"), &vm->user);
	if (!r)
		r = number_of(&plan->salts, key, ask_text(likeness, "salt"), &vm->salt);
	if (r || fleet_sketch_read(likeness, &sketch))
		return r;
	sketch_thin(&sketch, tokens);
	return take_sketch(plan, vm, &sketch);
}

/* ---- what is measured ---------------------------------------------------------------------- */

int plan_load_measured(struct planned *p, uint32_t host, uint64_t bytes)
{
	double *more = realloc(p->measured.pages, ((size_t)host + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	for (uint32_t h = p->measured.n; h < host; h++)
		more[h] = 0;
	more[host] = (double)bytes / PLAN_PAGE;
	p->measured.pages = more;
	p->measured.n = host + 1;
	return 0;
}

/* Gives the host's VMs the doubles that its count says there are. */
static void give_doubles(struct plan *plan, uint32_t host, double pages, double touched)
{
	for (uint32_t at = plan->first[host]; at < plan->first[host + 1]; at++) {
		struct plan_vm *vm = &plan->vms[plan->by_host[at]];
		double part = touched > 0 ? pages * vm->touched / touched : 0;
		double most = vm->touched - vm->self;

		vm->self += (uint32_t)(part < most ? part : most);
	}
}

int plan_load_end(struct planned *p)
{
	struct plan_saving all;
	_cleanup_free_ struct plan_saving *each = calloc((size_t)p->plan.nhosts + 1, sizeof(*each));

	if (!each || plan_finish(&p->plan) || plan_saving_count(&p->plan, each, &all))
		return say_error(CLI_FAILED, "out of memory");
	for (uint32_t h = 0; h < p->plan.nhosts && h < p->measured.n; h++) {
		double rest = p->measured.pages[h] - each[h].self - each[h].now;

		if (rest > 0)
			give_doubles(&p->plan, h, rest, each[h].touched);
	}
	return 0;
}
