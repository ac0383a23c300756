/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * args: the command line, read by a command's row.
 *
 * getopt_long permutes, so options may stand before or after operands; but for run, whose first
 * operand begins another program's command line ('+'). Each option is accepted once: the second
 * would silently win over the first. An option's value is checked here as far as it can be
 * without the daemon.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/top.h"
#include "cli/vmsize.h"
#include "policy/plain.h"
#include "wire/wire.h"

#define WATCH_DEFAULT_S 2.0
#define WATCH_MIN_S 0.1
#define WATCH_MAX_S 86400.0
#define PID_MAX 4194304
#define ITERATIONS_MAX 1000000
#define LINES_MAX 1000 /* as many as the daemon answers at once */
#define COUNT_MAX 1000
#define CANARY_MAX 1000u
#define NUMBER_MAX 10000000u /* of VMs, of hosts, for a plan */
#define PRICE_MAX 1e9
#define LINE_MAX_BYTES 1024

struct option_row {
	enum option_id id;
	const char *name;
	const char *value; /* NULL: takes none */
	const char *text;
};

static const struct option_row rows[] = {
	{OPT_NAME, "name", "N", "name of the VM (default: made of its command and pid)"},
	{OPT_SALT_FILE, "salt-file", "F",
	 "file that holds the salt; a newline at its end is not part of it"},
	{OPT_SALT_ENV, "salt-env", "VAR", "environment variable that holds the salt"},
	{OPT_CLEAR_SALT, "clear-salt", NULL, "the VM has no salt from now on"},
	{OPT_NO_SHARE, "no-share", NULL, "start with sched.mem.pshare.enable = FALSE"},
	{OPT_JSON, "json", NULL, "print JSON"},
	{OPT_BYTES, "bytes", NULL, "sizes in bytes, not in MiB"},
	{OPT_WATCH, "watch", "[SECONDS]", "again every SECONDS (default: 2)"},
	{OPT_WAIT_SETTLED, "wait-settled", "[SECONDS]",
	 "wait until sharing has settled; 1 if it has not after SECONDS"},
	{OPT_VM, "vm", "VM", "a setting of this VM, not of the host"},
	{OPT_RESET, "reset", NULL, "what the files say, or else the default, in place of a value"},
	{OPT_LINES, "lines", "N", "the last N records (default: 20)"},
	{OPT_FOLLOW, "follow", NULL, "go on with what is to come, until Ctrl-C"},
	{OPT_VERIFY, "verify", NULL,
	 "read the files and check that no record is cut out or edited"},
	{OPT_CONNECT, "connect", "URI",
	 "-c too: qemu:///system (default for root) or qemu:///session"},
	{OPT_FORKABLE, "forkable", NULL, "add to QEMU's command line what a fork needs"},
	{OPT_COUNT, "count", "N", "so many children, named P-1, P-2, ..."},
	{OPT_TEMPLATE, "template", NULL, "the parent stays stopped, for further forks"},
	{OPT_DISK_DIR, "disk-dir", "D", "folder of the deltas (default: beside each disk)"},
	{OPT_PERSONALITY, "personality", "FILE", "JSON: what each child is to be in its guest"},
	{OPT_NO_START, "no-start", NULL, "the children are loaded, and stay stopped"},
	{OPT_UNDO, "undo", NULL, "ends what a fork left: a template runs on, disks are as before"},
	{OPT_CONFIG, "config", "FILE",
	 "the fleet (default: $PSHARE_FLEET_CONFIG, /etc/pshare/fleet.conf)"},
	{OPT_HOST, "host", "PATTERN", "hosts whose name matches, as in a shell: 'web*'"},
	{OPT_CANARY, "canary", "N", "N hosts first; the others when they have confirmed"},
	{OPT_TIMEOUT, "timeout", "SECONDS", "how long hosts are waited for (default: 60)"},
	{OPT_MEMORY, "memory", "SIZE",
	 "the VM's memory, for the fleet's admission (default: what -m of QEMU says)"},
	{OPT_DRY_RUN, "dry-run", NULL, "only say what would be changed"},
	{OPT_QMP, "qmp", "PATH",
	 "QMP socket for the balloon: a path; find: the command line's own; add: one more (default); "
	 "none"},
	{OPT_BALLOON, "balloon", NULL, "add a virtio-balloon if the command line has none"},
	{OPT_FORCE, "force", NULL, "below what the guest needs too"},
	{OPT_MEM, "mem", NULL, "memory under pressure: targets, balloon, what is out"},
	{OPT_BATCH, "batch", NULL, "-b too: CSV as esxtop writes it, on standard output"},
	{OPT_DELAY, "delay", "SECONDS", "-d too: between looks (default: 5)"},
	{OPT_ITERATIONS, "iterations", "N", "-n too: so many lines, then end (default: no end)"},
	{OPT_SET, "set", "NAME=VALUE",
	 "a setting of the VM, from its start on; may be given again and again"},
	{OPT_FLEET, "fleet", NULL, "plan the whole fleet, by what its hosts reported"},
	{OPT_SIMULATE, "simulate", "FILE", "plan what this text says, in place of what is there"},
	{OPT_ADD, "add", "N", "N VMs more, like those of today in turn"},
	{OPT_FAIL, "fail", "N", "the N largest hosts have failed"},
	{OPT_MAINTENANCE, "maintenance", "PATTERN",
	 "hosts whose name matches are in maintenance: their VMs run elsewhere"},
	{OPT_PRICE, "price", "EUROS", "what a host and its licence cost"},
	{OPT_HTML, "html", "FILE", "write a page with plots to this file too"},
	{OPT_PLACEMENT, "placement", NULL, "say where each VM should live, of more than 50 too"},
	{OPT_PID, "pid", "PID", "look at this process instead of the host"},
	{OPT_HARDENING, "hardening", NULL,
	 "look for what guides for hardening would call a finding (SECURITY.md)"},
	{OPT_RUNTIME_DIR, "runtime-dir", "DIR",
	 "folder of the daemon's sockets (default: $PSHARE_RUNTIME_DIR, /run/pshare for root, "
	 "$XDG_RUNTIME_DIR/pshare)"},
	{OPT_HELP, "help", NULL, "this text"},
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- saying -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 0))) static void
put_line(const char *prefix, const char *name, const char *format, va_list list, const char *end)
{
	char line[LINE_MAX_BYTES];

	vsnprintf(line, sizeof(line), format, list);
	/* what a user typed may hold anything; a line stays a line, a terminal stays as it was */
	plain_text(line);
	fprintf(stderr, "pshare%s%s: %s%s\n", prefix, name, line, end);
}

