/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_SYS_WAIT_H
#define PSHARE_SYS_WAIT_H

#define SYS_WAIT_MAX 8u

/* Waits until one of n (<= SYS_WAIT_MAX) descriptors is readable (or at its end); negative ones
 * are skipped. timeout_us < 0: for ever. *ready gets a bit for each. A signal or the time-out is
 * 0 with no bit. 0 or -errno. */
int sys_wait_readable(const int *fds, unsigned int n, long timeout_us, unsigned int *ready);

#endif
