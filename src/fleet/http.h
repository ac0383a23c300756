/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http: requests that are under way at the same time, in one thread, over libcurl: to etcd (TLS)
 * and to the daemon's api.sock.
 *
 * All callbacks come from http_turn(), never from within http_start(). A request frees itself after
 * its done(). In a callback anything may be started or cancelled.
 */
#ifndef PSHARE_FLEET_HTTP_H
#define PSHARE_FLEET_HTTP_H

#include <curl/curl.h>
#include <stdbool.h>

#include "fleet/json.h"

#define HTTP_ANSWER_MAX (64u << 20) /* bytes of an answer, or of a stream's line */

struct http;
struct http_request;

struct http_tls {
	const char *ca, *certificate, *key; /* files; NULL: none */
};

struct http_answer {
	int error;    /* 0: the server answered with status; else -errno, and why says more */
	long status;  /* of HTTP */
	json_t *json; /* borrowed; NULL: there is no body, or it is no JSON */
	const char *why;
	/* does the server's certificate lack the use of a client's? 1 yes, 0 no, -1 not known: it
	 * is seen only by the first request of a connection */
	int lacks_client_auth;
};

typedef void (*http_done)(void *arg, const struct http_answer *answer);
/* One line of a stream; json is borrowed. */
typedef void (*http_line)(void *arg, json_t *line);

struct http_call {
	const char *url;
	const char *socket; /* of a unix socket, or NULL */
	const struct http_tls *tls;
	const char *method; /* NULL: GET, or POST where there is a body */
	const char *body;   /* JSON; copied */
	const char *token;  /* Authorization; or NULL */
	const char *header; /* one more, "Name: value"; or NULL */
	long timeout_ms;    /* for all of it; 0: none */
	http_line line;	    /* not NULL: a stream */
	http_done done;
	void *arg;
};

int http_new(struct http **out); /* 0 or -ENOMEM */
struct http *http_free(struct http *http);
DEFINE_CLEANUP(struct http *, http, http_free);
#define _cleanup_http_ _cleanup_(cleanup_http)

/* 0 or -errno, and then nothing was started. *request (may be NULL) is valid until done() or
 * http_cancel(). */
int http_start(struct http *http, const struct http_call *call, struct http_request **request);
/* No callback comes any more. */
void http_cancel(struct http_request *request);

/* Waits at most so long for something to happen, and calls back. fds: what else to wait for. 0 or
 * -errno. */
int http_turn(struct http *http, struct curl_waitfd *fds, unsigned int nfds, int timeout_ms);

#endif
