/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * util: what every system test needs: time, random numbers, a way to fail and to skip, paths.
 *
 * A failure prints one line that says what was expected and ends the process with status 1; a
 * missing need (root, a kernel feature) prints its reason and ends it with status 77. The test
 * runner forks for each test, so both end one test only.
 */
#ifndef PSHARE_TEST_UTIL_H
#define PSHARE_TEST_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define T_PAGE 4096u
#define T_BLOCK (512u * T_PAGE)
#define T_EXIT_SKIP 77

#define T_STR_(x) #x
#define T_STR(x) T_STR_(x)

_Noreturn void t_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void t_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* One line to stderr with the seconds since the process started before it. */
void t_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* t_check: the condition must hold. t_sys: the call must not return -1. */
#define t_check(cond, ...)                                                                        \
	do {                                                                                      \
		if (!(cond))                                                                      \
			t_fail(__FILE__ ":" T_STR(__LINE__) ": not so: " #cond ": " __VA_ARGS__); \
	} while (0)
#define t_sys(call)                                                             \
	({                                                                      \
		__auto_type r_ = (call);                                        \
		if (r_ == (__typeof__(r_))-1)                                   \
			t_fail(__FILE__ ":" T_STR(__LINE__) ": " #call ": %m"); \
		r_;                                                             \
	})

double t_now(void);	      /* seconds, monotonic */
void t_sleep(double seconds); /* goes on after signals */
/* Is the limit over that began at start (t_now())? A slow machine has longer: harness/pace.h. */
bool t_late(double start, double seconds);

/* A small fast generator (splitmix64): every state is fine, 0 too. */
uint64_t t_rand(uint64_t *state);
/* 0 .. n-1 */
static inline uint32_t t_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(((t_rand(state) >> 32) * n) >> 32);
}
uint64_t t_mix(uint64_t x);

/* A path below the build folder: the one that this was built in, or $PSHARE_BUILD. */
const char *t_build_path(const char *below, char *buf, size_t size);
/* True if the agent and the daemon are built and $PSHARE_TEST_BARE is not set: without them a
 * program checks its own model only. */
bool t_have_pshare(void);
/* True if this build has the hooks that take defences out or make calls fail (-Dinject=true). */
bool t_have_inject(void);

void t_need_root(void); /* skips without */

/* Reads a whole small file, NUL terminated; returns its length or -1. */
ssize_t t_slurp(const char *path, char *buf, size_t size);
/* mkdtemp below $TMPDIR; removed, with what is in it, by t_rmdir. */
void t_mkdtemp(char *buf, size_t size);
void t_rmdir(const char *dir);

/* Waits for a child; -1 if it lives on after the seconds. */
int t_wait(pid_t pid, double seconds, int *status);

#endif
