/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* policyfile: the file of --policy. */
#ifndef PSHARE_DAEMON_POLICYFILE_H
#define PSHARE_DAEMON_POLICYFILE_H

#include "daemon/daemon.h"

#define POLICYFILE_WHY_MAX 512u

/* Reads the file again, if there is one. 0; or -errno and a line in why, and the policy stays what
 * it was. */
int policyfile_load(struct daemon *d, char why[POLICYFILE_WHY_MAX]);
/* Judges the salts anew, and moves whom it concerns. */
void policyfile_apply(struct daemon *d);

#endif
