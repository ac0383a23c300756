/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stream: a stream socket, piece by piece. No call of theirs blocks. 0 or -errno. */
#ifndef PSHARE_SYS_STREAM_H
#define PSHARE_SYS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is there, at most len bytes; *got 0: the peer has closed. Descriptors that come along are
 * closed by the kernel. -EAGAIN: nothing there. */
int sys_stream_receive(int sock, void *buf, size_t len, size_t *got);

/* Sends as much as the socket takes; *sent is at least 1. pass (-1: none): a descriptor that goes
 * with the first byte, and stays the caller's. Never raises SIGPIPE. -EAGAIN: it takes nothing. */
int sys_stream_send(int sock, const void *buf, size_t len, int pass, size_t *sent);

/* Waits until sock takes bytes (writing) or has some, or its peer has closed. -ETIMEDOUT. */
int sys_stream_wait(int sock, bool writing, uint64_t ns);

/* Two sockets that talk with each other in whole messages; non-blocking. */
int sys_message_pair(int pair[2]);

#endif
