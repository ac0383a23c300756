/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/descriptor.h"

#include "harness/harness.h"

#define EXT4 0xef53ull
#define TMPFS 0x01021994ull
#define NFS 0x6969ull
#define FUSE 0x65735546ull
#define HUGETLBFS 0x958458f6ull
#define ANON_INODES 0x09041934ull
#define SOCKFS 0x534f434bull

static bool file(const char *path, uint64_t filesystem)
{
	return descriptor_is_harmless(&(struct descriptor){
		.link = path, .info = "", .filesystem = filesystem, .family = -1});
}

static bool direct(const char *path, uint64_t filesystem)
{
	return descriptor_is_harmless(&(struct descriptor){
		.link = path, .info = "", .direct = true, .filesystem = filesystem, .family = -1});
}

static bool device(const char *path)
{
	return descriptor_is_harmless(&(struct descriptor){
		.link = path, .info = "", .is_char = true, .filesystem = TMPFS, .family = -1});
}

static bool inode(const char *name, const char *info)
{
	return descriptor_is_harmless(&(struct descriptor){
		.link = name,
		.info = info,
		.filesystem = ANON_INODES,
		.family = -1,
		.locked = true,
	});
}

static bool net(int family)
{
	return descriptor_is_harmless(&(struct descriptor){
		.link = "socket:[77]", .info = "", .filesystem = SOCKFS, .family = family});
}

TEST("files whose file system copies are harmless, and no others")
{
	CHECK(file("/var/lib/vm/disk.qcow2", EXT4));
	CHECK(file("/memfd:pshare-store (deleted)", TMPFS));
	CHECK(file("/", EXT4));
	CHECK(!file("/mnt/disk.raw", NFS));
	CHECK(!file("/mnt/disk.raw", FUSE));
	CHECK(!file("/dev/hugepages/ram", HUGETLBFS));
	CHECK(!file("/mnt/disk.raw", 0x1234567));
	CHECK(!file("/mnt/disk.raw", 0)); /* statfs() failed */
}

TEST("a file opened with O_DIRECT is not harmless, wherever it is")
{
	CHECK(!direct("/var/lib/vm/disk.raw", EXT4));
	CHECK(!direct("/dev/shm/disk", TMPFS));
	CHECK(!direct("/dev/vda", TMPFS)); /* a block device */
	CHECK(file("/dev/vda", TMPFS));
	CHECK(!direct("pipe:[12]", 0x50495045)); /* the flag means packets there, but who knows */
}

TEST("character devices are harmless by name alone")
{
	CHECK(device("/dev/kvm"));
	CHECK(device("/dev/net/tun"));
	CHECK(device("/dev/vhost-net"));
	CHECK(device("/dev/pts/3"));
	CHECK(device("/dev/ttyS0"));
	CHECK(device("/dev/null"));
	CHECK(!device("/dev/vfio/vfio"));
	CHECK(!device("/dev/vfio/12"));
	CHECK(!device("/dev/vhost-scsi"));
	CHECK(!device("/dev/sev"));
	CHECK(!device("/dev/infiniband/uverbs0"));
	CHECK(!device("/dev/dri/renderD128"));
	CHECK(!device("/dev/sg0"));
	CHECK(!device("/dev/null (deleted)")); /* and then another, of that name */
	CHECK(!device("/run/null"));
	CHECK(!device("/dev/nullx"));
}

TEST("anonymous inodes are harmless by name, with nothing before or after it")
{
	CHECK(inode("anon_inode:[eventfd]", ""));
	CHECK(inode("anon_inode:[eventpoll]", ""));
	CHECK(inode("anon_inode:[timerfd]", ""));
	CHECK(inode("anon_inode:[signalfd]", ""));
	CHECK(inode("anon_inode:[userfaultfd]", ""));
	CHECK(inode("anon_inode:inotify", ""));
	CHECK(inode("anon_inode:kvm-vm", ""));
	CHECK(inode("anon_inode:kvm-vcpu", ""));
	CHECK(inode("anon_inode:kvm-vcpu:3", ""));
	CHECK(!inode("anon_inode:[vfio-device]", ""));
	CHECK(!inode("anon_inode:kvm-vfio", ""));
	CHECK(!inode("anon_inode:[perf_event]", ""));
	CHECK(!inode("anon_inode:[eventfd]x", ""));
	CHECK(!inode("anon_inode:", ""));
	CHECK(!inode("dmabuf:", ""));
}

