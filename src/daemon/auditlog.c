/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: whatever was changed, one can find out later who did it, from where, what it was before and
 * what came of it; and whoever wants to hide it has to be more than somebody who may use the API.
 *
 * A record is one line of JSON. Lines are numbered, and each holds the hash of the line before it
 * (16 bytes of SHA-256), so what is cut out or edited afterwards is found ('pshare log --verify').
 * They go to three places: to memory, for 'pshare log'; to the end of audit.log, opened for
 * appending; to the journal, with a field for each member. A daemon that was taken over can write
 * its own file anew, chain and all: what the journal, or whoever collects it, has by then stays.
 *
 * Bounded: a file that is full is set aside under the number of its last record; of those the
 * newest are kept. What someone may cause who is refused is rationed for each user, or he could
 * push the others' records out: a burst of TRIES, then one in TRY_NS; what is beyond that is
 * counted, and the next record of that user says how many. What those may who may do something is
 * never left out.
 *
 * A file that takes no more (full disk) loses nobody a change: the daemon goes on, says so once in
 * a while, counts what is lost, and memory and journal have it. Such a record keeps its number, and
 * the next that is written says how many before it were not ("unwritten"): so the gap is in the
 * file for ever. What a record holds the hash of is the line before it in the file, whatever came
 * between. A daemon that ends before there is room again leaves the gap in a name, which takes no
 * room: the file is set aside under the number of the last record, not of its last line.
 *
 * The newest line has none after it that would hold its hash: the daemon says it ('head').
 *
 * No fsync(): a record is in the kernel when the change is answered, and a crash of the daemon
 * loses nothing. A crash of the host may lose the last seconds of the file.
 */
#include "daemon/auditlog.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/log.h"
#include "policy/ration.h"
#include "sys/cleanup.h"
#include "sys/file.h"
#include "sys/logfile.h"
#include "sys/path.h"
#include "sys/sock.h"

#define PATH_SIZE 512u
#define LINE_SIZE 8192u	       /* of one record: all that goes in is bounded far below it */
#define LINES 1024u	       /* kept in memory ... */
#define TAIL_SIZE (512u << 10) /* ... and read from the file at the start, in bytes */
#define HASH_SHOWN 16u
#define TRIES 20u
#define TRY_NS 60000000000ull
#define SAY_NS 60000000000ull
#define NAME "audit.log"
#define NUMBER_DIGITS 12u /* of a record, in the name of a file that was set aside */
#define MESSAGE_ID "5f0b6c3a7a0e4f39a1d2c48e9b77f016"

struct auditlog {
	char folder[PATH_SIZE];
	char path[PATH_SIZE + 16];
	char journal[108];
	uint64_t file_max;
	unsigned int files;
	int fd; /* -1: none */
	uint64_t size;
	bool torn;			   /* the last line has no end */
	uint64_t last;			   /* number of the newest record, and of the newest ... */
	uint64_t written;		   /* ... that is in the file */
	uint64_t unwritten;		   /* since then, that are not */
	char previous[2 * HASH_SHOWN + 1]; /* hash of the file's last line */
	char *line[LINES];
	uint64_t number[LINES];
	unsigned int oldest, count;
	struct rations tries;
	uint64_t lost, withheld, said_at;
};

DEFINE_CLEANUP(json_t *, json, json_decref);
#define _cleanup_json_ _cleanup_(cleanup_json)

/* The text of a value, for free(): jansson's own may be wiping memory (json.c). */
static char *dump(const json_t *value)
{
	char *text = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&text, &length);
	bool bad = !stream || json_dumpf(value, stream,
					 JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY) != 0;

	if (stream)
		bad |= fclose(stream) != 0;
	if (!bad)
		return text;
	free(text);
	return NULL;
}

/* ---- lines in memory ----------------------------------------------------------------------- */

