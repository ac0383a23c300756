/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/path.h"

#define PROC_TEXT_MAX (256u << 10) /* cpuinfo of a large host: its tail is not needed */
#define CGROUP_TEXT_MAX 8192u
#define NSEC_PER_SEC 1000000000ull

int sys_meminfo_line(const char *text, const char *name, uint64_t *bytes)
{
	size_t len = strlen(name);

	for (const char *at = text; at && *at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, name, len) == 0 && at[len] == ':') {
			char *end;
			unsigned long long kb = strtoull(at + len + 1, &end, 10);

			if (end == at + len + 1)
				return -ENODATA;
			*bytes = (uint64_t)kb * 1024;
			return 0;
		}
	}
	return -ENODATA;
}

int sys_meminfo(struct sys_meminfo *info)
{
	_cleanup_free_ char *text = NULL;
	struct sys_meminfo got;
	int r;

	r = sys_read_text("/proc/meminfo", PROC_TEXT_MAX, &text);
	if (r < 0)
		return r;
	r = sys_meminfo_line(text, "MemTotal", &got.total);
	if (r < 0)
		return r;
	r = sys_meminfo_line(text, "MemAvailable", &got.available);
	if (r < 0)
		return r;
	*info = got;
	return 0;
}

uint64_t sys_cpuinfo_mhz(const char *text)
{
	uint64_t sum = 0;

	for (const char *at = strstr(text, "cpu MHz"); at; at = strstr(at + 1, "cpu MHz")) {
		const char *colon = strchr(at, ':');

		if (colon)
			sum += strtoull(colon + 1, NULL, 10);
	}
	return sum;
}

int sys_read_u64(const char *path, uint64_t *value)
{
	_cleanup_free_ char *text = NULL;
	char *end;
	unsigned long long got;
	int r;

	r = sys_read_text(path, 64, &text);
	if (r < 0)
		return r;
	got = strtoull(text, &end, 10);
	if (end == text)
		return -ENODATA;
	*value = got;
	return 0;
}

int sys_cpu_mhz(uint64_t *mhz)
{
	_cleanup_free_ char *text = NULL;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t khz, sum;
	int r;

	SYS_INJECT();
	r = sys_read_u64("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", &khz);
	if (r == 0 && khz >= 1000 && cpus > 0) {
		*mhz = khz / 1000 * (uint64_t)cpus;
		return 0;
	}
	r = sys_read_text("/proc/cpuinfo", PROC_TEXT_MAX, &text);
	if (r < 0)
		return r;
	sum = sys_cpuinfo_mhz(text);
	if (!sum)
		return -ENODATA;
	*mhz = sum;
	return 0;
}

/* Up to the newline, as far as it fits, printable. */
static void take_printable(char *out, size_t size, const char *text)
{
	size_t len = strcspn(text, "\n");

	if (len >= size)
		len = size - 1;
	for (size_t i = 0; i < len; i++)
		out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	out[len] = '\0';
}

int sys_comm(pid_t pid, char comm[SYS_COMM_MAX])
{
	_cleanup_free_ char *text = NULL;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	r = sys_read_text(path, SYS_COMM_MAX, &text);
	if (r < 0)
		return r;
	take_printable(comm, SYS_COMM_MAX, text);
	return 0;
}

int sys_login_uid(pid_t pid, uid_t *uid)
{
	char path[40];
	uint64_t number;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/loginuid", (int)pid);
	r = sys_read_u64(path, &number);
	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	if (number >= UINT32_MAX)
		return -ENODATA;
	*uid = (uid_t)number;
	return 0;
}

int sys_process_group(pid_t pid, char group[SYS_GROUP_TEXT_MAX])
{
	_cleanup_free_ char *text = NULL;
	const char *at;
	char path[40];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	r = sys_read_text(path, CGROUP_TEXT_MAX, &text);
	if (r < 0)
		return r;
	at = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!at)
		at = strstr(text, ":name=systemd:");
	if (!at)
		return -ENODATA;
	take_printable(group, SYS_GROUP_TEXT_MAX, strchr(at, '/') ? strchr(at, '/') : "");
	return 0;
}

