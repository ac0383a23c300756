/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * gRPC would be etcd's own tongue, and would spare what the gateway makes awkward (below); it
 * wants a gRPC library for C, which Debian has for C++ alone, and its runtime is larger than all
 * of pshare. The gateway is HTTP and JSON, which the daemon speaks anyway. What has to be known
 * of it (3.4):
 *
 *  - int64 are strings, zero and false are left out, keys and values are base64;
 *  - the token stands raw in Authorization; "Bearer" is a 401;
 *  - with --client-cert-auth a client's certificate that has a common name is refused with 400 once
 *    there is authentication: user and password say who asks, the certificate has an empty subject;
 *  - the gateway asks its own server as a client, with the server's certificate: without clientAuth
 *    in its extended key usage every request is a 503, while etcdctl works (lacks_client_auth);
 *  - 429 is a size limit or a full database, and never passes by waiting;
 *  - "Grpc-Metadata-hasleader: true" has a member that lost its quorum end a watch, which
 *    otherwise stays open and silent.
 *
 * A request whose answer did not come may have been done. Reading again is harmless; what may not
 * be done twice says so (once), and its owner finds out by reading.
 */
#include "fleet/etcd-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* grpc codes that the gateway passes on */
enum { GRPC_EXHAUSTED = 8, GRPC_UNAUTHENTICATED = 16, GRPC_DENIED = 7 };

struct etcd_op {
	struct etcd *etcd;
	struct etcd_op *next, *prev;
	struct http_request *request; /* NULL: waits for a token, or for its turn to fail */
	char *path, *body;
	etcd_done done;
	void *arg;
	unsigned int tries; /* members that were asked */
	bool once, logged_in_again;
};

static void op_send(struct etcd_op *op);

/* ---- what answers mean --------------------------------------------------------------------- */

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

/* TLS names the fault and not the file. An alert is the other side's: it did not like ours. Go, so
 * etcd, says "bad certificate" of every fault that a client's may have, and where none came. What
 * can be seen in our own files alone has been looked at (certs.c). */
static int tls_error(const struct etcd *etcd, const char *why, char err[FLEET_ERROR_MAX])
{
	const struct fleet_config *config = etcd->config;
	const char *where = config->endpoints[etcd->member];

	if (has(why, " alert ") && (has(why, "certificate") || has(why, "unknown ca"))) {
		if (!config->certificate)
			return fleet_fail(err, -EPROTO,
					  "etcd at %s wants a client certificate, and none is "
					  "given: give certificate = FILE and key = FILE",
					  where);
		return fleet_fail(err, -EPROTO,
				  "etcd at %s does not accept client certificate %.200s: it was "
				  "not signed by an authority that etcd trusts "
				  "(--trusted-ca-file), or is out of its time by etcd's clock",
				  where, config->certificate);
	}
	if (has(why, "issuer certificate") || has(why, "self-signed") || has(why, "self signed"))
		return fleet_fail(err, -EPROTO,
				  "the certificate of etcd at %s was not signed by ca %.200s: give "
				  "the authority that signed what etcd has as --cert-file",
				  where, config->ca ? config->ca : "(none)");
	if (has(why, "subject name matches"))
		return fleet_fail(err, -EPROTO,
				  "the certificate of etcd at %s is for another name: make it with "
				  "this one in subjectAltName, or give an endpoint that it names",
				  where);
	if (has(why, "certificate problem"))
		return fleet_fail(err, -EPROTO,
				  "the certificate of etcd at %s (--cert-file): %.200s", where,
				  why);
	if (has(why, "wrong version number"))
		return fleet_fail(err, -EPROTO, "what answers at %s speaks no TLS: %.200s", where,
				  why);
	return fleet_fail(err, -EPROTO, "TLS with %s: %.300s", where, why);
}

