/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hunt: where in this process is a page frame? That is how a test plays the device that holds a
 * plain reference to a page taken out: it finds the same frame elsewhere and writes there.
 */
#ifndef PSHARE_TEST_HUNT_H
#define PSHARE_TEST_HUNT_H

#include "pmap.h"

/* The address at which this process maps the frame, privately and writable; NULL if it does not.
 * Looks at present pages only, so address space that is merely reserved costs nothing. */
uint8_t *hunt_pfn(uint64_t pfn);
uint64_t hunt_pfn_at(const void *addr);

#endif
