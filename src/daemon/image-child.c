/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image-child: a VM is born of an image.
 *
 * A child is a VM of the same domain. When its untouched RAM has been announced it asks for the
 * image (CHILD); each of its pages with a frame gets a reference on the child's own books, in
 * slices, then it is told to map them. From there on the child needs no image: the parent, the
 * image, every sibling may go.
 *
 * Into another domain nothing is shared: its frames are another store's. If whoever forks says so,
 * of that very process (image_copy_for()), a child there gets a copy of the pages, by a memfd, and
 * has all of its memory for itself. Nobody else can have what is in an image.
 *
 * The session of a child that lies ends. It has no reference that is not on its books, so nobody
 * else is touched.
 */
#include <errno.h>
#include <string.h>

#include "daemon/balloon.h"
#include "daemon/image.h"
#include "daemon/member.h"
#include "daemon/session.h"
#include "daemon/vm-region.h"
#include "daemon/vm.h"
#include "sys/cleanup.h"
#include "sys/events.h"
#include "sys/memfd.h"
#include "sys/process.h"
#include "sys/unsafe.h"

#define ASKING_NS (5 * SEC) /* a child of another domain waits so long for the word that it may */
#define COPY_NS (60 * SEC)  /* and the word holds for so long */

static struct vm_birth *birth_of(struct vm *vm, const struct ps_msg_child *msg, const char **why)
{
	*why = "there is no RAM file of that number";
	return msg->ram < PS_FORK_RAMS_MAX ? &vm->birth[msg->ram] : NULL;
}

static void forbid_copy(struct image_copy *copy)
{
	if (copy->pid)
		close_fd(&copy->pidfd);
	copy->pid = 0;
}

int image_copy_for(struct image *image, pid_t pid)
{
	struct image_copy *copy = &image->copy_for[image->ncopy_for % IMAGE_COPIES];
	int fd = sys_pidfd_open(pid);

	if (fd < 0)
		return fd;
	forbid_copy(copy);
	*copy = (struct image_copy){pid, fd, image->daemon->now + COPY_NS};
	image->ncopy_for++;
	daemon_wake_at(image->daemon, copy->until);
	return 0;
}

void image_copies_expire(struct image *image, uint64_t by)
{
	for (uint32_t i = 0; i < IMAGE_COPIES && i < image->ncopy_for; i++) {
		struct image_copy *copy = &image->copy_for[i];

		if (copy->pid && copy->until <= by)
			forbid_copy(copy);
		else if (copy->pid)
			daemon_wake_at(image->daemon, copy->until);
	}
}

/* A process that has not ended has its number for itself. */
static bool may_copy(const struct image *image, const struct vm *vm)
{
	for (uint32_t i = 0; i < IMAGE_COPIES; i++) {
		const struct image_copy *copy = &image->copy_for[i];

		if (copy->pid && copy->pid == vm->pid && copy->until > vm->daemon->now &&
		    sys_readable(copy->pidfd) == 0)
			return true;
	}
	return false;
}

static void say_birth(struct vm *vm, struct vm_birth *birth, int error)
{
	birth->error = error;
	birth->state = VM_BIRTH_SAY;
	if (!vm->session)
		return;
	vm->session->say_image = true;
	session_mark(vm->session);
}

/* Is that image for this VM? 0, or a positive errno. */
static int child_error(const struct vm *vm, const struct image *image,
		       const struct ps_msg_child *msg)
{
	if (!image || image->state != IMAGE_READY)
		return ENOENT;
	if (!vm->member || vm->member->state != MEMBER_ACTIVE)
		return EXDEV;
	if (msg->ram >= image->rams || msg->npages != image->npages[msg->ram])
		return EMSGSIZE;
	return 0;
}

int image_child(struct vm *vm, const struct ps_msg_child *msg, const char **why)
{
	struct image *image = image_find(vm->daemon, msg->id);
	struct vm_birth *birth = birth_of(vm, msg, why);
	int error;

	if (!birth)
		return -EPROTO;
	*why = "CHILD: that memory was not announced, or not for the first time";
	if (!vm_has_pages(vm, msg->page, msg->npages) || birth->state != VM_BIRTH_NONE)
		return -EPROTO;
	*birth = (struct vm_birth){
		.pages = -1,
		.state = VM_BIRTH_TAKING,
		.image = msg->id,
		.page = msg->page,
		.npages = msg->npages,
	};
	error = child_error(vm, image, msg);
	if (error) {
		say_birth(vm, birth, error);
		return 0;
	}
	for (uint32_t i = 0; i < msg->ram; i++)
		birth->offset += image->npages[i];
	if (vm->member->domain != image->domain) {
		birth->state = VM_BIRTH_ASKING;
		birth->until = vm->daemon->now + ASKING_NS;
		daemon_wake_at(vm->daemon, birth->until);
	}
	memcpy(vm->parent, image->parent_name, sizeof(vm->parent));
	vm->parent_image = image->id;
	balloon_inherit(vm, &image->balloon);
	return 0;
}

