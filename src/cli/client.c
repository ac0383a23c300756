/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * client: the daemon's API over its unix socket, by libcurl.
 *
 * An answer has a cap, a read has a timeout. A PUT has none: the daemon answers it when the change
 * is true, or when its own limit for the VMs is over, and says which of them did not answer.
 *
 * A body may hold a salt: jansson's memory, and so its text, is wiped by the allocator that main()
 * sets. What libcurl copies of it lives until the process ends, which cannot be
 * dumped or traced meanwhile (cmd-set.c).
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "fleet/json.h"
#include "sys/launch.h"
#include "sys/proc.h"
#include "sys/sock.h"
#include "sys/terminal.h"
#include "sys/wipe.h"

#define ANSWER_MAX (64u << 20) /* of /v1/vms with thousands of VMs */
#define GET_TIMEOUT_MS 10000L
#define SHOW_AFTER_NS 500000000ull
#define NS_PER_S 1000000000ull
#define URL_MAX 512

struct client {
	CURL *curl;
	char socket[PATH_MAX + 16];
	char *text; /* the answer so far */
	size_t length;
	const char *what; /* is shown while waiting; or NULL */
	uint64_t began;
	long get_ms;	 /* a read takes no longer */
	bool for_people; /* answers are shown: nothing in them acts on a terminal */
	bool shown;
};

static size_t take(char *data, size_t one, size_t n, void *arg)
{
	struct client *client = arg;
	char *bigger;

	n *= one;
	if (n > ANSWER_MAX - client->length)
		return 0;
	bigger = realloc(client->text, client->length + n + 1);
	if (!bigger)
		return 0;
	client->text = bigger;
	memcpy(client->text + client->length, data, n);
	client->length += n;
	client->text[client->length] = '\0';
	return n;
}

/* libcurl calls this at least once a second: "set Mem.X: waiting 3 s" on a terminal. */
static int progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct client *client = arg;
	uint64_t waited = sys_now() - client->began;

	(void)a, (void)b, (void)c, (void)d;
	if (!client->what || waited < SHOW_AFTER_NS || !term_is_terminal(2))
		return 0;
	fprintf(stderr, "\r%s: waiting, %llu s ", client->what,
		(unsigned long long)(waited / NS_PER_S));
	fflush(stderr);
	client->shown = true;
	return 0;
}

struct client *client_free(struct client *client)
{
	if (!client)
		return NULL;
	if (client->curl)
		curl_easy_cleanup(client->curl);
	free(client->text);
	free(client);
	return NULL;
}

static bool set_options(struct client *client)
{
	CURL *curl = client->curl;
	bool bad = false;

	bad |= curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket) != CURLE_OK;
	/* a proxy of the environment is for the net, not for a socket of this host */
	bad |= curl_easy_setopt(curl, CURLOPT_PROXY, "") != CURLE_OK;
	bad |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") != CURLE_OK;
	bad |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
	bad |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) != CURLE_OK;
	bad |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, client) != CURLE_OK;
	bad |= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress) != CURLE_OK;
	bad |= curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client) != CURLE_OK;
	bad |= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) != CURLE_OK;
	return !bad;
}

int client_new(struct client **out, const struct runtime *runtime)
{
	_cleanup_client_ struct client *client = calloc(1, sizeof(*client));

	if (!client || curl_global_init(CURL_GLOBAL_NOTHING))
		return say_error(CLI_FAILED, "out of memory");
	client->get_ms = GET_TIMEOUT_MS;
	snprintf(client->socket, sizeof(client->socket), "%s/api.sock", runtime->dir);
	client->curl = curl_easy_init();
	if (!client->curl || !set_options(client))
		return say_error(CLI_FAILED, "libcurl does not start, or cannot do unix sockets");
	*out = TAKE_PTR(client);
	return 0;
}

void client_limit(struct client *client, uint32_t ms)
{
	client->get_ms = ms ? (long)ms : 1;
}

int client_peer(struct client *client, uid_t *uid)
{
	curl_socket_t sock = CURL_SOCKET_BAD;
	pid_t pid;
	gid_t gid;

	if (curl_easy_getinfo(client->curl, CURLINFO_ACTIVESOCKET, &sock) != CURLE_OK ||
	    sock == CURL_SOCKET_BAD)
		return -ENOTCONN;
	return sys_peer_cred(sock, &pid, uid, &gid);
}

int client_open(struct client **client, const struct args *args)
{
	struct runtime runtime;
	int r = runtime_find_daemon(&runtime, args);

	if (!r)
		r = client_new(client, &runtime);
	if (!r)
		(*client)->for_people = !args->json;
	return r;
}

/* "http://pshare/path", with a and b escaped in the place of the format's %s */
static int set_url(struct client *client, const char *format, const char *a, const char *b)
{
	char *first = curl_easy_escape(client->curl, a ? a : "", 0);
	char *second = curl_easy_escape(client->curl, b ? b : "", 0);
	char url[URL_MAX] = "http://pshare";
	size_t n = strlen(url);
	int r = -ENOMEM;

	if (first && second) {
		size_t room = sizeof(url) - n;
		const char *mark = strstr(format, "%s");
		const char *last = mark ? strstr(mark + 2, "%s") : NULL;
		int want;

		if (last)
			want = snprintf(url + n, room, "%.*s%s%.*s%s%s", (int)(mark - format),
					format, first, (int)(last - mark - 2), mark + 2, second,
					last + 2);
		else if (mark)
			want = snprintf(url + n, room, "%.*s%s%s", (int)(mark - format), format,
					first, mark + 2);
		else
			want = snprintf(url + n, room, "%s", format);
		r = want >= 0 && (size_t)want < room ? 0 : -ENAMETOOLONG;
	}
	curl_free(first);
	curl_free(second);
	if (!r && curl_easy_setopt(client->curl, CURLOPT_URL, url) != CURLE_OK)
		r = -ENOMEM;
	return r;
}

