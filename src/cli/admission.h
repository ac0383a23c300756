/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_CLI_ADMISSION_H
#define PSHARE_CLI_ADMISSION_H

#include "cli/cli.h"

/* Asks the fleet, if this host is in one, whether the VM of this command line may start. 0: it may,
 * or nobody says it may not (then a warning is printed, if there is anything to say); else an exit
 * code, said. */
int admission_ask(const struct args *args, const struct runtime *runtime);

#endif
