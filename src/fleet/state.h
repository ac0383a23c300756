/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* state: a fleet as etcd has it at one moment, for commands and for the admission of a VM. */
#ifndef PSHARE_FLEET_STATE_H
#define PSHARE_FLEET_STATE_H

#include <time.h>

#include "fleet/etcd.h"
#include "policy/admission.h"
#include "policy/fleetrules.h"

struct fleet_host {
	char name[FLEET_NAME_MAX];
	bool connected;
	time_t since;	/* it is connected; else of its last report; 0: not known */
	json_t *report; /* the records of keys.h; NULL: there is none */
	json_t *settings;
	json_t *audit;
	json_t *likeness;
	json_t *wants;	 /* {NAME: record of host/HOST/set/NAME, with "revision"} */
	json_t *pending; /* {KEY: record of pending/HOST/KEY} */
};

struct fleet_state {
	const char *fleet;
	int64_t revision;
	struct fleet_host *hosts; /* by name */
	size_t nhosts, room;
	json_t *wants; /* {NAME: record of all/set/NAME, with "revision"} */
	struct fleetrules rules;
	json_t *rule_records; /* {NAME: record of all/rule/NAME} */
	int64_t admission;    /* revision of the key admission */
};

/* fleet is borrowed. */
int fleet_state_init(struct fleet_state *state, const char *fleet);
void fleet_state_free(struct fleet_state *state);
#define _cleanup_state_ _cleanup_(fleet_state_free)

/* A fleet may be larger than an answer may be, so it is read in pages, all as of one revision. */

/* The body of a transaction that reads these kinds of keys, the first page of each: of a small
 * fleet that is all. */
json_t *fleet_state_body(const char *fleet, const enum fleet_key *kinds, size_t n);
/* Takes its answer in. 0 or -ENOMEM. */
int fleet_state_take(struct fleet_state *state, const json_t *answer);
/* The range behind this one, which is of the transaction's answer (*page is NULL) or that to *page,
 * which is replaced by the body of the next; NULL: it was the last. 0, -ENOMEM, or -EPROTO as
 * etcd_page_next(). *page is the caller's, in error too. */
int fleet_state_next(const struct fleet_state *state, enum fleet_key kind, const json_t *range,
		     json_t **page);
int fleet_state_take_page(struct fleet_state *state, const json_t *range);
/* One key, as a watch tells it. */
int fleet_state_take_kv(struct fleet_state *state, const struct etcd_kv *kv);

/* NULL: there is none of this name. */
struct fleet_host *fleet_state_host(const struct fleet_state *state, const char *name);
/* Connected first, then the others, each by name: indexes into hosts, to be freed; NULL: no memory
 * (or no host). */
size_t *fleet_state_order(const struct fleet_state *state);

/* The record that holds for a host: of those for all and for it, the later; NULL: none, or
 * it was wanted once (keys.h), and has been put in force. */
json_t *fleet_state_want(const struct fleet_state *state, const struct fleet_host *host,
			 const char *setting);

/* ---- admission: the fleet as policy/admission.h wants it ---- */

struct fleet_load {
	struct admission_host *hosts; /* as state->hosts */
	struct admission_vm *vms;
	const char **names; /* of the VMs; borrowed from the state */
	uint32_t nhosts, nvms;
};
int fleet_load_init(struct fleet_load *load, const struct fleet_state *state);
void fleet_load_free(struct fleet_load *load);
#define _cleanup_load_ _cleanup_(fleet_load_free)

/* May a VM of so many bytes start on this host? verdict, and a line that says why (not). 0, or
 * -ENOENT: the fleet knows no such host; -ENOMEM. */
int fleet_state_judge(const struct fleet_state *state, const char *host, uint64_t bytes,
		      struct admission_verdict *verdict, char why[FLEET_ERROR_MAX]);

/* What is wrong with the hosts of das.failoverHosts: "; h2 is not connected; h7 is no host of the
 * fleet". "": nothing. */
#define FLEET_FAULTS_MAX 160u
void fleet_state_standby_faults(const struct fleet_state *state, char text[FLEET_FAULTS_MAX]);

#endif
