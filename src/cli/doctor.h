/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor: the examinations of cmd-doctor.c. */
#ifndef PSHARE_CLI_DOCTOR_H
#define PSHARE_CLI_DOCTOR_H

#include <sys/types.h>

#include "cli/cli.h"
#include "cli/finding.h"

/* Mappings that a host for sharing should allow a process: 1 GiB in single pages twice over. */
#define DOCTOR_MAP_COUNT 1048576u

void doctor_host(struct report *report, const struct args *args);

/* What guides for hardening want of this host (SECURITY.md). */
void doctor_hardening(struct report *report, const struct args *args);

/* The process of args->pid. 0, or an exit code, said: there is none, or it may not be looked at. */
int doctor_process(struct report *report, const struct args *args);

/* What a process was started with, as far as it can be read; NULL: not set, or not known. */
struct doctor_env {
	char *agent; /* of LD_PRELOAD */
	char *runtime_dir;
	char *salt_file;
};
void doctor_env_read(struct doctor_env *env, pid_t pid);
void doctor_env_free(struct doctor_env *env);
#define _cleanup_doctor_env_ _cleanup_(doctor_env_free)

/* May an agent in this process do its work? false: something is missing, and reported. */
bool doctor_rights(struct report *report, pid_t pid, const struct doctor_env *env);

#endif
