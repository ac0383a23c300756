/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* program: can a library be preloaded into it? Told from the first bytes of its file. Pure. */
#ifndef PSHARE_CLI_PROGRAM_H
#define PSHARE_CLI_PROGRAM_H

#include <stddef.h>

enum program_kind {
	PROGRAM_DYNAMIC, /* the loader reads LD_PRELOAD */
	PROGRAM_STATIC,	 /* nobody reads it */
	PROGRAM_FOREIGN, /* of another architecture or word size than ours */
	PROGRAM_SCRIPT,	 /* "#!": its interpreter decides */
	PROGRAM_UNKNOWN, /* no ELF, or its headers are cut or lie beyond head */
};

enum program_kind program_kind(const unsigned char *head, size_t length);

/* The interpreter of a script into path (size bytes); 0 or -EINVAL. */
int program_interpreter(const unsigned char *head, size_t length, char *path, size_t size);

#endif
