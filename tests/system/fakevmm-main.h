/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_TEST_FAKEVMM_MAIN_H
#define PSHARE_TEST_FAKEVMM_MAIN_H

#include "lib/fakevmm.h"
#include "lib/hammer.h"

struct vmm {
	struct hammer h;
	uint64_t rng;
};
extern struct vmm vmm;

/* The commands that need more than memory (fakevmm-special.c). r: NULL where none is named. */
int vmm_special(struct hregion *r, struct fv_cmd *c, uint64_t *value);

/* Those of them that say whether pages can be pinned, and pin them (fakevmm-pins.c). */
int vmm_direct(const struct fv_cmd *c);
int vmm_direct_read(struct hregion *r, const struct fv_cmd *c);
int vmm_sandbox(void);
int vmm_hold(const struct hregion *r, const struct fv_cmd *c);

/* Those of forks (fakevmm-fork.c). */
int vmm_map_ram(struct hregion *r);
int vmm_pause(struct hregion *r, const struct fv_cmd *c);
int vmm_load(struct hregion *r);

/* Opens a file with the pool's contents, so that a read gives what the model knows. -errno. */
int vmm_pool_file(void);

#endif
