// SPDX-License-Identifier: LGPL-2.1-or-later
#include "checks/tree.h"

#include <stdio.h>
#include <sys/stat.h>

#define PATHS_KEPT 4

char tree_out[1 << 16];

const char *tree_path(const char *path)
{
	static char kept[PATHS_KEPT][512];
	static unsigned int next;
	char *text = kept[next++ % PATHS_KEPT];

	snprintf(text, sizeof(kept[0]), "%s/%s", test_dir(), path);
	return text;
}

static void make_folders(const char *path)
{
	char folder[512];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		if (mkdir(folder, 0755) != 0)
			REQUIRE_EQ(errno, EEXIST);
	}
}

void tree_write(const char *path, const char *text)
{
	const char *whole = tree_path(path);
	FILE *file;

	make_folders(whole);
	file = fopen(whole, "w");
	REQUIRE(file);
	CHECK(fputs(text, file) >= 0);
	CHECK_EQ(fclose(file), 0);
	if (strncmp(text, "#!", 2) == 0)
		REQUIRE_SYS(chmod(whole, 0755));
}
