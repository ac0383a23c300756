// SPDX-License-Identifier: LGPL-2.1-or-later
/* scripts/check-completions sees what a shell does not offer, and what it should not. */
#include "checks/tree.h"

static const char program[] =
	"#!/bin/sh\n"
	"case \"$1\" in\n"
	"--help) echo 'usage: pshare COMMAND'; echo; echo 'commands:'\n"
	"  echo '  host       the host'; echo ;;\n"
	"host) echo 'usage: pshare host {up | down} [--name N]'; echo; echo 'text'; echo\n"
	"  echo 'up      so'; echo 'down    or so'; echo; echo 'options:'\n"
	"  echo '  --name N   x'; echo '  --help   this' ;;\n"
	"esac\n";

/* A shell function that offers these words, whatever was asked. */
#define OFFERS(words) "_pshare() { COMPREPLY=(" words "); }\n"
#define IF_OPTION(options, others)                                              \
	"_pshare() { case ${COMP_WORDS[COMP_CWORD]} in -*) COMPREPLY=(" options \
	");; *) COMPREPLY=(" others ");; esac; }\n"

static void differs(const char *bash, const char *said)
{
	tree_write("src/cli/pshare", program);
	tree_write("data/completions/pshare", bash);
	tree_write("data/completions/_pshare", "#compdef pshare\n");
	CHECK_EQ(TREE_CHECK("check-completions", test_dir(), test_dir()), 1);
	CHECK_IN(said, tree_out);
}

TEST("check-completions sees a command, an option and a verb that are not offered")
{
	differs(OFFERS(""), "bash: commands: host is missing");
	CHECK_IN("bash: host: --name is missing", tree_out);
	CHECK_IN("bash: host: down is missing", tree_out);
}

TEST("check-completions sees what there is not, and options where a word is to be")
{
	differs(IF_OPTION("--help --name --loud", "host"), "bash: host: --loud: there is no such");
	differs(OFFERS("--name"), "bash: host --name: --name is offered");
}

TEST("the real completions serve another program's help as well")
{
	static char text[1 << 15];

	if (TEST_RUN(NULL, 0, "zsh", "-c", "true") || TEST_RUN(NULL, 0, "bash", "-c", "true"))
		SKIP("bash or zsh is not installed");
	tree_write("src/cli/pshare", program);
	CHECK_EQ(TEST_RUN(text, sizeof(text), "cp", "-r", test_source("data"), test_dir()), 0);
	CHECK_EQ(TREE_CHECK("check-completions", test_dir(), test_dir()), 1);
	CHECK_STR(tree_out, "bash: host: down is missing\nbash: host: up is missing\n"
			    "zsh: host: down is missing\nzsh: host: up is missing\n");
}
