/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* birth: how far memory of a VM has come that begins as an image of another's (image.h). */
#ifndef PSHARE_DAEMON_BIRTH_H
#define PSHARE_DAEMON_BIRTH_H

#include <stdbool.h>
#include <stdint.h>

/* A child's RAM file that is to begin as an image: its references are taken in slices. */
enum vm_birth_state {
	VM_BIRTH_NONE,
	VM_BIRTH_ASKING,
	VM_BIRTH_TAKING,
	VM_BIRTH_SAY,
	VM_BIRTH_SAID,
	VM_BIRTH_BORN
};
struct vm_birth {
	enum vm_birth_state state;
	uint64_t image;
	uint32_t page, npages; /* of the child */
	uint32_t offset;       /* in the image */
	uint32_t next;
	int error;	/* positive errno */
	bool copies;	/* into another domain: the pages themselves */
	int pages;	/* memfd of them, while copies */
	uint64_t until; /* ns: ASKING: then it may not */
};

#endif
