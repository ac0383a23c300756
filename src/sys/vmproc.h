/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMM processes: what the kernel tells of one that runs, and how another like it is started; and
 * the files in the folder of a VM. All return 0 (or an fd, or a length) or -errno. */
#ifndef PSHARE_SYS_VMPROC_H
#define PSHARE_SYS_VMPROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The environment of a process as it was started, each entry with its NUL; *text is to be freed.
 * Returns the length. */
long sys_process_environ(pid_t pid, char **text);
/* The folder in which a process works; to be freed. */
int sys_process_cwd(pid_t pid, char **path);
/* The salt's memfd that a process holds, opened anew. -ENOENT: it holds none. */
int sys_process_salt(pid_t pid);

/* What a process wrote to its standard errors from an offset on, if they go to a regular file: at
 * most 4 KiB of it, to be freed. *end: where they end now; text NULL: only that. -ENOENT: they do
 * not. */
int sys_process_errors(pid_t pid, uint64_t from, char **text, uint64_t *end);

struct sys_vmm {
	const char *path;
	char *const *argv;
	char *const *env;
	const char *cwd;
	const char *log; /* standard output and errors are appended to it; made with mode 0600 */
	int keep;	 /* a descriptor that it inherits under its own number; -1: none */
};
/* Starts a VMM that is no child of this process: of a session of its own, standard input from
 * /dev/null, no other descriptor passed on. -errno of its exec too. */
int sys_vmm_start(const struct sys_vmm *vmm, pid_t *pid);
/* SIGTERM, or SIGKILL. */
int sys_vmm_end(pid_t pid, bool at_once);

/* An empty file of mode 0600 in place of whatever has this name. */
int sys_empty_file(const char *path);
/* Makes a file that is not there yet, readable and writable. Returns an fd. */
int sys_new_file(const char *path);
int sys_open_read(const char *path);
int sys_file_exists(const char *path);
/* Do two paths lead to one file? 1 or 0. */
int sys_same_file(const char *a, const char *b);
/* Removes all files of a folder (no folder in it) and the folder. What is not there is fine. */
int sys_folder_clear(const char *path);
/* Bytes that are free to this user on the file system of a path. */
int sys_free_space(const char *path, uint64_t *bytes);
/* Calls see() with the name of each thing in the folder. */
int sys_folder_each(const char *path, void (*see)(const char *name, void *arg), void *arg);

#endif
