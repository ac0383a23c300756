/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_SECONDS 10.0
#define HTTP_SECONDS 60

void t_daemon_init(struct t_daemon *d)
{
	memset(d, 0, sizeof(*d));
	t_mkdtemp(d->dir, sizeof(d->dir));
	/* VMs of other users must reach agent.sock */
	t_sys(chmod(d->dir, 0755));
}

void t_need_product(void)
{
	t_need_root();
	t_check(t_have_pshare(), "agent and daemon are not built");
}

void t_daemon_fresh(struct t_daemon *d)
{
	t_need_product();
	t_daemon_init(d);
	t_daemon_start(d, NULL, NULL, NULL);
	t_daemon_full_speed(d);
}

static void log_to_file(const char *dir)
{
	char path[192];
	int fd;

	snprintf(path, sizeof(path), "%s/log", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
}

bool t_daemon_try(struct t_daemon *d, const char *const *extra, void (*pre)(void *), void *arg,
		  int *status)
{
	const char *argv[32] = {0};
	char path[PATH_MAX], body[65536];
	pid_t parent = getpid();
	double begun;
	int n = 0;

	argv[n++] = t_build_path("src/daemon/pshared", path, sizeof(path));
	argv[n++] = "--runtime-dir";
	argv[n++] = d->dir;
	for (; extra && *extra && n < 31; extra++)
		argv[n++] = *extra;
	d->pid = t_sys(fork());
	if (!d->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		log_to_file(d->dir);
		if (pre)
			pre(arg);
		execv(path, (char *const *)argv);
		_exit(127);
	}
	for (begun = t_now(); !t_late(begun, START_SECONDS); t_sleep(0.005)) {
		if (t_http(d, "GET", "/v1/status", NULL, body, sizeof(body)) == 200)
			return true;
		if (waitpid(d->pid, status, WNOHANG) == d->pid) {
			d->pid = 0;
			return false;
		}
	}
	t_daemon_free(d);
	t_fail("the daemon does not answer on api.sock within %.0f s", START_SECONDS);
}

void t_daemon_start(struct t_daemon *d, const char *const *extra, void (*pre)(void *), void *arg)
{
	int status = 0;

	if (t_daemon_try(d, extra, pre, arg, &status))
		return;
	t_daemon_free(d);
	t_fail("the daemon ended while it started, status 0x%x", status);
}

/* The status of a daemon that found itself guilty of a data race, after all that it did well. */
#define TSAN_STATUS 66

static bool raced(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == TSAN_STATUS;
}

void t_daemon_kill(struct t_daemon *d, int sig)
{
	int status;

	if (!d->pid)
		return;
	kill(d->pid, SIGCONT);
	kill(d->pid, sig);
	if (t_wait(d->pid, 10, &status)) {
		kill(d->pid, SIGKILL);
		t_wait(d->pid, 10, &status);
		t_fail("the daemon did not end within 10 s of signal %d", sig);
	}
	d->pid = 0;
	t_check(!raced(status), "ThreadSanitizer has something to say of the daemon");
}

static void show_log(const struct t_daemon *d)
{
	char path[192], text[16384];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/log", d->dir);
	n = t_slurp(path, text, sizeof(text));
	if (n > 0)
		t_note("the daemon's log:\n%s", n > 900 ? text + n - 900 : text);
}

void t_daemon_free(struct t_daemon *d)
{
	int status = 0;

	if (d->pid) {
		kill(d->pid, SIGCONT);
		kill(d->pid, SIGTERM);
		if (t_wait(d->pid, 10, &status)) {
			t_note("the daemon did not end within 10 s of SIGTERM");
			kill(d->pid, SIGKILL);
			t_wait(d->pid, 10, &status);
		}
	}
	if (status || getenv("PSHARE_TEST_LOG") || !d->pid)
		show_log(d);
	d->pid = 0;
	t_rmdir(d->dir);
	d->dir[0] = '\0';
	t_check(!raced(status), "ThreadSanitizer has something to say of the daemon");
}

static int api_connect(const struct t_daemon *d)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = HTTP_SECONDS};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.90s/api.sock", d->dir);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

