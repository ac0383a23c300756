/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* verify: frames are read again, a few a second, and compared with the hash they were made with. */
#ifndef PSHARE_DAEMON_VERIFY_H
#define PSHARE_DAEMON_VERIFY_H

struct daemon;

/* The slice that is due, of Mem.ShareVerifyRate. */
void verify_tick(struct daemon *d);

#endif
