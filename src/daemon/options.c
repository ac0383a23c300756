/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/auditlog.h"
#include "policy/plain.h"
#include "sys/self.h"

#define IDLE_SECONDS_MAX 86400u
#define SYSTEM_DIR "/run/pshare"
#define PATH_LONGEST 200u
#define LOG_KIB_LEAST (AUDITLOG_FILE_LEAST >> 10)
#define LOG_KIB_MOST (1u << 20)
#define LOG_FILES_MOST 1000u
#define LINE_BYTES 512u
#define SOCKET_NAME_MAX 16u /* "/agent.sock" and its NUL, with room */

enum {
	OPT_RUNTIME_DIR = 256,
	OPT_SWAP_DIR,
	OPT_POLICY,
	OPT_CONFIG,
	OPT_CONFIG_DIR,
	OPT_USER,
	OPT_OPERATE_GROUP,
	OPT_ADMIN_GROUP,
	OPT_LOG_DIR,
	OPT_LOG_SIZE,
	OPT_LOG_FILES,
	OPT_JOURNAL,
	OPT_HTTP,
	OPT_LIKENESS_KEY,
	OPT_CHECK,
	OPT_SET,
	OPT_FOREGROUND,
	OPT_LOG_LEVEL,
	OPT_EXIT_WHEN_IDLE,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR},
	{"swap-dir", required_argument, NULL, OPT_SWAP_DIR},
	{"policy", required_argument, NULL, OPT_POLICY},
	{"config", required_argument, NULL, OPT_CONFIG},
	{"config-dir", required_argument, NULL, OPT_CONFIG_DIR},
	{"user", required_argument, NULL, OPT_USER},
	{"operate-group", required_argument, NULL, OPT_OPERATE_GROUP},
	{"admin-group", required_argument, NULL, OPT_ADMIN_GROUP},
	{"log-dir", required_argument, NULL, OPT_LOG_DIR},
	{"log-size", required_argument, NULL, OPT_LOG_SIZE},
	{"log-files", required_argument, NULL, OPT_LOG_FILES},
	{"journal", required_argument, NULL, OPT_JOURNAL},
	{"http", required_argument, NULL, OPT_HTTP},
	{"likeness-key", required_argument, NULL, OPT_LIKENESS_KEY},
	{"check", no_argument, NULL, OPT_CHECK},
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
	"  --user NAME              user to run as, when started by root (default for /run/pshare:\n"
	"                           pshare, if there is one)\n"
	"  --swap-dir DIR           folder on a disk for the VMs' swap files, each of which has no name\n"
	"                           (default: /var/lib/pshare for root, else\n"
	"                           $XDG_STATE_HOME/pshare; \"\": no page is swapped)\n"
	"  --policy FILE            which users may meet, and use which salts; read again on SIGHUP\n"
	"  --config FILE            settings of the host, one NAME = VALUE a line; read again on SIGHUP\n"
	"                           (default for /run/pshare: /etc/pshare/pshare.conf)\n"
	"  --config-dir DIR         more of them, DIR/*.conf; pshare set keeps its own there (default\n"
	"                           for /run/pshare: /etc/pshare/pshare.conf.d)\n"
	"  --set NAME=VALUE         one setting, over those of the files; may be given again and again\n"
	"  --check                  read policy and settings, say what is wrong, and end\n"
	"  --operate-group GROUP    whose members may operate (default: pshare-operate)\n"
	"  --admin-group GROUP      whose members may administer (default: pshare-admin)\n"
	"  --log-dir DIR            of the audit log (default: /var/log/pshare for /run/pshare, else\n"
	"                           the runtime folder)\n"
	"  --log-size KIB           of one of its files (default: 4096)\n"
	"  --log-files N            that are kept beside the one that grows (default: 15)\n"
	"  --journal SOCKET         of the journal, for the audit log (default for /run/pshare:\n"
	"                           /run/systemd/journal/socket)\n"
	"  --http PORT|ADDRESS:PORT the page, the API and metrics on a port of this host itself, for\n"
	"                           looking alone: whoever is on this host may (default: api.sock only);\n"
	"                           for the service of this host: pshared-http enable\n"
	"  --likeness-key FILE      a secret that the hosts of a fleet have in common, for pshare plan\n"
	"                           (default for /run/pshare: /etc/pshare/likeness.key)\n"
	"  --exit-when-idle SECONDS end when no VM has been there for so long\n"
	"  --log-level LEVEL        error, warn, info (default) or debug\n"
	"  --foreground             stay in the foreground (it always does)\n"
	"  --version                print the version and end\n"
	"  --help                   print this and end\n";

