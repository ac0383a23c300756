/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* salt-files: the files of this host that hold salts, and how each is kept. */
#ifndef PSHARE_CLI_SALT_FILES_H
#define PSHARE_CLI_SALT_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "sys/secret.h"

/* In the environment of a VM: the file that `pshare run` read its salt from. For who looks later;
 * the agent has the salt by a descriptor, and does not read this. */
#define SALT_PATH_ENV "PSHARE_SALT_PATH"

struct salt_file {
	char *path;
	pid_t of;  /* the VM that was started with it, which finds it there; 0: of a folder */
	int error; /* why it cannot be looked at; 0: it can */
	struct sys_secret_file is;
};

struct salt_files {
	struct salt_file *at;
	size_t count, room;
};

/* Those of the folders of salts. 0 or -ENOMEM, with some of them. */
int salt_files_find(struct salt_files *files);
/* And the one that a VM was started with, if its environment can be read. The same. */
int salt_files_add_vm(struct salt_files *files, pid_t vm);
void salt_files_free(struct salt_files *files);

/* The salt in it, for which there is room for PS_SALT_MAX bytes. 0 or -errno, as of
 * sys_salt_read_found(); -ESTALE: it is another file by now. */
int salt_file_read(const struct salt_file *file, void *salt, size_t *length);

/* Who may read or write it that it is not for. */
#define SALT_OPEN_TEXT 160
struct salt_open {
	char text[SALT_OPEN_TEXT]; /* who, and by what */
	const char *verb;	   /* of a command that would do, before the file's name */
	const char *mend;	   /* in words */
};
/* False: nobody. */
bool salt_file_is_open(const struct sys_secret_file *is, struct salt_open *open);

#endif
