/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/cleanup.h"
#include "sys/path.h"
#include "sys/self.h"

#define CONFIG_FILE_MAX (64u << 10)
#define IDLE_SECONDS_MAX 86400u
#define SOCKET_NAME_MAX 16u /* "/agent.sock" and its NUL, with room */

enum {
	OPT_RUNTIME_DIR = 256,
	OPT_POLICY,
	OPT_CONFIG,
	OPT_SET,
	OPT_FOREGROUND,
	OPT_LOG_LEVEL,
	OPT_EXIT_WHEN_IDLE,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR},
	{"policy", required_argument, NULL, OPT_POLICY},
	{"config", required_argument, NULL, OPT_CONFIG},
	{"set", required_argument, NULL, OPT_SET},
	{"foreground", no_argument, NULL, OPT_FOREGROUND},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"exit-when-idle", required_argument, NULL, OPT_EXIT_WHEN_IDLE},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static const char help_text[] =
	"usage: pshared [OPTION]...\n"
	"Shares the memory of the virtual machines of this host inside trust domains.\n"
	"\n"
	"  --runtime-dir DIR        folder of agent.sock and api.sock (default: $PSHARE_RUNTIME_DIR,\n"
	"                           else /run/pshare for root, else $XDG_RUNTIME_DIR/pshare)\n"
	"  --policy FILE            which users may meet, and use which salts; read again on SIGHUP\n"
	"  --config FILE            settings to start with, one NAME = VALUE a line\n"
	"  --set NAME=VALUE         one setting to start with; may be given again and again\n"
	"  --exit-when-idle SECONDS end when no VM has been there for so long\n"
	"  --log-level LEVEL        error, warn, info (default) or debug\n"
	"  --foreground             stay in the foreground (it always does)\n"
	"  --version                print the version and end\n"
	"  --help                   print this and end\n";

static int complain(const char *line)
{
	fprintf(stderr, "pshared: %s\n", line);
	return -EINVAL;
}

/* Cuts white space off both ends, in place. */
static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

/* One NAME=VALUE, which is taken to pieces. */
static int apply(char *assignment, struct host_settings *settings, char *err)
{
	char *equals = strchr(assignment, '='), *name, *value, shown[POLICY_SHOWN_MAX + 4];
	struct setting_value parsed;
	int id, r;

	if (!equals)
		return policy_error(err, "\"%s\" is no setting: write NAME=VALUE",
				    policy_shown(shown, assignment, strlen(assignment)));
	*equals = '\0';
	name = trim(assignment);
	value = trim(equals + 1);
	id = setting_find(name, false, err);
	if (id < 0)
		return -EINVAL;
	r = setting_parse((enum setting_id)id, value, strlen(value), &parsed, err);
	if (r < 0)
		return r;
	settings->value[id] = parsed.num;
	return 0;
}

int options_config(const char *text, struct host_settings *settings, char *err)
{
	_cleanup_free_ char *copy = strdup(text);
	struct host_settings next = *settings;
	unsigned int number = 0;
	char *rest = copy, *line;

	if (!copy)
		return policy_error(err, "no memory for a configuration");
	while ((line = strsep(&rest, "\n"))) {
		char why[POLICY_ERROR_MAX];

		number++;
		line[strcspn(line, "#")] = '\0';
		line = trim(line);
		if (*line && apply(line, &next, why) < 0)
			return policy_error(err, "line %u: %s", number, why);
	}
	*settings = next;
	return 0;
}

static int load_config(const char *path, struct host_settings *settings)
{
	_cleanup_free_ char *text = NULL;
	char err[POLICY_ERROR_MAX], line[POLICY_ERROR_MAX + 256];
	int r = sys_read_text(path, CONFIG_FILE_MAX, &text);

	if (r < 0)
		snprintf(line, sizeof(line), "--config %.200s: %s", path, strerror(-r));
	else if (options_config(text, settings, err) < 0)
		snprintf(line, sizeof(line), "--config %.200s: %s", path, err);
	else
		return 0;
	return complain(line);
}

