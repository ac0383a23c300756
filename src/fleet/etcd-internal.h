/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What etcd.c and etcd-watch.c share. */
#ifndef PSHARE_FLEET_ETCD_INTERNAL_H
#define PSHARE_FLEET_ETCD_INTERNAL_H

#include "fleet/etcd.h"

struct etcd {
	struct http *http;
	const struct fleet_config *config;
	struct http_tls tls;
	unsigned int member;				    /* index of the endpoint in use */
	signed char lacks_client_auth[FLEET_ENDPOINTS_MAX]; /* of http_answer, once known: else 0 */
	char *token;
	struct http_request *login; /* under way */
	struct etcd_op *ops;
};

/* What an HTTP answer means. 0; or -errno and a line in err. */
int etcd_error(struct etcd *etcd, const struct http_answer *answer, char err[FLEET_ERROR_MAX]);
/* Fills url, tls and token of a call to path at the member in use. url: room for the text. */
void etcd_address(const struct etcd *etcd, const char *path, struct http_call *call, char url[512]);
/* Can it be asked at once, or must a token come first? */
bool etcd_is_ready(const struct etcd *etcd);

#endif
