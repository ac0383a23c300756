/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * text: a fleet from a text file ('pshare plan --simulate'). One thing a line, words with blanks
 * between, # begins a comment:
 *
 *	rule NAME VALUE
 *	host NAME memory=SIZE [state=here|away|maintenance|standby] [salting=0|1|2]
 *	vm NAME host=HOST size=SIZE [touched=SIZE] [zero=SIZE] [self=SIZE] [user=U] [salt=S]
 *	   [content=NAME:SIZE[,NAME:SIZE ...]]
 *	generate hosts=N vms=N [seed=N] [memory=SIZE]
 *
 * SIZE in MiB, or with K, M, G or T. touched is what the VM has, by default all of size; zero and
 * self are parts of it: pages of zeros, and what it saves by sharing with itself beside those. A
 * content is what it has in common with others (model.h). Names are UTF-8 without control
 * characters: they go to terminals and into JSON.
 */
#ifndef PSHARE_PLAN_TEXT_H
#define PSHARE_PLAN_TEXT_H

#include "plan/model.h"

/* text, of length bytes and a NUL, is taken apart where it is. 0; -EINVAL and a line in err, fit
 * for a terminal ("line 3: ..."); -ENOMEM. What is read is finished (plan_finish). */
int plan_read_text(struct plan *plan, char *text, size_t length, char err[PLAN_ERROR_MAX]);

#endif
