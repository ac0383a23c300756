/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a QEMU's command line has already. */
#include "harness/harness.h"

#include "cli/qemu-line.h"

#define READ(...)                                                 \
	({                                                        \
		struct qemu_line line_;                           \
		const char *const words_[] = {__VA_ARGS__, NULL}; \
		qemu_line_read(&line_, words_);                   \
		line_;                                            \
	})

TEST("a QEMU is known by its name")
{
	CHECK(READ("qemu-system-x86_64").qemu);
	CHECK(READ("/usr/bin/qemu-system-aarch64", "-m", "1G").qemu);
	CHECK(READ("/usr/libexec/qemu-kvm").qemu);
	CHECK(!READ("lkvm", "run").qemu);
	CHECK(!READ("/opt/qemu-system-x/bin/sh").qemu);
	CHECK(!READ("qemu-img").qemu);
}

TEST("a balloon is seen, written as words or as JSON, and none where there is none")
{
	CHECK(READ("kvm", "-device", "virtio-balloon-pci,id=b").balloon);
	CHECK(READ("kvm", "--device", "{\"driver\":\"virtio-balloon-pci\"}").balloon);
	CHECK(!READ("kvm", "-name", "virtio-balloon").balloon);
	CHECK(!READ("kvm", "-device").balloon);
}

TEST("a monitor is found by -qmp, or by -mon and its chardev, in either order")
{
	CHECK_STR(READ("kvm", "-qmp", "unix:/run/a.sock,server=on,wait=off").monitor,
		  "/run/a.sock");
	CHECK_STR(READ("kvm", "--qmp-pretty", "unix:/run/a,,b,server,nowait").monitor, "/run/a,b");
	CHECK_STR(READ("kvm", "-chardev", "socket,id=m,path=/run/m,server=on,wait=off", "-mon",
		       "chardev=m,mode=control")
			  .monitor,
		  "/run/m");
	CHECK_STR(READ("kvm", "-mon", "m,mode=control", "-chardev",
		       "socket,path=/run/m,id=m,server,nowait")
			  .monitor,
		  "/run/m");
}

TEST("a human monitor, a client's socket, TCP and a path that is too long are none")
{
	char longer[2 * QEMU_PATH_MAX] = "unix:/";

	memset(longer + 6, 'x', sizeof(longer) - 20);
	strcpy(longer + sizeof(longer) - 14, ",server=on");
	CHECK_STR(READ("kvm", "-monitor", "unix:/run/a,server,nowait").monitor, "");
	CHECK_STR(READ("kvm", "-qmp", "tcp:localhost:4444,server,nowait").monitor, "");
	CHECK_STR(READ("kvm", "-qmp", "unix:/run/a").monitor, "");
	CHECK_STR(READ("kvm", "-qmp", "unix:/run/a,server=off").monitor, "");
	CHECK_STR(READ("kvm", "-qmp", "stdio").monitor, "");
	CHECK_STR(READ("kvm", "-qmp", longer).monitor, "");
	CHECK_STR(READ("kvm", "-chardev", "socket,id=m,path=/run/m,server=on", "-mon",
		       "chardev=m,mode=readline")
			  .monitor,
		  "");
	CHECK_STR(READ("kvm", "-chardev", "socket,id=m,path=/m", "-mon", "m,mode=control").monitor,
		  "");
}

TEST("the balloon that is added is one that the machine takes")
{
	CHECK_STR(READ("qemu-system-x86_64").device, "virtio-balloon-pci");
	CHECK_STR(READ("qemu-system-x86_64", "-M", "microvm,rtc=on").device,
		  "virtio-balloon-device");
	CHECK_STR(READ("kvm", "-machine", "type=microvm", "-m", "1").device,
		  "virtio-balloon-device");
	CHECK_STR(READ("qemu-system-s390x").device, "virtio-balloon-ccw");
}

TEST("commas of a value are doubled")
{
	char word[16] = "path=";

	REQUIRE_OK(qemu_escape(word, sizeof(word), "/a,b"));
	CHECK_STR(word, "path=/a,,b");
	CHECK_EQ(qemu_escape(word, sizeof(word), "123456"), -ENAMETOOLONG);
}
