/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log: the audit log. What it shows comes from the daemon, which asks for a role; what it verifies
 * it reads from the files, for which one has to be root or the daemon's user.
 *
 * Each line of the files is numbered and holds the hash of the line before it
 * (daemon/auditlog.c). So a record that is missing, edited or torn is found. The last line has none
 * after it: the daemon says its hash, and so finds what was edited or cut off at the end. Where no
 * daemon says it, that is said. The journal has the records as well.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "sys/cleanup.h"
#include "sys/creds.h"
#include "sys/launch.h"
#include "sys/look.h"
#include "sys/path.h"
#include "sys/proc.h"

#define LINES_DEFAULT 20
#define FOLLOW_MS 500u
#define FILE_MAX (1024u << 20)
#define HASH_BYTES 16u
#define FILE_NAME "audit.log"
#define NUMBER_DIGITS 12u /* in the name of a file that was set aside */

/* ---- showing ------------------------------------------------------------------------------- */

static void print_value(const json_t *record, const char *key)
{
	const json_t *value = json_object_get(record, key);

	if (json_is_string(value))
		fputs(json_string_value(value), stdout);
	else if (value)
		json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
	else
		putchar('-');
}

static void print_user(const json_t *record, const char *before, const char *key, const char *after)
{
	char name[SYS_USER_MAX];

	if (!json_object_get(record, key))
		return;
	sys_user_name((uid_t)ask_number(record, key), name, sizeof(name));
	printf("%s%s%s", before, name, after);
}

/* What was asked, where that is not what came of it. */
static void print_asked(const json_t *record)
{
	const json_t *asked = json_object_get(record, "asked");

	if (!asked || json_equal(asked, json_object_get(record, "after")))
		return;
	fputs("  asked ", stdout);
	print_value(record, "asked");
}

/* TIME  WHO  WHAT NAME: BEFORE -> AFTER  asked VALUE  RESULT (reason)  [from where] */
static void print_record(const json_t *record)
{
	const char *vm = ask_text(record, "vm");

	printf("%s  ", ask_text(record, "time"));
	if (json_object_get(record, "uid"))
		print_user(record, "", "uid", "");
	else
		fputs("pshared", stdout);
	print_user(record, " (logged in as ", "login_uid", ")");
	printf("  %s %s%s%s: ", ask_text(record, "what"), *vm ? vm : "", *vm ? " " : "",
	       ask_text(record, "setting"));
	print_value(record, "before");
	fputs(" -> ", stdout);
	print_value(record, "after");
	print_asked(record);
	printf("  %s", ask_text(record, "result"));
	if (*ask_text(record, "reason"))
		printf(" (%s)", ask_text(record, "reason"));
	printf("  [%s", ask_text(record, "via"));
	if (json_object_get(record, "pid"))
		printf(", %s %" PRIu64, ask_text(record, "comm"), ask_number(record, "pid"));
	if (*ask_text(record, "cgroup"))
		printf(", %s", ask_text(record, "cgroup"));
	fputs("]", stdout);
	if (ask_number(record, "withheld"))
		printf("  and %" PRIu64 " more tries of this user before it",
		       ask_number(record, "withheld"));
	if (ask_number(record, "unwritten"))
		printf("  %" PRIu64 " records before it could not be written to the file",
		       ask_number(record, "unwritten"));
	putchar('\n');
}

static void print_records(const json_t *records, size_t max, bool json, uint64_t *last)
{
	size_t n = json_array_size(records), i;
	const json_t *record;

	json_array_foreach((json_t *)(uintptr_t)records, i, record)
	{
		*last = ask_number(record, "seq");
		if (n > max && i < n - max)
			continue;
		if (json) {
			json_dumpf(record, stdout, JSON_COMPACT);
			putchar('\n');
		} else {
			print_record(record);
		}
	}
}

static int follow(struct client *client, const struct args *args, uint64_t last)
{
	for (;;) {
		_cleanup_json_ json_t *answer = NULL;
		char after[32];
		int r;

		if (fflush(stdout))
			return say_error(CLI_FAILED, "cannot write to standard output");
		sys_sleep_ms(FOLLOW_MS);
		snprintf(after, sizeof(after), "%" PRIu64, last);
		r = client_get(client, &answer, "/v1/log/%s", after, NULL);
		if (r)
			return r;
		print_records(json_object_get(answer, "records"), SIZE_MAX, args->json, &last);
	}
}

