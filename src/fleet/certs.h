/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* certs: what is wrong with the certificates of a configuration, before they are used. */
#ifndef PSHARE_FLEET_CERTS_H
#define PSHARE_FLEET_CERTS_H

#include "fleet/config.h"

/* 0; or -errno and one line in err that says which file, and what is wrong with it. */
int fleet_certs_check(const struct fleet_config *config, char err[FLEET_ERROR_MAX]);

#endif
