/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The books as an audit wants them (view.h): not what is saved, but which frame is whose.
 *
 * Limit: a frame's books are read stretch by stretch while VMs go on. Who compares looks again
 * before he believes that something is wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/member.h"
#include "daemon/view.h"
#include "daemon/vm.h"
#include "policy/access.h"
#include "sys/memfd.h"

static void put_fingerprint(char out[VIEW_FINGERPRINT], uint32_t fingerprint)
{
	snprintf(out, VIEW_FINGERPRINT, "%08x", fingerprint);
}

static struct domain *domain_of(struct daemon *daemon, uint64_t generation)
{
	list_for_each(domain, &daemon->domains, struct domain, link)
		if (domain->generation == generation)
			return domain;
	return NULL;
}

int view_stores(struct daemon *daemon, int (*each)(const struct view_store *store, void *arg),
		void *arg)
{
	int r = 0;

	list_for_each(domain, &daemon->domains, struct domain, link) {
		struct frames_stats stats = frames_stats(domain->frames);
		struct view_store out = {
			.generation = domain->generation,
			.closed = domain->closed,
			.window = domain->window,
			.live = stats.live,
			.references = stats.refs,
			.other = stats.filling + stats.punching,
		};

		put_fingerprint(out.domain, domain->fingerprint);
		r = sys_file_identity(domain->store, &out.device, &out.inode);
		if (!r)
			r = each(&out, arg);
		if (r)
			break;
	}
	return r;
}

static void add_stake(struct view_account *out, const struct member *m)
{
	if (!m || out->nstakes == VIEW_STAKES_MAX)
		return;
	out->stake[out->nstakes++] = (struct view_stake){
		.generation = m->domain->generation,
		.mapped = vmmap_mapped(m->map),
		.pending = vmmap_pending(m->map),
	};
}

int view_accounts(struct daemon *daemon, int (*each)(const struct view_account *account, void *arg),
		  void *arg)
{
	int r = 0;

	list_for_each(vm, &daemon->vms, struct vm, link) {
		bool salted = vm->has_salt && !vm->salt_empty && !vm->salt_refused;
		bool named = salted &&
			     daemon->settings.value[SETTING_SHARE_FORCE_SALTING] != SALTING_OFF;
		struct view_account out = {
			.pid = vm->pid,
			.uid = vm->user->uid,
			.group = access_uid_group(daemon->policy, vm->user->uid,
						  named ? &vm->fingerprint : NULL),
			.has_salt = vm->has_salt,
			.salt_empty = vm->salt_empty || vm->salt_refused,
			.unknown = vm->holds_unknown,
			.unshared = vm->count.unshared,
			.salt = "-",
		};

		memcpy(out.name, vm->name, sizeof(out.name));
		if (salted)
			put_fingerprint(out.salt, vm->fingerprint);
		add_stake(&out, vm->member);
		list_for_each(m, &vm->old, struct member, link)
			add_stake(&out, m);
		r = each(&out, arg);
		if (r)
			break;
	}
	return r;
}

static void add_name(char *list, size_t size, const char *name)
{
	size_t n = strlen(list);

	if (n + strlen(name) + 3 < size)
		snprintf(list + n, size - n, "%s%s", n ? ", " : "", name);
}

/* Who maps it, and how often. */
static void count_pages(const struct domain *domain, uint32_t frame, struct view_damage *out)
{
	for (uint32_t i = 0; i < domain->nslots; i++) {
		const struct member *m = domain->slot[i];
		struct vmmap_entry entry;
		uint64_t pages = 0;

		if (!m)
			continue;
		for (uint32_t page = 0; vmmap_next(m->map, &page, &entry); page++)
			pages += entry.state == VMMAP_MAPPED && entry.frame == frame;
		if (pages && m->vm)
			add_name(out->vms, sizeof(out->vms), m->vm->name);
		out->pages += pages;
	}
}

int view_damages(struct daemon *daemon, int (*each)(const struct view_damage *damage, void *arg),
		 void *arg)
{
	const struct verify *v = &daemon->verify;
	uint64_t first = v->damaged > DAMAGE_KEPT ? v->damaged - DAMAGE_KEPT : 0;
	int r = 0;

	for (uint64_t i = first; !r && i < v->damaged; i++) {
		const struct damage *d = &v->last[i % DAMAGE_KEPT];
		const struct domain *domain = domain_of(daemon, d->generation);
		struct view_damage out = {
			.generation = d->generation,
			.frame = d->frame,
			.mended = d->mended,
			.present = domain != NULL,
		};

		put_fingerprint(out.domain, d->fingerprint);
		if (domain)
			count_pages(domain, d->frame, &out);
		r = each(&out, arg);
	}
	return r;
}

int view_live(struct daemon *daemon, uint64_t generation, uint64_t first,
	      uint8_t bits[VIEW_LIVE / 8])
{
	const struct domain *domain = domain_of(daemon, generation);
	uint32_t frame = (uint32_t)first;

	if (!domain || first >= domain->window)
		return -ENOENT;
	memset(bits, 0, VIEW_LIVE / 8);
	for (; frames_next(domain->frames, FRAME_LIVE, &frame) && frame - first < VIEW_LIVE;
	     frame++)
		bits[(frame - first) / 8] |= (uint8_t)(1u << ((frame - first) % 8));
	return 0;
}