/* One line, whatever was typed; of that a format cuts what is long. */
__attribute__((format(printf, 1, 2))) static int complain(const char *format, ...)
{
	char line[LINE_BYTES];
	va_list list;

	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	plain_text(line);
	fprintf(stderr, "pshared: %s\n", line);
	return -EINVAL;
}

static int set_one(const char *text, struct conf *sets)
{
	char err[POLICY_ERROR_MAX];

	if (conf_assign(text, strlen(text), 0, sets, err) == 0)
		return 0;
	return complain("--set: %s", err);
}

/* A whole number from least to most; what: "seconds, " or the like. */
static int parse_number(const char *option, const char *what, const char *text, unsigned int least,
			unsigned int most, unsigned int *number)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || !isdigit((unsigned char)*text) || n < least || n > most)
		return complain("%s \"%.40s\": give %s%u to %u", option, text, what, least, most);
	*number = (unsigned int)n;
	return 0;
}

static int parse_log_size(const char *text, uint64_t *bytes)
{
	unsigned int kib = 0;
	int r = parse_number("--log-size", "KiB, ", text, LOG_KIB_LEAST, LOG_KIB_MOST, &kib);

	if (r == 0)
		*bytes = (uint64_t)kib << 10;
	return r;
}

static int use_http(struct options *options, const char *text)
{
	char err[POLICY_ERROR_MAX];

	if (loopback_parse(text, &options->http, err) == 0) {
		options->has_http = true;
		return 0;
	}
	return complain("--http %s", err);
}

/* A file or folder of the command line, for when the daemon may stand elsewhere. */
static int take_path(const char *option, const char *text, const char **path)
{
	if (text[0] != '/' || strlen(text) > PATH_LONGEST)
		return complain("%s \"%.40s\": give a path from the root, %u bytes at most", option,
				text, PATH_LONGEST);
	*path = text;
	return 0;
}

/* A file, for which a path from where one stands will do. */
static int take_file(const char *option, const char *text, const char **path)
{
	if (!*text || strlen(text) > PATH_LONGEST)
		return complain("%s \"%.40s\": give the path of a file, %u bytes at most", option,
				text, PATH_LONGEST);
	*path = text;
	return 0;
}

static int use_runtime_dir(struct options *options, const char *path)
{
	if (path[0] != '/')
		return complain("--runtime-dir \"%.40s\": give a path from the root", path);
	if (strlen(path) + SOCKET_NAME_MAX > sizeof(options->runtime_dir))
		return complain("--runtime-dir: %zu characters do not fit a socket's address, %zu "
				"would",
				strlen(path), sizeof(options->runtime_dir) - SOCKET_NAME_MAX);
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
		return use_runtime_dir(options, SYSTEM_DIR);
	if (!xdg || !*xdg)
		return complain("no folder for the sockets: give --runtime-dir DIR, or set "
				"XDG_RUNTIME_DIR");
	snprintf(joined, sizeof(joined), "%.200s/pshare", xdg);
	return use_runtime_dir(options, joined);
}

/* The host's own daemon has its files where such things are; another one has none but those that
 * it is told of. */
static void system_defaults(struct options *options)
{
	if (strcmp(options->runtime_dir, SYSTEM_DIR) != 0)
		return;
	if (!options->config)
		options->config = "/etc/pshare/pshare.conf";
	if (!options->config_dir)
		options->config_dir = "/etc/pshare/pshare.conf.d";
	if (!options->log_dir)
		options->log_dir = "/var/log/pshare";
	if (!options->likeness_key)
		options->likeness_key = "/etc/pshare/likeness.key";
	if (!options->journal)
		options->journal = "/run/systemd/journal/socket";
	if (!options->user && sys_self_uid() == 0)
		options->user = "pshare";
}

