// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The harness's main(): chooses the tests, runs each through a keeper, some at the same time, and
 * prints a line of TAP for each as it ends. See harness.h for what tests and callers see.
 */
#include "harness/internal.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64
#define OUTPUT_SHOWN (64 * 1024) /* of a failed test: the end of what it printed */
#define SLOW_NS 2000000000ll	 /* a test that takes longer says how long */
#define EXIT_BAD_USE 2

struct job {
	const struct test *test;
	struct record *record;
	int out_fd;
	pid_t keeper;
	int64_t started;
	unsigned int seconds;
};

static struct test *tests, **tests_end = &tests;
static struct job job[JOBS_MAX];
static unsigned int jobs = 1, running, number, failed;
static unsigned int default_seconds = TEST_DEFAULT_SECONDS * (SANITIZED ? 3 : 1);
static unsigned int patience = 1, only_number;
static bool seconds_asked, verbose;

#if SANITIZED
/* A sanitizer's find is a crash, and is seen as one. Tests fork while threads run. */
#pragma GCC visibility push(default)
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "abort_on_error=1:allocator_may_return_null=1";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}
#pragma GCC visibility pop
#endif

void test_register(struct test *test)
{
	*tests_end = test;
	tests_end = &test->next;
}

/* Its place in the program, from 1. */
static unsigned int number_of(const struct test *test)
{
	unsigned int n = 1;

	for (const struct test *t = tests; t != test; t = t->next)
		n++;
	return n;
}

static bool chosen(const struct test *test, char *const *words)
{
	if (only_number && number_of(test) != only_number)
		return false;
	if (!*words)
		return true;
	for (; *words; words++)
		if (strstr(test->sentence, *words))
			return true;
	return false;
}

static unsigned int count_chosen(char *const *words)
{
	unsigned int n = 0;

	for (const struct test *t = tests; t; t = t->next)
		n += chosen(t, words);
	return n;
}

static struct record *record_new(void)
{
	struct record *record = mmap(NULL, sizeof(*record), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (record == MAP_FAILED) {
		perror("harness: mmap");
		exit(EXIT_BAD_USE);
	}
	return record;
}

/* Prints text as TAP comments. */
static void comment(const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t line = (size_t)((stop ? stop : end) - text);

		printf("#   %.*s\n", (int)line, text);
		text += line + 1;
	}
}

static void show_output(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	off_t from = size > OUTPUT_SHOWN ? size - OUTPUT_SHOWN : 0;
	char *text = malloc(OUTPUT_SHOWN);
	ssize_t len = text ? pread(fd, text, OUTPUT_SHOWN, from) : 0;

	if (len > 0) {
		printf("# it printed%s:\n", from ? " (the end of it)" : "");
		comment(text, (size_t)len);
	}
	free(text);
}

static void show_failures(const struct job *j)
{
	unsigned int failures = j->record->failures;

	for (unsigned int i = 0; i < failures && i < MESSAGES_MAX; i++)
		comment(j->record->message[i], strlen(j->record->message[i]));
	if (failures > MESSAGES_MAX)
		printf("#   and %u more\n", failures - MESSAGES_MAX);
}

