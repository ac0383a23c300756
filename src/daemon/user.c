/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: no user gets more of what all share than leaves room for the others, however many VMs,
 * processes and connections that user makes.
 *
 * What the daemon holds for a VM is on its user's account: connections, VMs, pages with a frame,
 * hints that wait, and bytes. An account has limits: of connections and VMs by user_part(), of
 * pages by ENTRIES_FACTOR, of bytes by what the user's VMs verifiably have (grant.c).
 */

#include "daemon/user.h"

#include <stdlib.h>

#include "daemon/host.h"

#define USER_KEPT (60 * SEC) /* how long a user is remembered: till all rations are full again */
#define PER_USER 1024u	     /* connections, and VMs, of one user */
#define ENTRIES_FACTOR 8u    /* pages with a frame of all VMs of a user, in the host's */
#define BYTES_A_PAGE 32u     /* an honest VM: 13 hinted, 4 shared, 16 more for a hint that waits */
#define BYTES_PART 4u	     /* of the daemon's memory, for what one user's pages cost */
#define BYTES_FREE (64ull << 20) /* to begin with ... */
#define BYTES_FREE_PART 32u	 /* ... or that part of the daemon's memory, if it is less */

struct user *user_hold(struct daemon *d, uid_t uid)
{
	struct user *user;

	list_for_each(each, &d->users, struct user, link) {
		if (each->uid == uid) {
			each->holders++;
			each->idle_at = 0;
			return each;
		}
	}
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	user->holders = 1;
	list_add_tail(&d->users, &user->link);
	return user;
}

void user_release(struct daemon *d, struct user *user)
{
	if (--user->holders)
		return;
	user->idle_at = d->now ? d->now : 1;
	daemon_wake_at(d, d->now + USER_KEPT);
}

/* Who comes and goes has not more of what is rationed by time (salts, lines in the log) than who
 * stays. Kept are so many: they are the kernel's users, whom nobody can make up at will. */
void users_tick(struct daemon *d)
{
	list_for_each(user, &d->users, struct user, link) {
		if (!user->idle_at)
			continue;
		if (d->now - user->idle_at < USER_KEPT && !d->ending) {
			daemon_wake_at(d, user->idle_at + USER_KEPT);
			continue;
		}
		if (user->bytes || user->entries || user->vms || user->sessions)
			log_error("user %u has gone, and %llu bytes are still on its account",
				  user->uid, (unsigned long long)user->bytes);
		list_del(&user->link);
		free(user);
	}
}

/* A user may have PER_USER, and no more than the others leave him as much again: so one alone has
 * half of what there is, the next half of the rest, and whoever comes finds room. */
uint32_t user_part(const struct daemon *d, uint32_t all, uint32_t own)
{
	uint32_t others = all - own, left = d->sessions_max > others ? d->sessions_max - others : 0;
	uint32_t part = left / 2 + left % 2;

	return part < PER_USER ? part : PER_USER;
}

uint64_t user_bytes_max(const struct daemon *d, const struct user *user)
{
	uint64_t begin = host_daemon_memory(d) / BYTES_FREE_PART,
		 most = host_daemon_memory(d) / BYTES_PART;
	uint64_t pages = user->granted * BYTES_A_PAGE;

	return (begin < BYTES_FREE ? begin : BYTES_FREE) + (pages < most ? pages : most);
}

bool user_has_room(struct daemon *d, const struct user *user)
{
	return user->entries < host_pages(d) * ENTRIES_FACTOR &&
	       user->bytes < user_bytes_max(d, user) && !host_books_short(d);
}

bool user_has_room_for(struct daemon *d, const struct user *user, uint64_t bytes)
{
	return user_has_room(d, user) && bytes <= user_bytes_max(d, user) - user->bytes &&
	       !host_memory_short(d) && bytes <= d->room;
}
