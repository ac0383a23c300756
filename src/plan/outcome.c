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

static int place_anew(const struct plan *plan, struct plan_outcome *outcome)
{
	double *capacity = calloc((size_t)plan->nhosts + 1, sizeof(*capacity));
	struct plan_task task = {.plan = plan,
				 .nvms = plan->nvms,
				 .capacity = capacity,
				 .n = plan->nhosts,
				 .basis = PLAN_WITH};
	int r = capacity ? 0 : -ENOMEM;

	for (uint32_t h = 0; h < plan->nhosts && !r; h++)
		capacity[h] = plan_runs(&plan->hosts[h]) ? (double)plan->hosts[h].usable : 0;
	for (int way = 0; way < PLAN_WAYS && !r; way++) {
		task.way = (enum plan_way)way;
		r = plan_place(&task, &outcome->placed[way]);
	}
	/* today: with room enough that everybody stays */
	for (uint32_t h = 0; h < plan->nhosts && !r; h++)
		capacity[h] = 1e18;
	task.stay = true;
	if (!r)
		r = plan_place(&task, &outcome->today);
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
	*outcome = (struct plan_outcome){0};
}
