/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan as tables, for people. What is long is cut, and says so: --json has all of it. */
#include "cli/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS_SHOWN 40u
#define MOVES_SHOWN 40u

static double mib(double pages)
{
	return pages * PLAN_PAGE / (1 << 20);
}

static void change_text(struct table *table, unsigned int column, double pages)
{
	table_text(table, column, "%+.1f", fabs(mib(pages)) < 0.05 ? 0.0 : mib(pages));
}

static int print_saved(const struct planned *p)
{
	static const struct column columns[] = {
		{"SAVED TODAY", false}, {"MiB", true}, {"+-", true}};
	const struct plan_saving *all = &p->outcome.all;
	const struct {
		const char *name;
		double pages, error;
	} rows[] = {
		{"inside VMs", all->self, 0},
		{"inside salts, between VMs", all->between[2], all->error[2]},
		{"across salts", all->now - all->between[2], 0},
		{"all", all->self + all->now, all->error[2]},
	};
	_cleanup_plan_table_ struct table *table = table_new(columns, 3);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!table || table_row(table))
			return -1;
		table_text(table, 0, "%s", rows[i].name);
		table_text(table, 1, "%.1f", mib(rows[i].pages));
		if (rows[i].error > 0)
			table_text(table, 2, "%.1f", mib(rows[i].error));
	}
	table_print(table, stdout);
	if (p->plan.measured)
		printf("(%.1f MiB by the daemons' own books)\n",
		       (double)p->plan.measured / (1 << 20));
	return 0;
}

static int print_settings(const struct planned *p)
{
	static const struct column columns[] = {{"Mem.ShareForceSalting", false},
						{"SAVES/MiB", true},
						{"AGAINST TODAY", true},
						{"+-", true}};
	static const char *const what[] = {
		"0: all VMs share",
		"1: those without a salt share with each other",
		"2: only those with one salt share",
	};
	const struct plan_saving *all = &p->outcome.all;
	_cleanup_plan_table_ struct table *table = table_new(columns, 4);

	for (unsigned int mode = 0; mode < PLAN_MODES; mode++) {
		if (!table || table_row(table))
			return -1;
		table_text(table, 0, "%s", what[mode]);
		table_text(table, 1, "%.1f", mib(all->self + all->between[mode]));
		change_text(table, 2, all->between[mode] - all->now);
		if (all->error[mode] > 0)
			table_text(table, 3, "%.1f", mib(all->error[mode]));
	}
	if (table_row(table))
		return -1;
	table_text(table, 0, "2, and no salt: none between VMs");
	table_text(table, 1, "%.1f", mib(all->self));
	change_text(table, 2, -all->now);
	putchar('\n');
	table_print(table, stdout);
	return 0;
}

static int print_hosts(const struct planned *p)
{
	static const struct column columns[] = {
		{"HOST", false},   {"STATE", false}, {"FOR VMS/MiB", true}, {"VMS", true},
		{"HAVE", true},	   {"IN VMS", true}, {"IN SALTS", true},    {"ACROSS", true},
		{"SETTING", true}, {"TO 0", true},   {"TO 1", true},	    {"TO 2", true}};
	_cleanup_plan_table_ struct table *table = table_new(columns, 12);
	uint32_t shown = p->plan.nhosts < HOSTS_SHOWN ? p->plan.nhosts : HOSTS_SHOWN;

	for (uint32_t h = 0; h < shown; h++) {
		const struct plan_host *host = &p->plan.hosts[h];
		const struct plan_saving *saving = &p->outcome.each[h];

		if (!table || table_row(table))
			return -1;
		table_text(table, 0, "%s", plan_host_name(&p->plan, h));
		table_text(table, 1, "%s", plan_state_names[host->state]);
		table_text(table, 2, "%.0f", mib((double)host->usable));
		table_text(table, 3, "%u", saving->vms);
		table_text(table, 4, "%.1f", mib(saving->touched));
		table_text(table, 5, "%.1f", mib(saving->self));
		table_text(table, 6, "%.1f", mib(saving->between[2]));
		table_text(table, 7, "%.1f", mib(saving->now - saving->between[2]));
		table_text(table, 8, "%u", host->mode);
		for (unsigned int mode = 0; mode < PLAN_MODES; mode++)
			change_text(table, 9 + mode, saving->between[mode] - saving->now);
	}
	putchar('\n');
	table_print(table, stdout);
	if (shown < p->plan.nhosts)
		printf("... and %u hosts more: --json has them\n", p->plan.nhosts - shown);
	return 0;
}

