/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json-audit: the books that an audit asks for, as JSON. json_pack() makes all of it or nothing. */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/json.h"
#include "sys/self.h"

#define HEX_GROUP 17

static int append(json_t *list, json_t *object)
{
	return json_array_append_new(list, object) ? -1 : 0;
}

static int append_store(const struct view_store *s, void *list)
{
	return append(list, json_pack("{s:I, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "generation",
				      (json_int_t)s->generation, "domain", s->domain, "closed",
				      s->closed, "device", (json_int_t)s->device, "inode",
				      (json_int_t)s->inode, "window", (json_int_t)s->window, "live",
				      (json_int_t)s->live, "references", (json_int_t)s->references,
				      "other", (json_int_t)s->other));
}

static json_t *stakes_array(const struct view_account *a)
{
	json_t *list = json_array();

	for (unsigned int i = 0; list && i < a->nstakes; i++) {
		const struct view_stake *s = &a->stake[i];
		json_t *object = json_pack("{s:I, s:I, s:I}", "generation",
					   (json_int_t)s->generation, "mapped",
					   (json_int_t)s->mapped, "pending",
					   (json_int_t)s->pending);

		if (append(list, object)) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

static int append_account(const struct view_account *a, void *list)
{
	char group[HEX_GROUP];

	/* beyond what a JSON number holds exactly */
	snprintf(group, sizeof(group), "%" PRIx64, a->group);
	return append(list,
		      json_pack("{s:s, s:i, s:I, s:s, s:b, s:b, s:b, s:I, s:s, s:o}", "name",
				a->name, "pid", (int)a->pid, "uid", (json_int_t)a->uid, "group",
				group, "has_salt", a->has_salt, "salt_empty", a->salt_empty,
				"unknown", a->unknown, "unshared", (json_int_t)a->unshared, "salt",
				a->salt, "stakes", stakes_array(a)));
}

static int append_damage(const struct view_damage *d, void *list)
{
	return append(list, json_pack("{s:s, s:I, s:I, s:b, s:b, s:I, s:s}", "domain", d->domain,
				      "generation", (json_int_t)d->generation, "frame",
				      (json_int_t)d->frame, "mended", d->mended, "present",
				      d->present, "pages", (json_int_t)d->pages, "vms", d->vms));
}

json_t *json_of_audit(struct daemon *daemon)
{
	json_t *stores = json_array(), *vms = json_array(), *damages = json_array();
	char salting[8] = "2";
	struct view_host host;

	view_host(daemon, &host);
	if (!stores || !vms || !damages || view_stores(daemon, append_store, stores) ||
	    view_accounts(daemon, append_account, vms) ||
	    view_damages(daemon, append_damage, damages) ||
	    view_setting(daemon, "Mem.ShareForceSalting", salting, sizeof(salting))) {
		json_decref(stores);
		json_decref(vms);
		json_decref(damages);
		return NULL;
	}
	return json_pack("{s:i, s:I, s:i, s:I, s:o, s:o, s:o}", "pid", (int)host.pid, "uid",
			 (json_int_t)sys_self_uid(), "salting", salting[0] - '0', "damaged_frames",
			 (json_int_t)host.damaged, "stores", stores, "vms", vms, "damaged",
			 damages);
}

json_t *json_of_live(struct daemon *daemon, uint64_t generation, uint64_t first)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bits[VIEW_LIVE / 8];
	char text[2 * sizeof(bits) + 1];

	if (view_live(daemon, generation, first, bits))
		return NULL;
	for (size_t i = 0; i < sizeof(bits); i++) {
		text[2 * i] = digits[bits[i] >> 4];
		text[2 * i + 1] = digits[bits[i] & 15];
	}
	text[sizeof(text) - 1] = '\0';
	return json_pack("{s:I, s:s}", "first", (json_int_t)first, "live", text);
}