static int transport_error(const struct etcd *etcd, const struct http_answer *answer,
			   char err[FLEET_ERROR_MAX])
{
	const char *where = etcd->config->endpoints[etcd->member];

	if (answer->error == -EPROTO)
		return tls_error(etcd, answer->why, err);
	if (answer->error == -ETIMEDOUT)
		return fleet_fail(err, -ETIMEDOUT, "etcd at %s does not answer in time", where);
	if (answer->error == -EFBIG || answer->error == -ENOMEM)
		return fleet_fail(err, answer->error, "the answer of etcd is too long");
	return fleet_fail(err, -ENOTCONN, "etcd at %s cannot be reached: %.300s", where,
			  answer->why);
}

static int unavailable(const struct etcd *etcd, const char *text, char err[FLEET_ERROR_MAX])
{
	const char *where = etcd->config->endpoints[etcd->member];

	if (etcd->lacks_client_auth[etcd->member] == 1)
		return fleet_fail(
			err, -EPROTO,
			"the certificate of the etcd server at %s lacks the extended key usage "
			"clientAuth, without which etcd's JSON gateway answers 503 to everything: "
			"make it with extendedKeyUsage = serverAuth, clientAuth",
			where);
	return fleet_fail(err, -EAGAIN, "etcd at %s: %.200s", where,
			  *text ? text : "not available now");
}

int etcd_error(struct etcd *etcd, const struct http_answer *answer, char err[FLEET_ERROR_MAX])
{
	const char *where = etcd->config->endpoints[etcd->member], *text;

	if (answer->lacks_client_auth >= 0)
		etcd->lacks_client_auth[etcd->member] = (signed char)answer->lacks_client_auth;
	if (answer->error)
		return transport_error(etcd, answer, err);
	if (answer->status == 200 && answer->json)
		return 0;
	text = json_string_value(json_object_get(answer->json, "error"));
	if (!text)
		text = json_string_value(json_object_get(answer->json, "message"));
	if (!text)
		text = "";
	if (answer->status == 401)
		return fleet_fail(err, -EKEYREJECTED, "etcd at %s does not take the token: %.200s",
				  where, text);
	if (answer->status == 403 || has(text, "permission denied"))
		return fleet_fail(err, -EACCES,
				  "etcd: user %s may not do this: its roles do not allow it",
				  etcd->config->user ? etcd->config->user : "(none)");
	if (has(text, "authentication failed") || has(text, "user name is empty"))
		return fleet_fail(err, -EKEYREJECTED, "etcd: %s",
				  has(text, "empty") ?
					  "it wants a user: give user and password-file" :
					  "user or password are wrong");
	if (has(text, "CommonName"))
		return fleet_fail(
			err, -EPROTO,
			"the certificate %.200s has a common name, which etcd's JSON gateway "
			"refuses where there is authentication: make one with an empty subject",
			etcd->config->certificate ? etcd->config->certificate : "(none)");
	if (has(text, "database space exceeded"))
		return fleet_fail(
			err, -ENOSPC,
			"etcd is full (its quota): it takes no changes until it is compacted, "
			"defragmented and its alarm disarmed");
	if (has(text, "too large") || has(text, "larger than max"))
		return fleet_fail(err, -EMSGSIZE, "the request is longer than etcd takes: %.200s",
				  text);
	if (has(text, "compacted"))
		return fleet_fail(err, -ENODATA, "etcd: %.200s", text);
	if (has(text, "timed out") || answer->status == 504)
		return fleet_fail(err, -ETIMEDOUT, "etcd at %s: %.200s", where, text);
	if (answer->status == 503 || answer->status == 429 || has(text, "leader"))
		return unavailable(etcd, text, err);
	if (!answer->json)
		return fleet_fail(err, -EPROTO, "what answers at %s is no etcd (HTTP status %ld)",
				  where, answer->status);
	return fleet_fail(err, -EBADMSG, "etcd at %s: %.200s (HTTP status %ld)", where, text,
			  answer->status);
}

/* ---- members and tokens -------------------------------------------------------------------- */

void etcd_address(const struct etcd *etcd, const char *path, struct http_call *call, char url[512])
{
	snprintf(url, 512, "%s%s", etcd->config->endpoints[etcd->member], path);
	call->url = url;
	call->tls = &etcd->tls;
	call->token = etcd->token;
}

