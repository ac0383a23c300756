/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * child: a copy of the VMM is made, by whatever call, and sees the memory that the VMM has.
 */
#ifndef PSHARE_AGENT_CHILD_H
#define PSHARE_AGENT_CHILD_H

#include <stdbool.h>

struct agent;

/* Once: fork() is followed from now on. */
void child_init(void);
/* Around a call that makes a child with memory of its own; _before takes both locks. */
void child_before(struct agent *a);
void child_in_parent(struct agent *a);
/* shares_files: the child's descriptors are the parent's too (CLONE_FILES). */
void child_in_child(struct agent *a, bool shares_files);

#endif
