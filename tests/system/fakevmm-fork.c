/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands of the VMM under remote control for forks: memory that it takes for a shared file,
 * as QEMU does under `pshare run --forkable`, and a model that goes from parent to child, as device
 * state does.
 *
 *	FAKEVMM_RAM	the RAM file, also named in PSHARE_FORK_RAM
 *	FAKEVMM_MODEL	of a child: the model that its parent has written
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fakevmm-main.h"

struct model_head {
	uint32_t npages, ncounter, nthreads;
};

/* First a reservation, then the file over it: as QEMU does it. */
int vmm_map_ram(struct hregion *r)
{
	size_t size = (size_t)r->npages * T_PAGE;
	uint8_t *at = hammer_reserve(size);
	int fd = open(getenv("FAKEVMM_RAM"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)size) ||
	    mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != at)
		return -errno;
	close(fd);
	if (madvise(at, size, MADV_MERGEABLE) || madvise(at, size, MADV_NOHUGEPAGE) ||
	    madvise(at, size, MADV_DONTFORK))
		return -errno;
	r->dontfork = r->nohuge = true;
	r->base = at;
	return 0;
}

static int whole(ssize_t done, size_t wanted)
{
	return done == (ssize_t)wanted ? 0 : -EIO;
}

static int save_model(const struct hregion *r, uint64_t number)
{
	struct model_head head = {r->npages, r->ncounter, vmm.h.nthreads};
	char path[512];
	int fd, err;

	snprintf(path, sizeof(path), "%s.model%lu", getenv("FAKEVMM_RAM"), (unsigned long)number);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = whole(write(fd, &head, sizeof(head)), sizeof(head));
	if (!err)
		err = whole(write(fd, r->model, r->npages * sizeof(*r->model)),
			    r->npages * sizeof(*r->model));
	for (uint32_t t = 0; !err && t < head.nthreads; t++)
		err = whole(write(fd, r->in[t], r->ncounter), r->ncounter);
	close(fd);
	return err;
}

/* The guest stands still from 1 to 0. */
int vmm_pause(struct hregion *r, const struct fv_cmd *c)
{
	if (c->arg) {
		hammer_lock(&vmm.h);
		return save_model(r, c->key);
	}
	hammer_unlock(&vmm.h);
	return 0;
}

/* A child's guest begins: every byte is what its parent's was, and it goes on from there. */
int vmm_load(struct hregion *r)
{
	int fd = open(getenv("FAKEVMM_MODEL"), O_RDONLY | O_CLOEXEC);
	struct model_head head;
	int err;

	if (fd < 0)
		return -errno;
	err = whole(read(fd, &head, sizeof(head)), sizeof(head));
	if (!err && head.npages != r->npages)
		err = -EMSGSIZE;
	if (!err)
		err = whole(read(fd, r->model, r->npages * sizeof(*r->model)),
			    r->npages * sizeof(*r->model));
	r->ncounter = head.ncounter;
	vmm.h.nthreads = head.nthreads;
	for (uint32_t t = 0; !err && t < head.nthreads; t++) {
		r->in[t] = calloc(r->ncounter + 1, 1);
		err = whole(read(fd, r->in[t], r->ncounter), r->ncounter);
	}
	close(fd);
	if (!err)
		hammer_verify(&vmm.h, "when it was born");
	if (!err && r->ncounter) /* else its parent's hammer did not run */
		hammer_start(&vmm.h);
	return err;
}
