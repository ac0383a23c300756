/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * etcd: the JSON gateway of an etcd cluster, version 3.4 or later: requests and watches.
 *
 * A request goes to one member, and to the next where that does not answer or has no leader. With
 * a user, a token is fetched first, and again when it is no longer taken.
 *
 * Errors (negative errno; why has one line for a person):
 *	-ENOTCONN	no member answers
 *	-ETIMEDOUT	none answered in time; a change may have been made or not
 *	-EPROTO		TLS failed, or what answers is no etcd: a certificate is wrong; why says it
 *	-EKEYREJECTED	user or password are wrong, or one is wanted and none is set
 *	-EACCES		this user's roles do not allow it
 *	-ENOSPC		etcd is full (its quota): it reads, and takes no changes
 *	-EMSGSIZE	the request is longer than etcd takes: do not send it again
 *	-EAGAIN		etcd has no leader, or too much to do
 *	-ENODATA	the revision has been compacted: read anew
 *	-ECANCELED	a watch ended for no reason that it told
 *	-EBADMSG	anything else
 */
#ifndef PSHARE_FLEET_ETCD_H
#define PSHARE_FLEET_ETCD_H

#include <stdint.h>

#include "fleet/config.h"
#include "fleet/http.h"

#define ETCD_TIMEOUT_MS 8000L

struct etcd;
struct etcd_op;
struct etcd_watch;

struct etcd_answer {
	int error;
	const char *why;
	json_t *json;	  /* borrowed; NULL with an error */
	int64_t revision; /* of the answer's header; 0: it has none */
};
typedef void (*etcd_done)(void *arg, const struct etcd_answer *answer);

/* config must outlive it. */
int etcd_new(struct etcd **out, struct http *http, const struct fleet_config *config);
struct etcd *etcd_free(struct etcd *etcd);
DEFINE_CLEANUP(struct etcd *, etcd, etcd_free);
#define _cleanup_etcd_ _cleanup_(cleanup_etcd)

/* POSTs body, whose reference is taken (NULL: memory was short, which is told as -ENOMEM), to path
 * ("/v3/kv/range"). done() is called once, from http_turn(). *out (may be NULL) is for
 * etcd_cancel(), until then. once: it must not reach etcd twice, so it is not sent to a second
 * member after the first may have taken it. */
int etcd_ask(struct etcd *etcd, const char *path, json_t *body, bool once, etcd_done done,
	     void *arg, struct etcd_op **out);
void etcd_cancel(struct etcd_op *op);

/* The same, waited for. 0 and *answer, else -errno and a line in err. */
int etcd_call(struct etcd *etcd, const char *path, json_t *body, bool once, json_t **answer,
	      char err[FLEET_ERROR_MAX]);

/* ---- bodies and answers: new references, NULL when memory is short ---- */

/* One key, or all that begin with it if it ends with '/'. */
json_t *etcd_range_body(const char *key);
json_t *etcd_put_body(const char *key, const json_t *value, int64_t lease);
json_t *etcd_delete_body(const char *key);
/* Of the keys that begin with prefix (it ends with '/') the first n by name. keys: no values. */
json_t *etcd_page_body(const char *prefix, unsigned int n, bool keys);
/* The page behind this one. *page: the body that was asked, whose reference is taken; then the body
 * to ask next, NULL if this was the last page or in error. What is no key of ours is passed over
 * like any other, or it would hide those behind it. -EPROTO: more is said to come, but the last key
 * is before what was asked for; such an etcd would be asked for ever. */
int etcd_page_next(json_t **page, const json_t *answer);
/* Deletes all keys from the first that begins with prefix to key, key too. */
json_t *etcd_delete_to_body(const char *prefix, const char *key);
/* Of a transaction: each list takes what it is given; op is "range", "put" or "delete_range". */
json_t *etcd_txn_body(json_t *compare, json_t *success, json_t *failure);
int etcd_add_op(json_t *list, const char *op, json_t *body);
/* key's last change is of this revision (0: there is no such key). */
int etcd_add_compare(json_t *list, const char *key, int64_t mod_revision);

/* An int64 of an answer: a string, or missing where it is 0. */
int64_t etcd_int(const json_t *object, const char *name);

/* One key of an answer. value: a new reference, scrubbed (fleet/json.h); NULL if it is no JSON
 * object of a schema that this version reads. 0, or -EBADMSG: it has no key that could be one of
 * ours. */
struct etcd_kv {
	char key[FLEET_KEY_MAX];
	json_t *value;
	int64_t mod_revision, create_revision, lease;
};
int etcd_kv(const json_t *kv, struct etcd_kv *out);
void etcd_kv_free(struct etcd_kv *kv);
#define _cleanup_kv_ _cleanup_(etcd_kv_free)
/* The "kvs" of a range's answer; NULL (no iteration) if there are none. */
json_t *etcd_kvs(const json_t *range);
/* The answer of the nth operation of a transaction, op as "response_range". */
json_t *etcd_response(const json_t *txn, size_t n, const char *op);

/* ---- watches ---- */

struct etcd_watch_call {
	const char *prefixes[3]; /* keys, or prefixes that end with '/'; NULL after the last */
	int64_t from;		 /* first revision */
	/* kv->value NULL: deleted, or unreadable. */
	void (*event)(void *arg, const struct etcd_kv *kv);
	/* It is over: error as above. The watch has freed itself. */
	void (*end)(void *arg, int error, const char *why);
	void *arg;
};
int etcd_watch(struct etcd *etcd, const struct etcd_watch_call *call, struct etcd_watch **out);
void etcd_watch_cancel(struct etcd_watch *watch);

/* Go to another member from now on. */
void etcd_next_member(struct etcd *etcd);

#endif