int say_error(int code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	put_line("", "", format, list, "");
	va_end(list);
	return code;
}

int say_usage(const struct command *command, const char *format, ...)
{
	char end[64];
	va_list list;

	snprintf(end, sizeof(end), "; see 'pshare %s --help'", command->name);
	va_start(list, format);
	put_line(" ", command->name, format, list, end);
	va_end(list);
	return CLI_USAGE;
}

/* ---- help ---------------------------------------------------------------------------------- */

static const struct option_row *row_of(enum option_id id)
{
	size_t i;

	for (i = 0; i < NROWS; i++) {
		if (rows[i].id == id)
			return &rows[i];
	}
	return NULL;
}

static void print_option(enum option_id id)
{
	const struct option_row *row = row_of(id);
	char head[48];

	snprintf(head, sizeof(head), "--%s%s%s", row->name, row->value ? " " : "",
		 row->value ? row->value : "");
	printf("  %-20s %s\n", head, row->text);
}

void print_help(const struct command *command)
{
	int i;

	printf("usage: pshare %s %s\n\n%s\n", command->name, command->usage, command->summary);
	if (command->details)
		printf("\n%s", command->details);
	printf("\noptions:\n");
	for (i = 0; i < OPTIONS_MAX && command->options[i]; i++)
		print_option(command->options[i]);
	print_option(OPT_HELP);
}

void print_main_help(void)
{
	const struct command *command;

	printf("usage: pshare COMMAND ...\n\nShares the memory of virtual machines inside trust "
	       "domains.\n\ncommands:\n");
	for (command = commands; command->name; command++)
		printf("  %-10s %s\n", command->name, command->summary);
	printf("\noptions:\n  --help     this text; 'pshare COMMAND --help' for a command\n"
	       "  --version  the version\n\n"
	       "The first try: pshare run -- qemu-system-x86_64 ..., then pshare list --watch.\n"
	       "If nothing is shared: pshare doctor.\n");
}

/* ---- values -------------------------------------------------------------------------------- */

/* seconds, whole or not; false if text is none, or out of range */
static bool parse_seconds(const char *text, double *seconds)
{
	char *end;
	double value;

	if (!*text || strspn(text, "0123456789.") != strlen(text))
		return false;
	value = strtod(text, &end);
	if (*end || !(value >= WATCH_MIN_S && value <= WATCH_MAX_S))
		return false;
	*seconds = value;
	return true;
}