bool etcd_is_ready(const struct etcd *etcd)
{
	return !etcd->config->user || etcd->token;
}

void etcd_next_member(struct etcd *etcd)
{
	etcd->member = (etcd->member + 1) % etcd->config->nendpoints;
}

static void drop_token(struct etcd *etcd)
{
	if (etcd->token)
		explicit_bzero(etcd->token, strlen(etcd->token));
	free(etcd->token);
	etcd->token = NULL;
}

/* ---- the end of an op ---------------------------------------------------------------------- */

static void op_free(struct etcd_op *op)
{
	if (op->prev)
		op->prev->next = op->next;
	else
		op->etcd->ops = op->next;
	if (op->next)
		op->next->prev = op->prev;
	if (op->body)
		explicit_bzero(op->body, strlen(op->body));
	free(op->path);
	free(op->body);
	free(op);
}

void etcd_cancel(struct etcd_op *op)
{
	if (!op)
		return;
	http_cancel(op->request);
	op_free(op);
}

/* Takes the op: its owner may start or cancel what he likes in done(). */
static void op_end(struct etcd_op *op, int error, const char *why, json_t *json)
{
	struct etcd_answer answer = {.error = error, .why = why, .json = error ? NULL : json};
	etcd_done done = op->done;
	void *arg = op->arg;

	answer.revision = etcd_int(json_object_get(answer.json, "header"), "revision");
	op_free(op);
	done(arg, &answer);
}

/* May another member be asked after this error? */
static bool may_try_next(const struct etcd_op *op, int error)
{
	bool untouched = error == -ENOTCONN || error == -EPROTO || error == -EAGAIN;

	if (op->tries >= op->etcd->config->nendpoints)
		return false;
	return untouched || (error == -ETIMEDOUT && !op->once);
}

static void on_answer(void *arg, const struct http_answer *answer)
{
	struct etcd_op *op = arg;
	struct etcd *etcd = op->etcd;
	char err[FLEET_ERROR_MAX] = "";
	int error = etcd_error(etcd, answer, err);

	op->request = NULL;
	if (error == -EKEYREJECTED && answer->status == 401 && !op->logged_in_again &&
	    etcd->config->user) {
		op->logged_in_again = true;
		op->tries--;
		drop_token(etcd);
		op_send(op);
		return;
	}
	if (error && may_try_next(op, error)) {
		etcd_next_member(etcd);
		op_send(op);
		return;
	}
	op_end(op, error, err, answer->json);
}

/* ---- sending ------------------------------------------------------------------------------- */

static void on_login(void *arg, const struct http_answer *answer);

static int login_start(struct etcd *etcd)
{
	struct http_call call = {.timeout_ms = ETCD_TIMEOUT_MS, .done = on_login, .arg = etcd};
	_cleanup_json_ json_t *body = json_pack("{s:s, s:s}", "name", etcd->config->user,
						"password", etcd->config->password);
	_cleanup_free_ char *text = json_line(body);
	char url[512];
	int r;

	if (!text)
		return -ENOMEM;
	etcd_address(etcd, "/v3/auth/authenticate", &call, url);
	call.body = text;
	r = http_start(etcd->http, &call, &etcd->login);
	explicit_bzero(text, strlen(text));
	return r;
}

static void op_send(struct etcd_op *op)
{
	struct http_call call = {.timeout_ms = ETCD_TIMEOUT_MS, .done = on_answer, .arg = op};
	struct etcd *etcd = op->etcd;
	char url[512];
	int r;

	if (!etcd_is_ready(etcd)) {
		r = etcd->login ? 0 : login_start(etcd);
	} else {
		op->tries++;
		etcd_address(etcd, op->path, &call, url);
		call.body = op->body;
		r = http_start(etcd->http, &call, &op->request);
	}
	if (r)
		op_end(op, r, "out of memory", NULL);
}

/* All that wait for the token: sent, or failed with the error of the login. done() may start new
 * ones, which come to the head of the list and are not met here; or cancel some, so it is walked
 * from the start each time. */
