/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One curl multi handle; a request is one easy handle of it. libcurl calls take() while it works,
 * where nothing may be started or removed; so take() only stores, and marks the request as ready.
 * After libcurl has returned, what is ready is told to its owner, who may then do as he likes. A
 * request that was cancelled or is done is dead: it is skipped, and freed when nobody walks.
 *
 * What a server sends is charged to the request, up to HTTP_ANSWER_MAX.
 *
 * HTTP/1.1 alone: etcd's gateway has no use for more, and a watch that shares a connection with
 * requests would wait for their flow control.
 */
#include "fleet/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 8000L
#define KEEPALIVE_S 10L

struct http_request {
	struct http *http;
	struct http_request *next, *prev; /* of all */
	struct http_request *next_ready;
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	char *text; /* what came, and is not told yet */
	size_t length, room;
	http_line line;
	http_done done;
	void *arg;
	CURLcode code;
	char error[CURL_ERROR_SIZE];
	bool ready, finished, dead, too_long;
};

struct http {
	CURLM *multi;
	struct http_request *all;
	struct http_request *ready, **ready_end;
};

/* ---- requests ------------------------------------------------------------------------------ */

static void make_ready(struct http_request *request)
{
	if (request->ready)
		return;
	request->ready = true;
	request->next_ready = NULL;
	*request->http->ready_end = request;
	request->http->ready_end = &request->next_ready;
}

static size_t take(char *data, size_t one, size_t n, void *arg)
{
	struct http_request *request = arg;

	n *= one;
	if (n > HTTP_ANSWER_MAX - request->length) {
		request->too_long = true;
		return 0;
	}
	if (request->length + n + 1 > request->room) {
		size_t room = (request->length + n + 1) * 2;
		char *bigger = realloc(request->text, room);

		if (!bigger)
			return 0;
		request->text = bigger;
		request->room = room;
	}
	memcpy(request->text + request->length, data, n);
	request->length += n;
	request->text[request->length] = '\0';
	if (request->line)
		make_ready(request);
	return n;
}

static void request_free(struct http_request *request)
{
	if (request->easy)
		curl_easy_cleanup(request->easy);
	curl_slist_free_all(request->headers);
	free(request->body);
	free(request->text);
	free(request);
}

static void add_header(struct http_request *request, const char *text, bool *bad)
{
	struct curl_slist *longer = curl_slist_append(request->headers, text);

	if (longer)
		request->headers = longer;
	else
		*bad = true;
}

#define SET(option, value) bad |= curl_easy_setopt(easy, option, value) != CURLE_OK

static bool set_tls(CURL *easy, const struct http_tls *tls)
{
	bool bad = false;

	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_CERTINFO, 1L);
	if (tls->ca) {
		SET(CURLOPT_CAINFO, tls->ca);
		SET(CURLOPT_CAPATH, (char *)NULL);
	}
	if (tls->certificate)
		SET(CURLOPT_SSLCERT, tls->certificate);
	if (tls->key)
		SET(CURLOPT_SSLKEY, tls->key);
	return !bad;
}

static bool set_body(struct http_request *request, const struct http_call *call)
{
	CURL *easy = request->easy;
	bool bad = false;

	add_header(request, "Content-Type: application/json", &bad);
	add_header(request, "Expect:", &bad);
	request->body = strdup(call->body);
	if (!request->body)
		return false;
	SET(CURLOPT_POSTFIELDS, request->body);
	SET(CURLOPT_POSTFIELDSIZE, (long)strlen(request->body));
	return !bad;
}

static bool set_up(struct http_request *request, const struct http_call *call)
{
	CURL *easy = request->easy;
	char line[1024];
	bool bad = false;

	SET(CURLOPT_URL, call->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_PROXY, ""); /* what the environment names is not asked about a fleet's hosts */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_WRITEFUNCTION, take);
	SET(CURLOPT_WRITEDATA, request);
	SET(CURLOPT_PRIVATE, request);
	SET(CURLOPT_ERRORBUFFER, request->error);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(CURLOPT_TIMEOUT_MS, call->timeout_ms);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S);
	SET(CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S);
	if (call->socket)
		SET(CURLOPT_UNIX_SOCKET_PATH, call->socket);
	if (call->tls)
		bad |= !set_tls(easy, call->tls);
	if (call->body)
		bad |= !set_body(request, call);
	if (call->method)
		SET(CURLOPT_CUSTOMREQUEST, call->method);
	if (call->token) {
		snprintf(line, sizeof(line), "Authorization: %s", call->token);
		add_header(request, line, &bad);
	}
	if (call->header)
		add_header(request, call->header, &bad);
	SET(CURLOPT_HTTPHEADER, request->headers);
	return !bad;
}