static int print_needed(const struct planned *p)
{
	static const struct column columns[] = {
		{"MEMORY NEEDED/MiB", false}, {"HOSTS", true},	 {"VMS", true},
		{"THERE IS", true},	      {"SHARING", true}, {"IN VMS ONLY", true},
		{"NO SHARING", true},	      {"WHOLE", true}};
	_cleanup_plan_table_ struct table *table = table_new(columns, 8);

	for (uint32_t i = 0; i < p->outcome.ncases; i++) {
		const struct plan_need *need = &p->outcome.cases[i].need;

		if (!table || table_row(table))
			return -1;
		table_text(table, 0, "%s", p->outcome.cases[i].name);
		table_text(table, 1, "%u", need->hosts);
		table_text(table, 2, "%llu", (unsigned long long)need->vms);
		table_text(table, 3, "%.0f", mib(need->capacity));
		for (unsigned int basis = 0; basis < PLAN_BASES; basis++)
			table_text(table, 4 + basis, "%.1f", mib(need->used[basis]));
	}
	putchar('\n');
	table_print(table, stdout);
	return 0;
}

static void fit_text(struct table *table, unsigned int column, const struct plan_need *need,
		     int basis)
{
	char hosts[32];

	if (need->needed[basis] == UINT32_MAX)
		snprintf(hosts, sizeof(hosts), "too large");
	else
		snprintf(hosts, sizeof(hosts), "%u", need->needed[basis]);
	if (need->homeless[basis])
		table_text(table, column, "no, %llu out; %s",
			   (unsigned long long)need->homeless[basis], hosts);
	else
		table_text(table, column, "yes; %s", hosts);
}

static int print_fits(const struct planned *p)
{
	static const struct column columns[] = {{"FITS? HOSTS THAT WOULD DO", false},
						{"SHARING", true},
						{"IN VMS ONLY", true},
						{"NO SHARING", true},
						{"WHOLE", true},
						{"SHARING IS WORTH", true},
						{"EUROS", true}};
	_cleanup_plan_table_ struct table *table = table_new(columns, p->args->priced ? 7 : 6);

	for (uint32_t i = 0; i < p->outcome.ncases; i++) {
		uint32_t saved = plan_hosts_saved(&p->outcome.cases[i].need);

		if (!table || table_row(table))
			return -1;
		table_text(table, 0, "%s", p->outcome.cases[i].name);
		for (int basis = 0; basis < PLAN_BASES; basis++)
			fit_text(table, 1 + (unsigned int)basis, &p->outcome.cases[i].need, basis);
		table_text(table, 5, "%u host%s", saved, saved == 1 ? "" : "s");
		if (p->args->priced)
			table_text(table, 6, "%.2f", saved * p->args->price);
	}
	if (table_row(table))
		return -1;
	table_text(table, 0, "room for VMs more%s", p->args->fail ? ", hosts failed" : "");
	for (int basis = 0; basis < PLAN_BASES; basis++)
		table_text(table, 1 + (unsigned int)basis, "%llu",
			   (unsigned long long)p->outcome.more[basis]);
	putchar('\n');
	table_print(table, stdout);
	return 0;
}

static int way_row(struct table *table, const char *name, const struct plan_result *result)
{
	if (!table || table_row(table))
		return -1;
	table_text(table, 0, "%s", name);
	table_text(table, 1, "%.1f", mib(result->used));
	table_text(table, 2, "%.1f", mib(result->saved));
	table_text(table, 3, "%u", result->hosts);
	table_text(table, 4, "%llu", (unsigned long long)result->homeless);
	return 0;
}

static int print_ways(const struct planned *p)
{
	static const struct column columns[] = {{"WHERE VMS LIVE", false},
						{"TAKES/MiB", true},
						{"SHARED BETWEEN VMS", true},
						{"HOSTS", true},
						{"NO PLACE", true}};
	static const char *const names[] = {"anew, first fit", "anew, best fit",
					    "anew, by likeness"};
	_cleanup_plan_table_ struct table *table = table_new(columns, 5);

	if (way_row(table, "today", &p->outcome.today))
		return -1;
	for (int way = 0; way < PLAN_WAYS; way++)
		if (way_row(table, names[way], &p->outcome.placed[way]))
			return -1;
	putchar('\n');
	table_print(table, stdout);
	return 0;
}

