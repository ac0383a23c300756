/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_WORKER_H
#define PSHARE_AGENT_WORKER_H

/* The worker's life; arg is the struct agent. Never returns while the process lives. */
void *worker_main(void *arg);
/* The same where nothing can be shared: tells each daemon that comes why (a->cause). */
void *worker_tell_why(void *arg);
/* The settler's. */
void *settler_main(void *arg);

#endif