int http_start(struct http *http, const struct http_call *call, struct http_request **out)
{
	struct http_request *request = calloc(1, sizeof(*request));

	if (!request)
		return -ENOMEM;
	request->http = http;
	request->line = call->line;
	request->done = call->done;
	request->arg = call->arg;
	request->easy = curl_easy_init();
	if (!request->easy || !set_up(request, call) ||
	    curl_multi_add_handle(http->multi, request->easy) != CURLM_OK) {
		request_free(request);
		return -ENOMEM;
	}
	request->next = http->all;
	if (http->all)
		http->all->prev = request;
	http->all = request;
	if (out)
		*out = request;
	return 0;
}

void http_cancel(struct http_request *request)
{
	if (!request || request->dead)
		return;
	request->dead = true;
	curl_multi_remove_handle(request->http->multi, request->easy);
	if (request->prev)
		request->prev->next = request->next;
	else
		request->http->all = request->next;
	if (request->next)
		request->next->prev = request->prev;
	make_ready(request); /* to be freed in its turn */
}

/* ---- telling ------------------------------------------------------------------------------- */

static int error_of(const struct http_request *request)
{
	switch (request->code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ENOTCONN;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_WRITE_ERROR:
		return request->too_long ? -EFBIG : -ENOMEM;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		/* TLS 1.3: the server refuses our certificate after it has greeted us */
		return strstr(request->error, " alert ") ? -EPROTO : -ECONNRESET;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return -EPROTO;
	default:
		return -ECONNRESET;
	}
}

/* What libcurl prints of the server's certificate, if it printed it. */
static int lacks_client_auth(const struct http_request *request)
{
	struct curl_certinfo *info = NULL;

	if (curl_easy_getinfo(request->easy, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
	    info->num_of_certs < 1)
		return -1;
	for (struct curl_slist *line = info->certinfo[0]; line; line = line->next) {
		const char *use = strstr(line->data, "X509v3 Extended Key Usage");

		if (use)
			return strstr(use, "TLS Web Client Authentication") == NULL;
	}
	return 0; /* without the extension any use is allowed */
}

static void tell_end(struct http_request *request)
{
	struct http_answer answer = {.error = error_of(request)};
	_cleanup_json_ json_t *json = NULL;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &answer.status);
	if (request->length)
		json = json_loadb(request->text, request->length, 0, NULL);
	answer.json = json;
	answer.lacks_client_auth = lacks_client_auth(request);
	answer.why = request->error[0] ? request->error : curl_easy_strerror(request->code);
	request->done(request->arg, &answer);
	http_cancel(request);
}

static void tell_lines(struct http_request *request)
{
	size_t at = 0;

	while (!request->dead && at < request->length) {
		char *start = request->text + at;
		char *end = memchr(start, '\n', request->length - at);
		_cleanup_json_ json_t *json = NULL;

		if (!end)
			break;
		at = (size_t)(end - request->text) + 1;
		json = json_loadb(start, (size_t)(end - start), 0, NULL);
		if (json)
			request->line(request->arg, json);
	}
	if (request->dead)
		return;
	memmove(request->text, request->text + at, request->length - at);
	request->length -= at;
}

/* Tells what is ready. True if anything was. */
static bool tell(struct http *http)
{
	bool any = http->ready != NULL;

	while (http->ready) {
		struct http_request *request = http->ready;

		http->ready = request->next_ready;
		if (!http->ready)
			http->ready_end = &http->ready;
		request->ready = false;
		if (!request->dead && request->line && request->length)
			tell_lines(request);
		if (!request->dead && request->finished)
			tell_end(request);
		else if (request->dead && !request->ready)
			request_free(request);
	}
	return any;
}

static void work(struct http *http)
{
	CURLMsg *message;
	int n;

	curl_multi_perform(http->multi, &n);
	while ((message = curl_multi_info_read(http->multi, &n))) {
		struct http_request *request = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		request->code = message->data.result;
		request->finished = true;
		make_ready(request);
	}
}

int http_turn(struct http *http, struct curl_waitfd *fds, unsigned int nfds, int timeout_ms)
{
	work(http);
	if (tell(http))
		timeout_ms = 0;
	if (curl_multi_poll(http->multi, fds, nfds, timeout_ms, NULL) != CURLM_OK)
		return -ENOMEM;
	work(http);
	tell(http);
	return 0;
}

/* ---- the whole ----------------------------------------------------------------------------- */

int http_new(struct http **out)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(http);
		return -ENOMEM;
	}
	http->ready_end = &http->ready;
	http->multi = curl_multi_init();
	if (!http->multi) {
		free(http);
		return -ENOMEM;
	}
	*out = http;
	return 0;
}

struct http *http_free(struct http *http)
{
	if (!http)
		return NULL;
	while (http->all)
		http_cancel(http->all);
	tell(http);
	curl_multi_cleanup(http->multi);
	free(http);
	return NULL;
}
