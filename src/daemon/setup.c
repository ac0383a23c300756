/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The beginning and the end of the daemon: it takes its folder, asks the kernel and the host what
 * they are, and gives up its rights (isolation.c). At the end everything is given back but
 * frames: VMs go on with those that they map.
 */

#include "daemon/setup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/admission.h"
#include "daemon/api.h"
#include "daemon/auditlog.h"
#include "daemon/balloon.h"
#include "daemon/change.h"
#include "daemon/conffile.h"
#include "daemon/device.h"
#include "daemon/host.h"
#include "daemon/image.h"
#include "daemon/isolation.h"
#include "daemon/mainloop.h"
#include "daemon/member.h"
#include "daemon/policyfile.h"
#include "daemon/secret.h"
#include "daemon/session-end.h"
#include "daemon/session.h"
#include "daemon/user.h"
#include "daemon/vm-end.h"
#include "sys/acl.h"
#include "sys/cleanup.h"
#include "sys/events.h"
#include "sys/path.h"
#include "sys/probe.h"
#include "sys/proc.h"
#include "sys/process.h"
#include "sys/self.h"
#include "sys/sock.h"
#include "sys/wait.h"

#define AGENT_MODE 0666 /* who may share is decided by SO_PEERCRED and the policy */
#define API_MODE 0660
#define SOCKET_BITS 6u /* read and write, to connect */
#define FOLDER_MODE 0755
#define SWAP_MODE 0700
#define GROUP_NAME "pshare"
#define FDS_SELF 64u	   /* descriptors kept for the daemon and its API */
#define FDS_PER_SESSION 8u /* socket, two bells, pidfd, balloon, and three of passage */
#define SESSIONS_MAX 4000u
#define LOCK_TRIES 20u
#define LOCK_PAUSE_US 50000

static int fail(const char *what, const char *path, int error)
{
	log_error("%s %s: %s", what, path, strerror(-error));
	return error;
}

/* A daemon that was killed a moment ago may leave a child behind that has not yet closed what it
 * was born with, and the lock with it: it is waited for. */
static int take_lock(const char *path)
{
	unsigned int none;
	int fd = sys_lock_file(path);

	for (unsigned int tries = 0; fd == -EWOULDBLOCK && tries < LOCK_TRIES; tries++) {
		sys_wait_readable(NULL, 0, LOCK_PAUSE_US, &none);
		fd = sys_lock_file(path);
	}
	return fd;
}

static int take_folder(struct daemon *d)
{
	const char *dir = d->options->runtime_dir;
	char path[OPTIONS_PATH_MAX + 16];
	int r = sys_make_folder(dir, FOLDER_MODE);

	if (r < 0)
		return fail("cannot make the folder", dir, r);
	snprintf(path, sizeof(path), "%s/lock", dir);
	d->lock_fd = take_lock(path);
	if (d->lock_fd == -EWOULDBLOCK) {
		log_error("another pshared runs in %s: end it, or give --runtime-dir", dir);
		return -EADDRINUSE;
	}
	return d->lock_fd < 0 ? fail("cannot lock", path, d->lock_fd) : 0;
}

/* Members of a group that gives a role may connect. Its owner may say so, whatever group it is. */
static void let_in(const char *path, uint32_t gid)
{
	int r = gid == ROLE_NO_GROUP ? 0 : sys_acl_set_group(path, gid, SOCKET_BITS);

	if (r < 0)
		log_warn("group %u cannot be let in to %s (%s): its members have to be of the "
			 "socket's own group as well",
			 gid, path, strerror(-r));
}

/* The group of that name or number. 0 where there is none and nobody asked for it. */
static int find_group(const char *option, const char *name, bool asked, uint32_t *gid)
{
	int r = sys_group_in_file(name, gid);

	if (r == 0)
		return 0;
	*gid = ROLE_NO_GROUP;
	if (!asked)
		return 0;
	if (r == -ENOENT)
		log_error("%s %.40s: there is no such group in /etc/group: groupadd would make it",
			  option, name);
	else
		(void)fail(option, name, r);
	return r;
}

static int find_groups(struct daemon *d)
{
	const struct options *o = d->options;
	int r;

	d->groups.self = sys_self_uid();
	r = find_group("--operate-group", o->operate_group, o->operate_asked, &d->groups.operate);
	if (r == 0)
		r = find_group("--admin-group", o->admin_group, o->admin_asked,
			       &d->groups.administer);
	return r;
}

/* Policy and settings, as the user who has to be able to read them again. */
static int read_files(struct daemon *d)
{
	char why[POLICYFILE_WHY_MAX], err[CONFFILE_ERROR_MAX];
	int r = policyfile_load(d, why);

	if (r < 0) {
		log_error("%s", why);
		return r;
	}
	d->conf = calloc(1, sizeof(*d->conf));
	if (!d->conf)
		return -ENOMEM;
	r = conffile_read(d->options, &d->set, d->conf, err);
	if (r < 0)
		log_error("%s", err);
	else
		d->settings = d->conf->settings;
	return r;
}

