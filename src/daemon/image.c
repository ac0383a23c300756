/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a child begins with exactly what its parent had at one moment, shares it by the page from
 * the first moment on, and is nobody's hostage afterwards.
 *
 * An image is a table: for each page of the parent's RAM files a frame of its domain's store, or
 * zero. It has a reference of its own to each frame. Frames of an image are frames like any other:
 * in the index, shared by whoever has that content, punched with the last reference. So an image
 * costs 4 bytes a page, and frames that nobody else uses any more only for as long as it is kept.
 *
 * How it comes about
 *  ASKED    the agent says what each page is (FROZEN): a frame that it maps, zero, or a copy.
 *  HOLDING  frames that the agent named get a reference of ours: only those that are on its books
 *           for that page. The agent holds still meanwhile, so they are still there. In slices,
 *           for a large VM has more than one turn of the loop has time for. Then THAW: the parent
 *           may run.
 *  COPYING  copies become frames, at the parent's place, so that a child maps long runs. What has
 *           a frame already (compared in full, never by its hash alone) gets that.
 *  READY    the table is put into a memfd and sealed, for children to read.
 *
 * What children do with it: image-child.c.
 *
 * Who lies hurts its own children alone: what an agent sends is sealed, its frames are checked
 * against its books, copies are hashed by us. Another domain's frame cannot be named. What is held
 * for an image is its parent's user's charge.
 *
 * An image of a domain that was closed (rehome.c) is dropped: nobody can be born into it.
 *
 * Limits: one image for each VM; a memory of 2^28 pages.
 */
#include "daemon/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "daemon/balloon.h"
#include "daemon/host.h"
#include "daemon/member.h"
#include "daemon/session.h"
#include "daemon/vm-region.h"
#include "daemon/vm.h"
#include "sys/cleanup.h"
#include "sys/memfd.h"
#include "sys/self.h"

#define FROZEN_NS (10 * SEC)  /* an agent has so long to answer */
#define PUBLISH_NS (10 * SEC) /* whoever forks says it again and again */

/* ---- its life ----------------------------------------------------------------------------- */

static void charge(struct image *image, uint64_t bytes)
{
	image->user->bytes += bytes - image->charged;
	image->daemon->bytes += bytes - image->charged;
	image->charged = bytes;
}

static void image_free(struct image *image)
{
	struct domain *domain = image->domain;

	list_del(&image->link);
	close_fd(&image->manifest);
	close_fd(&image->copies);
	image_copies_expire(image, UINT64_MAX);
	charge(image, 0);
	user_release(image->daemon, image->user);
	free(image->entry);
	free(image);
	if (--domain->members == 0)
		domain_end(domain);
}

static void fail(struct image *image, int error, const char *what)
{
	if (image->state >= IMAGE_FAILED)
		return;
	image->state = IMAGE_FAILED;
	snprintf(image->why, sizeof(image->why), "%s%s%s", what, error ? ": " : "",
		 error ? strerror(-error) : "");
	log_warn("%s: cannot be forked: %s", image->parent_name, image->why);
	if (image->parent)
		image_thaw(image->parent);
}

void image_drop(struct image *image)
{
	if (image->state == IMAGE_DROPPING)
		return;
	if (image->parent) {
		if (image->state <= IMAGE_HOLDING)
			image_thaw(image->parent);
		image->parent->image = NULL;
	}
	image->parent = NULL;
	image->state = IMAGE_DROPPING;
	image->next = 0;
}

struct image *image_find(struct daemon *d, uint64_t id)
{
	list_for_each(image, &d->images, struct image, link)
		if (image->id == id && image->state != IMAGE_DROPPING)
			return image;
	return NULL;
}

void image_thaw(struct vm *vm)
{
	if (!vm->session)
		return;
	vm->session->fork_op = PS_FORK_THAW; /* of the image that it was asked for last */
	vm->session->say_fork = true;
	session_mark(vm->session);
}

void image_parent_silent(struct vm *vm)
{
	if (vm->image && vm->image->state <= IMAGE_HOLDING)
		fail(vm->image, 0, "its agent has gone");
	vm->publishing = false;
}

void image_parent_gone(struct vm *vm)
{
	if (vm->image)
		image_drop(vm->image);
}

void image_publish(struct vm *vm, bool publish)
{
	struct daemon *d = vm->daemon;

	vm->publish_until = d->now + PUBLISH_NS;
	daemon_wake_at(d, vm->publish_until);
	if (vm->publishing == publish)
		return;
	vm->publishing = publish;
	if (!vm->session)
		return;
	vm->session->say_config = true;
	vm->session->say_rehint |= publish; /* hints that wait for a twin come anew */
	session_mark(vm->session);
}

