/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * By memory alone, a user could have nearly all of the host's budget by having, or pretending to
 * have, nearly all of its memory; by user alone, somebody with one small VM would have as much as
 * the one who fills the host. Half and half bounds what the others can take by two, and is close
 * to ESX's split by size wherever users are few.
 *
 * Rejected: what a user does not need to the others (max-min): exact, but then a VM's part depends
 * on what each other user does at this moment, and changes with it.
 */
#include "policy/fair.h"

static uint64_t part(uint64_t budget, uint64_t of, uint64_t all)
{
	return all ? (uint64_t)((unsigned __int128)budget * of / all) : 0;
}

uint64_t fair_part(const struct fair *fair, uint64_t budget)
{
	uint64_t user = fair->user > fair->vm ? fair->user : fair->vm;
	uint64_t all = fair->all > user ? fair->all : user;
	uint64_t users = fair->users ? fair->users : 1;

	return part(budget / 2 / users, fair->vm, user) + part(budget - budget / 2, fair->vm, all);
}
