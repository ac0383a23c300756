/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* node: one host of a fleet, as pshare-fleet runs it. */
#ifndef PSHARE_FLEET_NODE_H
#define PSHARE_FLEET_NODE_H

#include "fleet/etcd.h"
#include "fleet/local.h"
#include "policy/fleetrules.h"

struct node;

enum node_level { NODE_ERROR, NODE_WARN, NODE_INFO };

struct node_options {
	struct http *http;
	struct etcd *etcd;
	const struct fleet_config *config;
	struct local *local;
	unsigned int poll_ms; /* how often the daemon is asked */
	void (*say)(void *arg, enum node_level level, const char *line);
	void *arg;
};

int node_new(struct node **out, const struct node_options *options);
struct node *node_free(struct node *node);
DEFINE_CLEANUP(struct node *, node, node_free);
#define _cleanup_node_ _cleanup_(cleanup_node)

/* Does what is due. Returns the milliseconds until something is due again. */
int node_work(struct node *node);
/* Gives the lease back, so that the host is seen to be gone at once; waits a moment for it. */
void node_leave(struct node *node);

/* Is it connected: does the fleet see it? */
bool node_is_here(const struct node *node);
/* The rules as last read. */
const struct fleetrules *node_rules(const struct node *node);

#endif
