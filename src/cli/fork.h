/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork: what the parts of 'pshare fork' share: can it be done (fork-open.c), the parent
 * (fork-parent.c), its disks (fork-disk.c, fork-merge.c), the children (fork-child.c), what they
 * become in their guests (fork-personality.c), what undoes it all (fork-undo.c).
 *
 * All functions return 0, or an exit code, said.
 */
#ifndef PSHARE_CLI_FORK_H
#define PSHARE_CLI_FORK_H

#include <sys/types.h>

#include "cli/cli.h"
#include "cli/qemu-words.h"
#include "qmp/client.h"
#include "wire/wire.h"

#define FORK_QMP_MS 10000u
#define FORK_NAMES_MAX 16u /* of one disk: the files of its chain */
#define FORK_UUID_SIZE 37u

/* A disk that the parent writes to. */
struct fork_disk {
	char *device;			 /* as block commands name it */
	char *node;			 /* its node's name */
	char *names[FORK_NAMES_MAX + 1]; /* of the chain, the top first; ends with NULL */
	char *top;			 /* the file that is frozen, from the root */
	char *format;			 /* its format */
	char *delta;			 /* what the parent writes to from then on */
	bool frozen;			 /* that is so already, or may be */
	size_t block;			 /* its place in what query-block tells */
};

struct child {
	char name[PS_NAME_MAX];
	char folder[PATH_MAX];
	char **deltas; /* of each disk of the parent */
	struct qemu_words words;
	char uuid[FORK_UUID_SIZE]; /* its system's, or "": its parent's, or none */
	pid_t pid;		   /* 0: not started */
	struct qmp *qmp;
	bool loading;			       /* its device state */
	json_t *changed;		       /* lines: what is not as the parent has it */
	json_t *guest;			       /* what its guest could do, and what not */
	uint64_t began, born, loaded, running; /* ns, of sys_now() */
	uint64_t memory_first;		       /* bytes: PRIV */
};

struct fork {
	struct args *args;
	struct client *client;
	struct runtime runtime;
	const char *parent;
	pid_t pid;
	char folder[PATH_MAX];
	json_t *record;
	json_t *personality; /* or NULL */
	char *environ;	     /* of the parent: entries with their NULs */
	long environ_length;
	struct qmp *qmp;
	struct fork_disk *disk;
	size_t ndisks;
	bool was_running;
	bool was_template;		  /* it has an image, and stands still */
	bool has_helper;		  /* somebody in its guest has the port open */
	bool stopped, publishing, frozen; /* what is to be undone */
	bool capable;			  /* its QEMU leaves RAM out of its state: for us alone */
	uint64_t image;
	char state[PATH_MAX]; /* file of the device state */
	uint64_t publish_ns, pause_ns;
	uint64_t disks_ns, state_ns, image_ns; /* of the pause */
	struct salt salt;		       /* of children in a domain of their own */
	uint64_t pages_frames, pages_copied;
	struct child *child;
	unsigned int nchildren;
};

/* fork-open.c */

/* Finds the VM that args name; with --undo no more than that, else looks for all that is against
 * it. *f is to be freed in any case. */
int fork_open(struct fork *f, struct args *args);
/* QEMU leaves memory that it takes for a shared file out of its state, or does not. */
json_t *fork_capability(bool on);

/* fork-parent.c */
/* Its pages become frames while it runs. */
int fork_publish(struct fork *f);
/* The pause: device state, disks, image. The parent runs on, if it is to. */
int fork_freeze(struct fork *f);
/* All that was done to the parent is undone. */
void fork_undo_parent(struct fork *f);
/* A fork is over: the image goes, or is kept for more. */
int fork_close(struct fork *f);
/* A child is about to get a delta, or to be started: it is in the parent's record, should this
 * program end. */
int fork_note_child(struct fork *f, const struct child *c);
void fork_free(struct fork *f);
/* To its monitor. */
int fork_connect(struct fork *f);
/* A QMP command; what QEMU says against it is said. */
int fork_qmp(struct fork *f, struct qmp *qmp, const char *whose, const char *command, json_t *args,
	     int fd, json_t **answer);
/* Says that it failed: r, of qmp_command(). */
int fork_qmp_failed(const struct qmp *qmp, const char *whose, const char *command, int r);
/* {"value": what} to the daemon, for the parent. */
int fork_tell(struct fork *f, const char *what);
/* "how far": on a terminal, over the line before. NULL: the line is cleared. */
void fork_progress(const struct fork *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Lines that a QEMU printed, as one: the last three of them that are no warnings. Changes text. */
const char *fork_one_line(char *text);

/* fork-undo.c */

/* --undo. */
int fork_undo(struct fork *f);
/* Which VMs a child of it descends from: [{"folder", "pid"}]. */
json_t *fork_above(const struct fork *f);

/* fork-disk.c */
/* From the root, to be freed: QEMU takes a relative path by the folder that it works in. */
char *fork_whole_path(const struct fork *f, const char *path);
int fork_disks_find(struct fork *f);
/* What the parent's deltas will be called. */
int fork_disks_name(struct fork *f);
/* One transaction; the guest stands still. */
int fork_disks_freeze(struct fork *f);
void fork_disks_free(struct fork *f);
/* A child's overlay over the frozen file of a disk, c->deltas[i]; it is noted before it is made. */
int fork_disk_delta(struct fork *f, size_t i, struct child *c);
json_t *fork_disks_note(const struct fork *f);
int fork_disks_recall(struct fork *f, const json_t *note);

/* fork-merge.c */
/* What the parent wrote since goes into the file that it had; a delta is removed when QEMU says
 * that no disk has it any more. */
int fork_disks_merge(struct fork *f);

/* fork-child.c */
/* Can a child's command line be made of the parent's? */
int fork_check_words(struct fork *f);
int fork_children(struct fork *f);
/* Ends them, removes what they had. */
void fork_undo_children(struct fork *f);
json_t *child_note(const struct child *c);

/* fork-personality.c */
int personality_read(struct fork *f);
/* Another value for a -netdev of a child; NULL: none. */
char *personality_netdev(const struct fork *f, const struct child *c, const char *id);
/* A UUID for a child's system; "": it keeps its parent's. */
int personality_uuid(const struct fork *f, char uuid[FORK_UUID_SIZE]);
/* Has a program in a guest the helper's port open? */
bool personality_port_open(struct qmp *qmp);
/* Before the guest runs, and when it does. What it cannot do is noted in c->guest. */
int personality_before(struct fork *f, struct child *c);
int personality_after(struct fork *f, struct child *c, unsigned int index);

#endif
