/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * doctor: what is lacking for sharing, each with the command that mends it. Everything is tried or
 * read, nothing is inferred from a version; nothing is changed.
 */
#include "cli/doctor.h"

int cmd_doctor(struct args *args)
{
	struct report report;
	int r;

	if (args->pid && args->hardening)
		return say_usage(args->command, "--pid and --hardening exclude each other");
	if (report_init(&report))
		return say_error(CLI_FAILED, "out of memory");
	r = args->pid ? doctor_process(&report, args) : 0;
	if (args->hardening)
		doctor_hardening(&report, args);
	else if (!args->pid)
		doctor_host(&report, args);
	if (!r)
		r = report_print(&report, args->json);
	report_free(&report);
	return r;
}
