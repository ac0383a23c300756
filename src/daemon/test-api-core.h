/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The API on a core of a few lines, over real sockets, in one process: what its tests share. */
#ifndef PSHARE_DAEMON_TEST_API_CORE_H
#define PSHARE_DAEMON_TEST_API_CORE_H

#include <jansson.h>

#include "daemon/api-internal.h"
#include "daemon/api.h"
#include "harness/harness.h"

#define OPERATE 4050 /* groups that give a role */
#define ADMINISTER 4060
#define REPLY_MAX 131072
#define SALT_PATH "/v1/vms/web1/settings/sched.mem.pshare.salt"

/* A core that knows two VMs and does what it is told. */
struct daemon {
	char scan_time[32];
	bool slow;	/* changes take until finish() */
	int refuse;	/* what view_set() returns; 0: it works */
	view_done done; /* of the change under way */
	void *done_arg;
	unsigned int cancelled;
	unsigned char salt[PS_SALT_MAX];
	size_t salt_length;
	bool salt_given;
	bool forking;
	uint64_t balloon; /* that was ordered */
	bool rich;	  /* VMs have all that a VM may have */
	char did[256];	  /* orders and wishes */
	/* what was recorded last */
	uid_t owner;
	unsigned int records;
	enum view_result result;
	char told[512];
};

struct server {
	struct daemon daemon;
	struct api *api;
	int listener;
	char path[128];
};

extern char reply[REPLY_MAX];
extern char long_request[API_BODY_MAX * 4];

void start(struct server *server);
void stop(struct server *server);
int join(const struct server *server);
long pump(struct server *server, int fd, char *out, size_t size, unsigned int ms);
int ask(struct server *server, const char *request);
int get(struct server *server, const char *path);
const char *put_text(const char *path, const char *body);
int put(struct server *server, const char *path, const char *body);
const char *body_of(void);
json_t *json_body(void);
void check_error(const char *part);

#endif
