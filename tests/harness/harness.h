/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The test harness. A test is a C function whose name is a sentence; a program may hold many:
 *
 *	#include "harness/harness.h"
 *
 *	TEST("a frame that somebody maps is never given back")
 *	{
 *		struct store *store = NULL;
 *
 *		REQUIRE_OK(store_new(&store));
 *		CHECK_EQ(store_frames(store), 0);
 *	}
 *
 * The harness has the main(). To add a test program, one line in the folder's meson.build:
 *
 *	unit_tests += {'store': {'sources': files('test-store.c'), 'dependencies': [sys_dep]}}
 *
 * and `system_tests += ...` alike for what needs root, a daemon or a guest (tests/system). Unit
 * tests lie beside the code as src/FOLDER/test-NAME.c and run under ASan and UBSan in `make check`;
 * system tests run on the release build.
 *
 * Each test runs in a process of its own, in a process group of its own, with a timeout and with
 * its output captured (shown if it fails, or with --verbose). It may fork, start threads, crash
 * and hang: all of that is seen and counted. A failed REQUIRE ends the process that it stands in
 * at once, in whatever thread, and past all cleanups (so it reports no false leaks); a failed
 * CHECK lets it go on. Both fail the test also when they happen in a child of it. A test that
 * leaves processes behind fails: they are named and killed.
 *
 * A program prints TAP, one line for each test as it ends, so `meson test` understands it too:
 *
 *	ok 1 - SENTENCE
 *	not ok 2 - SENTENCE
 *	ok 3 - SENTENCE # SKIP reason
 *	# whatever a failed test printed, and why it failed
 *
 * and exits 0 only if none failed. Options: --list; --plan (a line for each test: number, seconds,
 * load, needs, sentence, with tabs between); --number N (that test alone); --jobs N (tests at the
 * same time, default 1); --timeout SECONDS (for each test); --patience N (N times its timeout: for
 * who runs it beside others); --verbose; --debug (no fork, no timeout: for a debugger); and any
 * number of words: only tests whose sentence contains one of them run.
 * scripts/run-tests runs the tests of many programs side by side, each where it disturbs nobody,
 * and counts: that is what `make check` does.
 */
#ifndef PSHARE_TESTS_HARNESS_H
#define PSHARE_TESTS_HARNESS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "harness/pace.h"

#define TEST_DEFAULT_SECONDS 60 /* timeout of a test; three times that under a sanitizer */

/* Defines a test. TEST_SECONDS: one that may take longer (not scaled by sanitizers). TEST_WITH: any
 * of struct test's fields that say how it is run:
 *
 *	TEST_WITH("nobody waits long", .seconds = 90, .needs = "quiet", .load = 150)
 */
#define TEST(sentence) TEST_DEFINE_(sentence, __LINE__, .seconds = 0)
#define TEST_SECONDS(sentence, limit) TEST_DEFINE_(sentence, __LINE__, .seconds = (limit))
#define TEST_WITH(sentence, ...) TEST_DEFINE_(sentence, __LINE__, __VA_ARGS__)

/* Ends the test: it cannot run here, and this is the reason (printf style). Never a failure. */
#define SKIP(...) test_skip(__VA_ARGS__)

/* Ends the test, or only notes it: it failed, and this is why (printf style). */
#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define NOTE_FAIL(...) test_note_fail(__FILE__, __LINE__, __VA_ARGS__)

/* REQUIRE...: the test ends if this is not so. CHECK...: it goes on, failed. */
#define REQUIRE(what) TEST_TRUE_(test_fail, what)
#define CHECK(what) TEST_TRUE_(test_note_fail, what)