TEST("an io_uring is harmless with no registered file and no registered buffer")
{
	static const char ring[] = "anon_inode:[io_uring]";

	CHECK(inode(ring, "pos:\t0\nSqMask:\t0x7\nUserFiles:\t0\nUserBufs:\t0\nPollList:\n"));
	CHECK(!inode(ring, "UserFiles:\t0\nUserBufs:\t1\n"));
	CHECK(!inode(ring, "UserFiles:\t3\nUserBufs:\t0\n"));
	CHECK(!inode(ring, "UserFiles:\t0\nUserBufs:\t10\n"));
	/* what it does not say may be anything */
	CHECK(!inode(ring, ""));
	CHECK(!inode(ring, "UserFiles:\t0\n"));
	CHECK(!inode(ring, "UserBufs:\t0\n"));
}

TEST("where buffers may be pinned and not counted yet, an io_uring without any may pin")
{
	struct descriptor ring = {
		.link = "anon_inode:[io_uring]",
		.info = "UserFiles:\t0\nUserBufs:\t0\n",
		.family = -1,
	};

	CHECK_EQ(descriptor_kind(&ring), DESCRIPTOR_PINS);
	ring.locked = true;
	CHECK_EQ(descriptor_kind(&ring), DESCRIPTOR_HARMLESS);
}

TEST("sockets are harmless by family, whatever else is said of them")
{
	CHECK(net(1));	 /* AF_UNIX */
	CHECK(net(2));	 /* AF_INET */
	CHECK(net(10));	 /* AF_INET6 */
	CHECK(net(16));	 /* AF_NETLINK */
	CHECK(net(40));	 /* AF_VSOCK */
	CHECK(!net(0));	 /* AF_UNSPEC */
	CHECK(!net(17)); /* AF_PACKET: a ring of its own */
	CHECK(!net(38)); /* AF_ALG */
	CHECK(!net(44)); /* AF_XDP */
	CHECK(!net(21)); /* AF_RDS */
	CHECK(!net(-1)); /* a socket that does not say: no path */
}

TEST("pipes are harmless, and what has no known form is not")
{
	CHECK(file("pipe:[4711]", 0x50495045));
	CHECK(!file("", EXT4));
	CHECK(!file("net:[4026531840]", 0));
	CHECK(!file("relative", EXT4));
}

static enum descriptor_kind kind_of(const char *link, const char *info, bool direct, uint64_t fs,
				    int family)
{
	return descriptor_kind(&(struct descriptor){
		.link = link, .info = info, .direct = direct, .filesystem = fs, .family = family});
}

TEST("what pins is told from what may hold plain references")
{
	CHECK_EQ(kind_of("/var/lib/vm/disk.raw", "", true, EXT4, -1), DESCRIPTOR_PINS);
	CHECK_EQ(kind_of("/mnt/nfs/disk.raw", "", true, 0x6969, -1), DESCRIPTOR_UNKNOWN);
	CHECK_EQ(kind_of("/mnt/nfs/disk.raw", "", false, 0x6969, -1), DESCRIPTOR_UNKNOWN);
	CHECK_EQ(kind_of("anon_inode:[io_uring]", "UserFiles:\t0\nUserBufs:\t3\n", false, 0, -1),
		 DESCRIPTOR_PINS);
	CHECK_EQ(kind_of("anon_inode:[io_uring]", "UserFiles:\t1\nUserBufs:\t0\n", false, 0, -1),
		 DESCRIPTOR_UNKNOWN);
	CHECK_EQ(kind_of("anon_inode:[io_uring]", "", false, 0, -1), DESCRIPTOR_UNKNOWN);
	CHECK_EQ(kind_of("socket:[7]", "", false, 0, 44), DESCRIPTOR_PINS);
	CHECK_EQ(kind_of("socket:[7]", "", false, 0, 21), DESCRIPTOR_UNKNOWN);
	CHECK_EQ(kind_of("/dev/vhost-scsi", "", false, 0, -1), DESCRIPTOR_UNKNOWN);
}
