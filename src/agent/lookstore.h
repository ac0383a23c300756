/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_LOOKSTORE_H
#define PSHARE_AGENT_LOOKSTORE_H

#include "agent/visit.h"

/* Finds what broke, hashes and hints what became stable, and counts: frames, twins, the borders of
 * their mappings. */
void store_look(struct visit *v);
/* Has no page of the block broken since the last look? */
bool store_none_broke(const struct visit *v);

#endif