static int show(const struct args *args)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *answer = NULL;
	size_t lines = args->lines ? (size_t)args->lines : LINES_DEFAULT;
	uint64_t last = 0;
	int r = client_open(&client, args);

	if (!r)
		r = client_get(client, &answer, "/v1/log", NULL, NULL);
	if (r)
		return r;
	print_records(json_object_get(answer, "records"), lines, args->json, &last);
	if (ask_number(answer, "lost"))
		say_error(CLI_OK, "%" PRIu64 " records could not be written to %s",
			  ask_number(answer, "lost"), ask_text(answer, "file"));
	return args->follow ? follow(client, args, last) : CLI_OK;
}

/* ---- verifying ----------------------------------------------------------------------------- */

struct chain {
	uint64_t records, first, last;
	uint64_t named; /* by the file that was set aside last */
	uint64_t unwritten;
	unsigned int faults, gaps;     /* gaps: faults that the log itself tells of */
	char hash[2 * HASH_BYTES + 1]; /* of the line before; "": any will do */
	char head[2 * HASH_BYTES + 1]; /* of the last line, as the daemon says; "": none does */
	bool found;		       /* the line of head; it is the last one unless ... */
	uint64_t later;		       /* ... so many came after it */
};

static void fault(struct chain *chain, const char *file, unsigned int line, const char *what)
{
	chain->faults++;
	say_error(CLI_FAILED, "%s:%u: %s", file, line, what);
}

static void hash_line(struct chain *chain, const char *line, size_t length)
{
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};

	(void)EVP_Digest(line, length, digest, NULL, EVP_sha256(), NULL);
	for (unsigned int i = 0; i < HASH_BYTES; i++)
		snprintf(chain->hash + (size_t)2 * i, 3, "%02x", digest[i]);
	if (chain->found)
		chain->later++;
	chain->found |= *chain->head && !strcmp(chain->hash, chain->head);
}

/* Numbers that no line has: could their records not be written, or are they cut out? */
static void check_number(struct chain *chain, const char *file, unsigned int number, uint64_t seq,
			 uint64_t unwritten)
{
	char what[128];

	if (!chain->last || seq == chain->last + 1)
		return;
	if (seq > chain->last && unwritten == seq - chain->last - 1) {
		snprintf(what, sizeof(what),
			 "%" PRIu64 " records before it could not be written: %" PRIu64
			 " comes after %" PRIu64,
			 unwritten, seq, chain->last);
		chain->gaps++;
		chain->unwritten += unwritten;
	} else {
		snprintf(what, sizeof(what), "record %" PRIu64 " comes after record %" PRIu64, seq,
			 chain->last);
	}
	fault(chain, file, number, what);
}

static void check_line(struct chain *chain, const char *file, unsigned int number, const char *line,
		       size_t length)
{
	_cleanup_json_ json_t *record = json_loadb(line, length, 0, NULL);
	uint64_t seq = ask_number(record, "seq");

	if (!seq) {
		fault(chain, file, number, "no record: torn, or edited");
	} else {
		if (*chain->hash && strcmp(chain->hash, ask_text(record, "previous")) != 0)
			fault(chain, file, number,
			      "the line before it is not the one that was there when it was written");
		check_number(chain, file, number, seq, ask_number(record, "unwritten"));
		if (!chain->first)
			chain->first = seq;
		chain->last = seq;
		chain->records++;
	}
	hash_line(chain, line, length);
}

static int check_file(struct chain *chain, const char *folder, const char *name)
{
	_cleanup_free_ char *text = NULL;
	unsigned int number = 0;
	char path[PATH_MAX];
	size_t length;
	int r;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	r = sys_read_bytes(path, FILE_MAX, &text, &length);
	if (r)
		return say_error(CLI_FAILED, "%s: %s", path, strerror(-r));
	for (const char *at = text, *end = text + length; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		number++;
		if (!stop)
			fault(chain, path, number, "the last line has no end");
		stop = stop ? stop : end;
		check_line(chain, path, number, at, (size_t)(stop - at));
		at = stop + 1;
	}
	return CLI_OK;
}

/* What no line tells of: records after the last one, which the name of a file or the daemon knows
 * of. */
static void check_end(struct chain *chain, const char *folder, uint64_t lost)
{
	uint64_t more = chain->named > chain->last ? chain->named - chain->last : 0;

	if (more && lost < more)
		lost = more;
	if (lost) {
		chain->gaps++;
		chain->faults++;
		say_error(CLI_FAILED,
			  "%s: %" PRIu64 " records could not be written%s: make room there; the "
			  "journal has them",
			  folder, lost, more ? " before the daemon ended" : "");
	}
	if (!*chain->head || chain->found)
		return;
	chain->faults++;
	say_error(CLI_FAILED,
		  "%s: the last record is not as the daemon wrote it: edited, or cut off", folder);
}