static void hash_of(const char *line, size_t length, char text[2 * HASH_SHOWN + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	memset(digest, 0, sizeof(digest));
	(void)EVP_Digest(line, length, digest, NULL, EVP_sha256(), NULL);
	for (unsigned int i = 0; i < HASH_SHOWN; i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
}

/* Takes the line, which is the newest. */
static void remember(struct auditlog *log, char *line, uint64_t number)
{
	unsigned int at = (log->oldest + log->count) % LINES;

	log->last = number;
	if (log->count == LINES) {
		free(log->line[at]);
		log->oldest = (log->oldest + 1) % LINES;
	} else {
		log->count++;
	}
	log->line[at] = line;
	log->number[at] = number;
}

static bool line_number(const char *line, uint64_t *number)
{
	return sscanf(line, "{\"seq\":%" SCNu64 ",", number) == 1;
}

/* ---- the file ------------------------------------------------------------------------------ */

/* Takes in what a file ends with: its whole lines. true if the last line has its end. */
static bool read_lines(struct auditlog *log, char *text, bool from_start)
{
	bool whole = !*text;
	char *at = text;

	if (!from_start) {
		at = strchr(text, '\n'); /* the first one may be half */
		at = at ? at + 1 : text + strlen(text);
	}
	while (*at) {
		size_t length = strcspn(at, "\n");
		uint64_t number;
		char *line;

		whole = at[length] == '\n';
		at[length] = '\0';
		hash_of(at, length, log->previous);
		if (line_number(at, &number)) {
			log->last = log->written = number;
			log->unwritten = 0;
			line = strdup(at);
			if (line)
				remember(log, line, number);
		}
		at += length + whole;
	}
	return whole;
}

static int read_file(struct auditlog *log, const char *path)
{
	_cleanup_free_ char *text = NULL;
	int r = sys_read_tail(path, TAIL_SIZE, &text);

	if (r < 0)
		return r;
	log->torn = !read_lines(log, text, strlen(text) < TAIL_SIZE);
	return 0;
}

static int set_aside_names(const struct auditlog *log, char ***names)
{
	return sys_folder_names(log->folder, NAME ".", "", names);
}

/* A file that was set aside is called by the number of the last record when that was done: those
 * between its last line and that one could not be written. */
static void heed_name(struct auditlog *log, const char *name)
{
	const char *digits = name + strlen(NAME ".");
	uint64_t number = strtoull(digits, NULL, 10);

	if (strlen(digits) != NUMBER_DIGITS || strspn(digits, "0123456789") != NUMBER_DIGITS ||
	    number <= log->last)
		return;
	log->unwritten += number - log->last;
	log->last = number;
}

static bool has_record(const char *path)
{
	_cleanup_free_ char *text = NULL;

	return sys_read_tail(path, TAIL_SIZE, &text) == 0 && strstr(text, "{\"seq\":");
}

/* The newest file that was set aside and has a record, those after it, and the one that grows. */
static int read_back(struct auditlog *log)
{
	_cleanup_free_ char **names = NULL;
	char path[PATH_SIZE + 280];
	int n = set_aside_names(log, &names), first;
	int r;

	if (n < 0)
		return n;
	for (first = n - 1; first > 0; first--) {
		snprintf(path, sizeof(path), "%s/%s", log->folder, names[first]);
		if (has_record(path))
			break;
	}
	for (int i = first < 0 ? 0 : first; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", log->folder, names[i]);
		if (read_file(log, path) == 0)
			heed_name(log, names[i]);
	}
	log->torn = false;
	r = read_file(log, log->path);
	return r == -ENOENT ? 0 : r;
}

/* Those set aside that are too many. */
static void drop_old(const struct auditlog *log)
{
	_cleanup_free_ char **names = NULL;
	char path[PATH_SIZE + 280];
	int n = set_aside_names(log, &names);

	for (int i = 0; i < n - (int)log->files; i++) {
		snprintf(path, sizeof(path), "%s/%s", log->folder, names[i]);
		(void)sys_file_remove(path);
	}
}

static int open_file(struct auditlog *log)
{
	return sys_logfile_open(log->path, &log->fd, &log->size);
}

static int set_aside(const struct auditlog *log)
{
	char aside[PATH_SIZE + 48];

	snprintf(aside, sizeof(aside), "%s/" NAME ".%0*" PRIu64, log->folder, (int)NUMBER_DIGITS,
		 log->last);
	return sys_logfile_set_aside(log->path, aside);
}

static int rotate(struct auditlog *log)
{
	int r = set_aside(log);

	if (r < 0)
		return r;
	close_fd(&log->fd);
	log->torn = false;
	drop_old(log);
	return open_file(log);
}

static int append(struct auditlog *log, const char *line, size_t length)
{
	char whole[LINE_SIZE + 3];
	size_t done, n = 0, start;
	int r = 0;

	if (log->fd < 0)
		r = open_file(log);
	else if (log->size && log->size + length + 2 > log->file_max)
		r = rotate(log);
	if (r < 0)
		return r;
	if (log->torn)
		whole[n++] = '\n';
	start = n;
	memcpy(whole + n, line, length);
	n += length;
	whole[n++] = '\n';
	r = sys_logfile_append(log->fd, whole, n, &done);
	log->size += done;
	if (done) {
		log->torn = done < n;
		hash_of(whole + start, done < n ? done - start : length, log->previous);
	}
	return r;
}

/* false: it is not in the file. */
static bool to_file(struct auditlog *log, const char *line)
{
	size_t length = strlen(line);
	uint64_t now = sys_now();
	int r;

	if (!log->folder[0]) {
		hash_of(line, length, log->previous);
		return true;
	}
	r = append(log, line, length);
	if (r == 0)
		return true;
	log->lost++;
	if (!log->said_at || now - log->said_at > SAY_NS)
		log_error("%s does not take a record: %s (%" PRIu64 " so far)", log->path,
			  strerror(-r), log->lost);
	log->said_at = now;
	return false;
}

/* ---- the journal --------------------------------------------------------------------------- */

struct fields {
	char text[LINE_SIZE + 2048];
	size_t length;
};

/* One line, whatever the value holds. */
static void add_field(struct fields *f, const char *prefix, const char *name, const char *value)
{
	size_t room = sizeof(f->text) - f->length;
	size_t need = strlen(prefix) + strlen(name) + strlen(value) + 2;

	if (need >= room)
		return;
	for (; *prefix; prefix++)
		f->text[f->length++] = *prefix;
	for (; *name; name++)
		f->text[f->length++] = (char)toupper((unsigned char)*name);
	f->text[f->length++] = '=';
	for (; *value; value++)
		f->text[f->length++] = (unsigned char)*value < ' ' ? '?' : *value;
	f->text[f->length++] = '\n';
}

static void add_member(struct fields *f, const char *key, json_t *value)
{
	char *text = NULL;

	if (json_is_string(value)) {
		add_field(f, "PSHARE_", key, json_string_value(value));
		return;
	}
	text = dump(value);
	if (text)
		add_field(f, "PSHARE_", key, text);
	free(text);
}

static void to_journal(struct auditlog *log, json_t *record, const char *message, bool done)
{
	struct fields f = {.length = 0};
	const char *key;
	json_t *value;

	if (!log->journal[0])
		return;
	add_field(&f, "", "MESSAGE", message);
	add_field(&f, "", "MESSAGE_ID", MESSAGE_ID);
	add_field(&f, "", "PRIORITY", done ? "5" : "4");
	add_field(&f, "", "SYSLOG_IDENTIFIER", "pshared");
	json_object_foreach(record, key, value) add_member(&f, key, value);
	(void)sys_unix_send_datagram(log->journal, f.text, f.length, false);
}

/* ---- a record ------------------------------------------------------------------------------ */

static const char *const results[] =
	{[VIEW_DONE] = "done", [VIEW_REFUSED] = "refused", [VIEW_FAILED] = "failed"};

static void put(json_t *record, const char *key, json_t *value)
{
	if (value)
		(void)json_object_set_new(record, key, value);
}

static void put_text(json_t *record, const char *key, const char *text)
{
	if (text)
		put(record, key, json_string(text));
}

static void put_json(json_t *record, const char *key, const char *text)
{
	json_error_t error;

	if (text)
		put(record, key, json_loads(text, JSON_DECODE_ANY, &error));
}

static json_t *time_now(void)
{
	uint64_t now = sys_wall_clock();
	time_t seconds = (time_t)(now / 1000000000);
	char text[40], day[24];
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm))
		return NULL;
	snprintf(text, sizeof(text), "%s.%06uZ", day, (unsigned int)(now / 1000 % 1000000));
	return json_string(text);
}