static int take_watch(struct args *args, const char *text)
{
	args->watch_s = WATCH_DEFAULT_S;
	if (!text || parse_seconds(text, &args->watch_s))
		return 0;
	return say_usage(args->command, "--watch: '%.40s' is no number of seconds from %g to %g",
			 text, WATCH_MIN_S, WATCH_MAX_S);
}

static int take_wait_settled(struct args *args, const char *text)
{
	args->wait_settled = true;
	if (!text || parse_seconds(text, &args->settled_s))
		return 0;
	return say_usage(args->command,
			 "--wait-settled: '%.40s' is no number of seconds from %g to %g", text,
			 WATCH_MIN_S, WATCH_MAX_S);
}

static int take_pid(struct args *args, const char *text)
{
	char *end;
	long pid;

	errno = 0;
	pid = strtol(text, &end, 10);
	if (errno || *end || !*text || pid < 1 || pid > PID_MAX)
		return say_usage(args->command, "--pid: '%.40s' is no process id", text);
	args->pid = (int)pid;
	return 0;
}

static int take_lines(struct args *args, const char *text)
{
	char *end;
	long lines;

	errno = 0;
	lines = strtol(text, &end, 10);
	if (errno || *end || !*text || lines < 1 || lines > LINES_MAX)
		return say_usage(args->command, "--lines: '%.40s' is no number from 1 to %d", text,
				 LINES_MAX);
	args->lines = (int)lines;
	return 0;
}

static int take_delay(struct args *args, const char *text)
{
	if (parse_seconds(text, &args->delay_s) && args->delay_s >= TOP_DELAY_MIN)
		return 0;
	return say_usage(args->command, "--delay: '%.40s' is no number of seconds from %g to %g",
			 text, TOP_DELAY_MIN, WATCH_MAX_S);
}

static int take_iterations(struct args *args, const char *text)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || *end || !*text || n < 1 || n > ITERATIONS_MAX)
		return say_usage(args->command, "--iterations: '%.40s' is no number from 1 to %d",
				 text, ITERATIONS_MAX);
	args->iterations = (int)n;
	return 0;
}

static int take_count(struct args *args, const char *text)
{
	char *end;
	long count;

	errno = 0;
	count = strtol(text, &end, 10);
	if (errno || *end || !*text || count < 1 || count > COUNT_MAX)
		return say_usage(args->command, "--count: '%.40s' is no number from 1 to %d", text,
				 COUNT_MAX);
	args->count = (unsigned int)count;
	return 0;
}

static int take_canary(struct args *args, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 1 || n > CANARY_MAX)
		return say_usage(args->command, "--canary: '%.40s' is no number of hosts, 1 to %u",
				 text, CANARY_MAX);
	args->canary = (unsigned int)n;
	return 0;
}

/* A number of VMs or hosts, from 1. */
static int take_number(struct args *args, const char *option, const char *text, unsigned int *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 1 || n > NUMBER_MAX)
		return say_usage(args->command, "--%s: '%.40s' is no number from 1 to %u", option,
				 text, NUMBER_MAX);
	*out = (unsigned int)n;
	return 0;
}

static int take_price(struct args *args, const char *text)
{
	char *end;

	args->price = strtod(text, &end);
	if (*text < '0' || *text > '9' || *end || !(args->price >= 0 && args->price <= PRICE_MAX))
		return say_usage(args->command, "--price: '%.40s' is no price: give euros a host",
				 text);
	args->priced = true;
	return 0;
}

static int take_timeout(struct args *args, const char *text)
{
	if (parse_seconds(text, &args->timeout_s))
		return 0;
	return say_usage(args->command, "--timeout: '%.40s' is no number of seconds from %g to %g",
			 text, WATCH_MIN_S, WATCH_MAX_S);
}

static int take_memory(struct args *args, const char *text)
{
	if (!vm_size_parse(text, &args->memory))
		return 0;
	return say_usage(args->command, "--memory: '%.40s' is no size: give MiB, or 4G, 512M",
			 text);
}

static int take_name(struct args *args, const char *option, const char *text, const char **out)
{
	char name[PS_NAME_MAX] = "";
	size_t length = strlen(text);

	if (length && length < sizeof(name))
		memcpy(name, text, length);
	if (!name[0] || ps_name_check(name))
		return say_usage(
			args->command,
			"--%s: '%.40s' is no name of a VM: 1 to %u of A-Z a-z 0-9 . _ : @ -",
			option, text, PS_NAME_MAX - 1);
	*out = text;
	return 0;
}

