/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* weakness: what a file of /sys/devices/system/cpu/vulnerabilities says. Pure. */
#ifndef PSHARE_CLI_WEAKNESS_H
#define PSHARE_CLI_WEAKNESS_H

enum weakness {
	WEAKNESS_NONE,	  /* not affected, or mitigated */
	WEAKNESS_UNKNOWN, /* the kernel does not know, or says what we do not know */
	WEAKNESS_SMT,	  /* mitigated, but not between the threads of a core */
	WEAKNESS_OPEN,	  /* some part of it is not mitigated */
};

/* The worst that a text says; it may end with a newline. */
enum weakness weakness_judge(const char *text);

#endif
