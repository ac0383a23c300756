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

static bool chosen(const struct test *test, char *const *words)
{
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
		snprintf(why, size, "hung: no end after %u s: %s", j->seconds, r->where);
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

static void job_report(const struct job *j)
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
		printf("# took %.1f s\n", (double)took * 1e-9);
	fflush(stdout);
}

static void job_start(const struct test *test)
{
	struct job *j = job;

	while (j->test)
		j++;
	*j = (struct job){.test = test, .record = record_new(), .started = test_now_ns()};
	j->seconds = test->seconds && !seconds_asked ? test->seconds : default_seconds;
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
	pid_t pid = wait(NULL);

	for (struct job *j = job; j < job + JOBS_MAX; j++) {
		if (!j->test || j->keeper != pid)
			continue;
		job_report(j);
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

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"list", no_argument, NULL, 'l'},	   {"jobs", required_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'}, {"verbose", no_argument, NULL, 'v'},
		{"debug", no_argument, NULL, 'd'},	   {NULL, 0, NULL, 0},
	};
	bool list = false, in_process = false;
	int c;

	while ((c = getopt_long(argc, argv, "j:v", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			list = true;
			break;
		case 'j':
			jobs = number_option("--jobs", optarg, JOBS_MAX);
			break;
		case 't':
			default_seconds = number_option("--timeout", optarg, 1000000);
			seconds_asked = true;
			break;
		case 'v':
			verbose = true;
			break;
		case 'd':
			in_process = true;
			break;
		default:
			return EXIT_BAD_USE;
		}
	}
	if (!count_chosen(argv + optind)) {
		fprintf(stderr, "%s: no test's sentence has \"%s\" in it; --list shows them\n",
			argv[0], argv[optind] ? argv[optind] : "");
		return EXIT_BAD_USE;
	}
	if (!list && !in_process)
		run_all(argv + optind);
	for (const struct test *t = tests; t && (list || in_process); t = t->next) {
		if (chosen(t, argv + optind) && list)
			puts(t->sentence);
		else if (chosen(t, argv + optind))
			debug(t);
	}
	return failed ? 1 : 0;
}
