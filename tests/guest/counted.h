/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* counted: what the programs hold that the counters are tried on. */
#ifndef PSHARE_GUEST_COUNTED_H
#define PSHARE_GUEST_COUNTED_H

#define COUNTED_RAM (2ul << 20)
#define COUNTED_PAGES (COUNTED_RAM / 4096)

enum counted {
	STORE,	   /* maps the frames of the file on stdin, as shared pages do */
	EQUAL,	   /* frames of its own, the same in every VM, no two pages alike */
	OWN,	   /* like no other VM */
	ZERO_READ, /* the kernel's zero page */
	ZERO_WRITTEN,
	HALF_TWIN, /* like no other VM, each content twice */
};

#endif
