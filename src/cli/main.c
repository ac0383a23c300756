/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pshare: the command. It finds the row of its first word in commands.c, reads the rest by it and
 * runs it. Everything it knows of VMs comes from the daemon's API; it keeps nothing.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "sys/wipe.h"

static bool is(const char *word, const char *a, const char *b)
{
	return !strcmp(word, a) || !strcmp(word, b);
}

/* A full disk, or a pipe whose reader has gone, must not look like success. */
static int flush(int code)
{
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	return code ? code : say_error(CLI_FAILED, "cannot write to standard output");
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct args args;
	int code;

	json_set_alloc_funcs(sys_wiping_alloc, sys_wiping_free); /* a body may hold a salt */
	if (argc < 2)
		return say_error(CLI_USAGE, "no command given; see 'pshare --help'");
	if (is(argv[1], "--help", "-h")) {
		print_main_help();
		return flush(CLI_OK);
	}
	if (is(argv[1], "--version", "-V")) {
		puts("pshare " PSHARE_VERSION);
		return flush(CLI_OK);
	}
	if (argv[1][0] == '-')
		return say_error(CLI_USAGE, "unknown option '%.40s'; see 'pshare --help'", argv[1]);
	command = command_find(argv[1]);
	if (!command)
		return say_error(CLI_USAGE, "unknown command '%.40s'; see 'pshare --help'",
				 argv[1]);
	code = args_parse(&args, command, argc - 1, argv + 1);
	if (code)
		return code;
	if (args.help) {
		print_help(command);
		return flush(CLI_OK);
	}
	return flush(command->run(&args));
}
