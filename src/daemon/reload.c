/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a file with a mistake changes nothing, and who asked for it can read which line it is.
 *
 * Policy and settings are read on their own: a mistake in one does not keep the other from being
 * read. Of each, either all is taken or the last good one stays. Every value that changed is a
 * record of the audit log, with the file and line that it comes from now.
 */
#include "daemon/reload.h"

#include <stdio.h>
#include <string.h>

#include "daemon/auditlog.h"
#include "daemon/conffile.h"
#include "daemon/peer.h"
#include "daemon/policyfile.h"
#include "daemon/pressure.h"
#include "daemon/rehome.h"
#include "daemon/session.h"
#include "daemon/swapdir.h"

#define VALUE_MAX 32

void settings_apply(struct daemon *d, const struct host_settings *next)
{
	bool moves = d->settings.value[SETTING_SHARE_FORCE_SALTING] !=
		     next->value[SETTING_SHARE_FORCE_SALTING];

	d->settings = *next;
	sessions_configure(d);
	list_for_each(vm, &d->vms, struct vm, link)
		swapdir_retry(vm);
	pressure_now(d);
	if (moves)
		rehome_all(d);
}

static void json_value(enum setting_id id, int64_t number, char text[VALUE_MAX])
{
	if (setting_get(id)->type == SETTING_BOOL)
		snprintf(text, VALUE_MAX, "%s", number ? "true" : "false");
	else if (setting_format(id, number, text, VALUE_MAX) < 0)
		snprintf(text, VALUE_MAX, "null");
}

static void record_changes(struct daemon *d, const struct conffile *next,
			   const struct view_record *as)
{
	for (int id = 0; id < SETTING_HOST_END; id++) {
		char before[VALUE_MAX], after[VALUE_MAX], origin[CONFFILE_PATH_MAX + 16];
		struct view_record record = *as;

		if (d->settings.value[id] == next->settings.value[id])
			continue;
		json_value((enum setting_id)id, d->settings.value[id], before);
		json_value((enum setting_id)id, next->settings.value[id], after);
		conffile_origin(next, (enum setting_id)id, origin, sizeof(origin));
		record.setting = setting_get((enum setting_id)id)->name;
		record.before = before;
		record.after = after;
		record.reason = origin;
		auditlog_add(d->log, &record);
	}
}

static void reload_settings(struct daemon *d, struct view_record record)
{
	char err[CONFFILE_ERROR_MAX];
	struct conffile next;

	if (conffile_read(d->options, &d->set, &next, err) < 0) {
		log_error("%s: the settings stay as they are", err);
		record.setting = "settings";
		record.result = VIEW_FAILED;
		record.reason = err;
		auditlog_add(d->log, &record);
		return;
	}
	record_changes(d, &next, &record);
	d->overridden = 0;
	settings_apply(d, &next.settings);
	*d->conf = next;
}

static void reload_policy(struct daemon *d, struct view_record record)
{
	char why[POLICYFILE_WHY_MAX], before[POLICY_DIGEST_MAX];

	memcpy(before, d->policy_digest, sizeof(before));
	record.setting = "policy";
	record.before = before;
	if (policyfile_load(d, why) < 0) {
		log_error("%s: the policy stays as it is", why);
		record.result = VIEW_FAILED;
		record.reason = why;
	} else {
		policyfile_apply(d);
		record.after = d->policy_digest;
		record.reason = d->options->policy;
	}
	if (d->options->policy)
		auditlog_add(d->log, &record);
}

void reload(struct daemon *d, struct view_peer *from)
{
	struct view_record record = {.what = "reload", .via = "SIGHUP", .peer = from};

	peer_look(from);
	auditlog_reopen(d->log);
	reload_policy(d, record);
	reload_settings(d, record);
}
