/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a change of a setting over the API is answered when it is true, not when it is asked for.
 *
 * Whoever makes a change waits for the VMs that it moves (rehome.c), and for no longer than those
 * need. Then its done() is called once: with 0, or with -ETIMEDOUT and the names of the VMs that
 * did not leave. The change itself stays in force.
 */

#include "daemon/change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/rehome.h"

struct change {
	struct list link;
	struct vm *vm; /* NULL: all of them */
	const char *what;
	view_done done;
	void *arg;
	uint64_t deadline;
};

bool change_pending(struct daemon *d, const struct vm *vm, const char *what)
{
	list_for_each(change, &d->changes, struct change, link)
		if (change->vm == vm && change->what == what)
			return true;
	return false;
}

int change_wait(struct daemon *d, struct vm *vm, const char *what, const struct view_change *change,
		struct view_reason *why)
{
	uint64_t deadline = 0;
	struct change *c;

	list_for_each(each, &d->vms, struct vm, link) {
		uint64_t by = each->left_by ? each->left_by : rehome_time_to_leave(each);

		if ((!vm || each == vm || rehome_is_moving(each)) && !rehome_settled(each) &&
		    by > deadline)
			deadline = by;
	}
	if (!deadline)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c) {
		snprintf(why->text, sizeof(why->text),
			 "it is being done, but there is no memory to tell when it is true");
		return -ENOMEM;
	}
	c->vm = vm;
	c->what = what;
	c->done = change->done;
	c->arg = change->arg;
	c->deadline = deadline;
	list_add_tail(&d->changes, &c->link);
	daemon_wake_at(d, deadline);
	return -EINPROGRESS;
}

void change_forget(struct daemon *d, const void *arg)
{
	list_for_each(change, &d->changes, struct change, link)
		if (change->arg == arg)
			change->done = NULL;
}

static void finish(struct change *change, int error, const char *reason)
{
	view_done done = change->done;
	void *arg = change->arg;

	list_del(&change->link);
	free(change);
	if (done)
		done(arg, error, reason);
}

void changes_vm_gone(struct vm *vm)
{
	list_for_each(change, &vm->daemon->changes, struct change, link)
		if (change->vm == vm)
			finish(change, 0, NULL); /* it holds nothing any more */
}

/* The VMs that a change waits for: how many, and their names as far as they fit. */
static unsigned int unsettled(struct daemon *d, const struct change *change, char *names,
			      size_t size)
{
	unsigned int n = 0;
	size_t len = 0;

	names[0] = '\0';
	list_for_each(vm, &d->vms, struct vm, link) {
		if ((change->vm && change->vm != vm && !rehome_is_moving(vm)) || rehome_settled(vm))
			continue;
		if (len + sizeof(vm->name) + 8 < size)
			len += (size_t)snprintf(names + len, size - len, "%s%s", n ? ", " : "",
						vm->name);
		else if (len + 4 < size)
			len += (size_t)snprintf(names + len, size - len, "...");
		n++;
	}
	return n;
}

void changes_check(struct daemon *d)
{
	list_for_each(change, &d->changes, struct change, link) {
		char names[160], text[VIEW_REASON];
		unsigned int n = unsettled(d, change, names, sizeof(names));

		if (!n) {
			finish(change, 0, NULL);
		} else if (change->deadline <= d->now) {
			snprintf(text, sizeof(text),
				 "%u VM%s did not leave the old domain in time: %s", n,
				 n == 1 ? "" : "s", names);
			finish(change, -ETIMEDOUT, text);
		}
	}
}

void changes_abort(struct daemon *d)
{
	list_for_each(change, &d->changes, struct change, link)
		finish(change, -ESHUTDOWN, "the daemon ends");
}

void changes_tick(struct daemon *d)
{
	list_for_each(change, &d->changes, struct change, link)
		if (change->deadline > d->now)
			daemon_wake_at(d, change->deadline);
}
