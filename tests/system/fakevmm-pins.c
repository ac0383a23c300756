/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What decides how the agent can tell pins in the VMM under remote control: files that it reads
 * past the page cache, and the filter under which libvirt starts QEMU.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fakevmm-main.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int vmm_pool_file(void)
{
	char path[512];
	uint8_t page[T_PAGE];
	int fd, direct;

	t_build_path("tests/fakevmm.data-XXXXXX", path, sizeof(path));
	fd = mkstemp(path);
	if (fd < 0)
		return -errno;
	for (uint32_t i = 0; i < MODEL_POOL; i++) {
		content_fill(page, pool_key(i));
		if (write(fd, page, T_PAGE) != T_PAGE)
			return -EIO;
	}
	fsync(fd);
	close(fd);
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (direct < 0)
		direct = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	return direct < 0 ? -errno : direct;
}

static int direct_fd = -1;

int vmm_direct(const struct fv_cmd *c)
{
	if (!c->arg) {
		close(direct_fd);
		direct_fd = -1;
		return 0;
	}
	direct_fd = vmm_pool_file();
	if (direct_fd < 0)
		return direct_fd;
	return fcntl(direct_fd, F_GETFL) & O_DIRECT ? 0 : -EOPNOTSUPP;
}

int vmm_direct_read(struct hregion *r, const struct fv_cmd *c)
{
	ssize_t n;

	mpage_begin(&r->model[c->page]);
	n = pread(direct_fd, r->base + (size_t)c->page * T_PAGE, T_PAGE, (off_t)(c->key * T_PAGE));
	mpage_end(&r->model[c->page], pool_key((uint32_t)c->key));
	return n == (ssize_t)T_PAGE ? 0 : n < 0 ? -errno : -EIO;
}

int vmm_hold(const struct hregion *r, const struct fv_cmd *c)
{
	static int held[2] = {-1, -1};
	struct iovec page = {r->base + (size_t)c->page * T_PAGE, T_PAGE};

	if (!c->arg) {
		close(held[0]);
		close(held[1]);
		held[0] = held[1] = -1;
		return 0;
	}
	if (held[0] < 0 && pipe(held))
		return -errno;
	return vmsplice(held[1], &page, 1, 0) == (ssize_t)T_PAGE ? 0 : -errno;
}

/* As QEMU's "-sandbox on,spawn=deny": threads may be made, children not. clone3() hides its flags
 * from a filter; libc falls back to clone(). */
int vmm_sandbox(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 6, 0),
#ifdef SYS_fork
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fork, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_vfork, 3, 0),
#else
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 3, 0),
#endif
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_VM, 2, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = COUNT(code), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) ?
		       -errno :
		       0;
}
