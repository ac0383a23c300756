/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The userfaultfds, and a VMM that closes them. */
#ifndef PSHARE_AGENT_HELDFDS_H
#define PSHARE_AGENT_HELDFDS_H

struct agent;

/* Holds the files of both, once they are open. */
void heldfds_begin(struct agent *a);
/* One of them could not be read (-errno). Where it was closed this stops the VMM, lets the files
 * go, or does nothing yet; to be called again as long as it is so. For the settler and a reader,
 * who hold no lock. Returns for how many us there will be nothing to read. */
long heldfds_failed(struct agent *a, int err);

#endif
