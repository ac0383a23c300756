/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's memory is what -m says; without it, what the backend has that -machine names, a size in
 * bytes unlike -m's; else its default. A file of -readconfig may say any of it, and is not read: a
 * VM that is taken for smaller than it is would be admitted where there is no room for it, so what
 * is not known is said to be.
 */
#include "cli/vmsize.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define QEMU_DEFAULT (128ull << 20)
#define MIB_SHIFT 20u
#define WORD_MAX 128u /* bytes of a value that is looked at, with its NUL */

/* shift: of a number without a suffix. */
static int parse_size(const char *text, unsigned int shift, uint64_t *bytes)
{
	static const char suffixes[] = "bkmgt";
	unsigned long long number;
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

int vm_size_parse(const char *text, uint64_t *bytes)
{
	return parse_size(text, MIB_SHIFT, bytes);
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

/* The value of name in "a=b,name=value,...", as long as it would be; false: it is not there. */
static bool value_of(const char *words, const char *name, char value[WORD_MAX])
{
	size_t n = strlen(name);

	while (*words) {
		size_t length = strcspn(words, ",");

		if (length > n && words[n] == '=' && strncmp(words, name, n) == 0 &&
		    length - n <= WORD_MAX) {
			memcpy(value, words + n + 1, length - n - 1);
			value[length - n - 1] = '\0';
			return true;
		}
		words += length + (words[length] == ',');
	}
	return false;
}

/* -NAME or --NAME */
static bool is_option(const char *word, const char *name)
{
	return *word == '-' && strcmp(word + (word[1] == '-' ? 2 : 1), name) == 0;
}

/* The size of the memory backend with this id. */
static int size_of_backend(const char *const argv[], const char *id, uint64_t *bytes)
{
	char one[WORD_MAX];

	for (int i = 1; argv[i] && argv[i + 1]; i++) {
		if (!is_option(argv[i], "object"))
			continue;
		i++;
		if (value_of(argv[i], "id", one) && strcmp(one, id) == 0 &&
		    value_of(argv[i], "size", one))
			return parse_size(one, 0, bytes);
	}
	return -EINVAL;
}

int vm_size_of_command(const char *const argv[], uint64_t *bytes)
{
	uint64_t found = 0;
	char backend[WORD_MAX] = "";
	bool file = false;

	if (!argv[0] || !is_qemu(argv[0]))
		return -ENOENT;
	for (int i = 1; argv[i]; i++) {
		if (is_option(argv[i], "readconfig"))
			file = true;
		if (is_option(argv[i], "machine") || is_option(argv[i], "M"))
			(void)(argv[i + 1] && value_of(argv[i + 1], "memory-backend", backend));
		if (!is_option(argv[i], "m"))
			continue;
		if (!argv[++i] || parse_m(argv[i], &found) == -EINVAL)
			return -EINVAL;
	}
	if (!found && *backend)
		return size_of_backend(argv, backend, bytes);
	if (!found && file)
		return -EINVAL;
	*bytes = found ? found : QEMU_DEFAULT;
	return 0;
}
