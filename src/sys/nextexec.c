/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/nextexec.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

typedef int exec_fn(const char *name, char *const argv[], char *const envp[]);

static exec_fn *of_path, *of_file;

/* When the library is loaded: the child of a vfork() is no place for dlsym(). */
__attribute__((constructor)) static void look_up(void)
{
	of_path = (exec_fn *)dlsym(RTLD_NEXT, "execve");
	of_file = (exec_fn *)dlsym(RTLD_NEXT, "execvpe");
}

static int call(exec_fn *const *fn, const char *name, char *const argv[], char *const envp[])
{
	if (!*fn)
		look_up(); /* called by a constructor before ours */
	if (*fn)
		return (*fn)(name, argv, envp);
	errno = ENOSYS;
	return -1;
}

int next_execve(const char *path, char *const argv[], char *const envp[])
{
	return call(&of_path, path, argv, envp);
}

int next_execvpe(const char *file, char *const argv[], char *const envp[])
{
	return call(&of_file, file, argv, envp);
}
