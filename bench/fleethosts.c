/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fleethosts: as many hosts of a fleet as wanted, in one process, on one real etcd.
 *
 *	fleethosts CONFIG N [VMS [RATE]]
 *
 * Each host is a whole node of src/fleet (lease, claim, watch, confirmations, reports) with a
 * connection of its own for its watch; only the daemon behind it is made up: it has VMS virtual
 * machines (default 20) and takes every setting at once. RATE of them (default 50) begin in each
 * second: this one process makes the handshakes of all. Short requests share idle connections, so
 * there are fewer of those than with N processes. Prints "connected N" when all are, then a line
 * each second ("here N"), until it is killed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "fleet/node.h"
#include "policy/settings.h"
#include "sys/proc.h"

#define HOSTS_MAX 20000u
#define POLL_MS 5000u
#define LOOK_MS 50u
#define MS 1000000ull

/* An answer that is to be given in the next turn. */
struct reply {
	struct reply *next;
	local_done done;
	void *arg;
	json_t *json;
};

struct host {
	struct local local;
	unsigned int number, vms;
	int64_t value[SETTING_HOST_END];
	struct fleet_config config;
	char name[FLEET_NAME_MAX];
	struct etcd *etcd;
	struct node *node;
	struct reply *replies;
	uint64_t due;
};

static json_t *settings_of(const struct host *host)
{
	json_t *settings = json_object();

	for (int id = 0; id < SETTING_HOST_END; id++)
		json_object_set_new(settings, setting_get((enum setting_id)id)->name,
				    json_integer(host->value[id]));
	return settings;
}

static json_t *vms_of(const struct host *host)
{
	json_t *list = json_array();
	char name[32];

	for (unsigned int i = 0; i < host->vms; i++) {
		snprintf(name, sizeof(name), "vm-%u-%u", host->number, i);
		json_array_append_new(
			list, json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I}", "name", name, "pid",
					(int)(1000 + i), "size", (json_int_t)4 << 30, "GRANT",
					(json_int_t)3 << 30, "SHRD", (json_int_t)1 << 30, "SHRDSVD",
					(json_int_t)700 << 20, "ZERO", (json_int_t)200 << 20));
	}
	return json_pack("{s:o}", "vms", list);
}

static int answer_later(struct host *host, json_t *json, local_done done, void *arg)
{
	struct reply *reply = malloc(sizeof(*reply));

	if (!reply)
		return -ENOMEM;
	*reply = (struct reply){host->replies, done, arg, json};
	host->replies = reply;
	return 0;
}

static int get(struct local *local, const char *path, local_done done, void *arg)
{
	struct host *host = (struct host *)local;

	if (strcmp(path, "/v1/vms") == 0)
		return answer_later(host, vms_of(host), done, arg);
	return answer_later(host,
			    json_pack("{s:s, s:i, s:i, s:s, s:i, s:o, s:{s:I, s:I}}", "version",
				      PSHARE_VERSION, "pid", (int)host->number + 1, "started", 1,
				      "state", "high", "vms", (int)host->vms, "settings",
				      settings_of(host), "pshare", "shared", (json_int_t)20 << 30,
				      "saving", (json_int_t)14 << 30),
			    done, arg);
}

static int put(struct local *local, const char *setting, json_t *value, local_done done, void *arg)
{
	struct host *host = (struct host *)local;
	int id = setting_find(setting, false, NULL);

	if (id >= 0)
		host->value[id] = json_integer_value(value);
	json_decref(value);
	return answer_later(host, json_object(), done, arg);
}

static json_t *facts(struct local *local)
{
	(void)local;
	return json_pack("{s:{s:I, s:I}, s:i, s:s}", "memory", "total", (json_int_t)256 << 30,
			 "available", (json_int_t)64 << 30, "cpus", 64, "kernel", "6.12.0");
}

static int audit(struct local *local)
{
	(void)local;
	return -ENOENT;
}

