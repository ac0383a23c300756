/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The userfaultfds, and a VMM that closes them. */
#ifndef PSHARE_AGENT_HELDFDS_H
#define PSHARE_AGENT_HELDFDS_H

#include <stdbool.h>

struct agent;

/* Holds the files of both, once they are open. */
void heldfds_begin(struct agent *a);
/* One of them cannot be read: it was closed. Stops the VMM, lets the files go, or does nothing yet;
 * to be called again as long as it is so. For the settler and a reader, who hold no lock. Returns
 * true when the files are gone: nothing will ever be read from them. */
bool heldfds_lost(struct agent *a);

#endif