static int use_swap_dir(struct options *options, const char *path)
{
	if (*path && *path != '/')
		return complain("--swap-dir \"%.40s\": give a path from the root", path);
	if (strlen(path) >= sizeof(options->swap_dir))
		return complain("--swap-dir: %zu characters are too long, %u would do",
				strlen(path), SETTING_PATH_MAX);
	memcpy(options->swap_dir, path, strlen(path) + 1);
	return 0;
}

/* The service manager's folder for us, the system's, or the user's own. It need not be there. */
static void default_swap_dir(struct options *options)
{
	const char *state = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	char *path = options->swap_dir;
	size_t size = sizeof(options->swap_dir);
	int n = 0;

	if (state && *state == '/')
		n = snprintf(path, size, "%s", state);
	else if (sys_self_uid() == 0)
		n = snprintf(path, size, "/var/lib/pshare");
	else if (xdg && *xdg == '/')
		n = snprintf(path, size, "%s/pshare", xdg);
	else if (home && *home == '/')
		n = snprintf(path, size, "%s/.local/state/pshare", home);
	if (n < 0 || (size_t)n >= size)
		*path = '\0';
}

static int parse_one(int opt, struct options *options, enum options_action *action)
{
	switch (opt) {
	case OPT_RUNTIME_DIR:
		return use_runtime_dir(options, optarg);
	case OPT_SWAP_DIR:
		return use_swap_dir(options, optarg);
	case OPT_POLICY:
		return take_file("--policy", optarg, &options->policy);
	case OPT_CONFIG:
		options->config_asked = true;
		return take_file("--config", optarg, &options->config);
	case OPT_CONFIG_DIR:
		return take_path("--config-dir", optarg, &options->config_dir);
	case OPT_SET:
		return set_one(optarg, &options->sets);
	case OPT_HTTP:
		return use_http(options, optarg);
	case OPT_CHECK:
		options->check = true;
		return 0;
	case OPT_USER:
		options->user = optarg;
		options->user_asked = true;
		return 0;
	case OPT_OPERATE_GROUP:
		options->operate_group = optarg;
		options->operate_asked = true;
		return 0;
	case OPT_ADMIN_GROUP:
		options->admin_group = optarg;
		options->admin_asked = true;
		return 0;
	case OPT_LOG_DIR:
		options->log_asked = true;
		return take_path("--log-dir", optarg, &options->log_dir);
	case OPT_LOG_SIZE:
		return parse_log_size(optarg, &options->log_file_max);
	case OPT_LOG_FILES:
		return parse_number("--log-files", "", optarg, 1, LOG_FILES_MOST,
				    &options->log_files);
	case OPT_JOURNAL:
		return take_path("--journal", optarg, &options->journal);
	case OPT_LIKENESS_KEY:
		options->likeness_asked = true;
		return take_path("--likeness-key", optarg, &options->likeness_key);
	case OPT_FOREGROUND:
		return 0;
	case OPT_LOG_LEVEL:
		if (log_level_parse(optarg, &options->log_level) == 0)
			return 0;
		return complain("--log-level \"%.40s\": give error, warn, info or debug", optarg);
	case OPT_EXIT_WHEN_IDLE:
		return parse_number("--exit-when-idle", "seconds, ", optarg, 1, IDLE_SECONDS_MAX,
				    &options->exit_when_idle_s);
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

	*options = (struct options){
		.log_level = LOG_LEVEL_INFO,
		.operate_group = "pshare-operate",
		.admin_group = "pshare-admin",
		.log_file_max = AUDITLOG_FILE_MAX,
		.log_files = AUDITLOG_FILES,
	};
	*action = OPTIONS_RUN;
	default_swap_dir(options);
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (opt == ':' || opt == '?')
			return complain("%.40s %s: see pshared --help", argv[optind - 1],
					opt == ':' ? "needs a value" : "is no option");
		r = parse_one(opt, options, action);
		if (r < 0 || *action == OPTIONS_EXIT)
			return r;
	}
	if (optind < argc)
		return complain("\"%.40s\" is too much: options only, see pshared --help",
				argv[optind]);
	r = options->runtime_dir[0] ? 0 : default_runtime_dir(options);
	if (r == 0)
		system_defaults(options);
	return r;
}