/* Reads to the end or to the length that the header names; both kinds of server are served. */
static ssize_t read_answer(int fd, char *buf, size_t size)
{
	size_t len = 0, want = SIZE_MAX;

	while (len < size - 1 && len < want) {
		ssize_t n = recv(fd, buf + len, size - 1 - len, 0);
		char *end, *field;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		buf[len] = '\0';
		end = strstr(buf, "\r\n\r\n");
		field = want == SIZE_MAX && end ? strcasestr(buf, "content-length:") : NULL;
		if (field && field < end)
			want = (size_t)(end + 4 - buf) + strtoul(field + 15, NULL, 10);
	}
	return len ? (ssize_t)len : -EPROTO;
}

int t_http(const struct t_daemon *d, const char *method, const char *path, const char *send_body,
	   char *body, size_t size)
{
	size_t room = size + 4096, len;
	char *buf = malloc(room);
	int fd = api_connect(d), code = -EPROTO;
	char *text;
	ssize_t n;

	if (fd < 0) {
		free(buf);
		return fd;
	}
	len = (size_t)snprintf(buf, room,
			       "%s %s HTTP/1.1\r\nHost: pshare\r\nConnection: close\r\n"
			       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			       method, path, send_body ? strlen(send_body) : 0,
			       send_body ? send_body : "");
	if (send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len) {
		n = read_answer(fd, buf, room);
		if (n > 0 && sscanf(buf, "HTTP/1.%*d %d", &code) == 1) {
			text = strstr(buf, "\r\n\r\n");
			snprintf(body, size, "%s", text ? text + 4 : "");
		} else {
			code = n < 0 ? (int)n : -EPROTO;
		}
	}
	close(fd);
	free(buf);
	return code;
}

static json_t *walk(json_t *at, const char *way)
{
	char name[128];

	while (at && *way) {
		size_t len = strcspn(way, "/");

		snprintf(name, sizeof(name), "%.*s", (int)len, way);
		at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10)) :
					 json_object_get(at, name);
		way += len + (way[len] == '/');
	}
	return at;
}

double t_api_number(const struct t_daemon *d, const char *path, const char *way)
{
	size_t size = 1 << 20;
	char *body = malloc(size);
	double value = -1;
	json_t *root = NULL, *at;

	if (t_http(d, "GET", path, NULL, body, size) == 200) {
		root = json_loads(body, 0, NULL);
		at = walk(root, way);
		if (json_is_number(at))
			value = json_number_value(at);
		else if (json_is_boolean(at))
			value = json_is_true(at);
	}
	json_decref(root);
	free(body);
	return value;
}

static int put(const struct t_daemon *d, const char *path, const char *json)
{
	char body[4096];
	int code = t_http(d, "PUT", path, json, body, sizeof(body));

	if (code != 200)
		t_note("PUT %s %s: %d %s", path, json, code, code > 0 ? body : strerror(-code));
	return code;
}

int t_setting_put(const struct t_daemon *d, const char *name, const char *value)
{
	char path[256], json[512];

	snprintf(path, sizeof(path), "/v1/settings/%s", name);
	snprintf(json, sizeof(json), "{\"value\":%s}", value);
	return put(d, path, json);
}

int t_vm_setting_put(const struct t_daemon *d, const char *vm, const char *name, const char *json)
{
	char path[256];

	snprintf(path, sizeof(path), "/v1/vms/%s/settings/%s", vm, name);
	return put(d, path, json);
}

void t_daemon_full_speed(const struct t_daemon *d)
{
	static const char *const set[][2] = {
		{"Mem.AllocGuestLargePage", "0"},
		{"Mem.ShareScanTime", "0"},
		{"Mem.ShareScanGHz", "32"},
		{"Mem.ShareRateMax", "4194304"},
	};

	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		t_setting_put(d, set[i][0], set[i][1]);
}
