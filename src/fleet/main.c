/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pshare-fleet: one host's tie to its fleet. A process of its own, because the daemon keeps no
 * network: all it may do to the daemon is what its API lets its user do.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/admit.h"
#include "fleet/certs.h"
#include "fleet/node.h"
#include "policy/plain.h"
#include "sys/events.h"
#include "sys/process.h"
#include "sys/self.h"

#define POLL_MS 1000u

struct words {
	const char *config;
	const char *runtime_dir;
	bool check;
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'}, {"runtime-dir", required_argument, NULL, 'r'},
	{"check", no_argument, NULL, 'k'},	  {"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},	  {NULL, 0, NULL, 0},
};

static const char help_text[] =
	"usage: pshare-fleet [OPTION]...\n"
	"Ties this host to its fleet, in etcd: reports it, and sets what is desired.\n"
	"\n"
	"  --config FILE       etcd, certificates, this host's name (default:\n"
	"                      $PSHARE_FLEET_CONFIG, else " FLEET_CONFIG_PATH ")\n"
	"  --runtime-dir DIR   folder of the daemon's sockets (default: $PSHARE_RUNTIME_DIR,\n"
	"                      else /run/pshare)\n"
	"  --check             check certificates, etcd and roles, say what is wrong, and end\n"
	"  --version           print the version and end\n"
	"  --help              print this and end\n";

static void say(void *arg, enum node_level level, const char *line)
{
	static const int priorities[] = {[NODE_ERROR] = 3, [NODE_WARN] = 4, [NODE_INFO] = 6};
	static const char *const names[] = {"error", "warning", "info"};
	char text[1024];

	(void)arg;
	snprintf(text, sizeof(text), "%s", line);
	plain_text(text);
	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s\n", priorities[level], text);
	else
		fprintf(stderr, "pshare-fleet: %s: %s\n", names[level], text);
}

static int fail(const char *line)
{
	say(NULL, NODE_ERROR, line);
	return EXIT_FAILURE;
}

/* 0: go on; else the exit status plus one. */
static int parse(int argc, char **argv, struct words *words)
{
	const char *env = getenv("PSHARE_RUNTIME_DIR");
	int c;

	*words = (struct words){.runtime_dir = env && *env ? env : "/run/pshare"};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			words->config = optarg;
			break;
		case 'r':
			words->runtime_dir = optarg;
			break;
		case 'k':
			words->check = true;
			break;
		case 'V':
			puts("pshare-fleet " PSHARE_VERSION);
			return 1 + EXIT_SUCCESS;
		case 'h':
			fputs(help_text, stdout);
			return 1 + EXIT_SUCCESS;
		default:
			fprintf(stderr, "pshare-fleet: %.100s %s: see pshare-fleet --help\n",
				argv[optind - 1], c == ':' ? "needs a value" : "is no option");
			return 1 + EXIT_FAILURE;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "pshare-fleet: \"%.100s\" is too much: options only\n", argv[optind]);
	return 1 + EXIT_FAILURE;
}

/* May this user do to etcd what a host does? A transaction that would write each kind of key that
 * a host writes and reads what it reads, on a condition that is never met: etcd asks the roles
 * about all of it before it looks at the condition. */
