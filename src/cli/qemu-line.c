/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's options are words of comma-separated parts, in which a comma of a value is doubled. What
 * is read here: -device (a balloon, as text or as JSON), -qmp and -qmp-pretty, and -chardev with
 * the -mon that uses it. -readconfig files, and what is plugged in later, are not seen.
 */
#include "cli/qemu-line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PART_MAX 192u
#define CHARDEVS_MAX 32u

struct chardev {
	char id[PART_MAX], path[QEMU_PATH_MAX];
};

/* The next part of an option; NULL: that was the last. */
static const char *next_part(const char *at, char part[PART_MAX])
{
	size_t n = 0;

	if (!at)
		return NULL;
	for (; *at; at++) {
		if (*at == ',' && at[1] != ',')
			break;
		at += *at == ',';
		if (n < PART_MAX - 1)
			part[n++] = *at;
	}
	part[n] = '\0';
	return *at ? at + 1 : "";
}

/* The value of key=... in an option; false: it is not there, or too long. */
static bool value_of(const char *option, const char *key, char *value, size_t size)
{
	size_t length = strlen(key);
	char part[PART_MAX];

	while (*option) {
		option = next_part(option, part);
		if (!strncmp(part, key, length) && part[length] == '=')
			return (size_t)snprintf(value, size, "%s", part + length + 1) < size;
	}
	return false;
}

static bool first_is(const char *option, const char *word)
{
	char part[PART_MAX];

	next_part(option, part);
	return !strcmp(part, word);
}

static bool is_server(const char *option)
{
	char value[PART_MAX], part[PART_MAX];

	if (value_of(option, "server", value, sizeof(value)))
		return strcmp(value, "off") != 0;
	while (*option) {
		option = next_part(option, part);
		if (!strcmp(part, "server"))
			return true;
	}
	return false;
}

/* -qmp unix:PATH,server=on,wait=off */
static void take_qmp(struct qemu_line *line, const char *option)
{
	char part[PART_MAX];

	next_part(option, part);
	if (!strncmp(part, "unix:", 5) && is_server(option) && !line->monitor[0] &&
	    strlen(part + 5) < sizeof(line->monitor))
		memcpy(line->monitor, part + 5, strlen(part + 5) + 1);
}

static void take_chardev(const char *option, struct chardev *chardev, unsigned int *n)
{
	struct chardev *c = &chardev[*n];

	if (*n < CHARDEVS_MAX && first_is(option, "socket") && is_server(option) &&
	    value_of(option, "id", c->id, sizeof(c->id)) &&
	    value_of(option, "path", c->path, sizeof(c->path)))
		(*n)++;
}

static void take_mon(struct qemu_line *line, const char *option, const struct chardev *chardev,
		     unsigned int n)
{
	char id[PART_MAX], mode[PART_MAX];

	if (line->monitor[0] || !value_of(option, "mode", mode, sizeof(mode)) ||
	    strcmp(mode, "control") != 0)
		return;
	if (!value_of(option, "chardev", id, sizeof(id)))
		next_part(option, id);
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(chardev[i].id, id))
			memcpy(line->monitor, chardev[i].path, sizeof(line->monitor));
}

static bool is_qemu(const char *word)
{
	const char *base = strrchr(word, '/');

	base = base ? base + 1 : word;
	return !strncmp(base, "qemu-system-", 12) || !strcmp(base, "qemu-kvm") ||
	       !strcmp(base, "kvm");
}

static const char *device_of(const char *program, const char *machine)
{
	if (strstr(program, "s390x"))
		return "virtio-balloon-ccw";
	return !strncmp(machine, "microvm", 7) ? "virtio-balloon-device" : "virtio-balloon-pci";
}

void qemu_line_read(struct qemu_line *line, const char *const *words)
{
	struct chardev chardev[CHARDEVS_MAX];
	char machine[PART_MAX] = "";
	unsigned int n = 0;

	*line = (struct qemu_line){.qemu = words[0] && is_qemu(words[0])};
	/* a chardev may stand after the monitor that uses it: so two rounds */
	for (int round = 0; round < 2; round++) {
		for (size_t i = 1; words[0] && words[i] && words[i + 1]; i++) {
			const char *word = words[i], *option = words[i + 1];

			word += *word == '-' && word[1] == '-'; /* both are taken */
			if (!round && !strcmp(word, "-chardev"))
				take_chardev(option, chardev, &n);
			else if (!round && (!strcmp(word, "-qmp") || !strcmp(word, "-qmp-pretty")))
				take_qmp(line, option);
			else if (round && !strcmp(word, "-mon"))
				take_mon(line, option, chardev, n);
			else if (!strcmp(word, "-device") && strstr(option, "virtio-balloon"))
				line->balloon = true;
			else if (!strcmp(word, "-M") || !strcmp(word, "-machine"))
				snprintf(machine, sizeof(machine), "%s", option);
		}
	}
	line->device = device_of(words[0] ? words[0] : "",
				 !strncmp(machine, "type=", 5) ? machine + 5 : machine);
}

int qemu_escape(char *to, size_t size, const char *part)
{
	size_t n = strlen(to);

	for (; *part; part++) {
		if (n + 3 > size)
			return -ENAMETOOLONG;
		to[n++] = *part;
		if (*part == ',')
			to[n++] = ',';
	}
	to[n] = '\0';
	return 0;
}
