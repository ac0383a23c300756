/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A balloon needs a QMP monitor. QEMU serves one client at a time on a socket, and whoever comes
 * second waits without a word; so a monitor that the command line has already is somebody's, and is
 * used only if that is asked for (--qmp find, or its path). By default one more is added, in a
 * folder that only this user can enter. It does no harm where it is not used.
 *
 * A balloon device is hardware of the guest: it is added when asked for (--balloon), with what
 * makes it safe (deflate-on-oom) and useful (free-page-reporting).
 */
#include "cli/qmp-option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/launch.h"
#include "sys/private.h"
#include "sys/process.h"
#include "sys/self.h"

#define SOCKET_FORMAT "%s/qmp-%d.sock"

/* The first folder of ours in which a socket's path fits. */
static int find_folder(char *folder, size_t size, const struct runtime *runtime, bool make)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR"), *temporary = getenv("TMPDIR");
	char places[3][PATH_MAX + 32];
	int r = -ENOENT;

	snprintf(places[0], sizeof(places[0]), "%s/qmp", runtime->dir);
	snprintf(places[1], sizeof(places[1]), "%s/pshare-qmp", xdg && *xdg ? xdg : "");
	snprintf(places[2], sizeof(places[2]), "%s/pshare-%u", temporary ? temporary : "/tmp",
		 (unsigned int)sys_self_uid());
	for (size_t i = 0; i < 3; i++) {
		if (places[i][0] != '/' || strlen(places[i]) + 24 > QEMU_PATH_MAX ||
		    (i == 1 && (!xdg || !*xdg)))
			continue;
		r = sys_private_folder(places[i], make);
		if (r == 0) {
			snprintf(folder, size, "%s", places[i]);
			return 0;
		}
	}
	return r;
}

/* -chardev socket,... -mon ... */
static int add_monitor(struct qmp_option *option, const struct args *args,
		       const struct runtime *runtime)
{
	char folder[QEMU_PATH_MAX];
	int r = find_folder(folder, sizeof(folder), runtime, !args->dry_run);

	if (r < 0)
		return say_error(0,
				 "warning: no folder for a QMP socket (%s): no balloon; --qmp PATH "
				 "names one",
				 strerror(-r));
	sys_forget_sockets(folder, "qmp-");
	/* exec keeps the number, so it is this VM's alone */
	if ((size_t)snprintf(option->path, sizeof(option->path), SOCKET_FORMAT, folder,
			     (int)sys_self_pid()) >= sizeof(option->path)) {
		option->path[0] = '\0';
		return 0;
	}
	snprintf(option->monitor, QEMU_WORD_MAX,
		 "socket,id=pshare-monitor,server=on,wait=off,path=");
	return qemu_escape(option->monitor, QEMU_WORD_MAX, option->path) < 0 ?
		       say_error(CLI_FAILED, "the path of the QMP socket is too long") :
		       0;
}

static int take_path(struct qmp_option *option, const char *path)
{
	char folder[PATH_MAX] = "";
	int n, r = *path == '/' ? 0 : sys_current_folder(folder, sizeof(folder));

	n = r < 0 ? -1 :
		    snprintf(option->path, sizeof(option->path), "%s%s%s", folder,
			     *folder ? "/" : "", path);
	if (n < 0 || (size_t)n >= sizeof(option->path))
		return say_error(CLI_USAGE, "--qmp: %s does not fit a socket's address (%u bytes)",
				 path, QEMU_PATH_MAX - 1);
	return 0;
}

static int choose_monitor(struct qmp_option *option, const struct args *args,
			  const struct runtime *runtime, const struct qemu_line *line)
{
	const char *asked = args->qmp ? args->qmp : "add";

	if (!strcmp(asked, "none"))
		return 0;
	if (!strcmp(asked, "find"))
		return line->monitor[0] ?
			       take_path(option, line->monitor) :
			       say_error(CLI_FAILED, "--qmp find: the command line has no -qmp "
						     "unix:PATH,server=on,wait=off");
	if (strcmp(asked, "add") != 0)
		return take_path(option, asked);
	if (line->qemu)
		return add_monitor(option, args, runtime);
	return args->qmp ? say_error(CLI_FAILED, "--qmp add: %s is no QEMU", args->operands[0]) : 0;
}

static int choose_balloon(struct qmp_option *option, const struct args *args,
			  const struct qemu_line *line)
{
	if (!args->balloon || line->balloon)
		return 0;
	if (!line->qemu)
		return say_error(CLI_FAILED, "--balloon: %s is no QEMU", args->operands[0]);
	snprintf(option->device, QEMU_WORD_MAX,
		 "%s,id=pshare-balloon,deflate-on-oom=on,free-page-reporting=on", line->device);
	return 0;
}

static void say_added(const char *what, char *const *word, size_t n)
{
	char text[2 * QEMU_WORD_MAX + 64] = "";

	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", word[i]);
	say_error(0, "added for %s:%s", what, text);
}

/* The command, and n words more; to be freed. */
static char **extended(char *const *command, char *const *more, size_t n)
{
	size_t have = 0;
	char **words;

	while (command[have])
		have++;
	words = calloc(have + n + 1, sizeof(char *));
	if (!words)
		return NULL;
	memcpy(words, command, have * sizeof(char *));
	memcpy(words + have, more, n * sizeof(char *));
	return words;
}

static int make_words(struct qmp_option *option, const struct args *args)
{
	static char chardev[] = "-chardev", mon[] = "-mon", device[] = "-device";
	static char control[] = "chardev=pshare-monitor,mode=control";
	char *balloon[] = {device, option->device},
	     *monitor[] = {chardev, option->monitor, mon, control}, *more[6];
	size_t balloon_words = option->device[0] ? 2 : 0,
	       monitor_words = option->monitor[0] ? 4 : 0, n = 0;

	for (size_t i = 0; i < balloon_words; i++)
		more[n++] = balloon[i];
	for (size_t i = 0; i < monitor_words; i++)
		more[n++] = monitor[i];
	option->words = extended(args->operands, more, n);
	if (!option->words)
		return say_error(CLI_FAILED, "out of memory");
	if (balloon_words)
		say_added("--balloon", balloon, balloon_words);
	if (monitor_words)
		say_added("a QMP monitor", monitor, monitor_words);
	else if (option->path[0])
		say_error(0, "the balloon's QMP monitor is %s", option->path);
	return 0;
}

void qmp_option_free(struct qmp_option *option)
{
	free(option->words);
	option->words = NULL;
}

int qmp_option_apply(struct qmp_option *option, const struct args *args,
		     const struct runtime *runtime)
{
	struct qemu_line line;
	int r;

	*option = (struct qmp_option){.words = NULL};
	qemu_line_read(&line, (const char *const *)args->operands);
	r = choose_monitor(option, args, runtime, &line);
	if (!r)
		r = choose_balloon(option, args, &line);
	return r ? r : make_words(option, args);
}
