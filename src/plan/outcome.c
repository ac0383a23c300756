/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cases are those that were asked for, each by itself, and then all of them together: who asks
 * what happens when a host fails while another is in maintenance wants to know of both.
 */
#include "plan/outcome.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "plan/relabel.h"

uint32_t plan_hosts_saved(const struct plan_need *need)
{
	if (need->needed[PLAN_WITHOUT] == UINT32_MAX || need->needed[PLAN_WITH] == UINT32_MAX)
		return 0;
	return need->needed[PLAN_WITHOUT] - need->needed[PLAN_WITH];
}

static uint32_t in_maintenance(const struct plan *plan, uint32_t *which)
{
	uint32_t n = 0;

	for (uint32_t h = 0; h < plan->nhosts; h++)
		if (plan->hosts[h].state == PLAN_MAINTENANCE) {
			*which = h;
			n++;
		}
	return n;
}

__attribute__((format(printf, 3, 4))) static void
add_case(struct plan_outcome *outcome, struct plan_case what, const char *format, ...)
{
	char *name = outcome->cases[outcome->ncases].name;
	va_list list;

	outcome->cases[outcome->ncases++].what = what;
	va_start(list, format);
	(void)vsnprintf(name, PLAN_CASE_NAME_MAX, format, list);
	va_end(list);
}

static void list_cases(const struct plan *plan, const struct plan_question *q,
		       struct plan_outcome *outcome)
{
	uint32_t which = 0, out = in_maintenance(plan, &which);
	struct plan_case all = {.add = q->add, .fail = q->fail, .maintenance = out > 0};

	add_case(outcome, (struct plan_case){0}, "today");
	if (q->add)
		add_case(outcome, (struct plan_case){.add = q->add}, "%llu VM%s more",
			 (unsigned long long)q->add, q->add == 1 ? "" : "s");
	if (out == 1)
		add_case(outcome, (struct plan_case){.maintenance = true}, "%.40s in maintenance",
			 plan_host_name(plan, which));
	else if (out)
		add_case(outcome, (struct plan_case){.maintenance = true},
			 "%u hosts in maintenance", out);
	if (q->fail)
		add_case(outcome, (struct plan_case){.fail = q->fail}, "%u host%s failed", q->fail,
			 q->fail == 1 ? "" : "s");
	if (outcome->ncases > 2)
		add_case(outcome, all, "all of it");
}

static void tell(const struct plan_question *question, const char *what)
{
	if (question->progress)
		question->progress(what);
}

static int place_ways(const struct plan *here, double *capacity, struct plan_outcome *outcome)
{
	struct plan_task task = {.plan = here,
				 .nvms = here->nvms,
				 .capacity = capacity,
				 .n = here->nhosts,
				 .basis = PLAN_WITH};
	int r = 0;

	for (uint32_t h = 0; h < here->nhosts; h++)
		capacity[h] = plan_runs(&here->hosts[h]) ? (double)here->hosts[h].usable : 0;
	for (int way = 0; way < PLAN_WAYS && !r; way++) {
		task.way = (enum plan_way)way;
		outcome->placed[way].host = way == PLAN_LIKENESS ? outcome->where : NULL;
		r = plan_place(&task, &outcome->placed[way]);
	}
	/* today: with room enough that everybody stays */
	for (uint32_t h = 0; h < here->nhosts; h++)
		capacity[h] = 1e18;
	task.stay = true;
	return r ? r : plan_place(&task, &outcome->today);
}

uint32_t plan_rehomed(const struct plan *plan, const struct plan_outcome *outcome)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < plan->nvms; i++)
		n += outcome->where[i] != PLAN_NONE && outcome->where[i] != plan->vms[i].host;
	return n;
}

double plan_left_to_gain(const struct plan_outcome *outcome)
{
	double more = outcome->placed[PLAN_LIKENESS].saved - outcome->today.saved - outcome->gain;

	return outcome->placed[PLAN_LIKENESS].homeless ? 0 : more;
}

/* where[] is of the VMs that are placed: make it one of all. */
static void number_anew(const struct plan *plan, uint32_t placed, uint32_t *where)
{
	for (uint32_t i = plan->nvms; i-- > 0;)
		where[i] = plan->hosts[plan->vms[i].host].state == PLAN_AWAY ? PLAN_NONE :
									       where[--placed];
}

static int place_anew(const struct plan *plan, struct plan_outcome *outcome)
{
	double *capacity = calloc((size_t)plan->nhosts + 1, sizeof(*capacity));
	struct plan here = {0};
	int r = -ENOMEM;

	outcome->where = malloc(((size_t)plan->nvms + 1) * sizeof(*outcome->where));
	if (capacity && outcome->where)
		r = plan_without_away(plan, &here);
	if (!r)
		r = place_ways(&here, capacity, outcome);
	if (!r)
		number_anew(plan, here.nvms, outcome->where);
	if (!r && plan->nvms <= PLAN_MOVES_VMS && plan->nhosts <= PLAN_MOVES_VMS)
		r = plan_relabel(plan, outcome->where);
	free(here.vms);
	free(capacity);
	return r;
}

static int seek_moves(const struct plan *plan, struct plan_outcome *outcome)
{
	int n = plan_moves_find(plan, outcome->moves);

	if (n < 0)
		return n;
	outcome->moves_sought = plan->nvms <= PLAN_MOVES_VMS;
	outcome->nmoves = (uint32_t)n;
	for (int i = 0; i < n; i++)
		outcome->gain += outcome->moves[i].gain;
	return 0;
}

int plan_work_out(const struct plan *plan, const struct plan_question *question,
		  struct plan_outcome *outcome)
{
	double shared;
	int r;

	*outcome = (struct plan_outcome){0};
	outcome->each = calloc((size_t)plan->nhosts + 1, sizeof(*outcome->each));
	if (!outcome->each)
		return -ENOMEM;
	tell(question, "what is saved");
	r = plan_saving_count(plan, outcome->each, &outcome->all);
	list_cases(plan, question, outcome);
	for (uint32_t i = 0; i < outcome->ncases && !r; i++) {
		tell(question, outcome->cases[i].name);
		r = plan_need_count(plan, &outcome->cases[i].what, &outcome->cases[i].need);
	}
	shared = outcome->all.vms ? outcome->all.now / outcome->all.vms : 0;
	if (!r)
		r = plan_room_for_more(plan, shared, question->fail, outcome->more);
	tell(question, "where VMs should live");
	if (!r)
		r = place_anew(plan, outcome);
	if (!r)
		r = seek_moves(plan, outcome);
	return r;
}

void plan_outcome_free(struct plan_outcome *outcome)
{
	free(outcome->each);
	free(outcome->where);
	*outcome = (struct plan_outcome){0};
}
