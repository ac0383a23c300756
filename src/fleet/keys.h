/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * keys: where a fleet keeps what in etcd. All keys of a fleet begin with
 *
 *	/pshare/FLEET/v1/
 *
 * and go on as the table says. A value is one JSON object with a member "schema". A reader takes
 * any member that it does not know for one of a later version, and leaves alone what has a higher
 * schema than its own. A change that older readers would misunderstand gets a new schema; one that
 * they must not see at all a new "v".
 *
 *	key			written by	holds
 *	all/set/NAME		administrators	desired value of a setting, for all hosts
 *	all/rule/NAME		administrators	a rule of the fleet (policy/fleetrules.h)
 *	all/ask/audit		administrators	a wish for fresh audits
 *	host/HOST/set/NAME	administrators	desired value, for that host
 *	head/NAME		administrators	the last change of a setting or rule: what two
 *						administrators at once compare on
 *	history/ID		administrators	each change: who, when, before, after
 *	alive/HOST		the host	under the host's lease: it is connected
 *	report/HOST		the host	facts, totals, VMs
 *	settings/HOST		the host	values in force, from where, since when
 *	drift/HOST/ID		the host	what was changed there by hand, and put right
 *	audit/HOST		the host	its last audit
 *	likeness/HOST		the host	sketches of its VMs' pages, for 'pshare plan'
 *	pending/HOST/VM		the host	under a lease: admitted, in no report yet
 *	admission		hosts		the last VM admitted: hosts compare on it
 *
 * A desired value with "once": true is put in force once, and the setting is not managed from then
 * on; a version that does not know it keeps it in force. Of a canary where nothing was desired.
 *
 * A host watches all/ and host/HOST/ and nothing else. Of the desired value for all and the one for
 * a host the later one holds, by etcd's revisions: no clock is asked. Salts are in none of these.
 * Of VMs with one salt likeness/ has one number, made with a key that is not in etcd either.
 */
#ifndef PSHARE_FLEET_KEYS_H
#define PSHARE_FLEET_KEYS_H

#include <stddef.h>

#define FLEET_SCHEMA 1
#define FLEET_KEY_MAX 320u
#define FLEET_NAME_MAX 64u /* of a fleet, host, VM, setting, with its NUL: PS_NAME_MAX */

enum fleet_key {
	FLEET_ALL,	/* all/ */
	FLEET_ALL_SET,	/* all/set/A */
	FLEET_ALL_RULE, /* all/rule/A */
	FLEET_ASK_AUDIT,
	FLEET_HOST,	/* host/A/ */
	FLEET_HOST_SET, /* host/A/set/B */
	FLEET_HEAD,
	FLEET_HISTORY,
	FLEET_ALIVE,
	FLEET_REPORT,
	FLEET_SETTINGS,
	FLEET_DRIFT, /* drift/A/B */
	FLEET_AUDIT,
	FLEET_LIKENESS,
	FLEET_PENDING, /* pending/A/B */
	FLEET_ADMISSION,
};

/* The key of a thing; with NULL for A or B the prefix of all of its kind (alive/). Names are taken
 * as they are: who passes one has checked it. Returns out. */
const char *fleet_key(char out[FLEET_KEY_MAX], const char *fleet, enum fleet_key kind,
		      const char *a, const char *b);

/* What follows prefix in key; NULL if key does not begin with it. */
const char *fleet_after(const char *key, const char *prefix);

/* The end of the range of all keys that begin with prefix, which ends with '/'. Returns out. */
const char *fleet_range_end(char out[FLEET_KEY_MAX], const char *prefix);

#endif
