/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/plant.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"
#include "lib/util.h"

struct plant plant_words(const char *folder, const char *const *words)
{
	char ready[6];
	struct plant p = {0};
	int in[2], back[2];

	REQUIRE_SYS(pipe2(in, O_CLOEXEC));
	REQUIRE_SYS(pipe2(back, O_CLOEXEC));
	p.pid = t_sys(fork());
	if (p.pid == 0) {
		dup2(in[0], 0);
		dup2(back[1], 1);
		if (!folder || chdir(folder) == 0)
			execv(words[0], (char *const *)(uintptr_t)words);
		_exit(127);
	}
	close(in[0]);
	close(back[1]);
	REQUIRE_EQ(read(back[0], ready, 6), 6);
	close(back[0]);
	p.input = in[1];
	return p;
}

struct plant plant(const char *name, const char *what, const char *word)
{
	char program[256], copied[256];

	snprintf(program, sizeof(program), "%s", test_built("tests/system/plant"));
	if (name) {
		char copy[256];

		snprintf(copy, sizeof(copy), "%s/%s", test_dir(), name);
		REQUIRE_EQ(TEST_RUN(copied, sizeof(copied), "cp", program, copy), 0);
		snprintf(program, sizeof(program), "%s", copy);
	}
	return plant_words(NULL, (const char *[]){program, what, word, NULL});
}

void uproot(struct plant *p)
{
	int status;

	close(p->input);
	REQUIRE_SYS(waitpid(p->pid, &status, 0));
	CHECK_EQ(status, 0);
}