int daemon_check(const struct options *options)
{
	struct daemon d = {.options = options};
	int r = read_files(&d);

	if (r == 0)
		printf("pshared: policy and %u file%s of settings are good\n", d.conf->files,
		       d.conf->files == 1 ? "" : "s");
	access_free(d.policy);
	free(d.conf);
	return r;
}

static int open_log(struct daemon *d)
{
	const struct options *o = d->options;
	struct auditlog_place place = {
		.folder = o->log_dir ? o->log_dir : o->runtime_dir,
		.journal = o->journal,
		.file_max = o->log_file_max,
		.files = o->log_files,
	};

	int r = auditlog_new(&d->log, &place);

	if (r == 0 || o->log_asked)
		return r;
	log_warn("the audit log is in memory alone: give --log-dir");
	place.folder = NULL;
	return auditlog_new(&d->log, &place);
}

/* The daemon itself, into its audit log. */
static void record(struct daemon *d, const char *what)
{
	const struct view_record record = {.what = what,
					   .setting = "pshared",
					   .after = "\"" PSHARE_VERSION "\"",
					   .via = "pshared"};

	auditlog_add(d->log, &record);
}

static int bind_socket(struct daemon *d, const char *name, enum sys_sock_kind kind,
		       unsigned int mode, int *fd)
{
	char path[OPTIONS_PATH_MAX + 16];
	uint32_t group;
	int r;

	snprintf(path, sizeof(path), "%s/%s", d->options->runtime_dir, name);
	r = sys_remove_socket(path);
	if (r < 0)
		return fail("cannot replace", path, r);
	*fd = sys_unix_listen(path, kind, mode);
	if (*fd < 0)
		return fail("cannot listen on", path, *fd);
	if (mode != API_MODE)
		return 0;
	if (sys_self_uid() == 0 && sys_group_in_file(GROUP_NAME, &group) == 0) {
		r = sys_set_owner(path, group, mode);
		if (r < 0)
			return fail("cannot give to group " GROUP_NAME, path, r);
	}
	let_in(path, d->groups.operate);
	let_in(path, d->groups.administer);
	return 0;
}

/* --http */
static int bind_port(struct daemon *d)
{
	const struct loopback *l = &d->options->http;
	char address[24];
	uint16_t port = 0;

	if (!d->options->has_http)
		return 0;
	snprintf(address, sizeof(address), "%u.%u.%u.%u", l->four[0], l->four[1], l->four[2],
		 l->four[3]);
	d->port_fd = sys_loopback_listen(l->six, l->four, l->port, &port);
	if (d->port_fd < 0)
		return fail("cannot listen on", l->six ? "[::1]" : address, d->port_fd);
	log_info("http://%s:%u/ is there for whoever is on this host: to look, not to change",
		 l->six ? "[::1]" : address, port);
	return 0;
}

/* While there are still rights to. Where it cannot be made, `pshare show` says so of each VM. */
static void make_swap_folder(const struct daemon *d)
{
	int r = *d->options->swap_dir ? sys_make_folders(d->options->swap_dir, SWAP_MODE) : 0;

	if (r < 0)
		log_warn("cannot make the folder %s: %s: nothing is swapped", d->options->swap_dir,
			 strerror(-r));
}

static void probe_kernel(struct daemon *d)
{
	const char *why;
	enum sys_probe seen = sys_probe_move_loops(&why);

	d->move_loops = seen != SYS_PROBE_FINE;
	if (d->move_loops)
		log_warn("parts of huge pages stay where they are: %s", why);
	else
		log_debug("%s", why);
}

static int watch_all(struct daemon *d)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	int r = loop_init(&d->loop);

	if (r < 0)
		return r;
	d->signal_fd = sys_signalfd_new(signals, 3);
	if (d->signal_fd < 0)
		return d->signal_fd;
	r = loop_watch(&d->loop, &d->signal, LOOP_SIGNAL, d->signal_fd, LOOP_READ);
	if (r == 0)
		r = loop_watch(&d->loop, &d->listen, LOOP_LISTEN, d->agent_fd, LOOP_READ);
	if (r == 0)
		r = api_new(&d->api, d, d->api_fd, &d->groups);
	if (r == 0 && d->port_fd >= 0)
		r = api_serve_port(d->api, d->port_fd);
	if (r == 0)
		r = loop_watch(&d->loop, &d->http, LOOP_API, api_fd(d->api), LOOP_READ);
	if (r == 0 && d->device_sock >= 0)
		r = loop_watch(&d->loop, &d->device_source, LOOP_DEVICE, d->device_sock, LOOP_READ);
	return r;
}

static void init_state(struct daemon *d, const struct options *options)
{
	*d = (struct daemon){
		.options = options,
		.loop.epoll = -1,
		.signal.fd = -1,
		.listen.fd = -1,
		.http.fd = -1,
		.device_source.fd = -1,
		.device = -1,
		.device_sock = -1,
		.lock_fd = -1,
		.signal_fd = -1,
		.agent_fd = -1,
		.api_fd = -1,
		.port_fd = -1,
		.balloon.fd = -1,
		.balloon_fd = -1,
		.now = sys_now(),
	};
	d->started = d->idle_since = d->state_since = d->now;
	list_init(&d->users);
	list_init(&d->sessions);
	list_init(&d->vms);
	list_init(&d->domains);
	list_init(&d->dropping);
	list_init(&d->waiting);
	list_init(&d->ready);
	list_init(&d->unsent);
	list_init(&d->gone_sessions);
	list_init(&d->gone_vms);
	list_init(&d->changes);
	list_init(&d->images);
	list_init(&d->admissions);
}

