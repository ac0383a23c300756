/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What it takes to put another program in this process's place, and a daemon beside it.
 * All return 0 (or an fd) or -errno. */
#ifndef PSHARE_SYS_LAUNCH_H
#define PSHARE_SYS_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

int sys_current_folder(char *folder, size_t size);
/* The path from the root, with no link in it. */
int sys_whole_path(const char *path, char *whole, size_t size);
/* Makes the folder with this mode; one that is there is left as it is. Parents must be there. */
int sys_make_folder_if_none(const char *path, unsigned int mode);

/* Finds a program as execvp() does: as it is if there is a slash in name, else along $PATH.
 * -ENOENT: there is none; -EACCES: there is one, and it may not be executed. */
int sys_find_program(const char *name, char *path, size_t size);

/* What decides whether a preloaded library is loaded into a program. */
struct sys_program {
	bool gains_rights; /* set-user-ID, set-group-ID or file capabilities that change this
			      user's rights: the loader ignores LD_PRELOAD then */
	size_t length;	   /* of head */
	unsigned char head[4096];
};
int sys_program_look(const char *path, struct sys_program *program);

/* Is path a file that this user may read? 0 or -errno. */
int sys_can_read(const char *path);
/* Can a stream socket be connected there? 0 or -errno. */
int sys_can_connect(const char *path);

/* Locks a folder (flock) until the descriptor is closed; waits for whoever holds it. */
int sys_lock_folder(const char *path);

/* Starts a program that is no child of this process: of a session of its own, standard input from
 * /dev/null, output and errors appended to log (made with mode 0600). No other descriptor and no
 * blocked signal is passed on. *pid may have ended and been reused by the time it is looked at. */
int sys_spawn_detached(const char *path, const char *const argv[], const char *log, pid_t *pid);

/* Is there a process of this number? */
bool sys_process_lives(pid_t pid);

/* Lets a descriptor live over an exec. */
int sys_keep_over_exec(int fd);
/* Does not return when it works. */
int sys_exec(const char *path, char *const argv[]);

void sys_sleep_ms(unsigned int ms);
time_t sys_wall_time(void);

#endif
