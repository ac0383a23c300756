/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guest-channel: asks the helper in a guest (contrib/guest/pshare-guest) for something. */
#ifndef PSHARE_CLI_GUEST_CHANNEL_H
#define PSHARE_CLI_GUEST_CHANNEL_H

#include <stddef.h>

#define GUEST_WHY 256u

struct guest_channel {
	int sock; /* -1: closed */
	unsigned int tag;
	size_t length;
	char text[4096];
};

/* Connects to the socket. 0 or -errno. */
int guest_open(struct guest_channel *g, const char *path);
void guest_close(struct guest_channel *g);
/* One line (without its tag), and its answer within ms. 0: done; -EREMOTEIO: the guest could not,
 * and why (GUEST_WHY bytes) has its text, fit to print; -ETIMEDOUT: it says nothing; else -errno:
 * the channel is of no use any more. */
int guest_ask(struct guest_channel *g, const char *line, unsigned int ms, char *why);

#endif
