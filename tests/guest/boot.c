/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * boot: what an initramfs does, without a shell and without udev.
 *
 * The program that does it is a static binary and stays process 1: the initramfs' memory is the
 * memory that it runs from. The root is mounted read-only, as many guests read one image; but where
 * the root's own init is to run (boot_to_system), it is that guest's alone.
 */
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/cleanup.h"

#define DISK "/dev/vda"
#define ROOT "/root"
#define DISK_TRIES 200 /* of 50 ms: a virtio disk is probed a moment after its module */

static int failed(const char *what, const char *which)
{
	int r = -errno;

	fprintf(stderr, "guest: %s %s: %s\n", what, which, strerror(-r));
	return r;
}

static int load_module(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return failed("cannot open module", path);
	/* EPERM: kept out by module_blacklist= on the kernel's command line */
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST && errno != EPERM)
		return failed("cannot load module", path);
	return 0;
}

static int load_modules(void)
{
	_cleanup_fclose_ FILE *list = fopen("/modules", "re");
	char path[256];

	if (!list)
		return failed("cannot read", "/modules");
	while (fgets(path, sizeof(path), list)) {
		int r;

		path[strcspn(path, "\n")] = '\0';
		r = load_module(path);
		if (r < 0)
			return r;
	}
	return 0;
}

static int mount_one(const char *type, const char *where)
{
	if (mount(type, where, type, 0, NULL) < 0)
		return failed("cannot mount", where);
	return 0;
}

static int mount_disk(unsigned long flags)
{
	for (int i = 0; i < DISK_TRIES && access(DISK, F_OK) < 0; i++)
		usleep(50000);
	mkdir(ROOT, 0755);
	if (mount(DISK, ROOT, "ext4", flags, NULL) < 0)
		return failed("cannot mount", DISK);
	return 0;
}

static int copy_file(const char *from, const char *to)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	char buffer[4096];
	ssize_t n;

	if (in < 0 || out < 0)
		return failed("cannot copy", from);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		if (write(out, buffer, (size_t)n) != n)
			return failed("cannot write", to);
	return n < 0 ? failed("cannot read", from) : 0;
}

/* Makes ROOT the root of this process and of all that it starts. */
static int switch_root(void)
{
	if (chdir(ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return failed("cannot move to", ROOT);
	return chdir("/") < 0 ? failed("cannot enter", "/") : 0;
}

/* A file of the root, which is read-only, that may be written all the same. */
static void make_writable(const char *path)
{
	char copy[64];

	snprintf(copy, sizeof(copy), "/run/writable-%s", strrchr(path, '/') + 1);
	if (access(path, F_OK) == 0 && copy_file(path, copy) == 0)
		(void)mount(copy, path, NULL, MS_BIND, NULL);
}

int boot_to_root(void)
{
	static const char *const types[] = {"proc", "sysfs", "devtmpfs", "tmpfs"};
	static const char *const places[] = {"/proc", "/sys", "/dev", "/tmp"};
	int r;

	mkdir("/dev", 0755);
	r = mount_one("devtmpfs", "/dev");
	if (r == 0)
		r = load_modules();
	if (r == 0)
		r = mount_disk(MS_RDONLY);
	if (r == 0)
		r = mount_one("tmpfs", ROOT "/run");
	if (r == 0)
		r = copy_file("/heap.py", ROOT "/run/heap.py");
	if (r == 0)
		r = copy_file("/heap.pl", ROOT "/run/heap.pl");
	if (r == 0)
		r = copy_file("/pshare-guest", ROOT "/run/pshare-guest");
	if (r == 0)
		r = switch_root();
	for (size_t i = 0; r == 0 && i < sizeof(types) / sizeof(types[0]); i++)
		r = mount_one(types[i], places[i]);
	if (r == 0)
		make_writable("/etc/hostname");
	if (r == 0)
		make_writable("/etc/machine-id");
	return r;
}

int boot_to_system(const char *init)
{
	int r;

	mkdir("/dev", 0755);
	r = mount_one("devtmpfs", "/dev");
	if (r == 0)
		r = load_modules();
	if (r == 0)
		r = mount_disk(0);
	if (r == 0 && mount("/dev", ROOT "/dev", NULL, MS_MOVE, NULL) < 0)
		r = failed("cannot move", "/dev");
	if (r == 0)
		r = switch_root();
	if (r < 0)
		return r;
	execl(init, init, NULL);
	return failed("cannot execute", init);
}

void boot_start_helper(void)
{
	glob_t ports;
	bool none = glob("/sys/bus/virtio/drivers/virtio_console/virtio*", 0, NULL, &ports) != 0;

	if (none || fork() != 0)
		return;
	execl("/usr/bin/perl", "perl", "/run/pshare-guest", NULL);
	_exit(127);
}

uint64_t boot_memory(void)
{
	_cleanup_fclose_ FILE *info = fopen("/proc/meminfo", "re");
	unsigned long long kib;

	if (!info || fscanf(info, "MemTotal: %llu kB", &kib) != 1)
		return 0;
	return kib << 10; // cppcheck-suppress resourceLeak ; the cleanup attribute closes it
}
