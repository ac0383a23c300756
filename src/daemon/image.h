/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* image: what a VM had at the moment in which it was forked, held for its children. */
#ifndef PSHARE_DAEMON_IMAGE_H
#define PSHARE_DAEMON_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/domain.h"
#include "daemon/user.h"
#include "daemon/vm-balloon.h"
#include "wire/wire.h"

struct session;
struct vm;

/*		may				may not			leaves to
 * ASKED	wait for FROZEN			be mapped		HOLDING, FAILED, DROPPING
 * HOLDING	take its references, while	be mapped		COPYING, FAILED, DROPPING
 *		the agent holds still
 * COPYING	make frames of the copies;	be mapped		READY, FAILED, DROPPING
 *		the parent may run
 * READY	be mapped by children		-			DROPPING
 * FAILED	say why				anything else		DROPPING
 * DROPPING	be emptied, in slices		anything else		freed
 */
enum image_state {
	IMAGE_ASKED,
	IMAGE_HOLDING,
	IMAGE_COPYING,
	IMAGE_READY,
	IMAGE_FAILED,
	IMAGE_DROPPING,
};

#define IMAGE_REFS_SLICE 16384u /* references taken, or given back, in a turn */
#define IMAGE_COPY_SLICE 256u	/* pages copied in a turn */

#define IMAGE_WHY 160u
#define IMAGE_COPIES 64u /* the latest so many */

/* A process of another domain that may have a copy. pid 0: nobody. */
struct image_copy {
	pid_t pid;
	int pidfd; /* of that very process: its number may be another's later */
	uint64_t until;
};

struct image {
	struct list link; /* daemon->images */
	struct daemon *daemon;
	uint64_t id;
	enum image_state state;
	struct vm *parent; /* NULL: it has gone */
	char parent_name[PS_NAME_MAX];
	struct domain *domain; /* counted among its members */
	struct user *user;
	uint64_t charged; /* bytes, on its user's account */
	uint32_t slot;	  /* of the parent, in the domain's index: where its frames are at home */
	char why[IMAGE_WHY];

	uint32_t rams;
	uint32_t first[PS_FORK_RAMS_MAX]; /* as FROZEN has it */
	uint32_t npages[PS_FORK_RAMS_MAX];
	uint32_t pages;	  /* of all RAM files */
	uint32_t *entry;  /* [pages]: a frame with a reference of ours, or PS_IMAGE_ZERO, or, up to
			     COPYING, PS_IMAGE_COPY and the number of its copy */
	uint32_t next;	  /* how far the present state has come */
	uint32_t held;	  /* entries before it have a reference, if they are frames */
	uint32_t ncopies; /* as FROZEN has it */
	int manifest;	  /* HOLDING: the agent's. READY: ours, sealed */
	int copies;
	uint64_t frames, zeros, copied, found; /* pages; found: copies that had a frame already */
	uint64_t until;			       /* ns: FROZEN is due */
	struct vm_balloon_wish balloon;	       /* the parent's, which its children are born with */
	struct image_copy copy_for[IMAGE_COPIES];
	uint32_t ncopy_for;
};

/* The VM, whose guest stands still, is asked for what it has. 0 and vm->image; or -errno and *why.
 * An image that it had before is dropped. */
int image_begin(struct vm *vm, const char **why);
/* FROZEN has come; the descriptors stay the caller's. 0; -EPROTO: a lie, *why. */
int image_frozen(struct vm *vm, const struct ps_msg_frozen *msg, const int *fds, unsigned int nfds,
		 const char **why);
/* The agent may go on: THAW. */
void image_thaw(struct vm *vm);
/* Nobody is to be born of it any more. Those who map its frames have their own references. */
void image_drop(struct image *image);
/* The VM's session, or all of it, has ended. */
void image_parent_silent(struct vm *vm);
void image_parent_gone(struct vm *vm);

/* That process may have a copy, whatever its domain, for a minute: who forks says so. -ESRCH: there
 * is none of that number. */
int image_copy_for(struct image *image, pid_t pid);
/* Nobody may any more of whom that was said before `by`. */
void image_copies_expire(struct image *image, uint64_t by);

struct image *image_find(struct daemon *d, uint64_t id);

/* CHILD has come. 0; -EPROTO: a lie, *why. That there is no such image is answered. */
int image_child(struct vm *vm, const struct ps_msg_child *msg, const char **why);
int image_born(struct vm *vm, const struct ps_msg_child *msg, const char **why);
/* A slice of what the births of this VM call for. True: there is more to do now. */
bool image_births_work(struct vm *vm);

/* Its pages are, or are not, to be made frames before they have a twin; for PUBLISH_NS. */
void image_publish(struct vm *vm, bool publish);

/* A slice of what is under way. True: there is more to do now. */
bool images_work(struct daemon *d);
void images_tick(struct daemon *d);

#endif
