/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the API share among themselves: connections (api.c), requests
 * (api-request.c), routes (api-route.c) and what each route does (api-get.c, api-put.c). */
#ifndef PSHARE_DAEMON_API_INTERNAL_H
#define PSHARE_DAEMON_API_INTERNAL_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/view.h"
#include "policy/ration.h"

#define API_BODY_MAX 16384u /* a salt of PS_SALT_MAX bytes, each written as \u00XX, fits */
#define API_ASKED_MAX 160u
#define API_DEPTH_MAX 4u     /* nesting of a body; ours need 1 */
#define API_SEGMENTS_MAX 5u  /* of a path: v1 vms NAME settings NAME */
#define API_SEGMENT_MAX 128u /* bytes of one of them, NUL included */
#define API_CONNECTIONS_MAX 64u
#define API_CONNECTIONS_UID 16u	      /* of one user who does not administer */
#define API_CONNECTIONS_OTHERS 48u    /* of all such users; the rest is kept for administrators */
#define API_REQUEST_NS 30000000000ull /* to send a request and take its answer */

struct api_conn {
	struct api_conn *next, **link;
	struct MHD_Connection *mhd;
	struct view_peer peer;
	int fd;
	uint64_t since; /* from when it is its turn: it connected, or its last request was done */
	bool waiting;	/* a change is under way: it is our turn */
	bool served;	/* MHD owns it */
	bool tcp;	/* it came to the port: reading, and only from a page of ours */
};

/* Changes that one user without a role of his own may still make (of his VMs). */
#define API_CHANGES_BURST 60u
#define API_CHANGE_NS 10000000000ull /* and then one in so long */

struct api {
	struct daemon *daemon;
	struct MHD_Daemon *mhd;
	struct api_conn *conns;
	unsigned int nconns;
	int listener;
	int port; /* the listener on TCP; -1: there is none */
	int epoll;
	int timer;
	struct role_groups groups;
	uint64_t last_request;
	struct rations changes;
	bool stopping;
};

struct api_path {
	unsigned int n;
	char segment[API_SEGMENTS_MAX][API_SEGMENT_MAX];
};

enum api_progress {
	API_READING, /* takes in the body, if there is one; leaves to WAITING or ANSWERED */
	API_WAITING, /* suspended until view_done; leaves to ANSWERED */
	API_ANSWERED /* status and answer stand; the response may be queued, nothing else */
};

struct api_request {
	struct api *api;
	struct api_conn *conn;
	const struct api_route *route;
	const struct asset *asset; /* what is asked for, if it is one of the files */
	struct api_path path;
	enum api_progress progress;
	char *body; /* wiped and freed as soon as it is read */
	size_t length;
	bool too_long;
	unsigned int status;
	char *answer; /* text of the answer, to be freed */
	size_t answer_length;
	const char *content_type;
	/* of a change, for the audit log */
	bool is_change;
	char *before;		   /* JSON, to be freed; NULL: none */
	char asked[API_ASKED_MAX]; /* JSON; "": none, or a secret */
	char reason[VIEW_REASON];  /* of an error */
};

/* A route fills in the answer, or returns with request->progress = API_WAITING. */
typedef void (*api_handler)(struct api_request *request);

struct api_route {
	const char *pattern; /* segments; "*" takes any one */
	api_handler get;
	api_handler put;
	enum role read;	  /* that a GET needs; unsaid: look */
	enum role change; /* that a PUT needs; unsaid: administer */
	bool owner;	  /* of the VM: he may PUT as well; the handler asks who asks */
};

/* All routes but the files (asset.h). */
const struct api_route *api_routes(size_t *n);

/* api-asset.c: one of the files; what every answer says to a browser; and of a request that came to
 * the port, whether it may be served at all (else the answer says why not). */
extern const struct api_route api_asset_route;
void api_add_headers(struct MHD_Response *response);
void api_check_port(struct api_request *request, const char *method);

/* api-request.c */
enum MHD_Result api_handle(void *arg, struct MHD_Connection *connection, const char *url,
			   const char *method, const char *version, const char *data,
			   size_t *length, void **slot);
void api_completed(void *arg, struct MHD_Connection *connection, void **slot,
		   enum MHD_RequestTerminationCode why);
/* A header of the request; NULL: it has none. Valid while the request is. */
const char *api_header(const struct api_request *request, const char *name);
/* Takes the reference; NULL means that memory was short. */
void api_answer_json(struct api_request *request, unsigned int status, json_t *answer);
void api_answer_error(struct api_request *request, unsigned int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes text, which free() frees. */
void api_answer_text(struct api_request *request, char *text, size_t length, const char *type);
/* The end of a change, now or later: the answer from an errno, or the state of what was set. */
void api_finish_change(struct api_request *request, int error, const char *reason);

/* May the client do what needs that role? Else the answer says so. doing: "change settings of the
 * host". */
bool api_may(struct api_request *request, enum role needed, const char *doing);
/* The value of what a route is about, as JSON text to be freed; NULL: it has none. */
char *api_value(const struct api_request *request);

/* api-put.c: what was asked by who may not, for the audit log; never a secret. */
void api_note_refused(struct api_request *request);

/* api-log.c */
void api_get_log(struct api_request *request);
/* A change is over: it, or that it was refused or failed, goes into the audit log, once. */
void api_record(struct api_request *request);

/* api-route.c: pure */
int api_path_parse(struct api_path *path, const char *url);
const struct api_route *api_route_find(const struct api_route *routes, size_t n,
				       const struct api_path *path);
/* 0 if no bracket in text is nested deeper than API_DEPTH_MAX, else -E2BIG. */
int api_check_depth(const char *text, size_t length);

/* api-get.c, api-put.c. The finders have written the answer where they find nothing. */
struct view_vm *api_find_vm(struct api_request *request);   /* to be freed; or NULL */
int api_find_setting(struct api_request *request, bool vm); /* an enum setting_id; or -ENOENT */
void api_get_status(struct api_request *request);
void api_get_vms(struct api_request *request);
void api_get_vm(struct api_request *request);
void api_get_settings(struct api_request *request);
void api_get_setting(struct api_request *request);
void api_get_vm_settings(struct api_request *request);
void api_get_vm_setting(struct api_request *request);
void api_get_family(struct api_request *request);
void api_get_fork(struct api_request *request);
void api_put_fork(struct api_request *request);
void api_get_metrics(struct api_request *request);
/* api-likeness.c */
void api_get_likeness(struct api_request *request);

/* api-picture.c */
void api_get_picture(struct api_request *request);
void api_get_pictures(struct api_request *request);
/* api-audit.c: for administrators */
void api_get_audit(struct api_request *request);
void api_get_audit_frames(struct api_request *request);
void api_get_action(struct api_request *request);
void api_get_admission(struct api_request *request);
void api_put_setting(struct api_request *request);
void api_put_vm_setting(struct api_request *request);
void api_get_vm_balloon(struct api_request *request);
void api_put_vm_balloon(struct api_request *request);
void api_put_action(struct api_request *request);
void api_put_admission(struct api_request *request);

#endif
