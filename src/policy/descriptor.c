/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * descriptor: an allow-list. A process all of whose descriptors are on it has no page that a device
 * could write to later:
 *  - files on file systems that copy (an O_DIRECT file pins; so does FUSE, which may turn its files
 *    into such behind the process's back, and 9p and ceph, which hold plain references);
 *  - sockets whose receiving side copies. AF_XDP pins; its like are not known;
 *  - descriptors that move no data of the process's memory: events, timers, signals, polls;
 *  - KVM's. (With memory encryption it pins, but then /dev/sev or its like is open too);
 *  - an io_uring with no registered buffer and no registered file: the file could be an O_DIRECT
 *    one. Buffers that are being registered are pinned one after the other and counted at the end,
 *    and who registers may be waiting for a page that we have closed. Since Linux 6.16 a ring whose
 *    lock is held tells nothing, so there "none" is true; before, it may have pinned some.
 *
 * Beside them, what is known to pin, as the kernel means it (FOLL_PIN), whatever it writes to:
 * O_DIRECT files on these file systems and on block devices, registered buffers of an io_uring,
 * AF_XDP, VFIO. All the rest may hold plain references, which a fork would part from the process's
 * page.
 *
 * Rejected: a list of what holds plain references. It would have to be complete.
 */
#include "policy/descriptor.h"

#include <stdlib.h>
#include <string.h>

/* <linux/magic.h>, and AF_... of <sys/socket.h>, which pure code does not include. */
static const uint64_t COPYING_FILESYSTEMS[] = {
	0xef53,	    /* ext2, ext3, ext4 */
	0x58465342, /* xfs */
	0x9123683e, /* btrfs */
	0xf2f52010, /* f2fs */
	0x01021994, /* tmpfs, memfd */
	0x858458f6, /* ramfs */
	0x794c7630, /* overlayfs */
	0x73717368, /* squashfs */
	0xe0f5e1e2, /* erofs */
	0x9fa0,	    /* proc */
	0x62656572, /* sysfs */
	0x63677270, /* cgroup2 */
	0x27e0eb,   /* cgroup */
	0x6e736673, /* nsfs */
	0x50495045, /* pipefs */
};
static const int COPYING_FAMILIES[] = {1 /* AF_UNIX */, 2 /* AF_INET */, 10 /* AF_INET6 */,
				       16 /* AF_NETLINK */, 40 /* AF_VSOCK */};
static const char *const HARMLESS_INODES[] = {
	"[eventfd]",	  "[eventpoll]",  "[timerfd]",		"[signalfd]", "[userfaultfd]",
	"[pidfd]",	  "inotify",	  "[fanotify]",		"kvm-vm",     "kvm-vcpu",
	"kvm-vcpu-stats", "kvm-vm-stats", "[landlock-ruleset]",
};
static const char *const HARMLESS_DEVICES[] = {
	"/dev/null",	 "/dev/zero",	     "/dev/full",	 "/dev/random",	 "/dev/urandom",
	"/dev/tty",	 "/dev/ptmx",	     "/dev/kvm",	 "/dev/net/tun", "/dev/vhost-net",
	"/dev/pts/ptmx", "/dev/vhost-vsock", "/dev/userfaultfd", "/dev/console",
};

#define MAGIC_ZFS 0x2fc12fc1
#define FAMILY_XDP 44
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ANON_INODE "anon_inode:"

static bool starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool is_one_of(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(text, list[i]) == 0)
			return true;
	return false;
}

/* The number behind "Name:" in the text; -1: there is none. */
static long number_of(const char *info, const char *name)
{
	const char *at = strstr(info, name);

	return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

/* A registered file may be of any kind. */
static enum descriptor_kind kind_of_ring(const char *info, bool locked)
{
	if (number_of(info, "UserFiles:") != 0 || number_of(info, "UserBufs:") < 0)
		return DESCRIPTOR_UNKNOWN;
	return number_of(info, "UserBufs:") || !locked ? DESCRIPTOR_PINS : DESCRIPTOR_HARMLESS;
}

static enum descriptor_kind kind_of_inode(const char *name, const struct descriptor *d)
{
	if (strcmp(name, "[io_uring]") == 0)
		return kind_of_ring(d->info, d->locked);
	if (strcmp(name, "[vfio-device]") == 0 || strcmp(name, "[iommufd]") == 0)
		return DESCRIPTOR_PINS;
	if (is_one_of(name, HARMLESS_INODES, COUNT(HARMLESS_INODES)) ||
	    starts_with(name, "kvm-vcpu:"))
		return DESCRIPTOR_HARMLESS;
	return DESCRIPTOR_UNKNOWN;
}

static enum descriptor_kind kind_of_device(const char *path)
{
	if (is_one_of(path, HARMLESS_DEVICES, COUNT(HARMLESS_DEVICES)) ||
	    starts_with(path, "/dev/pts/") || starts_with(path, "/dev/ttyS"))
		return DESCRIPTOR_HARMLESS;
	return starts_with(path, "/dev/vfio/") || strcmp(path, "/dev/iommu") == 0 ?
		       DESCRIPTOR_PINS :
		       DESCRIPTOR_UNKNOWN;
}

static enum descriptor_kind kind_of_socket(int family)
{
	for (size_t i = 0; i < COUNT(COPYING_FAMILIES); i++)
		if (family == COPYING_FAMILIES[i])
			return DESCRIPTOR_HARMLESS;
	return family == FAMILY_XDP ? DESCRIPTOR_PINS : DESCRIPTOR_UNKNOWN;
}

static enum descriptor_kind kind_of_file(const struct descriptor *d)
{
	for (size_t i = 0; i < COUNT(COPYING_FILESYSTEMS); i++)
		if (d->filesystem == COPYING_FILESYSTEMS[i])
			return d->direct ? DESCRIPTOR_PINS : DESCRIPTOR_HARMLESS;
	/* its own way of O_DIRECT is not known well enough */
	return d->filesystem == MAGIC_ZFS && !d->direct ? DESCRIPTOR_HARMLESS : DESCRIPTOR_UNKNOWN;
}

enum descriptor_kind descriptor_kind(const struct descriptor *d)
{
	if (d->family >= 0)
		return kind_of_socket(d->family);
	if (starts_with(d->link, ANON_INODE))
		return kind_of_inode(d->link + strlen(ANON_INODE), d);
	if (starts_with(d->link, "pipe:["))
		return d->direct ? DESCRIPTOR_UNKNOWN : DESCRIPTOR_HARMLESS;
	if (d->is_char)
		return kind_of_device(d->link);
	return d->link[0] == '/' ? kind_of_file(d) : DESCRIPTOR_UNKNOWN;
}

bool descriptor_is_harmless(const struct descriptor *d)
{
	return descriptor_kind(d) == DESCRIPTOR_HARMLESS;
}
