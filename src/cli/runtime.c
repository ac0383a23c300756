/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * runtime: which folder, so which daemon, a command means.
 *
 *	--runtime-dir DIR, else $PSHARE_RUNTIME_DIR: that one, and no other;
 *	else for root /run/pshare, for a user $XDG_RUNTIME_DIR/pshare;
 *	and where no daemon answers in a user's own, the system's, if that answers, or is there and
 *	not for this user, who is told so then and not that there is none.
 *
 * The path is made absolute: the VMM that inherits it may work in another folder.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "sys/launch.h"
#include "sys/self.h"

#define SYSTEM_DIR "/run/pshare"
#define SOCKET_MAX 108 /* bytes of a socket's path, with its NUL: sockaddr_un */
#define LONGEST_NAME "/agent.sock"

static int set_dir(struct runtime *runtime, const char *text)
{
	char here[PATH_MAX] = "";
	int n, r = 0;

	if (text[0] != '/')
		r = sys_current_folder(here, sizeof(here));
	if (r)
		return say_error(CLI_FAILED, "cannot tell the current folder: %s", strerror(-r));
	n = snprintf(runtime->dir, sizeof(runtime->dir), "%s%s%s", here, *here ? "/" : "", text);
	if (n < 0 || (size_t)n + sizeof(LONGEST_NAME) > SOCKET_MAX)
		return say_error(CLI_USAGE,
				 "the runtime folder '%.120s' is too long: a socket's path has at "
				 "most %d bytes",
				 text, SOCKET_MAX - 1);
	return 0;
}

/* Is there a daemon in this folder that this user may not talk to? */
static bool is_forbidden(const char *dir)
{
	char path[PATH_MAX + sizeof(LONGEST_NAME)];
	int r;

	snprintf(path, sizeof(path), "%s/api.sock", dir);
	r = sys_can_connect(path);
	return r == -EACCES || r == -EPERM;
}

int runtime_find(struct runtime *runtime, const struct args *args)
{
	const char *env = getenv("PSHARE_RUNTIME_DIR");
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	char own[PATH_MAX];

	runtime->chosen = args->runtime_dir || (env && *env);
	if (runtime->chosen)
		return set_dir(runtime, args->runtime_dir ? args->runtime_dir : env);
	if (!sys_self_uid())
		return set_dir(runtime, SYSTEM_DIR);
	if (xdg && xdg[0] == '/') {
		snprintf(own, sizeof(own), "%s/pshare", xdg);
		return set_dir(runtime, own);
	}
	if (runtime_answers(SYSTEM_DIR) || is_forbidden(SYSTEM_DIR))
		return set_dir(runtime, SYSTEM_DIR);
	return say_error(CLI_USAGE, "no runtime folder: XDG_RUNTIME_DIR is not set and no daemon "
				    "answers in " SYSTEM_DIR "; give --runtime-dir DIR");
}

int runtime_find_daemon(struct runtime *runtime, const struct args *args)
{
	int r = runtime_find(runtime, args);

	if (r || runtime->chosen || runtime_answers(runtime->dir))
		return r;
	if (runtime_answers(SYSTEM_DIR) || is_forbidden(SYSTEM_DIR))
		return set_dir(runtime, SYSTEM_DIR);
	return 0;
}

int runtime_find_usable(struct runtime *runtime, const struct args *args)
{
	int r = runtime_find(runtime, args);

	if (r || runtime->chosen || runtime_answers(runtime->dir))
		return r;
	if (is_forbidden(runtime->dir))
		return say_error(CLI_FAILED,
				 "the daemon of %s is not for this user: join the group that owns "
				 "its socket, or give --runtime-dir DIR for a private one",
				 runtime->dir);
	if (is_forbidden(SYSTEM_DIR))
		say_error(0, "note: the daemon of " SYSTEM_DIR " is not for this user (join the "
			     "group that owns its socket), so this VM shares with those of a "
			     "private one alone");
	return runtime_answers(SYSTEM_DIR) ? set_dir(runtime, SYSTEM_DIR) : 0;
}

bool runtime_answers(const char *dir)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *answer = NULL;
	struct runtime runtime = {.chosen = true};

	snprintf(runtime.dir, sizeof(runtime.dir), "%s", dir);
	if (client_new(&client, &runtime))
		return false;
	return client_try(client, &answer, "/v1/status") == 0;
}
