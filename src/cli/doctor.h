/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor: the two examinations of cmd-doctor.c. */
#ifndef PSHARE_CLI_DOCTOR_H
#define PSHARE_CLI_DOCTOR_H

#include "cli/cli.h"
#include "cli/finding.h"

/* Mappings that a host for sharing should allow a process: 1 GiB in single pages twice over. */
#define DOCTOR_MAP_COUNT 1048576u

void doctor_host(struct report *report, const struct args *args);

/* The process of args->pid. 0, or an exit code, said: there is none, or it may not be looked at. */
int doctor_process(struct report *report, const struct args *args);

#endif
