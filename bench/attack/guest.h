/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest: what victim and attacker have in common: a VMM's memory, offered for sharing, with two
 * regions in it. `pages`: of its own content, but for the file that both have, at its start.
 * `probes`: pages of which the oracle is asked.
 */
#ifndef PSHARE_ATTACK_GUEST_H
#define PSHARE_ATTACK_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aes.h"

#define GUEST_PAGE 4096u
#define GUEST_BLOCK (2u << 20)
#define GUEST_PROBES 4096u

struct guest {
	struct aes_tables *tables; /* the file, in the guest's memory */
	uint8_t *probes;	   /* GUEST_PROBES pages */
};

/* Memory whose every page is this guest's alone, but for the file's. Exits on failure. */
void guest_init(struct guest *guest, const char *file);
/* Probe i gets the content that seed gives it: equal in both guests. Seed 0 gives zeros. */
void guest_fill(struct guest *guest, uint64_t seed, uint32_t i);
/* Probes 0 .. count-1 become copies of the tables' last page. */
void guest_copy(struct guest *guest, uint32_t count);
/* Writes what is there already: the page is the guest's own from then on. */
void guest_rewrite(void *at, size_t bytes);
/* Is that page in memory? */
bool guest_is_there(const void *at);
/* The same for pages that are there; who is out stays out. */
void guest_own(void *at, uint32_t pages);
/* The number that a command says, GUEST_PROBES at most. */
uint32_t guest_probes_of(const char *text);
uint64_t guest_mix(uint64_t x);

#endif
