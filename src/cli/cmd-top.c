/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * top: the memory screen of esxtop, for a terminal, or with -b as CSV.
 *
 * One loop: look at the daemon when it is time or a key asks for it, draw, wait for a key. The
 * daemon is asked by the API like everywhere; one that has gone is waited for, and what was seen
 * last stays until it is back. History is what this process has seen.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/screen.h"
#include "cli/top.h"
#include "sys/hostname.h"
#include "sys/launch.h"
#include "sys/proc.h"

#define DELAY_DEFAULT 5.0 /* as esxtop's */
#define NS_PER_MS 1000000ull
#define TRACES 256u /* VMs whose SHRDSVD is remembered */

struct top {
	struct client *client;
	struct top_state state;
	struct top_sample sample;
	struct top_history history;
	struct top_trace *trace; /* TRACES */
	size_t ntraces;
	json_t *picture; /* of the chosen VM, while it is looked at */
	struct top_grid grid;
	bool there;
};

static void top_free(struct top *top)
{
	top_sample_free(&top->sample);
	top_grid_free(&top->grid);
	json_decref(top->picture);
	free(top->trace);
	client_free(top->client);
}

/* ---- looking -------------------------------------------------------------------------------- */

static double clock_s(void)
{
	return (double)sys_now() / (1e3 * NS_PER_MS);
}

static struct top_trace *trace_of(struct top *top, const char *name)
{
	for (size_t i = 0; i < top->ntraces; i++)
		if (!strcmp(top->trace[i].name, name))
			return &top->trace[i];
	return NULL;
}

/* A VM that has gone gives its place to one that is new. */
static struct top_trace *trace_new(struct top *top, const char *name)
{
	struct top_trace *trace = NULL;

	if (top->ntraces < TRACES)
		trace = &top->trace[top->ntraces++];
	for (size_t i = 0; !trace && i < top->ntraces; i++) {
		bool here = false;

		for (size_t k = 0; k < top->sample.n && !here; k++)
			here = !strcmp(top->sample.vm[k].name, top->trace[i].name);
		if (!here)
			trace = &top->trace[i];
	}
	if (!trace)
		return NULL;
	*trace = (struct top_trace){0};
	memcpy(trace->name, name, sizeof(trace->name));
	return trace;
}

static void remember(struct top *top)
{
	unsigned int saved = top_field_find("SHRDSVD");
	double now = clock_s();

	top_history_add(&top->history, now, &top->sample.host);
	for (size_t i = 0; top->trace && i < top->sample.n; i++) {
		const struct top_vm *vm = &top->sample.vm[i];
		struct top_trace *trace = trace_of(top, vm->name);

		trace = trace ? trace : trace_new(top, vm->name);
		if (trace)
			top_history_note(&trace->history, now, vm->value[saved], 0, 0);
	}
}

static int look(struct top *top)
{
	_cleanup_json_ json_t *status = NULL, *vms = NULL;

	top->there = !client_try(top->client, &status, "/v1/status") &&
		     !client_try(top->client, &vms, "/v1/vms");
	if (!top->there)
		return CLI_OK;
	if (top_sample_read(&top->sample, status, vms))
		return say_error(CLI_FAILED, "out of memory");
	remember(top);
	return CLI_OK;
}

static void look_at_picture(struct top *top)
{
	char path[PS_NAME_MAX + 32];

	json_decref(top->picture);
	top->picture = NULL;
	if (top->state.screen != TOP_PICTURE || !top->sample.n || !top->there)
		return;
	/* a name has nothing that a path would have to escape (ps_name_check) */
	snprintf(path, sizeof(path), "/v1/vms/%s/picture",
		 top->sample.vm[top_chosen(&top->state, &top->sample)].name);
	(void)client_try(top->client, &top->picture, path);
}

/* ---- the screen ----------------------------------------------------------------------------- */

static void draw(struct top *top)
{
	struct top_scene scene = {
		.state = &top->state,
		.sample = &top->sample,
		.history = &top->history,
		.picture = top->picture,
		.there = top->there,
	};
	struct top_trace *trace;
	time_t now = sys_wall_time();

	(void)localtime_r(&now, &scene.clock);
	top_sort(&top->state, &top->sample);
	if (top->sample.n) {
		trace = trace_of(top, top->sample.vm[top_chosen(&top->state, &top->sample)].name);
		scene.trace = trace ? &trace->history : NULL;
	}
	top_draw(&top->grid, &scene);
	screen_show(&top->grid, top->state.redraw);
	top->state.redraw = false;
}

