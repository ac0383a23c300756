// SPDX-License-Identifier: LGPL-2.1-or-later
/* Gives a harness its seeds, and what once was a find, one after the other. */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"
#include "harness/harness.h"

#define INPUT_MAX (1u << 20)

static uint8_t input[INPUT_MAX];

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

TEST_SECONDS("every seed, and all that ever was a find, is taken without harm", 120)
{
	struct dirent **names;
	char path[4096];
	int n = scandir(FUZZ_SEEDS, &names, is_input, alphasort);

	REQUIRE(n > 0);
	setenv("PSHARE_FUZZ_DIR", test_dir(), 1);
	for (int i = 0; i < n; i++) {
		FILE *file;
		size_t size;
		uint8_t *exact;

		snprintf(path, sizeof(path), "%s/%s", FUZZ_SEEDS, names[i]->d_name);
		file = fopen(path, "re");
		REQUIRE(file != NULL);
		size = fread(input, 1, sizeof(input), file);
		fclose(file);
		/* no byte more than there is, so that the sanitizer sees who reads on */
		exact = malloc(size ? size : 1);
		REQUIRE(exact != NULL);
		memcpy(exact, input, size);
		LLVMFuzzerTestOneInput(exact, size);
		free(exact);
		free(names[i]);
	}
	free(names);
}
