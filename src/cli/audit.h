/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit: what the parts of 'pshare audit' share: the VMs of the host, as the kernel shows them,
 * what the daemons say of them, and what was found.
 */
#ifndef PSHARE_CLI_AUDIT_H
#define PSHARE_CLI_AUDIT_H

#include "cli/audit-rule.h"
#include "cli/cli.h"
#include "sys/outside.h"
#include "sys/proc.h"
#include "wire/wire.h"

#define AUDIT_PAGE 4096u
#define AUDIT_STORE_NAME "/memfd:pshare-store" /* of a descriptor or a mapping begins so */

enum audit_kind {
	AUDIT_ANONYMOUS, /* [heap] and the like too */
	AUDIT_MEMFD,	 /* and other memory with a name and no file behind it */
	AUDIT_STORE,
	AUDIT_FILE, /* one that some VM has as its memory */
};

struct audit_file {
	uint64_t device, inode;
};

struct audit_map {
	uint64_t start, end, offset;
	uint64_t device, inode;
	enum audit_kind kind;
	bool shared, writable;
	bool program; /* AUDIT_FILE: the VM executes something of it */
};

struct audit_daemon {
	pid_t pid;
	uid_t uid;   /* that made its socket */
	bool system; /* believed about everybody's VMs */
	struct client *client;
	json_t *books; /* /v1/audit; of stores those that are its own */
};

struct audit_vm {
	pid_t pid;
	pid_t eye; /* the thread that shows its memory: pid, or another if that has ended */
	uid_t uid;
	char name[PS_NAME_MAX];
	uint32_t root;		     /* itself, or the VM that it was forked off */
	struct audit_daemon *daemon; /* that knows it; NULL: none */
	json_t *account;	     /* of it; borrowed */
	struct audit_key key;
	uint32_t group; /* VMs of one may share */
	struct audit_map *maps;
	size_t nmaps;
	int pagemap;
	uint64_t pages;	 /* in memory */
	uint64_t common; /* in frames that another VM maps as well */
	uint64_t ksm;	 /* merged by KSM */
	bool gone;	 /* ended while it was looked at */
};

struct audit {
	const struct args *args;
	struct audit_daemon *daemons;
	size_t ndaemons;
	struct audit_vm *vms;
	size_t nvms;
	struct audit_file *files; /* that are a VM's memory */
	size_t nfiles;
	json_t *findings;
	unsigned int violations;
	unsigned int unread; /* what could not be looked at */
	uint64_t frames_common;
	uint64_t began;
	uint32_t waited_ms; /* for daemons of users */
	bool progress;	    /* is shown */
};

enum audit_state { AUDIT_OK, AUDIT_NOTE, AUDIT_VIOLATION, AUDIT_UNKNOWN };

/* audit-report.c. A finding of a check; pids (or NULL) are taken; count: pages, descriptors, files,
 * as the text says; mend: what would do, or NULL. */
void audit_say(struct audit *audit, const char *check, enum audit_state state, json_t *pids,
	       uint64_t count, const char *mend, const char *format, ...)
	__attribute__((format(printf, 7, 8)));
void audit_progress(const struct audit *audit, const char *what, uint64_t done, uint64_t all);
int audit_print(const struct audit *audit); /* an exit code */

/* audit-daemons.c: which daemons there are. 0 or -errno; -EINVAL: said. */
int audit_find_daemons(struct audit *audit);
void audit_free_daemons(struct audit *audit);
void audit_ask_daemons(struct audit *audit); /* anew */
/* Is it believed about VMs of that user? */
bool audit_believes(const struct audit_daemon *d, uid_t uid);
bool audit_is_daemon(const struct audit *audit, pid_t pid);

/* audit-vms.c: which processes are VMs, and whose. 0 or -errno. */
int audit_find(struct audit *audit);
void audit_free(struct audit *audit);
/* The mapping at an address; NULL: none that could hold guest memory. */
const struct audit_map *audit_map_at(const struct audit_vm *vm, uint64_t address);
int audit_read_maps(struct audit *audit, struct audit_vm *vm); /* anew */
struct audit_vm *audit_vm_of(const struct audit *audit, pid_t pid);
/* The name of a process's program, without its folder; "" where it cannot be read. */
void audit_program_name(pid_t pid, char name[PATH_MAX]);
/* Asks the daemons anew, and judges anew who may share. */
void audit_read_books(struct audit *audit);

/* Each looks at one thing, and says what it found. 0 or -errno. */
int audit_frames(struct audit *audit);	/* audit-frames.c */
int audit_files(struct audit *audit);	/* audit-files.c: mappings of files, KSM */
int audit_stores(struct audit *audit);	/* audit-stores.c: descriptors and mappings of stores */
int audit_books(struct audit *audit);	/* audit-books.c: the daemons' books against the frames */
int audit_secrets(struct audit *audit); /* audit-secrets.c: salts */

#endif
