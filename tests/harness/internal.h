/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the harness share; tests include harness.h alone. */
#ifndef PSHARE_TESTS_INTERNAL_H
#define PSHARE_TESTS_INTERNAL_H

#include "harness/harness.h"

#include <stdatomic.h>
#include <sys/types.h>

#define EXIT_TEST_FAILED 98 /* a REQUIRE ended the process */
#define EXIT_TEST_SKIPPED 77

#define MESSAGES_MAX 16
#define MESSAGE_SIZE 512
#define REASON_SIZE 256
#define DIR_SIZE 64

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/*
 * What is known of one test, in memory shared by main, keeper, the test's process and all its
 * children: so a failure is seen in whatever process it happens, and survives a crash after it.
 */
struct record {
	/* written by the test's processes */
	atomic_uint failures;
	atomic_bool skipped;
	atomic_bool returned; /* the body came to its end */
	char message[MESSAGES_MAX][MESSAGE_SIZE];
	char skip_reason[REASON_SIZE];
	char dir[DIR_SIZE];

	/* written by the keeper, when all is over */
	bool kept; /* the keeper came to its end */
	bool hung;
	bool slow;		 /* the limit was extended, see pace.c */
	int status;		 /* of waitpid() for the test's process */
	unsigned int left;	 /* processes left behind */
	char where[REASON_SIZE]; /* what threads of a hung test wait in; or who was left */
};

/* The record of the test that this process belongs to. */
extern struct record *test_record;
/* --debug: this process is the test. */
extern bool test_debug;

/* Runs one test to its end, with its output going to out_fd. Never returns: the process that
 * calls it becomes the test's keeper. */
void keeper_run(const struct test *test, unsigned int seconds, int out_fd)
	__attribute__((noreturn));

/* Removes a folder and what is in it. */
void tree_remove(const char *path);

#endif
