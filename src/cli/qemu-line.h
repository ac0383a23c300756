/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu-line: what a QEMU's command line has, as far as the balloon is concerned, and what is added
 * to it. Pure. */
#ifndef PSHARE_CLI_QEMU_LINE_H
#define PSHARE_CLI_QEMU_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define QEMU_PATH_MAX 108u /* of a unix socket, with its NUL */
#define QEMU_WORD_MAX 288u

struct qemu_line {
	bool qemu;		     /* its first word is a QEMU */
	bool balloon;		     /* it has a virtio-balloon */
	const char *device;	     /* the balloon that its machine takes */
	char monitor[QEMU_PATH_MAX]; /* socket of a QMP monitor that it has; "": none */
};

/* words: NULL terminated, the program first. */
void qemu_line_read(struct qemu_line *line, const char *const *words);

/* Adds a part to a comma-separated option of QEMU's, its commas doubled. -ENAMETOOLONG. */
int qemu_escape(char *to, size_t size, const char *part);

#endif
