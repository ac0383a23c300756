/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork: clones of a running VM. The order, and what is undone when a step fails:
 *
 *	open, check	nothing
 *	publish		the daemon publishes no more
 *	freeze		the parent runs on, writes to the disks that it had
 *	children	they are ended, and all that they had is removed; then the same
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fork.h"
#include "cli/format.h"
#include "sys/launch.h"
#include "sys/proc.h"
#include "sys/terminal.h"

static double ms_of(uint64_t ns)
{
	return (double)ns / 1e6;
}

static uint64_t memory_now(struct fork *f, const struct child *c)
{
	_cleanup_json_ json_t *vm = NULL;

	return client_look(f->client, &vm, "/v1/vms/%s", c->name) ? 0 : ask_number(vm, "private");
}

static json_t *child_object(struct fork *f, struct child *c)
{
	json_t *object = child_note(c);

	json_object_set_new(object, "born_s", json_real((double)(c->born - c->began) / 1e9));
	json_object_set_new(object, "loaded_s", json_real((double)(c->loaded - c->began) / 1e9));
	json_object_set_new(object, "running_s", json_real((double)(c->running - c->began) / 1e9));
	json_object_set_new(object, "memory_first", json_integer((json_int_t)c->memory_first));
	json_object_set_new(object, "memory_now", json_integer((json_int_t)memory_now(f, c)));
	if (*c->uuid)
		json_object_set_new(object, "uuid", json_string(c->uuid));
	json_object_set(object, "changed", c->changed);
	json_object_set(object, "guest", c->guest);
	return object;
}

static int print_fork_json(struct fork *f)
{
	_cleanup_json_ json_t *object = NULL;
	json_t *children = json_array();

	for (unsigned int i = 0; i < f->nchildren; i++)
		json_array_append_new(children, child_object(f, &f->child[i]));
	object = json_pack("{s:s, s:I, s:b, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:b, s:o}", "parent",
			   f->parent, "image", (json_int_t)f->image, "template",
			   f->args->template || f->was_template, "publish_s",
			   (double)f->publish_ns / 1e9, "pause_s", (double)f->pause_ns / 1e9,
			   "pause_disks_s", (double)f->disks_ns / 1e9, "pause_state_s",
			   (double)f->state_ns / 1e9, "pause_image_s", (double)f->image_ns / 1e9,
			   "pages_frames", (json_int_t)f->pages_frames, "pages_copied",
			   (json_int_t)f->pages_copied, "copies", f->salt.bytes != NULL, "children",
			   children);
	return object ? print_json(object) : say_error(CLI_FAILED, "out of memory");
}

/* What the guests could not do, once each. */
static void print_notes(const struct fork *f)
{
	const json_t *line, *said;
	const char *key;
	size_t i;

	for (unsigned int k = 0; k < f->nchildren; k++) {
		json_object_foreach(f->child[k].guest, key, said) if (!json_is_true(said))
			printf("%s: %s: %s\n", f->child[k].name, key, json_string_value(said));
	}
	if (f->nchildren)
		json_array_foreach(f->child[0].changed, i, line)
			printf("%s: %s\n", f->child[0].name, json_string_value(line));
}

static int print_fork(struct fork *f)
{
	static const struct column columns[] = {{"CHILD", false},     {"PID", true},
						{"RUNNING ms", true}, {"FIRST MiB", true},
						{"NOW MiB", true},    {"FOLDER", false}};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));

	if (!table)
		return say_error(CLI_FAILED, "out of memory");
	if (f->was_template)
		printf("%s is a template: no pause\n\n", f->parent);
	else
		printf("%s stood still for %.1f ms%s; %.1f s before that its memory became frames: "
		       "%llu pages, and %llu copied in the pause\n\n",
		       f->parent, ms_of(f->pause_ns),
		       f->args->template ? ", and stays so, as a template" : "",
		       (double)f->publish_ns / 1e9, (unsigned long long)f->pages_frames,
		       (unsigned long long)f->pages_copied);
	if (f->salt.bytes)
		printf("Another salt: each child has a copy of all of it (NOW), and shares nothing with %s\n\n",
		       f->parent);
	for (unsigned int i = 0; i < f->nchildren; i++) {
		struct child *c = &f->child[i];

		if (table_row(table))
			break;
		table_text(table, 0, "%s", c->name);
		table_text(table, 1, "%d", (int)c->pid);
		table_text(table, 2, "%.1f", ms_of(c->running - c->began));
		table_size(table, 3, c->memory_first, false);
		table_size(table, 4, memory_now(f, c), false);
		table_text(table, 5, "%s", c->folder);
	}
	table_print(table, stdout);
	table_free(table);
	print_notes(f);
	return CLI_OK;
}

static void free_children(struct fork *f)
{
	for (unsigned int i = 0; f->child && i < f->nchildren; i++) {
		struct child *c = &f->child[i];

		for (size_t k = 0; c->deltas && c->deltas[k]; k++)
			free(c->deltas[k]);
		free(c->deltas);
		qemu_words_free(&c->words);
		qmp_free(c->qmp);
		json_decref(c->changed);
		json_decref(c->guest);
	}
}

static int undo(struct fork *f)
{
	int r = fork_undo(f);

	if (!r && f->args->json)
		printf("{\"parent\": \"%s\", \"undone\": true}\n", f->parent);
	else if (!r)
		printf("%s is as it was before\n", f->parent);
	return r;
}

static int do_fork(struct fork *f)
{
	int r = fork_publish(f);

	if (!r)
		r = fork_freeze(f);
	if (!r)
		r = fork_children(f);
	if (!r)
		r = fork_close(f);
	fork_progress(f, NULL);
	if (r) {
		fork_undo_children(f);
		fork_undo_parent(f);
	}
	return r;
}

static int check_args(const struct args *args)
{
	if (args->count && args->name)
		return say_usage(args->command, "--name is for one child, --count for several");
	if (args->undo && (args->count || args->name || args->template || args->no_start ||
			   args->disk_dir || args->personality))
		return say_usage(args->command, "--undo goes with --json alone");
	return 0;
}

/* QEMU is told the paths of deltas, and has a working folder of its own. */
static int find_disk_dir(struct args *args, char whole[PATH_MAX])
{
	char inside[PATH_MAX];
	int r = 0;

	/* "/." is in folders only: what is none is told here */
	if (args->disk_dir)
		r = snprintf(inside, sizeof(inside), "%s/.", args->disk_dir) < PATH_MAX ?
			    sys_whole_path(inside, whole, PATH_MAX) :
			    -ENAMETOOLONG;
	if (r)
		return say_error(CLI_FAILED, "--disk-dir %s: %s: give a folder that is there",
				 args->disk_dir, strerror(-r));
	if (args->disk_dir)
		args->disk_dir = whole;
	return 0;
}

int cmd_fork(struct args *args)
{
	static char disk_dir[PATH_MAX];
	struct fork f;
	int r = check_args(args);

	if (!r)
		r = find_disk_dir(args, disk_dir);
	if (r)
		return r;
	r = fork_open(&f, args);
	if (!r)
		r = args->undo ? undo(&f) : do_fork(&f);
	if (!r && !args->undo)
		r = args->json ? print_fork_json(&f) : print_fork(&f);
	free_children(&f);
	fork_free(&f);
	return r;
}
