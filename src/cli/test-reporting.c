/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/reporting.h"

#include <stddef.h>

#include "harness/harness.h"

static struct reporting read_line(const char *const *words)
{
	struct reporting reporting = {0};

	while (*words)
		reporting_word(&reporting, *words++);
	return reporting;
}

#define LINE(...) read_line((const char *const[]){__VA_ARGS__, NULL})

TEST("a QEMU is told by its program, not by a word behind it")
{
	CHECK(LINE("/usr/bin/qemu-system-x86_64", "-m", "1G").qemu);
	CHECK(LINE("kvm").qemu);
	CHECK(!LINE("vi", "qemu-system-x86_64").qemu);
	CHECK(!LINE("/opt/qemu/monitor").qemu);
}

TEST("a balloon reports free pages only where that is said, in either way of saying it")
{
	CHECK(!LINE("qemu", "-m", "1G").balloon);
	CHECK(LINE("qemu", "-device", "virtio-balloon-pci").balloon);
	CHECK(!LINE("qemu", "-device", "virtio-balloon-pci").on);
	CHECK(!LINE("qemu", "-device", "virtio-balloon-pci,free-page-reporting=off").on);
	CHECK(LINE("qemu", "-device", "virtio-balloon-pci,id=b,free-page-reporting=on").on);
	CHECK(LINE("qemu", "-device",
		   "{\"driver\":\"virtio-balloon-pci\",\"free-page-reporting\":true}")
		      .on);
	CHECK(!LINE("qemu", "-name", "free-page-reporting=on").on);
}