static int take_text(struct args *args, const char *option, const char *text, const char **out)
{
	if (!*text)
		return say_usage(args->command, "--%s: the value is empty", option);
	*out = text;
	return 0;
}

static int take_set(struct args *args, const char *text)
{
	const char *equals = strchr(text, '=');

	if (!equals || equals == text)
		return say_usage(args->command, "--set: '%.40s' is no setting: write NAME=VALUE",
				 text);
	if (args->nsets == SETS_MAX)
		return say_usage(args->command, "--set: more than %d are given", SETS_MAX);
	args->sets[args->nsets++] = text;
	return 0;
}

static int take_option(struct args *args, enum option_id id, const char *text)
{
	switch (id) {
	case OPT_RUNTIME_DIR:
		return take_text(args, "runtime-dir", text, &args->runtime_dir);
	case OPT_SALT_FILE:
		return take_text(args, "salt-file", text, &args->salt_file);
	case OPT_SALT_ENV:
		return take_text(args, "salt-env", text, &args->salt_env);
	case OPT_NAME:
		return take_name(args, "name", text, &args->name);
	case OPT_VM:
		return take_name(args, "vm", text, &args->vm);
	case OPT_WATCH:
		return take_watch(args, text);
	case OPT_WAIT_SETTLED:
		return take_wait_settled(args, text);
	case OPT_PID:
		return take_pid(args, text);
	case OPT_CONNECT:
		return take_text(args, "connect", text, &args->connect);
	case OPT_LINES:
		return take_lines(args, text);
	case OPT_RESET:
		args->reset = true;
		return 0;
	case OPT_FOLLOW:
		args->follow = true;
		return 0;
	case OPT_VERIFY:
		args->verify = true;
		return 0;
	case OPT_FORKABLE:
		args->forkable = true;
		return 0;
	case OPT_COUNT:
		return take_count(args, text);
	case OPT_TEMPLATE:
		args->template = true;
		return 0;
	case OPT_DISK_DIR:
		return take_text(args, "disk-dir", text, &args->disk_dir);
	case OPT_PERSONALITY:
		return take_text(args, "personality", text, &args->personality);
	case OPT_NO_START:
		args->no_start = true;
		return 0;
	case OPT_UNDO:
		args->undo = true;
		return 0;
	case OPT_CONFIG:
		return take_text(args, "config", text, &args->config);
	case OPT_HOST:
		return take_text(args, "host", text, &args->host);
	case OPT_CANARY:
		return take_canary(args, text);
	case OPT_TIMEOUT:
		return take_timeout(args, text);
	case OPT_MEMORY:
		return take_memory(args, text);
	case OPT_FLEET:
		args->fleet = true;
		return 0;
	case OPT_SIMULATE:
		return take_text(args, "simulate", text, &args->simulate);
	case OPT_HTML:
		return take_text(args, "html", text, &args->html);
	case OPT_PLACEMENT:
		args->placement = true;
		return 0;
	case OPT_MAINTENANCE:
		return take_text(args, "maintenance", text, &args->maintenance);
	case OPT_ADD:
		return take_number(args, "add", text, &args->add);
	case OPT_FAIL:
		return take_number(args, "fail", text, &args->fail);
	case OPT_PRICE:
		return take_price(args, text);
	case OPT_QMP:
		return take_text(args, "qmp", text, &args->qmp);
	case OPT_BALLOON:
		args->balloon = true;
		return 0;
	case OPT_FORCE:
		args->force = true;
		return 0;
	case OPT_MEM:
		args->mem = true;
		return 0;
	case OPT_SET:
		return take_set(args, text);
	case OPT_DRY_RUN:
		args->dry_run = true;
		return 0;
	case OPT_BATCH:
		args->batch = true;
		return 0;
	case OPT_DELAY:
		return take_delay(args, text);
	case OPT_ITERATIONS:
		return take_iterations(args, text);
	case OPT_JSON:
		args->json = true;
		return 0;
	case OPT_HARDENING:
		args->hardening = true;
		return 0;
	case OPT_NO_SHARE:
		args->no_share = true;
		return 0;
	case OPT_CLEAR_SALT:
		args->clear_salt = true;
		return 0;
	case OPT_BYTES:
		args->bytes = true;
		return 0;
	case OPT_HELP:
		args->help = true;
		return 0;
	}
	return CLI_USAGE;
}

