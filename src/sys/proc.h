/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel tells in /proc and /sys about the host and its processes. 0 or -errno; outputs
 * are untouched on failure. -ENODATA: the file is there, the wanted line is not. */
#ifndef PSHARE_SYS_PROC_H
#define PSHARE_SYS_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SYS_COMM_MAX 16u /* a process's name, with its NUL */

struct sys_meminfo {
	uint64_t total;	    /* bytes: MemTotal */
	uint64_t available; /* bytes: MemAvailable */
};

int sys_meminfo(struct sys_meminfo *info);
/* The "Name: N kB" line of a meminfo text, in bytes. Pure. */
int sys_meminfo_line(const char *text, const char *name, uint64_t *bytes);

/* Clock of all online CPUs in units of 1 MHz (their sum): the highest that each may have, or what
 * /proc/cpuinfo says where there is no cpufreq. */
int sys_cpu_mhz(uint64_t *mhz);
/* The sum of the "cpu MHz" lines of a cpuinfo text; 0 if it has none. Pure. */
uint64_t sys_cpuinfo_mhz(const char *text);

/* A number from a one-line file: vm.max_map_count and its like. */
int sys_read_u64(const char *path, uint64_t *value);

/* The name of a process, unprintable bytes turned to '?'. */
int sys_comm(pid_t pid, char comm[SYS_COMM_MAX]);

/* The user who logged in to what became this process, whoever it is by now (the kernel's audit
 * notes it); -ENODATA: nobody did, or the kernel does not say. */
int sys_login_uid(pid_t pid, uid_t *uid);
/* The control group of a process, as "/user.slice/...": cut, unprintable bytes turned to '?'. */
#define SYS_GROUP_TEXT_MAX 160u
int sys_process_group(pid_t pid, char group[SYS_GROUP_TEXT_MAX]);

/* Resident memory of a process, of whatever kind, bytes. */
int sys_resident(pid_t pid, uint64_t *bytes);

/* Memory of a process, bytes. */
struct sys_process_memory {
	uint64_t resident;
	uint64_t anonymous; /* of it: neither files' nor shared */
};
int sys_process_memory(pid_t pid, struct sys_process_memory *memory);

/* The parent of a process. */
int sys_process_parent(pid_t pid, pid_t *parent);

/* PSI: percent of the last ten seconds in which all tasks that were not idle waited for memory.
 * -ENOENT: this kernel does not say. */
int sys_memory_stall(double *percent);
/* The same, of a text of /proc/pressure/memory. Pure. */
int sys_memory_stall_line(const char *text, double *percent);

/* When a process started, ns of the wall clock, rounded up to the kernel's tick. */
int sys_process_started(pid_t pid, int64_t *ns);

/* When a process started, in the kernel's ticks since boot: with its number, a name that no other
 * process gets until the host boots again. */
int sys_process_ticks(pid_t pid, uint64_t *ticks);
/* CPU time of this process, user and system, ns. */
int sys_self_cpu(uint64_t *ns);
/* Resident anonymous memory of this process, bytes. */
int sys_self_resident(uint64_t *bytes);

/* Writes into this process's own memory at an address that may not be there, or not be writable:
 * then -EFAULT, not a signal. 0 or -errno. */
int sys_write_own(void *to, const void *from, size_t len);
/* The same for reading: what a caller of an interposed call points at is the kernel's to judge. */
int sys_read_own(void *to, const void *from, size_t len);

/* The wall clock in ns since 1970. */
uint64_t sys_wall_clock(void);
/* CLOCK_MONOTONIC in ns; 0 on the failure that cannot be. */
uint64_t sys_now(void);

#endif
