/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a node, and what its parts do for each other. */
#ifndef PSHARE_FLEET_NODE_INTERNAL_H
#define PSHARE_FLEET_NODE_INTERNAL_H

#include <time.h>

#include "fleet/id.h"
#include "fleet/node.h"
#include "policy/settings.h"

#define NODE_ID_MAX FLEET_ID_MAX
#define NODE_WHY_MAX 256u
#define MS 1000000ull
#define SECOND (1000 * MS)

/*
 * away		knows nothing newer than it knew; retries at due.connect. Changes nothing
 * leasing	asks for a lease, or whether the old one lives
 * claiming	writes alive/HOST under it, unless another instance has it
 * reading	reads what is desired, and what it confirmed earlier
 * here		watches; confirms, reports
 */
enum node_state { NODE_AWAY, NODE_LEASING, NODE_CLAIMING, NODE_READING, NODE_HERE };

enum node_origin { FROM_DEFAULT, FROM_FLEET, FROM_HOST, FROM_HAND };

/* What the fleet wants: for all hosts, or for this one. The later one holds. */
struct node_want {
	int64_t revision; /* 0: nothing is wanted */
	int64_t value;
	bool once; /* put in force, and not managed from then on */
	char change[NODE_ID_MAX];
};

struct node_setting {
	bool known; /* value is what is in force */
	int64_t value;
	enum node_origin from;
	time_t since;
	char change[NODE_ID_MAX]; /* the last that was put in force here */
	struct node_want all, host;
	char error[NODE_WHY_MAX]; /* why the wanted change is not in force */
	char failed[NODE_ID_MAX]; /* the change that the daemon refused: not asked again */
	uint64_t retry;		  /* not before */
};

struct node {
	struct node_options o;
	enum node_state state;
	char instance[NODE_ID_MAX];
	time_t started;
	int64_t lease, revision;
	struct etcd_op *op;	 /* of connecting */
	struct etcd_op *keep;	 /* keep-alive */
	struct etcd_op *refresh; /* reading anew while here */
	struct etcd_watch *watch;
	unsigned int failures; /* in a row */
	bool told_away, told_name;
	struct {
		uint64_t connect, keep, refresh, write, poll, report, audit, likeness;
	} due;
	uint64_t kept; /* when the lease was last known to live */
	struct fleetrules rules;

	struct node_setting setting[SETTING_HOST_END];
	json_t *unknown; /* NAME: {"change", "error"}: settings that this version does not have */
	bool restored;	 /* settings/HOST of before was read, or there is none */
	json_t *before;	 /* that record, until the daemon has been asked */
	char daemon[NODE_ID_MAX];      /* which daemon answers; "": none */
	char daemon_last[NODE_ID_MAX]; /* which did last: of which the settings are known */
	bool polling;
	unsigned int changes; /* of settings, by this node: a poll that overlaps one is void */
	unsigned int poll_changes;
	int putting; /* enum setting_id of a PUT under way; -1: none */
	char putting_change[NODE_ID_MAX];
	int64_t putting_value;
	bool putting_host, putting_once, putting_right;
	bool dirty; /* settings/HOST is to be written */
	struct etcd_op *publish;
	json_t *drifts; /* to be written: [{...}] */
	struct etcd_op *drift;
	struct etcd_op *drift_prune;

	bool reporting;
	unsigned int vms_seen; /* in the last report */
	json_t *status;	       /* the daemon's, while it is asked for its VMs */
	json_t *last_report;
	struct etcd_op *report_op;
	char audit_asked[NODE_ID_MAX];
	/* of the wish for an audit, and of the last audit: the later one holds */
	int64_t audit_wish, audit_done;
	bool auditing;
	struct etcd_op *audit_op;
	json_t *likeness; /* {VM: sketch}, while it is gathered; else NULL */
	size_t likeness_next, likeness_bytes;
	struct etcd_op *likeness_op;
	bool likeness_failed; /* one could not be asked for */
	/* of the VMs whose sketches are gathered, or were last */
	json_t *likeness_names;
	uint64_t likeness_again, likeness_apart; /* ns: written again then; and then after */
};

/* node.c */
void node_say(struct node *node, enum node_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* etcd did not do what it was asked: another try later, of everything. */
void node_lost(struct node *node, int error, const char *why);
/* A record was not written: no other is tried for a moment. */
void node_later(struct node *node);
const char *node_key(const struct node *node, char out[FLEET_KEY_MAX], enum fleet_key kind,
		     const char *a, const char *b);

/* node-settings.c */
void node_settings_forget(struct node *node);			      /* before all is read anew */
void node_settings_take(struct node *node, const struct etcd_kv *kv); /* of all/ or host/HOST/ */
void node_settings_restore(struct node *node, json_t *record); /* settings/HOST; NULL: none */
void node_settings_work(struct node *node, uint64_t now);
void node_settings_free(struct node *node);

/* node-likeness.c */
void node_likeness_work(struct node *node, uint64_t now);
void node_likeness_free(struct node *node);

/* node-report.c */
void node_report_work(struct node *node, uint64_t now);
void node_report_soon(struct node *node);
void node_report_anew(struct node *node); /* the last one may not be there */
void node_report_take_wish(struct node *node, const struct etcd_kv *kv); /* all/ask/audit */
void node_report_free(struct node *node);

#endif
