/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plan: what sharing saves, what each setting would cost, and whether the memory suffices, with
 * sharing and without. It only reads; what it says is worked out by src/plan.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/plan.h"
#include "plan/text.h"
#include "policy/plain.h"
#include "sys/path.h"
#include "sys/terminal.h"
#include "sys/vmproc.h"

#define TEXT_MAX (1ull << 30)
#define ADD_MAX 10000000u

static void progress(const char *what)
{
	if (term_is_terminal(2))
		fprintf(stderr, "\r\033[K%s ...", what);
}

static void progress_end(void)
{
	if (term_is_terminal(2))
		fprintf(stderr, "\r\033[K");
}

/* A pipe will do too. */
static int read_all(const char *path, char **text, size_t *length)
{
	_cleanup_close_ int fd = sys_open_read(path);
	int r = fd < 0 ? fd : sys_read_fd(fd, TEXT_MAX, text, length);

	return !r && *length == TEXT_MAX ? -EFBIG : r;
}

static int read_simulation(struct planned *p)
{
	const char *path = p->args->simulate;
	_cleanup_free_ char *text = NULL;
	char err[PLAN_ERROR_MAX];
	size_t length = 0;
	int r = read_all(path, &text, &length);

	if (r)
		return say_error(CLI_FAILED, "%s cannot be read: %s", path, strerror(-r));
	snprintf(p->from, sizeof(p->from), "%s", path);
	r = plan_read_text(&p->plan, text, length, err);
	if (r == -EINVAL)
		return say_error(CLI_FAILED, "%s: %s", path, err);
	return r ? say_error(CLI_FAILED, "out of memory") : 0;
}

/* Hosts that --maintenance names are in maintenance. One that is away stays so: it counts for
 * nothing already. */
static int set_maintenance(struct planned *p)
{
	const char *pattern = p->args->maintenance;
	bool any = false;

	for (uint32_t h = 0; pattern && h < p->plan.nhosts; h++) {
		if (fnmatch(pattern, plan_host_name(&p->plan, h), 0) != 0)
			continue;
		any = true;
		if (p->plan.hosts[h].state != PLAN_AWAY)
			p->plan.hosts[h].state = PLAN_MAINTENANCE;
	}
	if (pattern && !any)
		return say_error(CLI_FAILED, "--maintenance: no host is called '%.40s'", pattern);
	return 0;
}

static int check(const struct planned *p)
{
	uint32_t running = 0;

	for (uint32_t h = 0; h < p->plan.nhosts; h++)
		running += plan_runs(&p->plan.hosts[h]);
	if (p->args->fail >= running && p->args->fail)
		return say_error(CLI_FAILED, "--fail %u: none would be left of %u host%s",
				 p->args->fail, running, running == 1 ? "" : "s");
	return 0;
}

static int show(struct planned *p)
{
	int r = p->args->html ? plan_write_html(p, p->args->html) : 0;

	if (r)
		return r;
	if (p->args->json) {
		_cleanup_json_ json_t *whole = plan_json(p);

		return print_json(whole);
	}
	return plan_print(p);
}

static int run(struct planned *p)
{
	const struct args *args = p->args;
	struct plan_question question = {args->add, args->fail, progress};
	int r;

	if (plan_init(&p->plan))
		return say_error(CLI_FAILED, "out of memory");
	r = args->simulate ? read_simulation(p) : args->fleet ? plan_of_fleet(p) : plan_of_host(p);
	plain_text(p->from); /* a file's name may hold anything, and be cut in a character */
	if (!r)
		r = set_maintenance(p);
	if (!r)
		r = check(p);
	if (r)
		return r;
	r = plan_work_out(&p->plan, &question, &p->outcome);
	progress_end();
	return r ? say_error(CLI_FAILED, "out of memory") : show(p);
}

int cmd_plan(struct args *args)
{
	struct planned p = {.args = args};
	int r;

	if (args->fleet && args->simulate)
		return say_usage(args->command, "--fleet and --simulate exclude each other");
	r = run(&p);
	plan_outcome_free(&p.outcome);
	plan_names_free(&p.keys);
	free(p.measured.pages);
	plan_free(&p.plan);
	return r;
}