static void put_peer(json_t *record, const struct view_peer *peer)
{
	put(record, "uid", json_integer(peer->uid));
	put(record, "gid", json_integer(peer->gid));
	put(record, "pid", json_integer(peer->pid));
	put_text(record, "role", peer->role == ROLE_UNSAID ? NULL : role_name(peer->role));
	put_text(record, "comm", peer->comm[0] ? peer->comm : NULL);
	if (peer->login_uid != VIEW_NO_UID)
		put(record, "login_uid", json_integer(peer->login_uid));
	put_text(record, "cgroup", peer->group[0] ? peer->group : NULL);
}

static json_t *make(const struct auditlog *log, const struct view_record *of, uint64_t withheld)
{
	json_t *record = json_object();

	put(record, "seq", json_integer((json_int_t)(log->last + 1)));
	put(record, "time", time_now());
	put_text(record, "what", of->what);
	put_text(record, "result", results[of->result]);
	if (of->vm)
		put_text(record, "vm", of->vm);
	put_text(record, "setting", of->setting);
	put_json(record, "asked", of->asked);
	put_json(record, "before", of->before);
	put_json(record, "after", of->after);
	put_text(record, "reason", of->reason && *of->reason ? of->reason : NULL);
	put_text(record, "via", of->via);
	if (of->peer)
		put_peer(record, of->peer);
	if (withheld)
		put(record, "withheld", json_integer((json_int_t)withheld));
	if (log->unwritten)
		put(record, "unwritten", json_integer((json_int_t)log->unwritten));
	put_text(record, "previous", log->previous);
	return record;
}

static const char *or_nothing(const char *text)
{
	return text ? text : "-";
}

