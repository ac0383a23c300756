/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu-words: QEMU's command line, read and changed: for a VM that is to be forked, and for a child
 * of one. Pure.
 */
#ifndef PSHARE_CLI_QEMU_WORDS_H
#define PSHARE_CLI_QEMU_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define QEMU_WHY 256u
#define QEMU_RAMS_MAX 8u

/* Words that are ours to change; word[n] is NULL. */
struct qemu_words {
	char **word;
	size_t n;
	bool no_memory; /* some change was not made */
};

/* A copy of argv. 0 or -ENOMEM. */
int qemu_words_copy(struct qemu_words *words, const char *const *argv);
void qemu_words_free(struct qemu_words *words);

/* What was changed, or cannot be, for a person: one call for each. */
typedef void (*qemu_say)(const char *what, void *arg);

/* Of a list "a=1,b=2" (a comma inside is written twice) the value of a key, to be freed; NULL: it
 * is not there. "" asks for the first part, if that has no '='. */
char *qemu_prop(const char *list, const char *key);
/* The list with that value, at its place or at the end; value NULL: without the key. To be freed;
 * NULL: no memory. */
char *qemu_prop_set(const char *list, const char *key, const char *value);

/* Adds what a fork needs, where it is missing: RAM in files of the folder (ram0, ram1 ...), a
 * monitor and a guest channel there, a generation counter. *rams: how many RAM files. 0; -EINVAL:
 * it cannot be forked, and *why (QEMU_WHY bytes) says why and what would help; -ENOMEM. */
int qemu_make_forkable(struct qemu_words *words, const char *folder, unsigned int *rams,
		       qemu_say say, void *arg, char *why);

/* A disk of the parent that a child has as another file. */
struct qemu_disk {
	const char *const *names; /* files that the parent's command line may mean by it; ends with
				     NULL */
	const char *file;	  /* the child's; qcow2 */
	bool found;		  /* set: it stands on the command line */
};

struct qemu_child {
	const char *name;
	const char *parent_folder, *folder; /* of sockets, RAM files, logs */
	struct qemu_disk *disks;
	size_t ndisks;
	const char *uuid; /* of the system, in place of the parent's; NULL: the parent's is kept */
	bool has_uuid;	  /* set: the parent's command line gives one */
	/* Another value for what a -netdev ID was; NULL: none. To be freed. */
	char *(*netdev)(const char *id, void *arg);
	void *netdev_arg;
};

/* Makes the parent's words the child's. As qemu_make_forkable(). */
int qemu_make_child(struct qemu_words *words, struct qemu_child *child, qemu_say say, void *arg,
		    char *why);

#endif