/* Sends what is set up. 0 and the HTTP status; or the -errno that a caller may want to know. */
static int perform(struct client *client, long *status)
{
	CURLcode code;

	free(client->text);
	client->text = NULL;
	client->length = 0;
	client->began = sys_now();
	client->shown = false;
	code = curl_easy_perform(client->curl);
	if (client->shown)
		fputs("\r\033[K", stderr);
	switch (code) {
	case CURLE_OK:
		curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, status);
		return 0;
	case CURLE_COULDNT_CONNECT:
		return -ENOENT;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_WRITE_ERROR:
		return -EFBIG;
	default:
		return -EIO;
	}
}

static int say_no_daemon(const struct client *client)
{
	char dir[PATH_MAX + 16];
	char *slash;
	int r;

	snprintf(dir, sizeof(dir), "%s", client->socket);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	r = sys_can_connect(client->socket);
	if (r == -EACCES || r == -EPERM)
		return say_error(CLI_FAILED,
				 "the daemon of %s is not for this user: join the group that owns "
				 "its socket",
				 dir);
	return say_error(CLI_FAILED,
			 "no daemon answers in %s; start pshared, or a VM by 'pshare run'", dir);
}

static int say_trouble(const struct client *client, int r)
{
	if (r == -ENOENT)
		return say_no_daemon(client);
	if (r == -ETIMEDOUT)
		return say_error(CLI_FAILED, "the daemon does not answer within %ld s",
				 GET_TIMEOUT_MS / 1000);
	if (r == -EFBIG)
		return say_error(CLI_FAILED, "the daemon's answer is longer than %u MiB",
				 ANSWER_MAX >> 20);
	if (r == -ENAMETOOLONG)
		return say_error(CLI_USAGE, "the name is too long");
	if (r == -ENOMEM)
		return say_error(CLI_FAILED, "out of memory");
	return say_error(CLI_FAILED, "the connection to the daemon broke (%s)", client->socket);
}

/* The daemon's JSON, or what its problem (RFC 9457) says, said as ours. */
static int read_answer(const struct client *client, long status, json_t **answer)
{
	_cleanup_json_ json_t *read =
		json_loadb(client->text ? client->text : "", client->length, 0, NULL);

	if (read && client->for_people)
		json_scrub(read);
	if (status == 200 && read) {
		*answer = TAKE_PTR(read);
		return 0;
	}
	if (*ask_text(read, "detail"))
		return say_error(CLI_FAILED, "%s", ask_text(read, "detail"));
	return say_error(CLI_FAILED, "what answers at %s is no pshared (HTTP status %ld)",
			 client->socket, status);
}

static int set_get(struct client *client)
{
	client->what = NULL;
	if (curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L) != CURLE_OK ||
	    curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, (char *)NULL) != CURLE_OK ||
	    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, (struct curl_slist *)NULL) !=
		    CURLE_OK ||
	    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, client->get_ms) != CURLE_OK)
		return -ENOMEM;
	return 0;
}

int client_try(struct client *client, json_t **answer, const char *path)
{
	long status = 0;
	json_t *read;
	int r = set_get(client);

	if (!r)
		r = set_url(client, path, NULL, NULL);
	if (!r)
		r = perform(client, &status);
	if (r)
		return r == -ENOENT ? r : -EIO;
	read = json_loadb(client->text ? client->text : "", client->length, 0, NULL);
	if (status != 200 || !read) {
		json_decref(read);
		return -EIO;
	}
	*answer = read;
	return 0;
}

int client_get(struct client *client, json_t **answer, const char *format, const char *a,
	       const char *b)
{
	long status = 0;
	int r = set_get(client);

	if (!r)
		r = set_url(client, format, a, b);
	if (!r)
		r = perform(client, &status);
	return r ? say_trouble(client, r) : read_answer(client, status, answer);
}

int client_look(struct client *client, json_t **answer, const char *format, const char *a)
{
	long status = 0;
	int r = set_get(client);

	if (!r)
		r = set_url(client, format, a, NULL);
	if (!r)
		r = perform(client, &status);
	if (!r && status == 404)
		return -ENOENT;
	return r ? say_trouble(client, r) : read_answer(client, status, answer);
}

static int set_put(struct client *client, const char *text, size_t length,
		   struct curl_slist *headers)
{
	CURL *curl = client->curl;

	if (curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)length) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT") != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 0L) != CURLE_OK)
		return -ENOMEM;
	return 0;
}

int client_put(struct client *client, json_t **answer, const json_t *body, const char *what,
	       const char *format, const char *a, const char *b)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	char *text = json_dumps(body, JSON_COMPACT);
	long status = 0;
	int r = headers && text ? 0 : -ENOMEM;

	if (!r)
		r = set_put(client, text, strlen(text), headers);
	if (!r)
		r = set_url(client, format, a, b);
	client->what = what;
	if (!r)
		r = perform(client, &status);
	sys_wiping_free(text);
	curl_slist_free_all(headers);
	return r ? say_trouble(client, r) : read_answer(client, status, answer);
}
