/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * As Ganeti's hbal: from where things are, the best move, again and again, until none gains enough.
 * A move's gain is what the VM would share on the other host, less what it shares where it is. Each
 * VM's best move is found in one round over all VMs; the round's moves are made in the order of
 * their gain, each if it still is what it was: found anew just before it is made.
 *
 * A move costs a migration: all of a VM's memory over the network. One that gains less than
 * MIN_MIB, or less than a fiftieth of the VM, is none.
 *
 * A host that is full takes nobody, and two VMs are not exchanged: a placement of all VMs anew
 * (place.h) tells what more there would be to be had.
 */
#include "plan/moves.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/books.h"
#include "plan/place.h"

#define MIN_MIB 16u
#define PART_OF_VM 50
#define ROUNDS_MAX 16u

struct moving {
	const struct plan *plan;
	struct plan_books books;
	double *left;
	uint32_t *host;		/* of each VM, now */
	uint32_t *head, *next;	/* VMs of a host */
	struct plan_move *best; /* of each VM: found in this round */
};

static const struct plan_part *part_of(const struct plan *plan, const struct plan_vm *vm,
				       uint32_t id)
{
	uint32_t low = 0, high = vm->nparts;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (plan->parts[vm->part + middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < vm->nparts && plan->parts[vm->part + low].id == id ?
		       &plan->parts[vm->part + low] :
		       NULL;
}

static uint64_t domain_on(const struct moving *m, uint32_t vm, uint32_t host)
{
	return plan_domain(m->plan, vm, m->plan->hosts[host].mode);
}

/* What the others of a VM's domain on its host need of a part together; 0: none has it. */
static float rest_of(const struct moving *m, uint32_t vm, uint32_t part)
{
	uint32_t host = m->host[vm];
	uint64_t domain = domain_on(m, vm, host);
	float rest = 0;
	bool any = false;

	for (uint32_t i = m->head[host]; i != PLAN_NONE; i = m->next[i]) {
		const struct plan_part *one;

		if (i == vm || domain_on(m, i, host) != domain)
			continue;
		one = part_of(m->plan, &m->plan->vms[i], part);
		if (one)
			rest = any ? plan_together(part, rest, one->pages) : one->pages;
		any |= one != NULL;
	}
	return rest;
}

/* What is shared less if the VM leaves; with take it leaves. */
static double leaving(struct moving *m, uint32_t vm, bool take)
{
	const struct plan_vm *v = &m->plan->vms[vm];
	uint32_t host = m->host[vm];
	uint64_t domain = domain_on(m, vm, host);
	double lost = 0;

	for (uint32_t i = 0; i < v->nparts; i++) {
		const struct plan_part *part = &m->plan->parts[v->part + i];
		struct plan_entry *entry = plan_books_find(&m->books, host, domain, part->id);
		float rest;

		if (!entry || !entry->members)
			continue;
		rest = entry->members > 1 ? rest_of(m, vm, part->id) : 0;
		lost += (double)part->pages + (double)rest - (double)entry->pages;
		if (take)
			(void)plan_books_leave(entry, part->pages, rest);
	}
	return lost;
}

static void hang(struct moving *m, uint32_t vm, uint32_t host)
{
	m->host[vm] = host;
	m->next[vm] = m->head[host];
	m->head[host] = vm;
}

static void unhang(struct moving *m, uint32_t vm)
{
	uint32_t *at = &m->head[m->host[vm]];

	while (*at != vm)
		at = &m->next[*at];
	*at = m->next[vm];
}

static int join(struct moving *m, uint32_t vm, uint32_t host)
{
	const struct plan_vm *v = &m->plan->vms[vm];
	double saved;
	int r = plan_books_join(&m->books, host, domain_on(m, vm, host), m->plan->parts + v->part,
				v->nparts, &saved);

	if (r)
		return r;
	m->left[host] -= plan_size(m->plan, v, PLAN_ALONE) - saved;
	hang(m, vm, host);
	return 0;
}

/* The best move of a VM. */
static void look(struct moving *m, uint32_t vm, struct plan_move *move)
{
	const struct plan_vm *v = &m->plan->vms[vm];
	double size = plan_size(m->plan, v, PLAN_ALONE), lost = leaving(m, vm, false);
	double least = (double)(MIN_MIB << 20) / PLAN_PAGE;

	if (least < (double)v->touched / PART_OF_VM)
		least = (double)v->touched / PART_OF_VM;
	*move = (struct plan_move){vm, m->host[vm], PLAN_NONE, 0};
	for (uint32_t h = 0; h < m->plan->nhosts; h++) {
		double like;

		if (h == m->host[vm] || !plan_runs(&m->plan->hosts[h]))
			continue;
		like = plan_books_likeness(&m->books, h, domain_on(m, vm, h),
					   m->plan->parts + v->part, v->nparts);
		if (like - lost >= least && like - lost > move->gain && size - like <= m->left[h]) {
			move->to = h;
			move->gain = like - lost;
		}
	}
}

static int by_gain(const void *a, const void *b)
{
	const struct plan_move *x = a, *y = b;

	return x->gain != y->gain ? (x->gain < y->gain) - (x->gain > y->gain) :
				    (x->vm > y->vm) - (x->vm < y->vm);
}

static int make(struct moving *m, const struct plan_move *move)
{
	double size = plan_size(m->plan, &m->plan->vms[move->vm], PLAN_ALONE);
	double lost = leaving(m, move->vm, true);

	m->left[move->from] += size - lost;
	unhang(m, move->vm);
	return join(m, move->vm, move->to);
}

/* One round. *n grows; 0, 1: a move was made, or -ENOMEM. */
static int round_of(struct moving *m, struct plan_move *moves, uint32_t *n)
{
	int made = 0, r = 0;

	for (uint32_t vm = 0; vm < m->plan->nvms; vm++)
		if (plan_runs(&m->plan->hosts[m->host[vm]]))
			look(m, vm, &m->best[vm]);
		else
			m->best[vm] = (struct plan_move){vm, m->host[vm], PLAN_NONE, 0};
	qsort(m->best, m->plan->nvms, sizeof(*m->best), by_gain);
	for (uint32_t i = 0; i < m->plan->nvms && m->best[i].to != PLAN_NONE && !r; i++) {
		struct plan_move move;

		if (*n == PLAN_MOVES_MAX)
			return 0;
		look(m, m->best[i].vm, &move);
		if (move.to == PLAN_NONE)
			continue;
		r = make(m, &move);
		moves[(*n)++] = move;
		made = 1;
	}
	return r ? r : made;
}

static int prepare(struct moving *m)
{
	const struct plan *plan = m->plan;
	int r = plan_books_init(&m->books, plan->nparts);

	m->left = calloc((size_t)plan->nhosts + 1, sizeof(*m->left));
	m->head = malloc(((size_t)plan->nhosts + 1) * sizeof(*m->head));
	m->host = calloc((size_t)plan->nvms + 1, sizeof(*m->host));
	m->next = calloc((size_t)plan->nvms + 1, sizeof(*m->next));
	m->best = calloc((size_t)plan->nvms + 1, sizeof(*m->best));
	if (r || !m->left || !m->head || !m->host || !m->next || !m->best)
		return -ENOMEM;
	memset(m->head, 0xff, ((size_t)plan->nhosts + 1) * sizeof(*m->head));
	for (uint32_t h = 0; h < plan->nhosts; h++)
		m->left[h] = (double)plan->hosts[h].usable;
	for (uint32_t i = 0; i < plan->nvms && !r; i++)
		r = join(m, i, plan->vms[i].host);
	return r;
}

int plan_moves_find(const struct plan *plan, struct plan_move *moves)
{
	struct moving m = {.plan = plan};
	uint32_t n = 0;
	int r = plan->nvms <= PLAN_MOVES_VMS ? prepare(&m) : -E2BIG;

	for (unsigned int i = 0; i < ROUNDS_MAX && !r; i++) {
		r = round_of(&m, moves, &n);
		if (r != 1)
			break;
		r = 0;
	}
	plan_books_free(&m.books);
	free(m.left);
	free(m.head);
	free(m.host);
	free(m.next);
	free(m.best);
	return r == -ENOMEM ? r : (int)n;
}
