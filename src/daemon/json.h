/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json: the views as JSON objects; the names in them are the API, and are kept. */
#ifndef PSHARE_DAEMON_JSON_H
#define PSHARE_DAEMON_JSON_H

#include <jansson.h>

#include "daemon/view.h"
#include "policy/settings.h"

/* From here on jansson wipes every block before it gives it back: a request may hold a salt. Call
 * it before anything else of jansson; api_new() does so too. */
void json_wipe_always(void);

/* New references; NULL when memory is short. */
/* A fork under way; NULL: no memory. */
json_t *json_of_fork(const struct view_fork *fork);
json_t *json_of_host(struct daemon *daemon);
json_t *json_of_balloon(const struct view_balloon *balloon);
json_t *json_of_vm(const struct view_vm *vm);
json_t *json_of_action(const struct view_action *action);
/* One setting and its value; vm NULL for one of the host. */
json_t *json_of_setting(enum setting_id id, struct daemon *daemon, const struct view_vm *vm);
/* {"settings": [...]}: all of the host, or of a VM. */
json_t *json_of_settings(struct daemon *daemon, const struct view_vm *vm);

/* What `pshare audit` asks for, and a stretch of a store's frames; NULL as well where there is no
 * such store. */
json_t *json_of_audit(struct daemon *daemon);
json_t *json_of_live(struct daemon *daemon, uint64_t generation, uint64_t first);

#endif
