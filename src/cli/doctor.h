/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor: the two examinations of cmd-doctor.c. */
#ifndef PSHARE_CLI_DOCTOR_H
#define PSHARE_CLI_DOCTOR_H

#include <stdint.h>
#include <sys/types.h>

#include "cli/cli.h"
#include "cli/finding.h"

/* Mappings that a host for sharing should allow a process: 1 GiB in single pages twice over. */
#define DOCTOR_MAP_COUNT 1048576u

void doctor_host(struct report *report, const struct args *args);

/* 0, or an exit code, said: there is no such process, or it may not be looked at. */
int doctor_process(struct report *report, pid_t pid);

#endif
