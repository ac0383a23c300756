/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_SAY_H
#define PSHARE_AGENT_SAY_H

struct agent;

/* One line on the VMM's stderr, at most once for each text; error: a positive errno, or 0. No
 * stdio, no allocation: any thread may say something at any time. */
void agent_say(const char *what, int error);
/* Something went wrong that nobody expected: says so, and nothing is taken out any more. What is
 * shared stays so, faults are settled as ever. */
void agent_give_up(struct agent *a, const char *what, int error);
/* The VMM's memory cannot be made right: says why, and ends the process with SIGABRT before it
 * reads a wrong byte. */
_Noreturn void agent_stop(const char *why);

#endif
