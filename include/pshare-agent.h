/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pshare-agent: for a VMM that links libpshare-agent instead of having it preloaded.
 *
 * Preloaded, nothing of this is needed: memory marked with madvise(MADV_MERGEABLE) is opted in. A
 * VMM that links the library may say the same with these two calls, and gets errors back.
 *
 * Thread-safe. No call may be made from a signal handler.
 */
#ifndef PSHARE_AGENT_H
#define PSHARE_AGENT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The range may be shared: private anonymous memory, readable and writable, whole pages, at least
 * 2 MiB. Takes effect when a daemon is there, now or later; until then it costs nothing.
 * Returns 0; -EINVAL: addr is not on a page boundary. */
int pshare_offer(void *addr, size_t len);

/* The range may not be shared any more. Returns when none of it is, always 0. To be called before
 * the memory is used in a way that the library cannot see, such as a system call made by number. */
int pshare_withdraw(void *addr, size_t len);

/* The version of the library, as "0.1.0". */
const char *pshare_agent_version(void);

#ifdef __cplusplus
}
#endif

#endif
