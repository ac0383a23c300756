/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * frame: finds where one JSON object of a stream ends, and refuses what could cost much to parse.
 * Pure.
 */
#ifndef PSHARE_QMP_FRAME_H
#define PSHARE_QMP_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#define QMP_DEPTH_MAX 24u /* QEMU's answers are nested to 8 or so */

struct frame {
	unsigned int depth;
	bool in_string, escaped;
};

/* Goes on over len bytes. *used: how many of them belong to this object, or to the space before it.
 * 1: it is whole, at *used; 0: more is needed; -EPROTO: what is there is no object; -E2BIG: it is
 * nested deeper than QMP_DEPTH_MAX. A frame begins as zeros, and is zeros again after 1. */
int frame_scan(struct frame *frame, const char *bytes, size_t len, size_t *used);

#endif