static int check(struct etcd *etcd, const struct fleet_config *config)
{
	static const enum fleet_key writes[] = {FLEET_ALIVE, FLEET_REPORT, FLEET_SETTINGS,
						FLEET_AUDIT, FLEET_DRIFT,  FLEET_PENDING};
	static const enum fleet_key reads[] = {FLEET_ALL, FLEET_REPORT, FLEET_PENDING, FLEET_ALIVE};
	json_t *compare = json_array(), *success = json_array();
	_cleanup_json_ json_t *value = json_pack("{s:i}", "schema", FLEET_SCHEMA);
	char key[FLEET_KEY_MAX], err[FLEET_ERROR_MAX];

	fleet_key(key, config->fleet, FLEET_ALIVE, config->host, NULL);
	(void)etcd_add_compare(compare, key, INT64_MAX);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		fleet_key(key, config->fleet, writes[i], config->host,
			  writes[i] == FLEET_DRIFT || writes[i] == FLEET_PENDING ? "check" : NULL);
		(void)etcd_add_op(success, "put", etcd_put_body(key, value, 0));
	}
	fleet_key(key, config->fleet, FLEET_ADMISSION, NULL, NULL);
	(void)etcd_add_op(success, "put", etcd_put_body(key, value, 0));
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
		(void)etcd_add_op(
			success, "range",
			etcd_range_body(fleet_key(key, config->fleet, reads[i], NULL, NULL)));
	fleet_key(key, config->fleet, FLEET_HOST, config->host, NULL);
	(void)etcd_add_op(success, "range", etcd_range_body(key));
	if (etcd_call(etcd, "/v3/kv/txn", etcd_txn_body(compare, success, NULL), false, NULL, err))
		return fail(err);
	printf("host %s of fleet %s: certificates, etcd and roles are right\n", config->host,
	       config->fleet);
	return EXIT_SUCCESS;
}

static int fail_socket(const struct words *words, int error)
{
	char line[FLEET_ERROR_MAX];

	if (error == -EADDRINUSE)
		snprintf(line, sizeof(line),
			 "another pshare-fleet runs in %.200s: end it, or give --runtime-dir",
			 words->runtime_dir);
	else
		snprintf(line, sizeof(line),
			 "%.200s: no " ADMIT_LOCK " or " ADMIT_SOCKET " there: %s",
			 words->runtime_dir, strerror(-error));
	return fail(line);
}

static int run(const struct words *words, struct http *http, struct node *node, struct admit *admit)
{
	static const int signals[] = {SIGTERM, SIGINT};
	_cleanup_close_ int signal_fd = sys_signalfd_new(signals, 2);
	struct sys_signal signal;
	int number = 0, r;

	if (signal_fd < 0)
		return fail("no signals: no memory");
	while (!number) {
		struct curl_waitfd fds[ADMIT_FDS + 1];
		unsigned int n = admit_fds(admit, fds);
		int wait = node_work(node);

		fds[n++] = (struct curl_waitfd){.fd = signal_fd, .events = CURL_WAIT_POLLIN};
		if (http_turn(http, fds, n, wait))
			return fail("out of memory");
		r = admit_work(admit);
		if (r) {
			node_leave(node);
			return fail_socket(words, r);
		}
		number = sys_signalfd_read(signal_fd, &signal);
	}
	node_leave(node);
	return EXIT_SUCCESS;
}

static int start(const struct words *words, const struct fleet_config *config)
{
	_cleanup_http_ struct http *http = NULL;
	_cleanup_etcd_ struct etcd *etcd = NULL;
	_cleanup_local_ struct local_daemon *daemon = NULL;
	_cleanup_node_ struct node *node = NULL;
	_cleanup_admit_ struct admit *admit = NULL;
	struct node_options options = {.config = config, .poll_ms = POLL_MS, .say = say};
	struct admit_options questions = {.config = config, .runtime_dir = words->runtime_dir};
	int r;

	if (http_new(&http) || etcd_new(&etcd, http, config) ||
	    local_daemon_new(&daemon, http, words->runtime_dir))
		return fail("out of memory");
	if (words->check)
		return check(etcd, config);
	options.http = http;
	options.etcd = questions.etcd = etcd;
	options.local = local_of(daemon);
	if (node_new(&node, &options))
		return fail("out of memory");
	questions.node = node;
	r = admit_new(&admit, &questions);
	if (r)
		return fail_socket(words, r);
	return run(words, http, node, admit);
}

int main(int argc, char **argv)
{
	_cleanup_fleet_config_ struct fleet_config config = {0};
	char err[FLEET_ERROR_MAX];
	struct words words;
	int r = parse(argc, argv, &words);

	if (r)
		return r - 1;
	(void)sys_set_undumpable(); /* a password and a key are in here */
	(void)sys_set_no_new_privs();
	sys_ignore_signal(SIGPIPE);
	if (fleet_config_read(&config, words.config, err) || fleet_certs_check(&config, err))
		return fail(err);
	return start(&words, &config);
}
