/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm: starts a program as `pshare run` would: the agent preloaded, name and runtime folder in the
 * environment, the salt in an inherited sealed memfd. The tests do it by hand so that they can do
 * it wrong as well.
 */
#ifndef PSHARE_TEST_VM_H
#define PSHARE_TEST_VM_H

#include "api.h"

struct t_vm_opts {
	const char *name;
	const char *salt;   /* NULL: none. "": the empty salt */
	uid_t uid;	    /* 0: as the test. Else the VM keeps CAP_SYS_PTRACE, for userfaultfd */
	bool bare;	    /* no agent */
	bool no_share;	    /* PSHARE_NO_SHARE=1 */
	const char *unsafe; /* PSHARE_TEST_UNSAFE: the defence to take out (inject builds) */
	const char *const *env; /* more NAME=VALUE, NULL terminated */
	int stderr_fd;		/* where its stderr goes; 0: to ours */
	int keep_fd;		/* a descriptor that the program inherits; 0: none */
};

/* fork + exec of argv[0] (a path). The child dies with the test. */
pid_t t_vm_spawn(const struct t_daemon *d, const struct t_vm_opts *opts, char *const argv[]);

#endif