int image_born(struct vm *vm, const struct ps_msg_child *msg, const char **why)
{
	struct vm_birth *birth = birth_of(vm, msg, why);

	if (!birth)
		return -EPROTO;
	if (birth->state == VM_BIRTH_BORN && birth->error)
		return 0; /* what it was told itself */
	*why = "BORN, but it was given no image";
	if (birth->state != VM_BIRTH_SAID)
		return -EPROTO;
	birth->state = VM_BIRTH_BORN;
	birth->error = msg->error;
	return 0;
}

/* One page of a child gets its reference. 0 or a positive errno. */
static int take_page(struct member *m, uint32_t page, uint32_t frame)
{
	if (frame == PS_IMAGE_ZERO)
		return 0;
	if (frames_ref(m->domain->frames, frame) < 0)
		return EOVERFLOW;
	if (vmmap_set(m->map, page, VMMAP_MAPPED, frame) < 0) {
		if (frames_unref(m->domain->frames, frame) == 1)
			domain_free_frame(m->domain, frame);
		return ENOMEM;
	}
	m->user->entries++;
	return 0;
}

/* A child of another domain waits until whoever forks has said that it may have a copy. */
static void ask_copy(struct vm *vm, struct vm_birth *birth)
{
	const struct image *image = image_find(vm->daemon, birth->image);

	if (image && image->state == IMAGE_READY && may_copy(image, vm)) {
		birth->copies = true;
		birth->state = VM_BIRTH_TAKING;
		birth->pages = sys_memfd_new("pshare-copy", (uint64_t)birth->npages * PS_PAGE_SIZE);
		if (birth->pages < 0)
			say_birth(vm, birth, -birth->pages);
	} else if (!image || vm->daemon->now >= birth->until) {
		say_birth(vm, birth, EXDEV);
	} else {
		daemon_wake_at(vm->daemon, birth->until);
	}
}

static int copy_page(const struct image *image, const struct vm_birth *birth, uint32_t i)
{
	uint32_t frame = image->entry[birth->offset + i];
	uint8_t page[PS_PAGE_SIZE];
	int r;

	if (frame == PS_IMAGE_ZERO)
		return 0;
	r = sys_pread_full(image->domain->store, page, PS_PAGE_SIZE,
			   (uint64_t)frame * PS_PAGE_SIZE);
	return r < 0 ? r :
		       sys_pwrite_full(birth->pages, page, PS_PAGE_SIZE,
				       (uint64_t)i * PS_PAGE_SIZE);
}

static bool work_copying(struct vm *vm, struct vm_birth *birth, const struct image *image)
{
	uint32_t end = birth->next + IMAGE_COPY_SLICE;
	int r = image ? 0 : -ENOENT;

	end = end < birth->npages ? end : birth->npages;
	for (; r == 0 && birth->next < end; birth->next++)
		r = copy_page(image, birth, birth->next);
	if (r == 0 && birth->next == birth->npages)
		r = sys_memfd_seal(birth->pages, SYS_SEALS_FINAL);
	if (r < 0 || birth->next == birth->npages)
		say_birth(vm, birth, -r);
	return r == 0 && birth->next < birth->npages;
}

static bool work_birth(struct vm *vm, struct vm_birth *birth)
{
	struct image *image = image_find(vm->daemon, birth->image);
	uint32_t end = birth->next + IMAGE_REFS_SLICE;
	int error = 0;

	if (!ps_without(DEFENCE_BIRTH_TIED) && !vm_has_pages(vm, birth->page, birth->npages)) {
		/* offered anew since, under other numbers: the references would be nobody's */
		say_birth(vm, birth, EBUSY);
		return false;
	}
	if (birth->copies)
		return work_copying(vm, birth, image);
	if (!image || image->state != IMAGE_READY || !vm->member ||
	    vm->member->domain != image->domain || vm->member->state != MEMBER_ACTIVE) {
		say_birth(vm, birth, ENOENT);
		return false;
	}
	if (!user_has_room(vm->daemon, vm->user)) {
		say_birth(vm, birth, ENOMEM);
		return false;
	}
	end = end < birth->npages ? end : birth->npages;
	for (; !error && birth->next < end; birth->next++)
		error = take_page(vm->member, birth->page + birth->next,
				  image->entry[birth->offset + birth->next]);
	member_charge(vm->member);
	if (error || birth->next == birth->npages)
		say_birth(vm, birth, error);
	return !error && birth->next < birth->npages;
}

bool image_births_work(struct vm *vm)
{
	bool more = false;

	for (uint32_t i = 0; i < PS_FORK_RAMS_MAX; i++) {
		if (vm->birth[i].state == VM_BIRTH_ASKING)
			ask_copy(vm, &vm->birth[i]);
		if (vm->birth[i].state == VM_BIRTH_TAKING)
			more |= work_birth(vm, &vm->birth[i]);
	}
	return more;
}