/* ---- the line ------------------------------------------------------------------------------ */

static struct option option_of(enum option_id id)
{
	const struct option_row *row = row_of(id);

	return (struct option){
		.name = row->name,
		.has_arg = !row->value	      ? no_argument :
			   *row->value == '[' ? optional_argument :
						required_argument,
		.val = (int)id,
	};
}

static void make_table(struct option table[OPTIONS_MAX + 2], const struct command *command)
{
	int n;

	for (n = 0; n < OPTIONS_MAX && command->options[n]; n++)
		table[n] = option_of(command->options[n]);
	table[n++] = option_of(OPT_HELP);
	table[n] = (struct option){0};
}

/* getopt knows an optional value only as --watch=5; people write --watch 5. No word but this value
 * may follow. */
static const char *next_seconds(const struct args *args, int argc, char **argv)
{
	if (optind < argc && !args->help && argv[optind][0] != '-')
		return argv[optind++];
	return NULL;
}

/* A value below 0, as sched.mem.max has one, looks like options to getopt. While that moves words
 * about, the first such word of set is seen without its sign. Returns it so; NULL: none. */
static char *hide_sign(const struct command *command, int argc, char **argv)
{
	for (int i = 1; command->run == cmd_set && i < argc; i++)
		if (argv[i][0] == '-' && argv[i][1] &&
		    !argv[i][1 + strspn(argv[i] + 1, "0123456789")])
			return ++argv[i];
	return NULL;
}

static int complain(const struct command *command, int c, char **argv)
{
	const char *word = argv[optind - 1];

	if (c == ':')
		return say_usage(command, "%.40s needs a value", word);
	/* a short option, of which there is only -h, hides in a word of several */
	if (word[0] == '-' && word[1] == '-' && strchr(word, '='))
		return say_usage(command, "option '%.40s' is unknown, or takes no value", word);
	return say_usage(command, "unknown option '%.40s'",
			 optopt > 0 && optopt < 128 && word[0] != '-' ?
				 (char[]){'-', (char)optopt, 0} :
				 word);
}

static int check_operands(const struct args *args)
{
	const struct command *command = args->command;

	if (args->help)
		return 0;
	if (args->noperands < command->min_operands)
		return say_usage(command, "something is missing: pshare %s %.*s", command->name,
				 (int)strcspn(command->usage, "\n"), command->usage);
	if (command->max_operands >= 0 && args->noperands > command->max_operands)
		return say_usage(command, "'%.40s' is one word too many",
				 args->operands[command->max_operands]);
	return 0;
}

static const char *short_options(const struct command *command)
{
	return command->run == cmd_run	   ? "+:h" :
	       command->run == cmd_libvirt ? ":hc:" :
	       command->run == cmd_top	   ? ":hbd:n:" :
					     ":h";
}

int args_parse(struct args *args, const struct command *command, int argc, char **argv)
{
	char *below = hide_sign(command, argc, argv);
	struct option table[OPTIONS_MAX + 2];
	bool seen[OPT_DRY_RUN - OPT_HELP + 1] = {false};
	int c, r;

	*args = (struct args){.command = command};
	make_table(table, command);
	opterr = 0;
	while ((c = getopt_long(argc, argv, short_options(command), table, NULL)) != -1) {
		const char *value = below && optarg == below ? below - 1 : optarg;

		if (c == 'h')
			c = OPT_HELP;
		if (c == 'c')
			c = OPT_CONNECT;	      /* as virsh calls it */
		if (c == 'b' || c == 'd' || c == 'n') /* as esxtop has them */
			c = c == 'b' ? OPT_BATCH : c == 'd' ? OPT_DELAY : OPT_ITERATIONS;
		if (c == '?' || c == ':')
			return complain(command, c, argv);
		if (seen[c - OPT_HELP] && c != OPT_SET)
			return say_usage(command, "--%s is given twice",
					 row_of((enum option_id)c)->name);
		seen[c - OPT_HELP] = true;
		if ((c == OPT_WATCH || c == OPT_WAIT_SETTLED) && !value)
			value = next_seconds(args, argc, argv);
		r = take_option(args, (enum option_id)c, value);
		if (r)
			return r;
	}
	args->operands = argv + optind;
	args->noperands = argc - optind;
	for (int i = 0; below && i < args->noperands; i++)
		args->operands[i] -= args->operands[i] == below;
	return check_operands(args);
}