static struct etcd_op *next_waiting(struct etcd *etcd)
{
	for (struct etcd_op *op = etcd->ops; op; op = op->next)
		if (!op->request)
			return op;
	return NULL;
}

static void on_login(void *arg, const struct http_answer *answer)
{
	struct etcd *etcd = arg;
	char err[FLEET_ERROR_MAX] = "";
	int error = etcd_error(etcd, answer, err);
	const char *token = json_string_value(json_object_get(answer->json, "token"));
	struct etcd_op *op;

	etcd->login = NULL;
	if (!error && token)
		etcd->token = strdup(token);
	/* where there is no authentication at all, none is needed */
	if (error == -EBADMSG && has(err, "authentication is not enabled"))
		etcd->token = strdup("");
	if (!etcd->token && !error)
		error = fleet_fail(err, -EBADMSG, "etcd gave no token");
	while ((op = next_waiting(etcd))) {
		if (etcd->token) {
			op_send(op);
		} else if (op->tries + 1 < etcd->config->nendpoints && may_try_next(op, error)) {
			op->tries++;
			etcd_next_member(etcd);
			op_send(op);
			return; /* one login at a time: the others wait for it too */
		} else {
			op_end(op, error, err, NULL);
			if (etcd->login)
				return; /* done() asked anew */
		}
	}
}

int etcd_ask(struct etcd *etcd, const char *path, json_t *body, bool once, etcd_done done,
	     void *arg, struct etcd_op **out)
{
	struct etcd_op *op = calloc(1, sizeof(*op));

	if (op) {
		op->path = strdup(path);
		op->body = json_line(body);
	}
	json_decref(body);
	if (!op || !op->path || !op->body) {
		if (op) {
			free(op->path);
			free(op->body);
		}
		free(op);
		return -ENOMEM;
	}
	op->etcd = etcd;
	op->once = once;
	op->done = done;
	op->arg = arg;
	op->next = etcd->ops;
	if (etcd->ops)
		etcd->ops->prev = op;
	etcd->ops = op;
	if (out)
		*out = op;
	op_send(op);
	return 0;
}

/* ---- waited for ---------------------------------------------------------------------------- */

struct waiting {
	bool over;
	int error;
	json_t *json;
	char *err;
};

static void on_waited(void *arg, const struct etcd_answer *answer)
{
	struct waiting *waiting = arg;

	waiting->over = true;
	waiting->error = answer->error;
	if (answer->error)
		snprintf(waiting->err, FLEET_ERROR_MAX, "%s", answer->why);
	else
		waiting->json = json_incref(answer->json);
}

int etcd_call(struct etcd *etcd, const char *path, json_t *body, bool once, json_t **answer,
	      char err[FLEET_ERROR_MAX])
{
	struct waiting waiting = {.err = err};
	int r = etcd_ask(etcd, path, body, once, on_waited, &waiting, NULL);

	if (r)
		return fleet_fail(err, r, "out of memory");
	while (!waiting.over) {
		if (http_turn(etcd->http, NULL, 0, 1000))
			return fleet_fail(err, -ENOMEM, "out of memory");
	}
	if (answer)
		*answer = waiting.json;
	else
		json_decref(waiting.json);
	return waiting.error;
}

/* ---- the whole ----------------------------------------------------------------------------- */

int etcd_new(struct etcd **out, struct http *http, const struct fleet_config *config)
{
	struct etcd *etcd = calloc(1, sizeof(*etcd));

	if (!etcd)
		return -ENOMEM;
	etcd->http = http;
	etcd->config = config;
	etcd->tls = (struct http_tls){config->ca, config->certificate, config->key};
	*out = etcd;
	return 0;
}

struct etcd *etcd_free(struct etcd *etcd)
{
	if (!etcd)
		return NULL;
	http_cancel(etcd->login);
	while (etcd->ops)
		etcd_cancel(etcd->ops);
	drop_token(etcd);
	free(etcd);
	return NULL;
}