static int watch(struct top *top)
{
	uint64_t next = 0;
	int r = CLI_OK;

	while (!r && !top->state.quit) {
		uint64_t now = sys_now();
		uint32_t key;

		if (now >= next || top->state.refresh) {
			r = look(top);
			look_at_picture(top);
			now = sys_now();
			next = now + (uint64_t)(top->state.delay * 1000) * NS_PER_MS;
			top->state.refresh = false;
		}
		draw(top);
		if (!screen_key(&top->grid, (int)((next - now) / NS_PER_MS) + 1, &key))
			break;
		if (key)
			top_key(&top->state, key, &top->sample, top_list_rows(top->grid.rows));
		/* a delay that was set is that from the last look on */
		if (key == KEY_OF_ENTER)
			next = now + (uint64_t)(top->state.delay * 1000) * NS_PER_MS;
	}
	return r;
}

static int on_screen(struct top *top)
{
	int r;

	top->trace = calloc(TRACES, sizeof(*top->trace));
	if (!top->trace)
		return say_error(CLI_FAILED, "out of memory");
	r = screen_begin(&top->grid);
	if (r)
		return r;
	r = watch(top);
	screen_end();
	return r;
}

/* ---- batch ---------------------------------------------------------------------------------- */

static int write_lines(struct top *top, struct top_sample *begun, int lines)
{
	for (int n = 0; !lines || n < lines; n++) {
		time_t now;
		struct tm utc;
		int r;

		if (n)
			sys_sleep_ms((unsigned int)(top->state.delay * 1000));
		r = look(top);
		if (r)
			return r;
		if (!top->there)
			return say_error(CLI_FAILED, "top: the daemon does not answer any more");
		now = sys_wall_time();
		(void)gmtime_r(&now, &utc);
		top_csv_line(stdout, &utc, begun, &top->sample, &top->history);
		if (fflush(stdout))
			return say_error(CLI_FAILED, "cannot write to standard output");
	}
	return CLI_OK;
}

/* The columns are those of the VMs that are here when it begins, as esxtop has it. */
static int batch(struct top *top, const struct args *args)
{
	_cleanup_json_ json_t *status = NULL, *vms = NULL;
	struct top_sample begun = {0};
	char host[HOST_NAME_MAX + 1];
	int r = client_get(top->client, &status, "/v1/status", NULL, NULL);

	if (!r)
		r = client_get(top->client, &vms, "/v1/vms", NULL, NULL);
	if (r)
		return r;
	if (top_sample_read(&begun, status, vms))
		return say_error(CLI_FAILED, "out of memory");
	if (sys_host_name(host, sizeof(host)))
		strcpy(host, "localhost");
	top_csv_head(stdout, host, &begun);
	r = write_lines(top, &begun, args->iterations);
	top_sample_free(&begun);
	return r;
}

/* An object each time, with what the API says of the host and of the VMs. */
static int batch_json(struct top *top, const struct args *args)
{
	for (int n = 0; !args->iterations || n < args->iterations; n++) {
		_cleanup_json_ json_t *status = NULL, *vms = NULL, *both = NULL;
		int r;

		if (n)
			sys_sleep_ms((unsigned int)(top->state.delay * 1000));
		r = client_get(top->client, &status, "/v1/status", NULL, NULL);
		if (!r)
			r = client_get(top->client, &vms, "/v1/vms", NULL, NULL);
		if (r)
			return r;
		both = json_pack("{s:O, s:O}", "status", status, "vms",
				 json_object_get(vms, "vms"));
		if (!both)
			return say_error(CLI_FAILED, "out of memory");
		json_dumpf(both, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
		putchar('\n');
		if (fflush(stdout))
			return say_error(CLI_FAILED, "cannot write to standard output");
	}
	return CLI_OK;
}

int cmd_top(struct args *args)
{
	_cleanup_(top_free) struct top top = {0};
	int r;

	if ((args->iterations || args->json) && !args->batch)
		return say_usage(args->command, "--%s is for --batch alone",
				 args->json ? "json" : "iterations");
	r = client_open(&top.client, args);
	if (r)
		return r;
	top_state_init(&top.state, args->delay_s > 0 ? args->delay_s : DELAY_DEFAULT);
	if (args->batch)
		return args->json ? batch_json(&top, args) : batch(&top, args);
	return on_screen(&top);
}