int image_begin(struct vm *vm, const char **why)
{
	struct daemon *d = vm->daemon;
	struct member *m = vm->member;
	struct image *image;

	*why = "it takes no part in sharing, see pshare show";
	if (!vm->session || !m || m->state != MEMBER_ACTIVE)
		return -EBUSY;
	*why = "the daemon holds as much for this user as it may";
	if (!user_has_room(d, vm->user))
		return -ENOMEM;
	*why = "no memory";
	image = calloc(1, sizeof(*image));
	if (!image)
		return -ENOMEM;
	if (vm->image)
		image_drop(vm->image);
	image->manifest = image->copies = -1;
	image->daemon = d;
	image->id = ++d->next_id;
	image->parent = vm;
	memcpy(image->parent_name, vm->name, sizeof(image->parent_name));
	image->domain = m->domain;
	image->slot = m->slot;
	image->balloon = balloon_wish_of(vm);
	m->domain->members++;
	image->user = vm->user;
	vm->user->holders++;
	charge(image, sizeof(*image));
	image->until = d->now + FROZEN_NS;
	daemon_wake_at(d, image->until);
	list_add_tail(&d->images, &image->link);
	vm->image = image;
	vm->session->fork_op = PS_FORK_FREEZE;
	vm->session->fork_image = image->id;
	vm->session->say_fork = true;
	session_mark(vm->session);
	return 0;
}

/* ---- what the agent says ------------------------------------------------------------------ */

static int check_memfd(int fd, uint64_t least)
{
	unsigned int seals = 0;
	uint64_t size = 0;
	int r = sys_memfd_seals(fd, &seals);

	if (r < 0)
		return r;
	r = sys_file_size(fd, &size, NULL, NULL);
	if (r < 0)
		return r;
	return (seals & SYS_SEALS_FINAL) == SYS_SEALS_FINAL && size >= least ? 0 : -EPROTO;
}

/* Does the RAM file of that number lie beside those before it? */
static bool lies_apart(const struct ps_msg_frozen *msg, uint32_t ram)
{
	for (uint32_t i = 0; i < ram; i++)
		if (msg->first[i] < msg->first[ram] + msg->npages[ram] &&
		    msg->first[ram] < msg->first[i] + msg->npages[i])
			return false;
	return true;
}

/* Each RAM file is one region that was announced, and none is there twice: so there are no more
 * pages than the VM has. */
static int take_sizes(struct image *image, struct vm *vm, const struct ps_msg_frozen *msg)
{
	uint64_t pages = 0;

	if (!msg->rams || msg->rams > PS_FORK_RAMS_MAX)
		return -EPROTO;
	for (uint32_t i = 0; i < msg->rams; i++) {
		if (!vm_has_pages(vm, msg->first[i], msg->npages[i]) || !lies_apart(msg, i))
			return -EPROTO;
		pages += msg->npages[i];
	}
	if (pages > vm->pages || pages > PS_PAGES_MAX || msg->copies > pages)
		return -EPROTO;
	image->rams = msg->rams;
	memcpy(image->first, msg->first, sizeof(image->first));
	memcpy(image->npages, msg->npages, sizeof(image->npages));
	image->pages = (uint32_t)pages;
	image->ncopies = msg->copies;
	return 0;
}

/* Reads the table, once, into memory of ours. A claim of size gives no room for it, nor for the
 * memfd that it is given to children in. */
static int take_manifest(struct image *image, const int *fds)
{
	uint64_t bytes = (uint64_t)image->pages * sizeof(uint32_t);
	int r;

	if (!user_has_room_for(image->daemon, image->user, 2 * bytes))
		return -ENOMEM;
	image->entry = malloc(bytes);
	if (!image->entry)
		return -ENOMEM;
	charge(image, sizeof(*image) + bytes);
	r = sys_pread_full(fds[0], image->entry, bytes, 0);
	if (r < 0)
		return r;
	image->copies = sys_duplicate(fds[1]);
	return image->copies < 0 ? image->copies : 0;
}

