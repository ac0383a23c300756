/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qmp-option: run's --qmp and --balloon: which monitor of a QEMU the daemon may use, and what is
 * added to its command line. */
#ifndef PSHARE_CLI_QMP_OPTION_H
#define PSHARE_CLI_QMP_OPTION_H

#include "cli/cli.h"
#include "cli/qemu-line.h"

struct qmp_option {
	char path[QEMU_PATH_MAX]; /* of the monitor's socket, from the root; "": none */
	char **words;		  /* the command with what was added; the words are not its own */
	char device[QEMU_WORD_MAX], monitor[QEMU_WORD_MAX]; /* what was added; "": nothing */
};

/* Looks at the command of args and makes the one that is run; says what is added. Nothing is made
 * on disk where args->dry_run. 0, or an exit code, said. */
int qmp_option_apply(struct qmp_option *option, const struct args *args,
		     const struct runtime *runtime);
void qmp_option_free(struct qmp_option *option);
#define _cleanup_qmp_option_ _cleanup_(qmp_option_free)
#endif
