/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/hostname.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sys/inject.h"
#include "sys/shortfile.h"

static int copy(char *out, size_t size, const char *text)
{
	return (size_t)snprintf(out, size, "%s", text) < size ? 0 : -ENAMETOOLONG;
}

int sys_host_name(char *name, size_t size)
{
	struct utsname names;

	SYS_INJECT();
	return uname(&names) ? -errno : copy(name, size, names.nodename);
}

int sys_kernel_release(char *release, size_t size)
{
	struct utsname names;

	SYS_INJECT();
	return uname(&names) ? -errno : copy(release, size, names.release);
}

bool sys_kernel_is(unsigned int major, unsigned int minor)
{
	unsigned int has_major, has_minor;
	char text[64];

	if (sys_read_short("/proc/sys/kernel/osrelease", text, sizeof(text)) < 0 ||
	    sscanf(text, "%u.%u", &has_major, &has_minor) != 2)
		return false;
	return has_major > major || (has_major == major && has_minor >= minor);
}

unsigned int sys_cpu_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned int)n : 1;
}
