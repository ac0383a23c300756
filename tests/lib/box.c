/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/box.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"

#define START_MS 60000
#define QEMU "/usr/bin/qemu-system-x86_64"

char box_out[1 << 20];

void box_need(void)
{
	static const char *const programs[] = {"/usr/sbin/libvirtd", "/usr/sbin/virtlogd",
					       "/usr/bin/virsh", QEMU};
	struct stat st;

	if (geteuid() != 0)
		SKIP("needs root");
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (access(programs[i], X_OK) < 0)
			SKIP("%s is not there (Debian: libvirt-daemon-system, qemu-system-x86)",
			     programs[i]);
	if (!getpwnam("libvirt-qemu") || access("/etc/libvirt/qemu.conf", R_OK) < 0)
		SKIP("libvirt is not set up as Debian does it (libvirt-daemon-system)");
	if (stat("/dev/userfaultfd", &st) < 0)
		SKIP("this kernel has no /dev/userfaultfd");
}

/* ---- the box --------------------------------------------------------------------------------- */

static void empty(const char *folder)
{
	if (access(folder, F_OK) == 0)
		REQUIRE_SYS(mount("box", folder, "tmpfs", 0, "mode=0755"));
}

/* A copy, without what the machine's own libvirt would start by itself. */
static void copy_etc(void)
{
	char copy[512];

	snprintf(copy, sizeof(copy), "%s/etc", test_dir());
	REQUIRE_EQ(TEST_RUN(box_out, sizeof(box_out), "cp", "-a", "/etc", copy), 0);
	REQUIRE_SYS(mount(copy, "/etc", NULL, MS_BIND, NULL));
	REQUIRE_EQ(TEST_RUN(box_out, sizeof(box_out), "sh", "-c",
			    "rm -rf /etc/libvirt/qemu /etc/libvirt/storage /etc/libvirt/hooks "
			    "/etc/libvirt/secrets /etc/tmpfiles.d/pshare-libvirt.conf"),
		   0);
}

static void node(const char *folder, const char *name, unsigned int mode, gid_t group)
{
	char from[64], to[512];
	struct stat st;

	snprintf(from, sizeof(from), "/dev/%s", name);
	snprintf(to, sizeof(to), "%s/%s", folder, name);
	if (stat(from, &st) < 0)
		return;
	REQUIRE_SYS(mknod(to, S_IFCHR | 0600, st.st_rdev));
	REQUIRE_SYS(chown(to, 0, group));
	REQUIRE_SYS(chmod(to, mode));
}

/* A whole /dev: libvirt hands mounts below /dev on to its VMs, so a node that is mounted over
 * another would be seen by all of them. */
static void own_devices(void)
{
	static const char *const everybodys[] = {"null",    "zero", "full", "random",
						 "urandom", "ptmx", "tty"};
	struct group *kvm = getgrnam("kvm");
	char dev[400], below[512];

	snprintf(dev, sizeof(dev), "%s/dev", test_dir());
	REQUIRE_SYS(mkdir(dev, 0755));
	REQUIRE_SYS(mount("box", dev, "tmpfs", 0, "mode=0755"));
	for (size_t i = 0; i < sizeof(everybodys) / sizeof(everybodys[0]); i++)
		node(dev, everybodys[i], 0666, 0);
	node(dev, "userfaultfd", 0600, 0);
	node(dev, "kvm", 0660, kvm ? kvm->gr_gid : 0);
	snprintf(below, sizeof(below), "%s/pts", dev);
	REQUIRE_SYS(mkdir(below, 0755));
	REQUIRE_SYS(mount("devpts", below, "devpts", 0, "mode=0620,ptmxmode=0666"));
	snprintf(below, sizeof(below), "%s/shm", dev);
	REQUIRE_SYS(mkdir(below, 01777));
	REQUIRE_SYS(chmod(below, 01777));
	snprintf(below, sizeof(below), "%s/fd", dev);
	REQUIRE_SYS(symlink("/proc/self/fd", below));
	snprintf(below, sizeof(below), "%s/stdin", dev);
	REQUIRE_SYS(symlink("/proc/self/fd/0", below));
	/* with what is mounted in it, or libvirt finds two of each */
	(void)umount2("/dev", MNT_DETACH);
	REQUIRE_SYS(mount(dev, "/dev", NULL, MS_MOVE, NULL));
}

