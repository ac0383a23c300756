/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fakevmm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void fv_start(struct fakevmm *v, const struct t_daemon *d, struct t_vm_opts opts)
{
	char path[512], fd[16];
	char *argv[] = {path, fd, NULL};
	int pair[2];

	memset(v, 0, sizeof(*v));
	t_sys(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	t_build_path("tests/system/fakevmm", path, sizeof(path));
	snprintf(fd, sizeof(fd), "%d", pair[1]);
	snprintf(v->name, sizeof(v->name), "%s", opts.name ? opts.name : "");
	opts.keep_fd = pair[1];
	v->pid = t_vm_spawn(d, &opts, argv);
	v->sock = pair[0];
	v->pagemap = -1;
	close(pair[1]);
}

void fv_send(struct fakevmm *v, struct fv_cmd cmd)
{
	if (send(v->sock, &cmd, sizeof(cmd), MSG_NOSIGNAL) != sizeof(cmd))
		t_fail("VM %s (%d) takes no command %u: %m", v->name, (int)v->pid, cmd.op);
}

/* $FAKEVMM_SECONDS: for who knows that it will hang. */
static int patience(void)
{
	const char *text = getenv("FAKEVMM_SECONDS");

	return text ? atoi(text) : FV_SECONDS;
}

struct fv_answer fv_wait(struct fakevmm *v)
{
	struct fv_answer answer;
	struct pollfd p = {.fd = v->sock, .events = POLLIN};
	int status = 0;

	while (poll(&p, 1, patience() * 1000) < 0 && errno == EINTR)
		;
	if (!p.revents)
		t_fail("VM %s (%d) hangs: no answer within %d s", v->name, (int)v->pid, patience());
	if (recv(v->sock, &answer, sizeof(answer), 0) == sizeof(answer))
		return answer;
	t_wait(v->pid, 5, &status);
	v->pid = 0;
	t_fail("VM %s died, status 0x%x", v->name, status);
}

struct fv_answer fv_try(struct fakevmm *v, struct fv_cmd cmd)
{
	fv_send(v, cmd);
	return fv_wait(v);
}

uint64_t fv_do(struct fakevmm *v, enum fv_op op, uint32_t region, uint32_t page, uint32_t n,
	       uint64_t key, int64_t arg)
{
	struct fv_answer answer = fv_try(v, (struct fv_cmd){op, region, page, n, key, arg});

	if (answer.error)
		t_fail("VM %s: command %u on region %u, page %u, %u pages: %s", v->name, op, region,
		       page, n, strerror((int)-answer.error));
	return answer.value;
}

uint32_t fv_map(struct fakevmm *v, uint32_t npages, int flags)
{
	uint32_t region = v->nregions++;

	t_check(region < FV_REGIONS, "too many regions");
	/* cppcheck-suppress arrayIndexOutOfBoundsCond ; t_check() ends the program */
	v->base[region] = fv_do(v, FV_MAP, region, 0, npages, 0, flags);
	/* cppcheck-suppress arrayIndexOutOfBoundsCond ; the same */
	v->npages[region] = npages;
	/* not before: the program has to be executed first */
	if (v->pagemap < 0)
		v->pagemap = pm_open(v->pid);
	t_check(v->pagemap >= 0, "/proc/%d/pagemap: %m", (int)v->pid);
	return region;
}

void fv_pool(struct fakevmm *v, uint32_t region, uint32_t page, uint32_t n, uint32_t key)
{
	fv_do(v, FV_POOL, region, page, n, key, 1);
}

void fv_check(struct fakevmm *v, uint32_t region)
{
	fv_do(v, FV_CHECK, region, 0, v->npages[region], 0, 0);
}

uint32_t fv_shared(struct fakevmm *v, uint32_t region)
{
	return pm_count(v->pagemap, v->base[region], v->npages[region]).file;
}

uint32_t fv_zero(struct fakevmm *v, uint32_t region)
{
	return pm_count(v->pagemap, v->base[region], v->npages[region]).zero;
}

bool fv_wait_shared(struct fakevmm *v, uint32_t region, uint32_t pages, double seconds)
{
	double start = t_now();

	while (fv_shared(v, region) < pages) {
		if (t_late(start, seconds))
			return false;
		t_sleep(0.01);
	}
	return true;
}

uint64_t fv_pfn(struct fakevmm *v, uint32_t region, uint32_t page)
{
	uint64_t entry = 0;

	pm_read(v->pagemap, v->base[region] + (uintptr_t)page * T_PAGE, &entry, 1);
	return pm_pfn(entry);
}

void fv_exec(struct fakevmm *v)
{
	fv_do(v, FV_EXEC, 0, 0, 0, 0, 0);
	v->nregions = 0;
	/* that of the memory that it had */
	if (v->pagemap >= 0)
		close(v->pagemap);
	v->pagemap = -1;
}

static void forget(struct fakevmm *v)
{
	close(v->sock);
	if (v->pagemap >= 0)
		close(v->pagemap);
	v->pid = 0;
}

void fv_end(struct fakevmm *v)
{
	struct fv_cmd cmd = {.op = FV_END};
	int status = 0;

	if (!v->pid)
		return;
	fv_send(v, cmd);
	if (t_wait(v->pid, FV_SECONDS, &status))
		t_fail("VM %s (%d) does not end", v->name, (int)v->pid);
	if (status)
		t_fail("VM %s ended with status 0x%x", v->name, status);
	forget(v);
}

void fv_kill(struct fakevmm *v)
{
	int status;

	if (!v->pid)
		return;
	kill(v->pid, SIGKILL);
	if (t_wait(v->pid, FV_SECONDS, &status))
		t_fail("VM %s (%d) outlives SIGKILL", v->name, (int)v->pid);
	forget(v);
}

bool fv_alive(struct fakevmm *v)
{
	return v->pid && waitpid(v->pid, NULL, WNOHANG) == 0;
}
