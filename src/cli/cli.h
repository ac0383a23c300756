/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli: what the commands of pshare share among themselves.
 *
 * A command is one row: its name, its line of usage, its options. getopt_long's table, --help and
 * the check of what is given are all made from that row, so they cannot drift apart.
 *
 * Errors: whoever finds one prints one line with say_error() and returns an exit code; nobody
 * above prints another.
 */
#ifndef PSHARE_CLI_CLI_H
#define PSHARE_CLI_CLI_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fleet/json.h"

/* Exit codes. run gives the command's own, or 126 and 127 as a shell does. */
enum {
	CLI_OK = 0,
	CLI_FAILED = 1, /* it could not be done; doctor: something is missing */
	CLI_USAGE = 2,	/* the command line is wrong */
	CLI_UNSURE = 3, /* audit: no violation, but not all could be looked at */
	CLI_CANNOT_RUN = 126,
	CLI_NOT_FOUND = 127,
};

/* Every option of every command, by what it means; a command has those that its row names. */
enum option_id {
	OPT_HELP = 256,
	OPT_RUNTIME_DIR,
	OPT_JSON,
	OPT_NAME,
	OPT_SALT_FILE,
	OPT_SALT_ENV,
	OPT_CLEAR_SALT,
	OPT_NO_SHARE,
	OPT_WATCH,
	OPT_BYTES,
	OPT_VM,
	OPT_WAIT_SETTLED,
	OPT_PID,
	OPT_HARDENING,
	OPT_CONNECT,
	OPT_RESET,
	OPT_LINES,
	OPT_FOLLOW,
	OPT_VERIFY,
	OPT_FORKABLE,
	OPT_COUNT,
	OPT_TEMPLATE,
	OPT_DISK_DIR,
	OPT_PERSONALITY,
	OPT_NO_START,
	OPT_UNDO,
	OPT_CONFIG,
	OPT_HOST,
	OPT_CANARY,
	OPT_TIMEOUT,
	OPT_MEMORY,
	OPT_QMP,
	OPT_BALLOON,
	OPT_FORCE,
	OPT_MEM,
	OPT_SET,
	OPT_BATCH,
	OPT_DELAY,
	OPT_ITERATIONS,
	OPT_SIMULATE,
	OPT_FLEET,
	OPT_ADD,
	OPT_FAIL,
	OPT_MAINTENANCE,
	OPT_PRICE,
	OPT_HTML,
	OPT_PLACEMENT,
	OPT_DRY_RUN, /* the last */
};

#define OPTIONS_MAX 14
#define SETS_MAX 16

/* What the command line said. Strings are argv's. */
struct args {
	const struct command *command;
	const char *runtime_dir;
	const char *name;
	const char *salt_file;
	const char *salt_env;
	const char *vm;
	const char *connect; /* libvirt's URI */
	double watch_s;	     /* 0: not given */
	bool wait_settled;
	double settled_s; /* 0: as long as it takes */
	int pid;	  /* 0: not given */
	/* fork */
	const char *disk_dir, *personality;
	unsigned int count; /* 0: not given */
	bool forkable, template, no_start, undo;
	const char *config;  /* of a fleet */
	const char *host;    /* pattern of hosts */
	unsigned int canary; /* 0: not given */
	double timeout_s;    /* 0: not given */
	uint64_t memory;     /* bytes; 0: not given */
	const char *qmp;
	bool balloon;
	bool force;
	bool json;
	bool no_share;
	bool clear_salt;
	bool bytes;
	bool dry_run;
	bool hardening;
	bool reset;
	bool follow;
	bool verify;
	int lines; /* 0: not given */
	bool mem;
	bool batch;
	double delay_s;		    /* 0: not given */
	int iterations;		    /* 0: not given */
	const char *sets[SETS_MAX]; /* NAME=VALUE */
	int nsets;
	/* plan */
	bool fleet;
	const char *simulate, *html;
	bool placement;
	const char *maintenance; /* pattern of hosts */
	unsigned int add, fail;	 /* 0: not given */
	double price;		 /* euros a host */
	bool priced;
	bool help;
	char **operands; /* NULL terminated */
	int noperands;
};

struct command {
	const char *name;
	const char *usage;		     /* after "pshare NAME " */
	const char *summary;		     /* one line */
	const char *details;		     /* of --help, whole lines; or NULL */
	enum option_id options[OPTIONS_MAX]; /* ends with 0 */
	int min_operands, max_operands;	     /* max < 0: any number */
	int (*run)(struct args *args);
};

