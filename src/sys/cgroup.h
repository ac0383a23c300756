/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup: how much memory this process's control groups leave it, version 1 or 2. 0 or -errno. */
#ifndef PSHARE_SYS_CGROUP_H
#define PSHARE_SYS_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SYS_CGROUP_PATH 512u

struct sys_cgroup {
	bool v2;
	char mount[SYS_CGROUP_PATH]; /* where the hierarchy is mounted: nothing above it is seen */
	char dir[SYS_CGROUP_PATH];   /* of the process's own group, below it */
};

struct sys_cgroup_memory {
	uint64_t limit; /* bytes; UINT64_MAX: none of the groups has one */
	uint64_t used;	/* bytes that the kernel cannot take back by itself; 0 without a limit */
	uint64_t id;	/* of the group that has it: its folder's inode; 0 without a limit */
};

/* Where the memory controller's group of this process is. -ENOENT: there is none. */
int sys_cgroup_find(struct sys_cgroup *cgroup);
/* The same, of another process. */
int sys_cgroup_of(pid_t pid, struct sys_cgroup *cgroup);
/* The same, of what /proc/self/cgroup and /proc/self/mountinfo say. Pure. */
int sys_cgroup_parse(const char *groups, const char *mounts, struct sys_cgroup *cgroup);
/* The group, of its own and those above it, that leaves least: its limit and what is used. */
int sys_cgroup_memory(const struct sys_cgroup *cgroup, struct sys_cgroup_memory *memory);

#endif