/* The number in the name of a file that was set aside; 0: it is called otherwise. */
static uint64_t number_of(const char *name)
{
	const char *digits = name + strlen(FILE_NAME ".");
	size_t n = strspn(digits, "0123456789");

	return n == NUMBER_DIGITS && !digits[n] ? strtoull(digits, NULL, 10) : 0;
}

static int check_folder(struct chain *chain, const char *folder)
{
	_cleanup_free_ char **names = NULL;
	int n = sys_folder_names(folder, FILE_NAME ".", "", &names);
	int r = CLI_OK;

	if (n < 0)
		return say_error(CLI_FAILED, "%s: %s", folder, strerror(-n));
	for (int i = 0; i < n && !r; i++) {
		r = check_file(chain, folder, names[i]);
		chain->named = number_of(names[i]);
	}
	return r ? r : check_file(chain, folder, FILE_NAME);
}

/* The daemon's word on its log; says nothing. NULL: none answers, or not to this user. */
static json_t *ask_quietly(const struct args *args)
{
	_cleanup_client_ struct client *client = NULL;
	struct runtime runtime;
	json_t *answer = NULL;

	if (runtime_find_daemon(&runtime, args) || client_new(&client, &runtime) ||
	    client_try(client, &answer, "/v1/log"))
		return NULL;
	return answer;
}

/* Where the daemon has its files. */
static int folder_of(const json_t *answer, char folder[PATH_MAX])
{
	char *slash;

	snprintf(folder, PATH_MAX, "%s", ask_text(answer, "file"));
	slash = strrchr(folder, '/');
	if (!slash)
		return say_error(CLI_FAILED, "that daemon keeps its audit log in memory alone");
	*slash = '\0';
	return CLI_OK;
}

static int ask_daemon(const struct args *args, json_t **answer, char folder[PATH_MAX])
{
	_cleanup_client_ struct client *client = NULL;
	int r = client_open(&client, args);

	if (!r)
		r = client_get(client, answer, "/v1/log", NULL, NULL);
	return r ? r : folder_of(*answer, folder);
}

/* Is that folder, however it is written, the one of the daemon's file? */
static bool is_its_own(const json_t *answer, const char *folder)
{
	uint64_t device[2], inode[2];
	char own[PATH_MAX], *slash;

	snprintf(own, sizeof(own), "%s", ask_text(answer, "file"));
	slash = strrchr(own, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return !sys_path_identity(own, &device[0], &inode[0]) &&
	       !sys_path_identity(folder, &device[1], &inode[1]) && device[0] == device[1] &&
	       inode[0] == inode[1];
}

static void print_verdict(const struct chain *chain, const char *folder, bool json)
{
	bool vouched = chain->found && !chain->later;

	if (json) {
		printf("{\"folder\": \"%s\", \"records\": %" PRIu64 ", \"first\": %" PRIu64
		       ", \"last\": %" PRIu64 ", \"faults\": %u, \"unwritten\": %" PRIu64
		       ", \"vouched\": %s}\n",
		       folder, chain->records, chain->first, chain->last, chain->faults,
		       chain->unwritten, vouched ? "true" : "false");
		return;
	}
	printf("%" PRIu64 " records, %" PRIu64 " to %" PRIu64 ": %s\n", chain->records,
	       chain->first, chain->last,
	       !chain->faults		    ? "none is missing or edited" :
	       chain->faults == chain->gaps ? "some could not be written" :
					      "not what they were");
	if (!*chain->head)
		puts("the last one cannot be vouched for: no daemon says what it wrote there");
	else if (chain->later)
		puts("the last ones cannot be vouched for: they came while this was read");
}

static int verify(const struct args *args)
{
	_cleanup_json_ json_t *answer = NULL;
	struct chain chain = {0};
	char folder[PATH_MAX];
	uint64_t lost = 0;
	int r = CLI_OK;

	if (args->lines || args->follow)
		return say_usage(args->command, "--verify goes with neither --lines nor --follow");
	if (args->noperands) {
		snprintf(folder, sizeof(folder), "%s", args->operands[0]);
		answer = ask_quietly(args);
	} else {
		r = ask_daemon(args, &answer, folder);
	}
	if (!r && is_its_own(answer, folder)) {
		lost = ask_number(answer, "lost");
		if (ask_number(answer, "written"))
			snprintf(chain.head, sizeof(chain.head), "%s", ask_text(answer, "head"));
	}
	if (!r)
		r = check_folder(&chain, folder);
	if (r)
		return r;
	check_end(&chain, folder, lost);
	print_verdict(&chain, folder, args->json);
	return chain.faults ? CLI_FAILED : CLI_OK;
}

int cmd_log(struct args *args)
{
	if (args->verify)
		return verify(args);
	if (args->noperands)
		return say_usage(args->command, "'%.40s' is one word too many", args->operands[0]);
	return show(args);
}
