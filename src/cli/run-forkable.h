/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run-forkable: what 'pshare run --forkable' does to QEMU's command line, and notes of it. */
#ifndef PSHARE_CLI_RUN_FORKABLE_H
#define PSHARE_CLI_RUN_FORKABLE_H

#include "cli/cli.h"
#include "cli/qemu-words.h"
#include "wire/wire.h"

struct forkable {
	struct qemu_words words; /* args->operands are these, once it is applied */
	char folder[PATH_MAX];
	char name[PS_NAME_MAX];
	unsigned int rams;
};

/* With --forkable: adds to the command line what it lacks, says what (on stderr), and makes the
 * VM's folder (but for --dry-run). args->operands and args->name are its words and its name then.
 * 0, or an exit code, said. */
int forkable_apply(struct forkable *f, struct args *args, const struct runtime *runtime);
/* Makes the RAM files, notes the final command line, sets the environment. Before the exec. */
int forkable_record(struct forkable *f, const char *program, char *const *words);
/* The VMM was not started after all. */
void forkable_undo(struct forkable *f);
#define _cleanup_forkable_ _cleanup_(forkable_free)
void forkable_free(struct forkable *f);

#endif
