// SPDX-License-Identifier: LGPL-2.1-or-later
/* The audit log: a chain of lines that grows, in files that are bounded. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/auditlog.h"
#include "daemon/log.h"
#include "harness/harness.h"

static struct auditlog *start(uint64_t file_max, unsigned int files, const char *journal)
{
	const struct auditlog_place place = {test_dir(), journal, file_max, files};
	struct auditlog *log;

	log_set_level(LOG_LEVEL_ERROR);
	REQUIRE_OK(auditlog_new(&log, &place));
	return log;
}

static struct view_peer peer =
	{.uid = 1000, .gid = 100, .pid = 42, .role = ROLE_ADMINISTER, .login_uid = 7, .comm = "x"};

static void add(struct auditlog *log, const char *setting)
{
	struct view_record record = {.what = "set",
				     .setting = setting,
				     .asked = "10",
				     .before = "60",
				     .after = "10",
				     .via = "api.sock",
				     .peer = &peer};

	auditlog_add(log, &record);
}

static char text[1 << 20];

static const char *slurp(const char *name)
{
	char path[256];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	file = fopen(path, "re");
	REQUIRE(file != NULL);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static int count(const char *line, void *arg)
{
	(void)line;
	++*(int *)arg;
	return 0;
}

static int held(const struct auditlog *log, uint64_t after, unsigned int max)
{
	int n = 0;

	CHECK_OK(auditlog_each(log, after, max, count, &n));
	return n;
}

static uint64_t last(const struct auditlog *log)
{
	struct view_log_state state;

	auditlog_state(log, &state);
	return state.last;
}

static int files(void)
{
	char pattern[256];
	glob_t found;
	int n;

	snprintf(pattern, sizeof(pattern), "%s/audit.log*", test_dir());
	n = glob(pattern, 0, NULL, &found) == 0 ? (int)found.gl_pathc : 0;
	globfree(&found);
	return n;
}

TEST("a record says who, from where, what, before, after and with which result")
{
	struct auditlog *log = start(AUDITLOG_FILE_MAX, 3, NULL);
	json_t *json;

	add(log, "Mem.ShareScanTime");
	json = json_loads(slurp("audit.log"), 0, NULL);
	REQUIRE(json != NULL);
	CHECK_EQ(json_integer_value(json_object_get(json, "seq")), 1);
	CHECK_STR(json_string_value(json_object_get(json, "setting")), "Mem.ShareScanTime");
	CHECK_EQ(json_integer_value(json_object_get(json, "before")), 60);
	CHECK_EQ(json_integer_value(json_object_get(json, "after")), 10);
	CHECK_EQ(json_integer_value(json_object_get(json, "uid")), 1000);
	CHECK_EQ(json_integer_value(json_object_get(json, "login_uid")), 7);
	CHECK_STR(json_string_value(json_object_get(json, "via")), "api.sock");
	CHECK_STR(json_string_value(json_object_get(json, "role")), "administer");
	CHECK_STR(json_string_value(json_object_get(json, "result")), "done");
	CHECK_EQ(strlen(json_string_value(json_object_get(json, "time"))), 27);
	json_decref(json);
	auditlog_free(log);
}

TEST("a daemon that starts goes on where the last one ended, also behind a torn line")
{
	struct auditlog *log = start(AUDITLOG_FILE_MAX, 3, NULL);
	char path[256];
	FILE *file;

	add(log, "a");
	add(log, "b");
	auditlog_free(log);
	log = start(AUDITLOG_FILE_MAX, 3, NULL);
	CHECK_EQ(last(log), 2);
	CHECK_EQ(held(log, 0, 100), 2);
	add(log, "c");
	CHECK_EQ(held(log, 0, 100), 3);
	CHECK_EQ(held(log, 2, 100), 1);
	CHECK_EQ(held(log, 0, 2), 2);
	auditlog_free(log);
	snprintf(path, sizeof(path), "%s/audit.log", test_dir());
	file = fopen(path, "ae");
	fputs("{\"seq\":4,\"ti", file);
	fclose(file);
	log = start(AUDITLOG_FILE_MAX, 3, NULL);
	add(log, "d");
	auditlog_free(log);
	CHECK_IN("{\"seq\":4,\"ti\n{\"seq\":5,", slurp("audit.log"));
}

TEST("a full file is set aside, the oldest goes, and the numbers go on")
{
	struct auditlog *log = start(AUDITLOG_FILE_LEAST, 2, NULL);

	for (int i = 0; i < 100; i++)
		add(log, "Mem.ShareScanTime");
	CHECK_EQ(files(), 3);
	CHECK_EQ(last(log), 100);
	CHECK(strlen(slurp("audit.log")) <= AUDITLOG_FILE_LEAST);
	auditlog_free(log);
	log = start(AUDITLOG_FILE_LEAST, 2, NULL);
	CHECK_EQ(last(log), 100);
	CHECK(held(log, 0, 1000) > 5);
	auditlog_free(log);
}

TEST("a disk that is full loses nobody a record in memory, and it is counted")
{
	struct auditlog *log = start(AUDITLOG_FILE_MAX, 2, NULL);
	struct rlimit limit = {2048, 2048};
	struct view_log_state state;

	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGXFSZ, SIG_IGN);
	REQUIRE_SYS(setrlimit(RLIMIT_FSIZE, &limit));
	for (int i = 0; i < 20; i++)
		add(log, "Mem.ShareScanTime");
	auditlog_state(log, &state);
	CHECK(state.lost > 5 && state.lost < 20);
	CHECK_EQ(state.last, 20);
	CHECK_EQ(held(log, 0, 100), 20);
	CHECK_EQ(state.unwritten, state.lost);
	CHECK_EQ(state.written, 20 - state.lost);
	auditlog_free(log);
}

/* The file of the folder takes no more than so many bytes; 0: whatever comes. */
static void bound_files(rlim_t bytes)
{
	const struct rlimit limit = {bytes ? bytes : RLIM_INFINITY, RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	REQUIRE_SYS(setrlimit(RLIMIT_FSIZE, &limit));
}

/* The last line of what was read says so. */
static void last_line_says(const char *part)
{
	size_t n = strlen(text);

	REQUIRE(n > 1 && text[n - 1] == '\n');
	text[n - 1] = '\0';
	CHECK_IN(part, strrchr(text, '\n'));
}

TEST("with room again, a record says how many before it are not in the file, and keeps the numbers")
{
	struct auditlog *log = start(AUDITLOG_FILE_MAX, 2, NULL);
	struct view_log_state state;
	uint64_t lost;
	char part[64];

	bound_files(2048);
	for (int i = 0; i < 20; i++)
		add(log, "Mem.ShareScanTime");
	auditlog_state(log, &state);
	lost = state.lost;
	auditlog_reopen(log); /* SIGHUP: the torn line is still there */
	bound_files(0);
	add(log, "Mem.ShareScanTime");
	slurp("audit.log");
	snprintf(part, sizeof(part), "\"unwritten\":%" PRIu64, lost);
	last_line_says(part);
	CHECK_IN("\n{\"seq\":21,", text);
	CHECK(!strstr(text, "\n{\"seq\":20,"));
	auditlog_state(log, &state);
	CHECK_EQ(state.unwritten, 0);
	CHECK_EQ(state.lost, lost);
	CHECK_EQ(state.written, 21);
	add(log, "Mem.ShareScanTime"); /* it is said once */
	slurp("audit.log");
	last_line_says("{\"seq\":22,");
	CHECK(!strstr(strrchr(text, '\n'), "unwritten"));
	auditlog_free(log);
}

TEST("a daemon that ends while there is no room leaves the gap for the next one to tell")
{
	struct auditlog *log = start(AUDITLOG_FILE_MAX, 2, NULL);
	struct view_log_state state;
	char part[64];

	for (int i = 0; i < 3; i++)
		add(log, "Mem.ShareScanTime");
	bound_files(1);
	for (int i = 0; i < 4; i++)
		add(log, "Mem.ShareScanTime");
	auditlog_free(log);
	log = start(AUDITLOG_FILE_MAX, 2, NULL); /* still no room */
	add(log, "Mem.ShareScanTime");
	auditlog_free(log);
	bound_files(0);
	log = start(AUDITLOG_FILE_MAX, 2, NULL);
	auditlog_state(log, &state);
	CHECK_EQ(state.last, 8);
	add(log, "Mem.ShareScanTime");
	snprintf(part, sizeof(part), "\"unwritten\":5,");
	CHECK_IN(part, slurp("audit.log"));
	CHECK_IN("{\"seq\":9,", text);
	auditlog_free(log);
}

TEST("the state says the hash of the file's last line: what the next record holds")
{
	struct auditlog *log = start(AUDITLOG_FILE_MAX, 2, NULL);
	struct view_log_state state;
	char part[80];

	for (int i = 0; i < 3; i++) {
		auditlog_state(log, &state);
		snprintf(part, sizeof(part), "\"previous\":\"%s\"}\n", state.head);
		add(log, "Mem.ShareScanTime");
		CHECK_IN(part, slurp("audit.log"));
		if (i == 1) { /* another daemon finds it in the file */
			auditlog_free(log);
			log = start(AUDITLOG_FILE_MAX, 2, NULL);
		}
	}
	auditlog_free(log);
}

TEST("who is refused again and again pushes nobody's records out")
{
	struct auditlog *log = start(AUDITLOG_FILE_MAX, 2, NULL);
	struct view_peer looker = {.uid = 2000, .pid = 1, .role = ROLE_LOOK};
	struct view_record refused = {.what = "set",
				      .setting = "x",
				      .via = "api.sock",
				      .peer = &looker,
				      .result = VIEW_REFUSED};
	struct view_log_state state;

	for (int i = 0; i < 1000; i++)
		auditlog_add(log, &refused);
	auditlog_state(log, &state);
	CHECK_LE(state.last, 20);
	CHECK_EQ(state.withheld + state.last, 1000);
	looker.uid = 2001; /* another one still has his say */
	auditlog_add(log, &refused);
	CHECK_EQ(last(log), state.last + 1);
	for (int i = 0; i < 100; i++) /* and so has who may */
		add(log, "Mem.ShareScanTime");
	CHECK_EQ(last(log), state.last + 101);
	auditlog_free(log);
}

TEST("the journal gets a field for each member, one line each, and is never waited for")
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char datagram[8192];
	struct auditlog *log;
	ssize_t n;
	int sock;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/journal", test_dir());
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	REQUIRE_OK(sock);
	REQUIRE_SYS(bind(sock, (struct sockaddr *)&addr, sizeof(addr)));
	log = start(AUDITLOG_FILE_MAX, 2, addr.sun_path);
	snprintf(peer.comm, sizeof(peer.comm), "a\nB=c");
	add(log, "Mem.ShareScanTime");
	n = recv(sock, datagram, sizeof(datagram) - 1, MSG_DONTWAIT);
	REQUIRE(n > 0);
	datagram[n] = '\0';
	CHECK_IN("MESSAGE=audit: uid 1000 (", datagram);
	CHECK_IN("\nPSHARE_SETTING=Mem.ShareScanTime\n", datagram);
	CHECK_IN("\nPSHARE_BEFORE=60\n", datagram);
	CHECK_IN("\nPSHARE_UID=1000\n", datagram);
	CHECK_IN("\nPSHARE_COMM=a?B=c\n", datagram);
	for (int i = 0; i < 2000; i++) /* nobody reads any more */
		add(log, "Mem.ShareScanTime");
	CHECK_EQ(last(log), 2001);
	auditlog_free(log);
	close(sock);
}