int image_frozen(struct vm *vm, const struct ps_msg_frozen *msg, const int *fds, unsigned int nfds,
		 const char **why)
{
	struct image *image = vm->image;
	int r;

	*why = "FROZEN, but nobody asked, or not so";
	if (nfds != (msg->error ? 0u : 2u))
		return -EPROTO;
	if (!image || image->id != msg->id || image->state != IMAGE_ASKED)
		return 0; /* given up meanwhile */
	if (msg->error) {
		fail(image, -(msg->error > 0 ? msg->error : EIO),
		     msg->error == ENXIO ? "it was not run with --forkable, or its memory takes "
					   "no part in sharing" :
					   "its agent cannot say what it has");
		return 0;
	}
	*why = "FROZEN: sizes that cannot be";
	if (take_sizes(image, vm, msg) < 0)
		return -EPROTO;
	*why = "FROZEN: a descriptor is no sealed memfd of that size";
	if (check_memfd(fds[0], (uint64_t)image->pages * sizeof(uint32_t)) < 0 ||
	    check_memfd(fds[1], (uint64_t)image->ncopies * PS_PAGE_SIZE) < 0)
		return -EPROTO;
	r = take_manifest(image, fds);
	if (r < 0) {
		fail(image, r, "the daemon has no room for it");
		return 0;
	}
	image->state = IMAGE_HOLDING;
	image->next = 0;
	return 0;
}

/* ---- references --------------------------------------------------------------------------- */

/* The parent's number of page i of the image. */
static uint32_t parent_page(const struct image *image, uint32_t i)
{
	uint32_t ram = 0;

	while (i >= image->npages[ram])
		i -= image->npages[ram++];
	return image->first[ram] + i;
}

static bool is_copy(uint32_t entry)
{
	return entry != PS_IMAGE_ZERO && (entry & PS_IMAGE_COPY);
}

/* One entry of HOLDING: a frame that is on the parent's books for that page. */
static int hold(struct image *image, uint32_t i)
{
	uint32_t entry = image->entry[i];
	struct vmmap_entry had;
	struct member *m;

	if (entry == PS_IMAGE_ZERO) {
		image->zeros++;
		return 0;
	}
	if (is_copy(entry))
		return (entry & ~PS_IMAGE_COPY) < image->ncopies ? 0 : -EPROTO;
	m = image->parent->member;
	had = vmmap_get(m->map, parent_page(image, i));
	if ((had.state != VMMAP_MAPPED && had.state != VMMAP_PENDING) || had.frame != entry)
		return -EPROTO;
	image->frames++;
	return frames_ref(image->domain->frames, entry);
}

static bool work_hold(struct image *image)
{
	uint32_t end = image->next + IMAGE_REFS_SLICE;
	struct vm *vm = image->parent;
	int r = 0;

	if (!vm || !vm->session || !vm->member || vm->member->domain != image->domain) {
		fail(image, 0, "it has left its domain meanwhile");
		return false;
	}
	end = end < image->pages ? end : image->pages;
	while (r == 0 && image->next < end) {
		r = hold(image, image->next);
		if (r == 0)
			image->held = ++image->next;
	}
	if (r < 0) {
		fail(image, r, "its agent named a frame that it has not");
		return false;
	}
	if (image->next == image->pages) {
		image->state = IMAGE_COPYING;
		image->next = 0;
		image_thaw(vm);
	}
	return true;
}

/* ---- copies ------------------------------------------------------------------------------- */

/* The frame that has this content, if there is one: with a reference. */
static bool find_frame(struct domain *domain, const uint8_t *page, uint64_t hash, uint32_t *frame)
{
	struct index_entry found = index_lookup(domain->index, hash);
	uint8_t other[PS_PAGE_SIZE];

	if (found.kind != INDEX_FRAME || frames_hash(domain->frames, found.frame) != hash)
		return false;
	if (sys_pread_full(domain->store, other, PS_PAGE_SIZE,
			   (uint64_t)found.frame * PS_PAGE_SIZE) < 0 ||
	    memcmp(page, other, PS_PAGE_SIZE) != 0)
		return false;
	*frame = found.frame;
	return frames_ref(domain->frames, *frame) == 0;
}

static int make_frame(struct image *image, uint32_t i, const uint8_t *page, uint64_t hash,
		      uint32_t *frame)
{
	struct index_entry had = {.kind = INDEX_NONE};
	struct frame_place place = {.vm = image->slot,
				    .page = parent_page(image, i),
				    .near = i ? image->entry[i - 1] : PS_FRAME_NONE};
	int r = domain_make_frame(image->domain, &place, page, hash, frame, &had);

	if (r == 0)
		member_hint_taken(image->domain, &had);
	else if (r == -EEXIST) /* another content has that place in the index */
		r = domain_make_plain_frame(image->domain, &place, page, hash, frame);
	return r < 0 ? r : frames_ref(image->domain->frames, *frame);
}

