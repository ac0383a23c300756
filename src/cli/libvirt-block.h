/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt-block: lines of ours at the end of an administrator's file, and out of it again. Pure. */
#ifndef PSHARE_CLI_LIBVIRT_BLOCK_H
#define PSHARE_CLI_LIBVIRT_BLOCK_H

#include <stdbool.h>

/* What is there already. */
enum block_state {
	BLOCK_NONE,
	BLOCK_SAME,   /* with this body */
	BLOCK_OTHER,  /* with another body: of another version, or edited */
	BLOCK_BROKEN, /* a begin without an end, or more than one: nobody can tell what is ours */
};
enum block_state block_look(const char *text, const char *body);

/* text with the block, in place of one that is there. made: the file was not there before, so it
 * is to go with the block. 0 and *edited (to be freed), -EINVAL where it is broken, or -ENOMEM. */
int block_put(const char *text, const char *body, bool made, char **edited);

/* text as it was before block_put(). *made: the file is to be removed. The same errors; -ENOENT
 * where there is no block. */
int block_take(const char *text, char **edited, bool *made);

#endif
