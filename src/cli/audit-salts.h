/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit-salts: who has a salt open. */
#ifndef PSHARE_CLI_AUDIT_SALTS_H
#define PSHARE_CLI_AUDIT_SALTS_H

#include "cli/audit.h"
#include "cli/salt-files.h"

/* Says who has a salt's memfd, or one of these files, and should not; *found grows by their number.
 * 0 or -errno. */
int audit_salts(struct audit *audit, const struct salt_files *files, unsigned int *found);

#endif
