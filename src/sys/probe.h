/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Experiments with the running kernel. What a version number promises is not asked. */
#ifndef PSHARE_SYS_PROBE_H
#define PSHARE_SYS_PROBE_H

enum sys_probe {
	SYS_PROBE_FINE,	   /* the kernel gives up with EBUSY, as it should */
	SYS_PROBE_LOOPS,   /* it loops for ever; only a fatal signal ended it */
	SYS_PROBE_UNKNOWN, /* the experiment could not be made */
};

/*
 * Does UFFDIO_MOVE of a part of a huge page with an extra reference loop in this kernel?
 * Forks, and waits until the child has ended, has had SYS_PROBE_CPU_MS of a CPU (on a busy host
 * much later), or SYS_PROBE_WAIT_MS are over: call it before the event loop runs and while
 * there is one thread. *why: a static line that says what was seen.
 */
enum sys_probe sys_probe_move_loops(const char **why);

#define SYS_PROBE_CPU_MS 200
#define SYS_PROBE_WAIT_MS 10000

#endif