static void build(void)
{
	static const char *const empties[] = {"/run", "/var/lib", "/var/log", "/var/cache", "/opt"};

	REQUIRE_SYS(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	REQUIRE_SYS(mount("proc", "/proc", "proc", 0, NULL));
	copy_etc();
	own_devices();
	for (size_t i = 0; i < sizeof(empties) / sizeof(empties[0]); i++)
		empty(empties[i]);
	REQUIRE_EQ(TEST_RUN(box_out, sizeof(box_out), "sh", "-c",
			    "mkdir -p /opt/pshare /opt/bin /run/lock /var/lib/libvirt "
			    "/var/log/libvirt && ln -s " QEMU " /opt/bin/ && ip link set lo up; :"),
		   0);
	REQUIRE_EQ(TEST_RUN(box_out, sizeof(box_out), "install", "-m", "644",
			    test_built("src/agent/libpshare-agent.so"), BOX_AGENT),
		   0);
	setenv("PSHARE_AGENT", BOX_AGENT, 1);
	unsetenv("PSHARE_RUNTIME_DIR");
	unsetenv("XDG_RUNTIME_DIR");
}

/* Process 1: reaps whoever is left to it, until the test's own process has ended. */
static int be_init(void (*body)(void))
{
	pid_t worker = fork(), pid;
	int status;

	if (worker == 0) {
		build();
		body();
		_exit(0);
	}
	while ((pid = waitpid(-1, &status, 0)) != worker)
		if (pid < 0 && errno != EINTR)
			return 1;
	(void)kill(-1, SIGKILL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* A process that makes a process namespace can start none any more when its process 1 has ended. */
static int be_host(void (*body)(void))
{
	pid_t init;
	int status;

	if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) < 0)
		SKIP("namespaces cannot be made: %s", strerror(errno));
	init = fork();
	REQUIRE_SYS(init);
	if (init == 0)
		_exit(be_init(body));
	REQUIRE_SYS(waitpid(init, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

void box_run(void (*body)(void))
{
	pid_t host;
	int status;

	(void)test_dir(); /* the same for all */
	host = fork();
	REQUIRE_SYS(host);
	if (host == 0)
		_exit(be_host(body));
	REQUIRE_SYS(waitpid(host, &status, 0));
	(void)TEST_RUN(box_out, sizeof(box_out), "sh", "-c",
		       "rmdir /sys/fs/cgroup/machine /sys/fs/cgroup/*/machine 2>&1");
	if (status != 0)
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* ---- libvirt in it --------------------------------------------------------------------------- */

static void start(const char *program)
{
	char pid_file[64], path[64];

	snprintf(pid_file, sizeof(pid_file), "/run/%s.pid", program);
	snprintf(path, sizeof(path), "/usr/sbin/%s", program);
	/* it looks for emulators along PATH, and asks each of them everything */
	REQUIRE_EQ(TEST_RUN(box_out, sizeof(box_out), "env", "PATH=/opt/bin", path, "-d", "-p",
			    pid_file),
		   0);
}

static pid_t pid_of(const char *program)
{
	char path[64];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/run/%s.pid", program);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid;
}

static void end(const char *program)
{
	pid_t pid = pid_of(program);

	if (pid <= 1)
		return;
	REQUIRE_SYS(kill(pid, SIGTERM));
	REQUIRE_WITHIN(START_MS, kill(pid, 0) < 0);
}

void box_libvirt_start(void)
{
	/* libvirt 9 closes every descriptor that there might be, one by one, before each exec */
	struct rlimit files = {1024, 1024};

	REQUIRE_SYS(setrlimit(RLIMIT_NOFILE, &files));
	if (!pid_of("virtlogd"))
		start("virtlogd");
	start("libvirtd");
	REQUIRE_WITHIN(START_MS, BOX_VIRSH(NULL, "uri") == 0);
}

void box_libvirt_end(void)
{
	end("libvirtd");
}

int box_virsh(const char *input, const char *const args[])
{
	const char *argv[24] = {"sh", "-c", NULL, "virsh", "-q", "-c", "qemu:///system"};
	int n = 7;

	argv[2] = input ? "printf %s \"$BOX_INPUT\" | \"$0\" \"$@\"" : "\"$0\" \"$@\" </dev/null";
	setenv("BOX_INPUT", input ? input : "", 1);
	while (*args && n < 23)
		argv[n++] = *args++;
	return test_run(box_out, sizeof(box_out), argv);
}

char *box_listing(const char *folder)
{
	REQUIRE_EQ(TEST_RUN(box_out, sizeof(box_out), "sh", "-c",
			    "cd \"$0\" && find . -printf '%y %m %U %G %p %l\\n' | sort && "
			    "find . -type f -exec cksum {} + | sort -k 3",
			    folder),
		   0);
	return strdup(box_out);
}
