/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * secret: a file with a secret: who may read it, and how it is opened where another user chose its
 * path. One rule for all who ask: whoever reads a salt, audits it, or says how it is kept.
 */
#ifndef PSHARE_SYS_SECRET_H
#define PSHARE_SYS_SECRET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Who may read or write it besides its owner, its group and root. */
enum sys_secret_to {
	SYS_SECRET_KEPT,  /* nobody */
	SYS_SECRET_ALL,	  /* every user of the host, by its mode */
	SYS_SECRET_USER,  /* a user, by its access control list */
	SYS_SECRET_GROUP, /* a group, by its access control list */
};

struct sys_secret_file {
	unsigned int mode;  /* permission bits; with a list the group's are its mask */
	unsigned int group; /* what its group may: 4 (read), 2 (write) */
	uid_t uid;
	gid_t gid;
	enum sys_secret_to to;
	unsigned int whom; /* USER, GROUP: the first one in the list */
	bool plain;	   /* a regular file */
	uint64_t bytes;
	uint64_t device, inode; /* as in struct sys_open */
};

/* An open file. 0 or -errno. */
int sys_secret_of(int fd, struct sys_secret_file *file);
/* The same by path; links are followed. -ENOENT: there is none. */
int sys_secret_look(const char *path, struct sys_secret_file *file);

/* Finds the file, without opening it (O_PATH): no pipe waits for a writer, no device learns of it.
 * With of it is found as that process would, in its root folder. The descriptor or -errno. */
int sys_secret_find(const char *path, pid_t of);
/* Opens what was found, for reading, if it is a plain file of at most so many bytes that says its
 * size (those of /proc, of which some wait or forget what was read, say 0). -EMEDIUMTYPE, -EFBIG:
 * it is not. The descriptor or -errno. */
int sys_secret_open(int found, uint64_t most);

/* Calls each() for the names in a folder, and in those below it, that end so. Folders that are
 * links are not entered. -ENOENT: there is no such folder. */
int sys_each_below(const char *folder, const char *ending, int (*each)(const char *path, void *arg),
		   void *arg);

#endif