/* Why the test failed, in one line of at most size bytes; false if it did not. */
static bool verdict(const struct job *j, char *why, size_t size)
{
	const struct record *r = j->record;
	int status = r->status;

	if (!r->kept)
		snprintf(why, size, "broken: its keeper died");
	else if (r->hung)
		snprintf(why, size, "hung: no end after %u s: %s%s", j->seconds, r->where,
			 r->slow ? "; a slow machine: it had longer" : "");
	else if (WIFSIGNALED(status))
		snprintf(why, size, "crashed: killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else if (r->failures)
		snprintf(why, size, "failed");
	else if (r->left)
		snprintf(why, size, "left processes behind: %s", r->where);
	else if (r->skipped && WEXITSTATUS(status) == EXIT_TEST_SKIPPED)
		return false;
	else if (WEXITSTATUS(status) != 0)
		snprintf(why, size, "failed: exited with status %d", WEXITSTATUS(status));
	else if (!r->returned)
		snprintf(why, size, "failed: exited before its end");
	else
		return false;
	return true;
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

static void job_report(const struct job *j, const struct rusage *used)
{
	int64_t took = test_now_ns() - j->started;
	char why[REASON_SIZE + 64];
	bool bad = verdict(j, why, sizeof(why));

	printf("%s %u - %s%s%s\n", bad ? "not ok" : "ok", ++number, j->test->sentence,
	       !bad && j->record->skipped ? " # SKIP " : "",
	       !bad && j->record->skipped ? j->record->skip_reason : "");
	if (bad) {
		failed++;
		printf("# %s (%s:%u)\n", why, j->test->file, j->test->line);
		show_failures(j);
	}
	if (bad || verbose)
		show_output(j->out_fd);
	if (took > SLOW_NS)
		printf("# took %.1f s, %.1f s of CPU\n", (double)took * 1e-9,
		       seconds_of(used->ru_utime) + seconds_of(used->ru_stime));
	fflush(stdout);
}

static unsigned int seconds_for(const struct test *test)
{
	return test->seconds && !seconds_asked ? test->seconds : default_seconds;
}

static void job_start(const struct test *test)
{
	struct job *j = job;

	while (j->test)
		j++;
	*j = (struct job){.test = test, .record = record_new(), .started = test_now_ns()};
	j->seconds = seconds_for(test) * patience;
	j->out_fd = memfd_create("test-output", MFD_CLOEXEC);
	j->keeper = fork();
	if (j->keeper == 0) {
		test_record = j->record;
		keeper_run(test, j->seconds, j->out_fd);
	}
	if (j->out_fd < 0 || j->keeper < 0) {
		perror("harness");
		exit(EXIT_BAD_USE);
	}
	running++;
}

static void job_wait(void)
{
	struct rusage used = {0}; /* of the keeper and of all that it reaped */
	pid_t pid = wait4(-1, NULL, 0, &used);

	for (struct job *j = job; j < job + JOBS_MAX; j++) {
		if (!j->test || j->keeper != pid)
			continue;
		job_report(j, &used);
		munmap(j->record, sizeof(*j->record));
		close(j->out_fd);
		j->test = NULL;
		running--;
	}
}

static void debug(const struct test *test)
{
	test_debug = true;
	test_record = record_new();
	fprintf(stderr, "%s\n", test->sentence);
	test->body();
	if (test_record->dir[0])
		tree_remove(test_record->dir);
}

static void plan(const struct test *t)
{
	printf("%u\t%u\t%u\t%s\t%s\n", number_of(t), seconds_for(t), t->load,
	       t->needs ? t->needs : "-", t->sentence);
}

static unsigned int number_option(const char *name, const char *text, unsigned int max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < 1 || value > max) {
		fprintf(stderr, "%s: \"%s\" is not a number from 1 to %u\n", name, text, max);
		exit(EXIT_BAD_USE);
	}
	return (unsigned int)value;
}

static void run_all(char *const *words)
{
	printf("TAP version 13\n1..%u\n", count_chosen(words));
	fflush(stdout);
	for (const struct test *t = tests; t; t = t->next) {
		if (!chosen(t, words))
			continue;
		if (running == jobs)
			job_wait();
		job_start(t);
	}
	while (running)
		job_wait();
}

enum mode { RUN, LIST, PLAN, DEBUG };

/* The rest of argv is words. Ends the program if an option is wrong. */
static enum mode options_read(int argc, char **argv)
{
	static const struct option options[] = {
		{"list", no_argument, NULL, 'l'},
		{"plan", no_argument, NULL, 'p'},
		{"number", required_argument, NULL, 'n'},
		{"jobs", required_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'},
		{"verbose", no_argument, NULL, 'v'},
		{"patience", required_argument, NULL, 'P'},
		{"debug", no_argument, NULL, 'd'},
		{NULL, 0, NULL, 0},
	};
	enum mode mode = RUN;
	int c;

	while ((c = getopt_long(argc, argv, "j:v", options, NULL)) != -1) {
		if (c == 'l')
			mode = LIST;
		else if (c == 'p')
			mode = PLAN;
		else if (c == 'd')
			mode = DEBUG;
		else if (c == 'v')
			verbose = true;
		else if (c == 'n')
			only_number = number_option("--number", optarg, 1000000);
		else if (c == 'j')
			jobs = number_option("--jobs", optarg, JOBS_MAX);
		else if (c == 't')
			default_seconds = number_option("--timeout", optarg, 1000000);
		else if (c == 'P')
			patience = number_option("--patience", optarg, 100);
		else
			exit(EXIT_BAD_USE);
		seconds_asked |= c == 't';
	}
	return mode;
}

static void none_chosen(const char *program, const char *word)
{
	if (only_number)
		fprintf(stderr, "%s: --number %u: no such test; --plan shows them\n", program,
			only_number);
	else
		fprintf(stderr, "%s: no test's sentence has \"%s\" in it; --list shows them\n",
			program, word ? word : "");
}

int main(int argc, char **argv)
{
	enum mode mode = options_read(argc, argv);
	char *const *words = argv + optind;

	if (!count_chosen(words)) {
		none_chosen(argv[0], *words);
		return EXIT_BAD_USE;
	}
	if (mode == RUN)
		run_all(words);
	for (const struct test *t = tests; t && mode != RUN; t = t->next) {
		if (!chosen(t, words))
			continue;
		if (mode == LIST)
			puts(t->sentence);
		else if (mode == PLAN)
			plan(t);
		else
			debug(t);
	}
	return failed ? 1 : 0;
}
