/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/vmsize.h"
#include "harness/harness.h"

#define MIB (1ull << 20)

static int64_t mib_of(const char *const *argv)
{
	uint64_t bytes = 0;
	int r = vm_size_of_command(argv, &bytes);

	return r ? r : (int64_t)(bytes / MIB);
}
#define MIB_OF(...) mib_of((const char *const[]){__VA_ARGS__, NULL})

TEST("the memory of a QEMU is what its last -m says, or QEMU's default")
{
	CHECK_EQ(MIB_OF("qemu-system-x86_64", "-m", "512"), 512);
	CHECK_EQ(MIB_OF("/usr/bin/qemu-system-x86_64", "-smp", "2", "-m", "4G"), 4096);
	CHECK_EQ(MIB_OF("qemu-system-x86_64", "-m", "size=1g,slots=2,maxmem=8G"), 1024);
	CHECK_EQ(MIB_OF("qemu-system-x86_64", "-m", "maxmem=8G,slots=2,size=2048M"), 2048);
	CHECK_EQ(MIB_OF("qemu-system-x86_64", "-m", "1G", "-m", "2G"), 2048);
	CHECK_EQ(MIB_OF("qemu-kvm"), 128);
	CHECK_EQ(MIB_OF("kvm", "-m", "64,slots=1"), 64);
	CHECK_EQ(MIB_OF("sleep", "-m", "4G"), -ENOENT);
	CHECK_EQ(MIB_OF("qemu-system-x86_64", "-m"), -EINVAL);
	CHECK_EQ(MIB_OF("qemu-system-x86_64", "-m", "much"), -EINVAL);
}

TEST("without -m it is the memory backend's that -machine names, in bytes; else it is not known")
{
#define QEMU "qemu-system-x86_64"
	CHECK_EQ(MIB_OF(QEMU, "-object", "memory-backend-ram,size=64G,id=ram", "-machine",
			"q35,memory-backend=ram"),
		 65536);
	CHECK_EQ(MIB_OF(QEMU, "-M", "memory-backend=b,accel=kvm", "--object",
			"memory-backend-ram,id=a,size=1G", "-object",
			"qom-type=memory-backend-memfd,id=b,size=2147483648"),
		 2048);
	/* QEMU wants both to be the same */
	CHECK_EQ(MIB_OF(QEMU, "-m", "1G", "-machine", "memory-backend=b", "-object",
			"memory-backend-ram,id=b,size=1G"),
		 1024);
	CHECK_EQ(MIB_OF(QEMU, "-readconfig", "f", "--m", "2G"), 2048);
	CHECK_EQ(MIB_OF(QEMU, "-readconfig", "f"), -EINVAL);
	CHECK_EQ(MIB_OF(QEMU, "-machine", "memory-backend=b"), -EINVAL);
	CHECK_EQ(MIB_OF(QEMU, "-machine", "memory-backend=b", "-object",
			"{\"qom-type\":\"memory-backend-ram\",\"id\":\"b\",\"size\":1073741824}"),
		 -EINVAL);
	CHECK_EQ(MIB_OF(QEMU, "-machine", "memory-backend=b", "-object",
			"memory-backend-ram,id=b,size=1.5G"),
		 -EINVAL);
	/* a backend that is not the guest's main memory */
	CHECK_EQ(MIB_OF(QEMU, "-machine", "q35", "-object", "memory-backend-ram,id=b,size=1G"),
		 128);
	CHECK_EQ(MIB_OF(QEMU, "-machine"), 128);
	CHECK_EQ(MIB_OF(QEMU, "-object"), 128);
}

TEST("sizes are whole numbers with at most one known suffix, and never overflow")
{
	static const char *const bad[] = {"",		"0",	"-1",
					  "G",		"1GB",	"1X",
					  "1 G",	"1.5G", "99999999999999999999",
					  "9999999999T"};
	uint64_t bytes = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(vm_size_parse(bad[i], &bytes), -EINVAL);
	CHECK_EQ(bytes, 7u);
	CHECK_OK(vm_size_parse("4096k", &bytes));
	CHECK_EQ(bytes, 4 * MIB);
	CHECK_OK(vm_size_parse("512b", &bytes));
	CHECK_EQ(bytes, 512u);
}