/* Integers and floating numbers of any type, compared by value (-1 < 1u), printed when not so. */
#define REQUIRE_EQ(a, b) TEST_COMPARE_(true, a, TEST_EQ, b)
#define REQUIRE_NE(a, b) TEST_COMPARE_(true, a, TEST_NE, b)
#define REQUIRE_LT(a, b) TEST_COMPARE_(true, a, TEST_LT, b)
#define REQUIRE_LE(a, b) TEST_COMPARE_(true, a, TEST_LE, b)
#define REQUIRE_GT(a, b) TEST_COMPARE_(true, a, TEST_GT, b)
#define REQUIRE_GE(a, b) TEST_COMPARE_(true, a, TEST_GE, b)
#define CHECK_EQ(a, b) TEST_COMPARE_(false, a, TEST_EQ, b)
#define CHECK_NE(a, b) TEST_COMPARE_(false, a, TEST_NE, b)
#define CHECK_LT(a, b) TEST_COMPARE_(false, a, TEST_LT, b)
#define CHECK_LE(a, b) TEST_COMPARE_(false, a, TEST_LE, b)
#define CHECK_GT(a, b) TEST_COMPARE_(false, a, TEST_GT, b)
#define CHECK_GE(a, b) TEST_COMPARE_(false, a, TEST_GE, b)

/* A call in our manner: not negative. Prints the name of the errno. */
#define REQUIRE_OK(call) test_ok(true, __FILE__, __LINE__, #call, (long long)(call))
#define CHECK_OK(call) test_ok(false, __FILE__, __LINE__, #call, (long long)(call))
/* A call in libc's manner: not -1. Prints errno. */
#define REQUIRE_SYS(call) test_ok(true, __FILE__, __LINE__, #call, TEST_SYS_(call))
#define CHECK_SYS(call) test_ok(false, __FILE__, __LINE__, #call, TEST_SYS_(call))

/* Strings, either may be NULL; a string within a string; bytes. */
#define REQUIRE_STR(a, b) test_str(true, __FILE__, __LINE__, #a, a, #b, b)
#define CHECK_STR(a, b) test_str(false, __FILE__, __LINE__, #a, a, #b, b)
#define REQUIRE_IN(part, text) test_in(true, __FILE__, __LINE__, part, text)
#define CHECK_IN(part, text) test_in(false, __FILE__, __LINE__, part, text)
#define REQUIRE_MEM(a, b, len) test_mem(true, __FILE__, __LINE__, #a, a, #b, b, len)
#define CHECK_MEM(a, b, len) test_mem(false, __FILE__, __LINE__, #a, a, #b, b, len)

/* Waits until this is so, looking every 5 ms; the test ends if it is not within so many ms: of a
 * machine that is not slow, see test_late(). */