/* commands.c: all of them; ends with a NULL name. */
extern const struct command commands[];
const struct command *command_find(const char *name);

/* args.c. 0, or an exit code and the line is printed. argv[0] is the command's name. */
int args_parse(struct args *args, const struct command *command, int argc, char **argv);
void print_help(const struct command *command);
void print_main_help(void);

/* "pshare: ..." on stderr, one line whatever the text holds. Returns code. */
int say_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prefixed with the command: "pshare set: ...; see 'pshare set --help'". Returns CLI_USAGE. */
int say_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* runtime.c: where the sockets are. */
struct runtime {
	char dir[PATH_MAX]; /* absolute */
	bool chosen;	    /* by an option or the environment: no other is looked at */
};
/* The folder that this command line and environment mean. 0, or an exit code, said. */
int runtime_find(struct runtime *runtime, const struct args *args);
/* The same, but where nothing answers there and it was not chosen, the system's daemon if that
 * answers. For commands that want some daemon. */
int runtime_find_daemon(struct runtime *runtime, const struct args *args);
/* The same for a command that can start a daemon of its own, so goes by what this user may use; if
 * the system's is not for him, he is told. */
int runtime_find_usable(struct runtime *runtime, const struct args *args);
/* Does a daemon answer in this folder? */
bool runtime_answers(const char *dir);

/* client.c: the API. */
struct client;
int client_new(struct client **out, const struct runtime *runtime);
struct client *client_free(struct client *client);
DEFINE_CLEANUP(struct client *, client, client_free);
#define _cleanup_client_ _cleanup_(cleanup_client)
/* 0 and *answer, or an exit code, said. path starts with '/'; %s of a path is escaped. */
int client_get(struct client *client, json_t **answer, const char *format, const char *a,
	       const char *b);
/* The same, but -ENOENT, unsaid, where the daemon knows of no such thing. */
int client_look(struct client *client, json_t **answer, const char *format, const char *a);
/* body is read, not taken, and the text made of it is wiped. Waits as long as it takes; what (or
 * NULL) is shown with the seconds on a terminal meanwhile. */
int client_put(struct client *client, json_t **answer, const json_t *body, const char *what,
	       const char *format, const char *a, const char *b);
/* As client_get(), but says nothing: -ENOENT where no daemon answers, -EIO for other trouble. */
int client_try(struct client *client, json_t **answer, const char *path);
/* A read from now on takes so long at most. */
void client_limit(struct client *client, uint32_t ms);
/* The user who made the socket that answered last, by the kernel's word. 0 or -errno; -ENOTCONN:
 * the connection has been closed since. */
int client_peer(struct client *client, uid_t *uid);

/* A daemon for this command line, found and ready to be asked. 0 or an exit code, said. */
int client_open(struct client **client, const struct args *args);

/* ask.c: members of JSON answers; what is missing reads as 0 or "". */
uint64_t ask_number(const json_t *object, const char *key);
double ask_real(const json_t *object, const char *key);
const char *ask_text(const json_t *object, const char *key);
bool ask_true(const json_t *object, const char *key);
int print_json(const json_t *value); /* indented, on stdout; an exit code */

/* salt.c: a salt of --salt-file or --salt-env, at most PS_SALT_MAX bytes. */
struct salt {
	unsigned char *bytes; /* locked memory; NULL: no salt was given */
	size_t length;
	char *path; /* of the file that it was read from; NULL: a variable, or no plain file */
};
int salt_read(struct salt *salt, const struct args *args);
/* A random one, for a VM that was given none. */
int salt_make(struct salt *salt);
void salt_wipe(struct salt *salt);
#define _cleanup_salt_ _cleanup_(salt_wipe)

/* wait-settled.c: until sharing has settled, or so many seconds (0: as long as it takes) are over.
 * CLI_OK, or an exit code, said. */
int wait_settled(struct client *client, double seconds);

int cmd_run(struct args *args);
int cmd_list(struct args *args);
int cmd_balloon(struct args *args);
int cmd_show(struct args *args);
int cmd_top(struct args *args);
int cmd_status(struct args *args);
int cmd_get(struct args *args);
int cmd_set(struct args *args);
int cmd_log(struct args *args);
int cmd_doctor(struct args *args);
int cmd_audit(struct args *args);
int cmd_fork(struct args *args);
int cmd_libvirt(struct args *args);
int cmd_proxmox(struct args *args);
int cmd_fleet(struct args *args);
int cmd_plan(struct args *args);
int cmd_memory(struct args *args); /* reclaim, suspend, resume */
int cmd_help(struct args *args);

#endif