static int print_moves(const struct planned *p)
{
	static const struct column columns[] = {
		{"MOVE", false}, {"FROM", false}, {"TO", false}, {"GAIN/MiB", true}};
	_cleanup_plan_table_ struct table *table = table_new(columns, 4);
	uint32_t shown = p->outcome.nmoves < MOVES_SHOWN ? p->outcome.nmoves : MOVES_SHOWN;

	putchar('\n');
	if (!p->outcome.moves_sought) {
		printf("Single moves are sought in fleets of %u VMs at most.\n", PLAN_MOVES_VMS);
		return 0;
	}
	if (!p->outcome.nmoves) {
		printf("No move of one VM to another host would be worth it.\n");
		return 0;
	}
	for (uint32_t i = 0; i < shown; i++) {
		const struct plan_move *move = &p->outcome.moves[i];

		if (!table || table_row(table))
			return -1;
		table_text(table, 0, "%s", plan_vm_name(&p->plan, move->vm));
		table_text(table, 1, "%s", plan_host_name(&p->plan, move->from));
		table_text(table, 2, "%s", plan_host_name(&p->plan, move->to));
		table_text(table, 3, "%.1f", mib(move->gain));
	}
	table_print(table, stdout);
	if (shown < p->outcome.nmoves)
		printf("... and %u more: --json has them\n", p->outcome.nmoves - shown);
	printf("%u move%s, in this order: %.1f MiB more saved\n", p->outcome.nmoves,
	       p->outcome.nmoves == 1 ? "" : "s", mib(p->outcome.gain));
	return 0;
}

static int width_of(int width, const char *name)
{
	int length = (int)strlen(name);

	return length > width ? length : width;
}

/* Not a table in memory: there may be millions. */
static void print_where(const struct planned *p)
{
	const struct plan *plan = &p->plan;
	int vm = 2, host = 3;

	for (uint32_t i = 0; i < plan->nvms; i++)
		vm = width_of(vm, plan_vm_name(plan, i));
	for (uint32_t h = 0; h < plan->nhosts; h++)
		host = width_of(host, plan_host_name(plan, h));
	printf("\n%-*s  %-*s  BY LIKENESS\n", vm, "VM", host, "NOW");
	for (uint32_t i = 0; i < plan->nvms; i++) {
		uint32_t now = plan->vms[i].host, to = p->outcome.where[i];

		if (plan->hosts[now].state == PLAN_AWAY)
			continue;
		printf("%-*s  %-*s  %s\n", vm, plan_vm_name(plan, i), host,
		       plan_host_name(plan, now),
		       to == PLAN_NONE ? "no place" :
		       to == now       ? "stays" :
					 plan_host_name(plan, to));
	}
}

static void print_placement(const struct planned *p)
{
	double more = plan_left_to_gain(&p->outcome);
	uint32_t n = plan_rehomed(&p->plan, &p->outcome);

	if (mib(more) >= 1)
		printf("Anew by likeness %.1f MiB more would be saved%s: %u VM%s on another host "
		       "then, exchanged for others.\n",
		       mib(more), p->outcome.nmoves ? " than by these moves" : "", n,
		       n == 1 ? " lives" : "s live");
	if (plan_shows_placement(p))
		print_where(p);
	else
		printf("Where each VM should live by likeness: --placement%s.\n",
		       plan_lists_placement(p) ? ", or --json" : "");
}

int plan_print(const struct planned *p)
{
	if (p->unsketched)
		printf("%u VM%s no sketch yet: what they share is taken for their own.\n",
		       p->unsketched, p->unsketched == 1 ? " has" : "s have");
	if (p->keys.n > 1)
		printf("Hosts have %u likeness keys: VMs are compared within each only.\n",
		       p->keys.n);
	printf("%s: %u VMs on %u host%s have %.1f MiB%s\n\n", p->from, p->outcome.all.vms,
	       p->plan.nhosts, p->plan.nhosts == 1 ? "" : "s", mib(p->outcome.all.touched),
	       p->plan.generated ? " (made up)" : "");
	if (print_saved(p) || print_settings(p) || print_hosts(p) || print_needed(p) ||
	    print_fits(p))
		return say_error(CLI_FAILED, "out of memory");
	if (print_ways(p) || print_moves(p))
		return say_error(CLI_FAILED, "out of memory");
	print_placement(p);
	return CLI_OK;
}
