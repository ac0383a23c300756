/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: who takes much leaves the others theirs.
 *
 * There are places for RATIONS_USERS users. Whose ration is full again needs none: his place is the
 * next one's who comes, first of those of whom nothing is to tell (what was withheld from the
 * others is told no more). So a place is short only where so many users took something within the
 * time of a whole burst. Then the newcomer shares the place of another, by his uid: both get less,
 * nobody more.
 *
 * Rejected: places by uid alone. Of two users of one place one could keep the other from changing
 * anything for as long as he likes, on a host that has two users.
 */
#include "policy/ration.h"

#include <stddef.h>

static void fill(const struct rations *r, struct ration *one, uint64_t now)
{
	uint64_t more = now > one->at ? (now - one->at) / r->every : 0;

	one->at += more * r->every;
	one->left = more < r->burst - one->left ? one->left + (uint32_t)more : r->burst;
}

/* How gladly is it given to another? 0: not at all. */
static unsigned int is_free(const struct rations *r, const struct ration *one)
{
	if (!one->at)
		return 3;
	if (one->left < r->burst)
		return 0;
	return one->withheld ? 1 : 2;
}

static struct ration *place_of(struct rations *r, uint32_t uid, uint64_t now)
{
	struct ration *found = NULL;

	for (uint32_t i = 0; i < RATIONS_USERS; i++) {
		struct ration *one = &r->of[i];

		if (one->at)
			fill(r, one, now);
		if (one->at && one->uid == uid)
			return one;
		if (is_free(r, one) > (found ? is_free(r, found) : 0))
			found = one;
	}
	if (!found)
		return &r->of[uid % RATIONS_USERS];
	*found = (struct ration){.uid = uid, .left = r->burst, .at = now};
	return found;
}

bool rations_take(struct rations *r, uint32_t uid, uint64_t now, uint64_t *withheld)
{
	struct ration *one = place_of(r, uid, now);

	if (withheld)
		*withheld = 0;
	if (!one->left) {
		one->withheld++;
		return false;
	}
	one->left--;
	if (withheld)
		*withheld = one->withheld;
	one->withheld = 0;
	return true;
}
