/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small tree in the test's folder, for a check to be run on. */
#ifndef PSHARE_TESTS_TREE_H
#define PSHARE_TESTS_TREE_H

#include "harness/harness.h"

/* Writes a file below test_dir(), with the folders it needs. Text that starts with #! makes it
 * executable. */
void tree_write(const char *path, const char *text);

/* Whole path of something below test_dir(); valid until the fourth call from now. */
const char *tree_path(const char *path);

/* Runs scripts/SCRIPT with these arguments; what it printed is in tree_out. */
#define TREE_CHECK(script, ...) \
	TEST_RUN(tree_out, sizeof(tree_out), test_source("scripts/" script), __VA_ARGS__)

extern char tree_out[1 << 16];

#endif