static void size_by_limits(struct daemon *d)
{
	unsigned long files = 0;

	d->sessions_max = SESSIONS_MAX;
	if (sys_raise_nofile(&files) == 0 && files > FDS_SELF &&
	    (files - FDS_SELF) / FDS_PER_SESSION < SESSIONS_MAX)
		d->sessions_max = (uint32_t)((files - FDS_SELF) / FDS_PER_SESSION);
}

int daemon_prepare(struct daemon *d, const struct options *options)
{
	int r;

	if (!d->options)
		init_state(d, options);
	r = find_groups(d);
	if (r == 0)
		r = read_files(d);
	if (r == 0)
		r = take_folder(d);
	if (r == 0)
		r = open_log(d);
	if (r == 0)
		r = bind_socket(d, "agent.sock", SYS_SOCK_SEQPACKET, AGENT_MODE, &d->agent_fd);
	if (r == 0)
		r = bind_socket(d, "api.sock", SYS_SOCK_STREAM, API_MODE, &d->api_fd);
	if (r == 0)
		r = bind_port(d);
	if (r == 0 && d->device >= 0)
		r = bind_socket(d, "uffd.sock", SYS_SOCK_STREAM, API_MODE, &d->device_sock);
	if (r < 0)
		return r;
	make_swap_folder(d);
	host_read_facts(d);
	size_by_limits(d);
	r = secret_init();
	if (r < 0)
		return fail("cannot set up", "libcrypto", r);
	r = watch_all(d);
	return r < 0 ? fail("cannot set up", "the event loop", r) : 0;
}

/* While it may still read what is root's alone. */
static int read_likeness_key(struct daemon *d)
{
	const char *path = d->options->likeness_key;
	int r = secret_likeness_key(path, d->likeness_key);

	if (r == -ENOENT && !d->options->likeness_asked)
		return secret_likeness_key(NULL, d->likeness_key);
	if (r == -ENOENT)
		log_error("likeness key %s: there is no such file: head -c 32 /dev/urandom | "
			  "base64 makes one",
			  path);
	else if (r == -EMEDIUMTYPE || r == -EISDIR)
		log_error("likeness key %s: is no regular file: give one that is", path);
	else if (r == -EFBIG)
		log_error("likeness key %s: is too long: 44 bytes would do", path);
	else if (r == -EPERM)
		log_error("likeness key %s: others may read it: chmod 600 would do", path);
	else if (r == -EINVAL)
		log_error("likeness key %s: give %u bytes at least: head -c 32 /dev/urandom | "
			  "base64",
			  path, SECRET_KEY_LEAST);
	else if (r < 0)
		return fail("cannot read the likeness key", path ? path : "", r);
	return r;
}

int daemon_init(struct daemon *d, const struct options *options)
{
	int r;

	init_state(d, options);
	r = isolation_start();
	if (r < 0)
		return r;
	probe_kernel(d);
	device_open(d);
	r = read_likeness_key(d);
	if (r == 0)
		r = isolation_become(options);
	if (r == 0)
		r = daemon_prepare(d, options);
	if (r == 0)
		r = isolation_drop_rights();
	if (r == 0)
		balloon_start(d);
	if (r == 0)
		r = isolation_limit_calls();
	if (r == 0)
		record(d, "start");
	return r;
}

static void remove_sockets(struct daemon *d)
{
	static const char *const names[] = {"agent.sock", "api.sock", "uffd.sock"};
	char path[OPTIONS_PATH_MAX + 16];

	for (unsigned int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", d->options->runtime_dir, names[i]);
		(void)sys_remove_socket(path);
	}
}

void daemon_deinit(struct daemon *d)
{
	d->ending = true; /* from here on no frame is punched */
	changes_abort(d);
	admissions_forget(d);
	if (d->agent_fd >= 0)
		remove_sockets(d);
	balloon_stop(d);
	loop_unwatch(&d->loop, &d->http);
	d->api = api_free(d->api);
	list_for_each(s, &d->sessions, struct session, link)
		session_end(s);
	list_for_each(vm, &d->vms, struct vm, link)
		vm_end(vm);
	while (members_work(d) || images_work(d))
		;
	daemon_free_ended(d);
	users_tick(d);
	d->policy = access_free(d->policy);
	if (d->api_fd >= 0)
		record(d, "stop");
	d->log = auditlog_free(d->log);
	free(d->conf);
	d->conf = NULL;
	device_close(d);
	loop_deinit(&d->loop);
	close_fd(&d->api_fd);
	close_fd(&d->port_fd);
	close_fd(&d->agent_fd);
	close_fd(&d->signal_fd);
	close_fd(&d->lock_fd);
}