/* A frame never holds zeros (match.c). */
static bool all_zero(const uint8_t page[PS_PAGE_SIZE])
{
	return page[0] == 0 && memcmp(page, page + 1, PS_PAGE_SIZE - 1) == 0;
}

static int take_copy(struct image *image, uint32_t i)
{
	uint32_t copy = image->entry[i] & ~PS_IMAGE_COPY, frame = 0;
	_Alignas(64) uint8_t page[PS_PAGE_SIZE];
	uint64_t hash;
	int r = sys_pread_full(image->copies, page, PS_PAGE_SIZE, (uint64_t)copy * PS_PAGE_SIZE);

	if (r < 0)
		return r;
	if (all_zero(page)) {
		image->entry[i] = PS_IMAGE_ZERO;
		image->zeros++;
		return 0;
	}
	hash = XXH3_64bits_withSeed(page, PS_PAGE_SIZE, image->domain->seed);
	if (find_frame(image->domain, page, hash, &frame)) {
		image->found++;
	} else {
		r = make_frame(image, i, page, hash, &frame);
		if (r < 0)
			return r;
		image->copied++;
	}
	image->entry[i] = frame;
	return 0;
}

/* The table, final, in a memfd of ours that children are given. */
static int publish_table(struct image *image)
{
	uint64_t bytes = (uint64_t)image->pages * sizeof(uint32_t);
	_cleanup_close_ int fd = sys_memfd_new("pshare-image", bytes);
	int r = fd < 0 ? fd : sys_pwrite_full(fd, image->entry, bytes, 0);

	if (r >= 0)
		r = sys_memfd_seal(fd, SYS_SEALS_FINAL);
	if (r < 0)
		return r;
	image->manifest = TAKE_FD(fd);
	charge(image, sizeof(*image) + 2 * bytes);
	return 0;
}

static bool work_copy(struct image *image)
{
	uint32_t done = 0;
	int r = 0;

	for (; image->next < image->pages && done < IMAGE_COPY_SLICE; image->next++) {
		if (!is_copy(image->entry[image->next]))
			continue;
		r = take_copy(image, image->next);
		if (r < 0)
			break;
		done++;
	}
	if (r == 0 && image->next < image->pages)
		return true;
	close_fd(&image->copies);
	if (r == 0)
		r = publish_table(image);
	if (r < 0) {
		fail(image, r, "the host has no memory for its frames");
		return false;
	}
	image->state = IMAGE_READY;
	log_info("%s: image %llu: %llu pages in frames, %llu copied, %llu zero", image->parent_name,
		 (unsigned long long)image->id, (unsigned long long)image->frames,
		 (unsigned long long)(image->copied + image->found),
		 (unsigned long long)image->zeros);
	return false;
}

/* True when nothing is left. */
static bool work_drop(struct image *image)
{
	uint32_t end = image->next + IMAGE_REFS_SLICE;
	struct domain *domain = image->domain;

	end = end < image->held ? end : image->held;
	for (; image->next < end; image->next++) {
		uint32_t entry = image->entry[image->next];

		if (entry == PS_IMAGE_ZERO || is_copy(entry))
			continue;
		if (frames_unref(domain->frames, entry) == 1)
			domain_free_frame(domain, entry);
	}
	return image->next == image->held;
}

/* ---- slices ------------------------------------------------------------------------------- */

static bool work(struct image *image)
{
	if (image->domain->closed)
		image_drop(image);
	switch (image->state) {
	case IMAGE_HOLDING:
		return work_hold(image);
	case IMAGE_COPYING:
		return work_copy(image);
	case IMAGE_DROPPING:
		if (!work_drop(image))
			return true;
		image_free(image);
		return false;
	default:
		return false;
	}
}

bool images_work(struct daemon *d)
{
	bool more = false;

	list_for_each(image, &d->images, struct image, link)
		more |= work(image);
	list_for_each(vm, &d->vms, struct vm, link)
		if (vm->parent_image)
			more |= image_births_work(vm);
	return more;
}

void images_tick(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link) {
		if (vm->publishing && vm->publish_until <= d->now)
			image_publish(vm, false);
		else if (vm->publishing)
			daemon_wake_at(d, vm->publish_until);
	}
	list_for_each(image, &d->images, struct image, link) {
		image_copies_expire(image, d->now);
		if (image->state != IMAGE_ASKED)
			continue;
		if (image->until <= d->now)
			fail(image, -ETIMEDOUT, "its agent did not answer");
		else
			daemon_wake_at(d, image->until);
	}
}