static int set_one(const char *text, struct host_settings *settings)
{
	_cleanup_free_ char *copy = strdup(text);
	char err[POLICY_ERROR_MAX], line[POLICY_ERROR_MAX + 16];

	if (!copy)
		return complain("no memory");
	if (apply(copy, settings, err) == 0)
		return 0;
	snprintf(line, sizeof(line), "--set: %s", err);
	return complain(line);
}

static int parse_idle(const char *text, uint32_t *seconds)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || !isdigit((unsigned char)*text) || n < 1 ||
	    n > IDLE_SECONDS_MAX) {
		fprintf(stderr, "pshared: --exit-when-idle \"%.40s\": give seconds, 1 to %u\n",
			text, IDLE_SECONDS_MAX);
		return -EINVAL;
	}
	*seconds = (uint32_t)n;
	return 0;
}

static int use_runtime_dir(struct options *options, const char *path)
{
	if (path[0] != '/') {
		fprintf(stderr, "pshared: --runtime-dir \"%.100s\": give a path from the root\n",
			path);
		return -EINVAL;
	}
	if (strlen(path) + SOCKET_NAME_MAX > sizeof(options->runtime_dir)) {
		fprintf(stderr,
			"pshared: --runtime-dir: %zu characters do not fit a socket's "
			"address, %zu would\n",
			strlen(path), sizeof(options->runtime_dir) - SOCKET_NAME_MAX);
		return -EINVAL;
	}
	memcpy(options->runtime_dir, path, strlen(path) + 1);
	return 0;
}

static int default_runtime_dir(struct options *options)
{
	const char *path = getenv("PSHARE_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
	char joined[256];

	if (path && *path)
		return use_runtime_dir(options, path);
	if (sys_self_uid() == 0)
		return use_runtime_dir(options, "/run/pshare");
	if (!xdg || !*xdg)
		return complain("no folder for the sockets: give --runtime-dir DIR, or set "
				"XDG_RUNTIME_DIR");
	snprintf(joined, sizeof(joined), "%.200s/pshare", xdg);
	return use_runtime_dir(options, joined);
}

static int parse_one(int opt, struct options *options, enum options_action *action)
{
	switch (opt) {
	case OPT_RUNTIME_DIR:
		return use_runtime_dir(options, optarg);
	case OPT_POLICY:
		options->policy = optarg;
		return 0;
	case OPT_CONFIG:
		return load_config(optarg, &options->settings);
	case OPT_SET:
		return set_one(optarg, &options->settings);
	case OPT_FOREGROUND:
		return 0;
	case OPT_LOG_LEVEL:
		if (log_level_parse(optarg, &options->log_level) == 0)
			return 0;
		fprintf(stderr, "pshared: --log-level \"%.40s\": give error, warn, info or debug\n",
			optarg);
		return -EINVAL;
	case OPT_EXIT_WHEN_IDLE:
		return parse_idle(optarg, &options->exit_when_idle_s);
	case OPT_VERSION:
		printf("pshared %s\n", PSHARE_VERSION);
		*action = OPTIONS_EXIT;
		return 0;
	case OPT_HELP:
		fputs(help_text, stdout);
		*action = OPTIONS_EXIT;
		return 0;
	default:
		return -EINVAL;
	}
}

int options_parse(int argc, char **argv, struct options *options, enum options_action *action)
{
	int opt, r;

	*options = (struct options){.log_level = LOG_LEVEL_INFO};
	*action = OPTIONS_RUN;
	settings_defaults(&options->settings);
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (opt == ':' || opt == '?') {
			fprintf(stderr, "pshared: %.100s %s: see pshared --help\n",
				argv[optind - 1], opt == ':' ? "needs a value" : "is no option");
			return -EINVAL;
		}
		r = parse_one(opt, options, action);
		if (r < 0 || *action == OPTIONS_EXIT)
			return r;
	}
	if (optind < argc) {
		fprintf(stderr,
			"pshared: \"%.100s\" is too much: options only, see pshared --help\n",
			argv[optind]);
		return -EINVAL;
	}
	return options->runtime_dir[0] ? 0 : default_runtime_dir(options);
}
