/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VM's memory is in, as its agent draws it (wire.h): copied once, checked as a copy, shown
 * as what it claims. Who asks has it drawn anew every second for a while. No page is looked at
 * here: a picture has a few thousand cells, however large the VM is.
 */
#include "daemon/view.h"

#include <errno.h>

#include "daemon/session.h"
#include "daemon/vm.h"
#include "policy/picture.h"

#define WANTED_NS (10 * SEC)

int view_picture(struct daemon *daemon, const char *name, struct view_picture *out)
{
	struct vm *vm = vm_by_name(daemon, name);
	struct ps_picture *picture = &out->picture;

	if (!vm)
		return -ENOENT;
	out->cells = 0;
	out->age_ns = UINT64_MAX;
	if (!vm->session || !vm->session->draws)
		goto none;
	ring_picture(&vm->session->ring, daemon->now + WANTED_NS, picture);
	if (!picture_check(picture, &out->cells))
		goto none;
	if (picture->drawn_at && picture->drawn_at <= daemon->now)
		out->age_ns = daemon->now - picture->drawn_at;
	else if (picture->drawn_at)
		out->age_ns = 0;
	return 0;
none:
	picture->nregions = picture->cell_pages = out->cells = 0;
	return 0;
}
