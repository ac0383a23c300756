/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config: a host's, or an administrator's, place in a fleet: one file, NAME = VALUE a line. */
#ifndef PSHARE_FLEET_CONFIG_H
#define PSHARE_FLEET_CONFIG_H

#include <stdint.h>

#include "fleet/fail.h"
#include "fleet/keys.h"
#include "policy/error.h"
#include "sys/cleanup.h"

#define FLEET_CONFIG_PATH "/etc/pshare/fleet.conf"
#define FLEET_ENDPOINTS_MAX 16u

struct fleet_config {
	char *text; /* the file; the strings below are its parts, or of a static lifetime */
	const char *path;
	const char *fleet; /* default: "default" */
	const char *host;  /* of this host in the fleet; default: its host name */
	const char *endpoints[FLEET_ENDPOINTS_MAX];
	unsigned int nendpoints;
	const char *ca, *certificate, *key;
	const char *user; /* of etcd; NULL: without authentication */
	char *password;	  /* of password-file */
	const char *password_file;
	uint32_t ttl_s;	   /* lease-seconds, default 30 */
	uint32_t report_s; /* report-seconds, default 60 */
	char own_name[FLEET_NAME_MAX];
};

/* path NULL: $PSHARE_FLEET_CONFIG, else FLEET_CONFIG_PATH. 0, or -errno and one line in err;
 * -ENOENT: there is no such file. */
int fleet_config_read(struct fleet_config *config, const char *path, char err[FLEET_ERROR_MAX]);
/* The same of a text, which is taken apart; passwords are not read. */
int fleet_config_parse(struct fleet_config *config, char *text, char err[FLEET_ERROR_MAX]);
void fleet_config_free(struct fleet_config *config);
#define _cleanup_fleet_config_ _cleanup_(fleet_config_free)

#endif
