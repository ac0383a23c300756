/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Forks as the API shows and begins them (view.h). Whoever may change a VM may fork it: root, the
 * daemon's user, the VM's own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/image.h"
#include "daemon/member.h"
#include "daemon/view-vm.h"
#include "daemon/view.h"

#define FAMILY_LOOKS (1u << 18) /* places looked at for one answer */

static const char *state_of(const struct vm *vm)
{
	static const char *const names[] = {
		[IMAGE_ASKED] = "freezing",  [IMAGE_HOLDING] = "freezing",
		[IMAGE_COPYING] = "copying", [IMAGE_READY] = "ready",
		[IMAGE_FAILED] = "failed",   [IMAGE_DROPPING] = "none",
	};

	if (vm->image)
		return names[vm->image->state];
	return vm->publishing ? "publishing" : "none";
}

int view_fork(struct daemon *daemon, const char *name, struct view_fork *out)
{
	struct vm *vm = vm_by_name(daemon, name);
	const struct image *image = vm ? vm->image : NULL;
	struct ps_agent_stats stats;

	if (!vm)
		return -ENOENT;
	vm_stats(vm, &stats);
	*out = (struct view_fork){
		.state = state_of(vm),
		.running = !image || image->state > IMAGE_HOLDING,
		.size = vm->pages * PS_PAGE_SIZE,
		.grant = view_claim(vm, stats.grant),
		.zero = view_claim(vm, stats.zero),
		.quarantined = view_claim(vm, stats.quarantined),
		.out = view_claim(vm, stats.staged + stats.zipped + stats.swapped),
		.passes = stats.pass,
		.framed = vm->member ? vmmap_mapped(vm->member->map) * PS_PAGE_SIZE : 0,
	};
	if (!image)
		return 0;
	out->why = image->state == IMAGE_FAILED ? image->why : NULL;
	out->image = image->id;
	out->frames = image->frames;
	out->copied = image->copied;
	out->found = image->found;
	out->zeros = image->zeros;
	return 0;
}

static int refuse(struct view_reason *why, int error, const char *text)
{
	snprintf(why->text, sizeof(why->text), "%s", text);
	return error;
}

int view_fork_set(struct daemon *daemon, const char *name, const char *what,
		  const struct view_peer *peer, struct view_reason *why)
{
	struct vm *vm = vm_by_name(daemon, name);
	const char *text = "";
	int r = 0;

	if (!vm)
		return refuse(why, -ENOENT, "there is no such VM");
	if (peer->role < ROLE_OPERATE && peer->uid != vm->user->uid)
		return refuse(why, -EPERM, "a VM is forked by its owner, or by root");
	if (!strcmp(what, "publish")) {
		if (!vm->session || !vm->member || vm->member->state != MEMBER_ACTIVE)
			return refuse(why, -EBUSY, "it takes no part in sharing, see pshare show");
		image_publish(vm, true);
	} else if (!strcmp(what, "freeze")) {
		r = image_begin(vm, &text);
	} else if (!strncmp(what, "copy ", 5)) {
		if (!vm->image || atoi(what + 5) <= 0)
			return refuse(why, -EINVAL, "it has no image that PID could copy");
		r = image_copy_for(vm->image, atoi(what + 5));
		if (r == -ESRCH)
			return refuse(why, -ENOENT, "there is no process PID");
		text = "PID cannot be told from processes that come later";
	} else if (!strcmp(what, "drop")) {
		image_publish(vm, false);
		if (vm->image)
			image_drop(vm->image);
	} else {
		return refuse(why, -EINVAL, "what: publish, freeze, copy PID or drop");
	}
	return r < 0 ? refuse(why, r, text) : 0;
}

/* ---- with whom it shares ------------------------------------------------------------------ */

/* Pages that two members have from the same frames at the same place, of every step-th block. */
static uint64_t in_common(const struct member *m, const struct member *other, uint32_t step)
{
	struct vmmap_entry entry;
	uint64_t same = 0;

	for (uint32_t page = 0; vmmap_next(m->map, &page, &entry); page++) {
		uint32_t block = page / PS_BLOCK_PAGES;
		struct vmmap_entry its;

		if (block % step) {
			page = (block / step + 1) * step * PS_BLOCK_PAGES - 1;
			continue;
		}
		if (entry.state != VMMAP_MAPPED)
			continue;
		its = vmmap_get(other->map, page);
		same += its.state == VMMAP_MAPPED && its.frame == entry.frame;
	}
	return same * step;
}

/* By what is walked, not by what is found: notes of hints and empty places are walked too. */
static uint32_t step_for(const struct member *m)
{
	uint64_t looks = vmmap_bytes(m->map) / sizeof(uint32_t) * m->domain->members;

	return (uint32_t)(looks / FAMILY_LOOKS) + 1;
}

int view_family(struct daemon *daemon, const char *name,
		int (*each)(const char *other, uint64_t bytes, void *arg), void *arg)
{
	const struct vm *vm = vm_by_name(daemon, name);
	const struct member *m = vm ? vm->member : NULL;
	uint32_t step;
	int r = 0;

	if (!vm)
		return -ENOENT;
	if (!m)
		return 0;
	step = step_for(m);
	for (uint32_t i = 0; r == 0 && i < m->domain->nslots; i++) {
		const struct member *other = m->domain->slot[i];
		uint64_t pages;

		if (!other || other == m || !other->vm)
			continue;
		pages = in_common(m, other, step);
		if (pages)
			r = each(other->vm->name, pages * PS_PAGE_SIZE, arg);
	}
	return r;
}