static json_t *audit_end(struct local *local)
{
	(void)local;
	return json_object();
}

static void say(void *arg, enum node_level level, const char *line)
{
	static unsigned int said;

	(void)arg;
	if (level != NODE_INFO && said++ < 20)
		fprintf(stderr, "fleethosts: %s\n", line);
}

static int start(struct host *host, struct http *http, const struct fleet_config *config,
		 unsigned int number, unsigned int vms)
{
	struct node_options options = {
		.http = http, .local = &host->local, .poll_ms = POLL_MS, .say = say};
	struct host_settings defaults;

	settings_defaults(&defaults);
	memcpy(host->value, defaults.value, sizeof(host->value));
	host->local = (struct local){get, put, facts, audit, audit_end};
	host->number = number;
	host->vms = vms;
	snprintf(host->name, sizeof(host->name), "host-%05u", number);
	host->config = *config;
	host->config.host = host->name;
	if (etcd_new(&host->etcd, http, &host->config))
		return -ENOMEM;
	options.etcd = host->etcd;
	options.config = &host->config;
	return node_new(&host->node, &options);
}

static void answer(struct host *host)
{
	while (host->replies) {
		struct reply *reply = host->replies;

		host->replies = reply->next;
		reply->done(reply->arg, 0, NULL, reply->json);
		json_decref(reply->json);
		free(reply);
		host->due = 0;
	}
}

static void work(struct host *hosts, unsigned int n, uint64_t now)
{
	for (unsigned int i = 0; i < n; i++) {
		answer(&hosts[i]);
		if (now < hosts[i].due)
			continue;
		/* a message may have come for any: none sleeps longer than a look or so */
		hosts[i].due = now + (uint64_t)node_work(hosts[i].node) * MS;
		if (hosts[i].due > now + LOOK_MS * MS)
			hosts[i].due = now + LOOK_MS * MS;
	}
}

static void run(struct host *hosts, unsigned int n, unsigned int rate, struct http *http)
{
	uint64_t look = 0, told = 0, began = sys_now();
	bool all = false;

	for (;;) {
		uint64_t now = sys_now();

		if (now >= look) {
			uint64_t begun = (now - began) / MS * rate / 1000 + 1;

			work(hosts, begun < n ? (unsigned int)begun : n, now);
			look = now + LOOK_MS * MS / 2;
		}
		if (now >= told + 1000 * MS) {
			unsigned int here = 0;

			for (unsigned int i = 0; i < n; i++)
				here += node_is_here(hosts[i].node);
			if (here == n && !all) {
				all = true;
				printf("connected %u\n", n);
			}
			printf("here %u\n", here);
			fflush(stdout);
			told = now;
		}
		if (http_turn(http, NULL, 0, 10))
			return;
	}
}

int main(int argc, char **argv)
{
	struct rlimit limit = {200000, 200000};
	unsigned int n = argc > 2 ? (unsigned int)atoi(argv[2]) : 0;
	unsigned int vms = argc > 3 ? (unsigned int)atoi(argv[3]) : 20;
	unsigned int rate = argc > 4 ? (unsigned int)atoi(argv[4]) : 50;
	struct fleet_config config;
	char err[FLEET_ERROR_MAX];
	struct http *http = NULL;
	struct host *hosts;

	if (argc < 3 || !n || n > HOSTS_MAX || vms > 1000 || !rate) {
		fprintf(stderr, "usage: fleethosts CONFIG N [VMS [RATE]]\n");
		return 2;
	}
	if (setrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max = 65536;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (fleet_config_read(&config, argv[1], err)) {
		fprintf(stderr, "fleethosts: %s\n", err);
		return 1;
	}
	hosts = calloc(n, sizeof(*hosts));
	if (!hosts || http_new(&http))
		return 1;
	for (unsigned int i = 0; i < n; i++)
		if (start(&hosts[i], http, &config, i, vms))
			return 1;
	run(hosts, n, rate, http);
	return 1;
}
