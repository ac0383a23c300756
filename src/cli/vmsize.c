/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/vmsize.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define QEMU_DEFAULT (128ull << 20)
#define MIB_SHIFT 20u

int vm_size_parse(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "bkmgt";
	unsigned long long number;
	unsigned int shift = MIB_SHIFT;
	const char *at;
	char *end, c;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	c = *end >= 'A' && *end <= 'Z' ? (char)(*end - 'A' + 'a') : *end;
	at = c ? strchr(suffixes, c) : NULL;
	if (c && (!at || end[1]))
		return -EINVAL;
	if (at)
		shift = 10 * (unsigned int)(at - suffixes);
	if (errno || !number || number > (UINT64_MAX >> 1) >> shift)
		return -EINVAL;
	*bytes = (uint64_t)number << shift;
	return 0;
}

static bool is_qemu(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;

	return strncmp(name, "qemu-system-", 12) == 0 || strncmp(name, "qemu-kvm", 8) == 0 ||
	       strcmp(name, "kvm") == 0;
}

/* The value of -m: "4G", "size=4G,slots=2", "slots=2,maxmem=8G,size=4G". */
static int parse_m(const char *value, uint64_t *bytes)
{
	char one[64];
	bool first = true;

	for (; *value; first = false) {
		size_t length = strcspn(value, ",");
		const char *size = strncmp(value, "size=", 5) == 0 ? value + 5 : NULL;

		if (first && !memchr(value, '=', length))
			size = value;
		if (size) {
			length -= (size_t)(size - value);
			if (length >= sizeof(one))
				return -EINVAL;
			memcpy(one, size, length);
			one[length] = '\0';
			return vm_size_parse(one, bytes);
		}
		value += length + (value[length] == ',');
	}
	return -ENOENT;
}

int vm_size_of_command(const char *const argv[], uint64_t *bytes)
{
	uint64_t found = QEMU_DEFAULT;
	int r;

	if (!argv[0] || !is_qemu(argv[0]))
		return -ENOENT;
	for (int i = 1; argv[i]; i++) {
		if (strcmp(argv[i], "-m") != 0 && strcmp(argv[i], "--m") != 0)
			continue;
		if (!argv[++i])
			return -EINVAL;
		r = parse_m(argv[i], &found);
		if (r == -EINVAL)
			return r;
	}
	*bytes = found;
	return 0;
}