#define REQUIRE_WITHIN(ms, what)                                                           \
	do {                                                                               \
		int64_t start_ = test_now_ns();                                            \
		while (!(what)) {                                                          \
			if (test_late(start_, (int64_t)(ms)))                              \
				FAIL("not so within %lld ms: %s", (long long)(ms), #what); \
			test_sleep_ms(5);                                                  \
		}                                                                          \
	} while (0)

void test_sleep_ms(unsigned int ms);

/* A folder of this test alone, made on first use, removed when the test has ended. Short enough
 * for a unix socket in it. Children of the test see the same one if it was made before the fork. */
const char *test_dir(void);

/* Whole path of something that was built, as "src/daemon/pshared", or of a file of the source.
 * The text is valid until the fourth call from now. The test fails if it is not there. */
const char *test_built(const char *path);
const char *test_source(const char *path);

/* Does memory that is only read get the kernel's zero page, as it should? Some hosts run kernels of
 * their own that give it a page of its own each. To SKIP where it matters. */
bool test_reads_map_zero_page(void);

/* A random seed, the same for the whole test; printed, so that a failure can be repeated with
 * PSHARE_TEST_SEED=N. */
uint64_t test_seed(void);

/* Runs argv (NULL terminated; argv[0] through PATH) and waits. Returns its exit status, or 128 +
 * the signal that killed it. out (may be NULL): what it printed on stdout and stderr together,
 * cut at size - 1 bytes, always a string. */
int test_run(char *out, size_t size, const char *const argv[]);
#define TEST_RUN(out, size, ...) test_run(out, size, (const char *const[]){__VA_ARGS__, NULL})

/* ---- what the macros are made of ------------------------------------------------------------ */

struct test {
	const char *sentence;
	const char *file;
	void (*body)(void);
	unsigned int seconds; /* 0: the default */
	unsigned int line;
	/* For scripts/run-tests, which runs tests of all programs side by side. Both stand in
	 * place of what the program's line in meson.build says ('needs', 'load'). */
	const char *needs; /* what it shares with no other test at that time: words, comma between;
			    * "quiet": the whole machine. NULL: as the program, "": nothing */
	unsigned int load; /* CPU that it takes, in percent of one. 0: as the program */
	struct test *next;
};

enum test_op { TEST_EQ, TEST_NE, TEST_LT, TEST_LE, TEST_GT, TEST_GE };

struct test_value {
	enum { TEST_SIGNED, TEST_UNSIGNED, TEST_REAL } kind;
	union {
		long long s;
		unsigned long long u;
		double real;
	};
};

void test_register(struct test *test);
void test_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void test_failed(bool end, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void test_note_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void test_compare(bool end, const char *file, int line, const char *a_text, struct test_value a,
		  enum test_op op, const char *b_text, struct test_value b);
void test_ok(bool end, const char *file, int line, const char *text, long long result);
void test_str(bool end, const char *file, int line, const char *a_text, const char *a,
	      const char *b_text, const char *b);
void test_in(bool end, const char *file, int line, const char *part, const char *text);
void test_mem(bool end, const char *file, int line, const char *a_text, const void *a,
	      const char *b_text, const void *b, size_t len);

static inline struct test_value test_value_s(long long value)
{
	return (struct test_value){.kind = TEST_SIGNED, .s = value};
}

static inline struct test_value test_value_u(unsigned long long value)
{
	return (struct test_value){.kind = TEST_UNSIGNED, .u = value};
}

static inline struct test_value test_value_real(double value)
{
	return (struct test_value){.kind = TEST_REAL, .real = value};
}

/* clang-format off */
#define TEST_VALUE_(x)                                        \
	({                                                    \
		__auto_type value_ = (x);                     \
		_Generic(value_,                              \
			unsigned long: test_value_u,          \
			unsigned long long: test_value_u,     \
			float: test_value_real,               \
			double: test_value_real,              \
			default: test_value_s)(value_);       \
	})
/* clang-format on */

#define TEST_COMPARE_(end, a, op, b) \
	test_compare(end, __FILE__, __LINE__, #a, TEST_VALUE_(a), op, #b, TEST_VALUE_(b))

#define TEST_TRUE_(fail, what)                                         \
	do {                                                           \
		if (!(what))                                           \
			fail(__FILE__, __LINE__, "not so: %s", #what); \
	} while (0)

#define TEST_SYS_(call)                                      \
	({                                                   \
		long long result_ = (long long)(call);       \
		result_ == -1 ? -(long long)errno : result_; \
	})

#define TEST_PASTE__(a, b) a##b
#define TEST_PASTE_(a, b) TEST_PASTE__(a, b)
#define TEST_DEFINE_(sentence_, line_, ...)                                                     \
	static void TEST_PASTE_(test_body_, line_)(void);                                       \
	static struct test TEST_PASTE_(test_, line_) = {.sentence = sentence_,                  \
							.file = __FILE__,                       \
							.body = TEST_PASTE_(test_body_, line_), \
							.line = line_,                          \
							__VA_ARGS__};                           \
	__attribute__((constructor)) static void TEST_PASTE_(test_register_, line_)(void)       \
	{                                                                                       \
		test_register(&TEST_PASTE_(test_, line_));                                      \
	}                                                                                       \
	static void TEST_PASTE_(test_body_, line_)(void)

#endif
