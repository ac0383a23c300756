/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* loopback: addresses of the host itself, as an option has them and as a browser says them. */
#ifndef PSHARE_POLICY_LOOPBACK_H
#define PSHARE_POLICY_LOOPBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/error.h"

struct loopback {
	bool six;	 /* ::1; else: */
	uint8_t four[4]; /* 127.x.y.z */
	uint16_t port;	 /* 0: any that is free */
};

/* "PORT", "127.0.0.1:PORT", "localhost:PORT", "[::1]:PORT". 0, or -EINVAL and a line: any other
 * address is one that others could reach. */
int loopback_parse(const char *text, struct loopback *out, char err[POLICY_ERROR_MAX]);

/* Does a Host header name the host itself, with a port or without? NULL: there was none. A page of
 * somebody else's whose name he has resolve to 127.0.0.1 says its own name there. */
bool loopback_host(const char *host);

#endif
