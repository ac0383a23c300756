/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * agent-path: a program from the build tree must use the agent and the daemon of that tree, an
 * installed one those that were installed with it, wherever the installation was moved to. So the
 * places are named from the folder of this program; the configured ones come last.
 */
#include "cli/agent-path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "sys/launch.h"
#include "sys/self.h"

#define AGENT "libpshare-agent.so"
#define DAEMON "pshared"

/* 0 if FOLDER/rest is there. */
static int try_beside(const char *rest, char path[PATH_MAX])
{
	char folder[PATH_MAX];
	int r = sys_self_folder(folder, sizeof(folder));

	if (r)
		return r;
	if (snprintf(path, PATH_MAX, "%s/%s", folder, rest) >= PATH_MAX)
		return -ENAMETOOLONG;
	return sys_can_read(path);
}

static int try_exact(const char *text, char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s", text) >= PATH_MAX)
		return -ENAMETOOLONG;
	return sys_can_read(path);
}

int agent_look(char path[PATH_MAX])
{
	const char *chosen = getenv("PSHARE_AGENT");

	if (chosen && *chosen)
		return try_exact(chosen, path);
	if (!try_beside("../agent/" AGENT, path) ||
	    !try_beside(PSHARE_LIBDIR_FROM_BINDIR "/" AGENT, path))
		return 0;
	return try_exact(PSHARE_LIBDIR "/" AGENT, path);
}

int agent_find(char path[PATH_MAX])
{
	char given[PATH_MAX];
	int r = agent_look(path);

	if (r)
		return say_error(CLI_FAILED,
				 "the agent's library %s: %s; install pshare whole, or set "
				 "PSHARE_AGENT",
				 path, strerror(-r));
	memcpy(given, path, sizeof(given));
	if (sys_whole_path(given, path, PATH_MAX))
		memcpy(path, given, sizeof(given));
	/* ld.so takes both for separators, and there is no quoting */
	if (strpbrk(path, " :\t\n"))
		return say_error(CLI_FAILED,
				 "the agent's library %s: LD_PRELOAD cannot hold a path with a "
				 "space or a colon",
				 path);
	return 0;
}

int daemon_look(char path[PATH_MAX])
{
	const char *chosen = getenv("PSHARE_DAEMON");

	if (chosen && *chosen)
		return try_exact(chosen, path);
	if (!try_beside("../daemon/" DAEMON, path) || !try_beside(DAEMON, path) ||
	    !try_beside("../sbin/" DAEMON, path) || !try_exact(PSHARE_SBINDIR "/" DAEMON, path))
		return 0;
	return sys_find_program(DAEMON, path, PATH_MAX);
}

int preload_value(char *text, size_t size, const char *agent, const char *before)
{
	bool more = before && *before;
	int n = snprintf(text, size, "%s%s%s", agent, more ? ":" : "", more ? before : "");

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