static void sentence(char *out, size_t size, const struct view_record *of)
{
	bool other = of->asked && (!of->after || strcmp(of->asked, of->after) != 0);
	char who[64] = "pshared";

	if (of->peer)
		snprintf(who, sizeof(who), "uid %u (%s, pid %d)", of->peer->uid, of->peer->comm,
			 (int)of->peer->pid);
	snprintf(out, size, "audit: %s %s %s%s%s: %s -> %s%s%s: %s%s%s", who, of->what,
		 of->vm ? of->vm : "", of->vm ? " " : "", or_nothing(of->setting),
		 or_nothing(of->before), or_nothing(of->after), other ? ", asked " : "",
		 other ? of->asked : "", results[of->result], of->reason && *of->reason ? ": " : "",
		 of->reason ? of->reason : "");
}

/* May one more of this user's be written? Else it is counted. */
static bool pass(struct auditlog *log, const struct view_record *of, uint64_t *withheld)
{
	if (of->result != VIEW_REFUSED || !of->peer || of->peer->role >= ROLE_OPERATE)
		return true;
	if (rations_take(&log->tries, of->peer->uid, sys_now(), withheld))
		return true;
	log->withheld++;
	return false;
}

void auditlog_add(struct auditlog *log, const struct view_record *of)
{
	_cleanup_json_ json_t *record = NULL;
	char message[1024];
	uint64_t withheld = 0;
	char *line;

	if (!log || !pass(log, of, &withheld))
		return;
	record = make(log, of, withheld);
	line = record ? dump(record) : NULL;
	if (!line || strlen(line) > LINE_SIZE) {
		log->lost++;
		log->unwritten++;
		log->last++;
		log_error("a record of the audit log is lost: no memory, or too long");
		free(line);
		return;
	}
	sentence(message, sizeof(message), of);
	log_info("%s", message);
	if (to_file(log, line)) {
		log->written = log->last + 1;
		log->unwritten = 0;
	} else {
		log->unwritten++;
	}
	to_journal(log, record, message, of->result == VIEW_DONE);
	remember(log, line, log->last + 1);
}

int auditlog_each(const struct auditlog *log, uint64_t after, unsigned int max,
		  int (*each)(const char *line, void *arg), void *arg)
{
	unsigned int first = log && log->count > max ? log->count - max : 0;

	for (unsigned int i = first; log && i < log->count; i++) {
		unsigned int at = (log->oldest + i) % LINES;
		int r = log->number[at] > after ? each(log->line[at], arg) : 0;

		if (r)
			return r;
	}
	return 0;
}

void auditlog_state(const struct auditlog *log, struct view_log_state *out)
{
	*out = (struct view_log_state){.path = "", .head = ""};
	if (log)
		*out = (struct view_log_state){
			.path = log->path,
			.last = log->last,
			.written = log->written,
			.unwritten = log->unwritten,
			.head = log->previous,
			.lost = log->lost,
			.withheld = log->withheld,
		};
}

void auditlog_reopen(struct auditlog *log)
{
	uint64_t size;

	if (!log || !log->folder[0])
		return;
	size = log->size;
	close_fd(&log->fd);
	(void)open_file(log);
	log->torn &= log->size == size; /* the same file still */
}

struct auditlog *auditlog_free(struct auditlog *log)
{
	if (!log)
		return NULL;
	if (log->unwritten && log->folder[0])
		(void)set_aside(log); /* the next daemon finds the gap in the name */
	close_fd(&log->fd);
	for (unsigned int i = 0; i < LINES; i++)
		free(log->line[i]);
	free(log);
	return NULL;
}

DEFINE_CLEANUP(struct auditlog *, auditlog, auditlog_free);

int auditlog_new(struct auditlog **out, const struct auditlog_place *place)
{
	_cleanup_(cleanup_auditlog) struct auditlog *log = calloc(1, sizeof(*log));
	int r = 0;

	if (!log)
		return -ENOMEM;
	log->fd = -1;
	log->tries.burst = TRIES;
	log->tries.every = TRY_NS;
	log->file_max = place->file_max;
	log->files = place->files;
	memset(log->previous, '0', sizeof(log->previous) - 1);
	if (place->journal)
		snprintf(log->journal, sizeof(log->journal), "%s", place->journal);
	if (place->folder) {
		snprintf(log->folder, sizeof(log->folder), "%s", place->folder);
		snprintf(log->path, sizeof(log->path), "%s/" NAME, log->folder);
		r = read_back(log);
		if (r == 0)
			r = open_file(log);
	}
	if (r < 0) {
		log_error("--log-dir %s: %s", place->folder, strerror(-r));
		return r;
	}
	*out = TAKE_PTR(log);
	return 0;
}