int sys_process_memory(pid_t pid, struct sys_process_memory *memory)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	_cleanup_free_ char *text = NULL;
	unsigned long long pages, shared;
	char path[32];
	int r;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	r = sys_read_text(path, 256, &text);
	if (r < 0)
		return r;
	if (sscanf(text, "%*u %llu %llu", &pages, &shared) != 2)
		return -ENODATA;
	*memory = (struct sys_process_memory){
		.resident = (uint64_t)pages * page,
		.anonymous = pages > shared ? (uint64_t)(pages - shared) * page : 0,
	};
	return 0;
}

int sys_resident(pid_t pid, uint64_t *bytes)
{
	struct sys_process_memory memory;
	int r = sys_process_memory(pid, &memory);

	if (r == 0)
		*bytes = memory.resident;
	return r;
}

int sys_memory_stall_line(const char *text, double *percent)
{
	const char *at = strstr(text, "full avg10=");

	return at && sscanf(at, "full avg10=%lf", percent) == 1 ? 0 : -ENODATA;
}

int sys_memory_stall(double *percent)
{
	_cleanup_free_ char *text = NULL;
	int r;

	SYS_INJECT();
	r = sys_read_text("/proc/pressure/memory", 1024, &text);
	return r < 0 ? r : sys_memory_stall_line(text, percent);
}

/* What follows the name in stat, which may hold anything, a ')' too. 0 or -errno. */
static int read_stat(pid_t pid, char **text, const char **after)
{
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = sys_read_text(path, 4096, text);
	if (r < 0)
		return r;
	*after = strrchr(*text, ')');
	return *after ? 0 : -ENODATA;
}

int sys_process_parent(pid_t pid, pid_t *parent)
{
	_cleanup_free_ char *text = NULL;
	const char *after;
	int r, got;

	SYS_INJECT();
	r = read_stat(pid, &text, &after);
	if (r < 0)
		return r;
	if (sscanf(after + 1, " %*c %d", &got) != 1)
		return -ENODATA;
	*parent = (pid_t)got;
	return 0;
}

/* Field 22 of stat, ticks since the boot. */
static int start_ticks(pid_t pid, uint64_t *ticks)
{
	_cleanup_free_ char *text = NULL;
	const char *at;
	int r = read_stat(pid, &text, &at);

	if (r < 0)
		return r;
	if (sscanf(at + 1, " %*c%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%" SCNu64,
		   ticks) != 1)
		return -ENODATA;
	return 0;
}

int sys_process_ticks(pid_t pid, uint64_t *ticks)
{
	return start_ticks(pid, ticks);
}

int sys_process_started(pid_t pid, int64_t *ns)
{
	struct timespec boot, wall;
	long hz = sysconf(_SC_CLK_TCK);
	uint64_t ticks;
	int r = start_ticks(pid, &ticks);

	if (r < 0)
		return r;
	if (hz <= 0 || clock_gettime(CLOCK_BOOTTIME, &boot) < 0 ||
	    clock_gettime(CLOCK_REALTIME, &wall) < 0)
		return -EINVAL;
	*ns = (int64_t)(wall.tv_sec - boot.tv_sec) * (int64_t)NSEC_PER_SEC + wall.tv_nsec -
	      boot.tv_nsec + (int64_t)((ticks + 1) * (NSEC_PER_SEC / (uint64_t)hz));
	return 0;
}

int sys_write_own(void *to, const void *from, size_t len)
{
	struct iovec local = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};
	struct iovec remote = {.iov_base = to, .iov_len = len};
	ssize_t n;

	SYS_INJECT();
	n = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

int sys_read_own(void *to, const void *from, size_t len)
{
	struct iovec local = {.iov_base = to, .iov_len = len};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};
	ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

int sys_self_cpu(uint64_t *ns)
{
	struct timespec ts;

	SYS_INJECT();
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) < 0)
		return -errno;
	*ns = (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
	return 0;
}

int sys_self_resident(uint64_t *bytes)
{
	_cleanup_free_ char *text = NULL;
	int r;

	r = sys_read_text("/proc/self/status", 16384, &text);
	if (r < 0)
		return r;
	return sys_meminfo_line(text, "RssAnon", bytes);
}

uint64_t sys_wall_clock(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t sys_now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}
