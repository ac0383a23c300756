/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/run-forkable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/vm-folder.h"
#include "sys/launch.h"
#include "sys/process.h"

static void say_change(const char *what, void *arg)
{
	(void)arg;
	say_error(0, "forkable: %s", what);
}

static bool is_qemu(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;

	return !strncmp(name, "qemu-system-", 12) || !strcmp(name, "qemu-kvm") ||
	       !strcmp(name, "kvm");
}

static int make_folder(struct forkable *f, const struct args *args, const struct runtime *runtime)
{
	if (args->dry_run) {
		snprintf(f->folder, sizeof(f->folder), "%.3900s/vms/%s", runtime->dir, f->name);
		return 0;
	}
	return vm_folder_make(runtime, f->name, f->folder);
}

int forkable_apply(struct forkable *f, struct args *args, const struct runtime *runtime)
{
	char why[QEMU_WHY] = "";
	int r;

	*f = (struct forkable){.rams = 0};
	if (!args->forkable)
		return 0;
	if (!is_qemu(args->operands[0]))
		return say_error(
			CLI_USAGE,
			"--forkable: %s is no QEMU (qemu-system-...): of other VMMs nobody "
			"gets device state without memory",
			args->operands[0]);
	if (args->name)
		snprintf(f->name, sizeof(f->name), "%s", args->name);
	else
		snprintf(f->name, sizeof(f->name), "vm-%d", (int)sys_self_pid());
	args->name = f->name;
	r = make_folder(f, args, runtime);
	if (r)
		return r;
	if (qemu_words_copy(&f->words, (const char *const *)args->operands))
		return say_error(CLI_FAILED, "out of memory");
	r = qemu_make_forkable(&f->words, f->folder, &f->rams, say_change, NULL, why);
	if (r) {
		forkable_undo(f);
		return say_error(CLI_FAILED, "%s cannot be forked: %s", f->name,
				 r == -ENOMEM ? "out of memory" : why);
	}
	args->operands = f->words.word;
	return 0;
}

/* NULL: a word is no UTF-8, or no memory. */
static json_t *words_array(char *const *words)
{
	json_t *list = json_array();

	for (; list && *words; words++)
		if (json_array_append_new(list, json_string(*words))) {
			json_decref(list);
			list = NULL;
		}
	return list;
}

int forkable_record(struct forkable *f, const char *program, char *const *words)
{
	_cleanup_json_ json_t *record = NULL;
	char rams[PATH_MAX], cwd[PATH_MAX] = "/";
	int r;

	if (!f->words.word)
		return 0;
	(void)sys_current_folder(cwd, sizeof(cwd));
	r = vm_folder_rams(f->folder, f->rams, rams);
	if (r)
		return r;
	/* a command line that is no UTF-8 has no record */
	record = json_pack("{s:s, s:i, s:s, s:s, s:i, s:o}", "name", f->name, "pid",
			   (int)sys_self_pid(), "program", program, "cwd", cwd, "rams",
			   (int)f->rams, "argv", words_array(words));
	if (!record)
		return say_error(CLI_FAILED,
				 "--forkable: the command line is no UTF-8 text, and "
				 "children cannot be started by it; rename that file or "
				 "option");
	if (setenv(VM_FOLDER_ENV, f->folder, 1) || setenv("PSHARE_FORK_RAM", rams, 1))
		return say_error(CLI_FAILED, "out of memory");
	return vm_record_write(f->folder, record);
}

void forkable_undo(struct forkable *f)
{
	if (f->words.word)
		vm_folder_remove(f->folder);
}

void forkable_free(struct forkable *f)
{
	qemu_words_free(&f->words);
}
