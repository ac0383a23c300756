/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt-conf: cgroup_device_acl of qemu.conf. libvirt gives a VM's process a /dev of its own and
 * a list of devices in its cgroup; both are made of this list, and userfaultfd is not in the
 * default.
 *
 * The file is read by libvirt's own grammar: comments, NAME = VALUE, a value being a number, a
 * string ("", '' or """ """) or a list of them. Two cases:
 *
 *	no list is set	a block (libvirt-block.c) is appended, that sets the default list and the
 *			device. The default is what the file's own comment says it is, which the
 *			package of this libvirt version wrote; else that of libvirt 9.
 *	a list is set	it is somebody's: one element is put before its first, and a comment line
 *			before the statement says so. (Comments inside of lists are an error.)
 *
 * The last of several settings counts, as for libvirt. A file that this grammar does not take is
 * left alone: libvirtd would not start with it either.
 */
#include "cli/libvirt-conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/libvirt-block.h"
#include "sys/cleanup.h"

#define NAME "cgroup_device_acl"
#define MARK "# pshare: \"" CONF_DEVICE "\" below, undone by 'pshare libvirt disable'\n"
#define ELEMENT "\"" CONF_DEVICE "\""

static const char default_list[] = "    \"/dev/null\", \"/dev/full\", \"/dev/zero\",\n"
				   "    \"/dev/random\", \"/dev/urandom\",\n"
				   "    \"/dev/ptmx\", \"/dev/kvm\"";

/* Where the statement is, and its list. */
struct statement {
	const char *start;   /* NULL: there is none */
	const char *inside;  /* behind '[' */
	const char *element; /* the device's opening quote; NULL: it is not in the list */
	bool empty;
};

static const char *skip_blank(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

static const char *skip_space(const char *at)
{
	while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
		at++;
	return at;
}

/* Behind a string, or NULL. libvirt knows no escapes; "" and '' end in their line. */
static const char *skip_string(const char *at)
{
	char quote = *at;
	const char *end;

	if (!strncmp(at, "\"\"\"", 3)) {
		end = strstr(at + 3, "\"\"\"");
		return end ? end + 3 : NULL;
	}
	for (at++; *at && *at != '\n'; at++) {
		if (*at == quote)
			return at + 1;
	}
	return NULL;
}

static const char *skip_plain(const char *at)
{
	const char *start = at;

	if (*at == '"' || *at == '\'')
		return skip_string(at);
	if (*at == '-' || *at == '+')
		at++;
	while (isdigit((unsigned char)*at))
		at++;
	return at > start && isdigit((unsigned char)at[-1]) ? at : NULL;
}

static bool is_device(const char *at)
{
	size_t n = strlen(CONF_DEVICE);

	return (*at == '"' || *at == '\'') && !strncmp(at + 1, CONF_DEVICE, n) && at[n + 1] == *at;
}

/* Behind ']', or NULL with *bad. */
static const char *skip_list(const char *at, struct statement *statement, const char **bad)
{
	statement->inside = ++at;
	statement->empty = true;
	for (at = skip_space(at); *at && *at != ']'; at = skip_space(at)) {
		*bad = at;
		if (!statement->element && is_device(at))
			statement->element = at;
		at = skip_plain(at);
		if (!at)
			return NULL;
		statement->empty = false;
		at = skip_space(at);
		*bad = at;
		if (*at == ',')
			at++;
		else if (*at != ']')
			return NULL;
	}
	*bad = at;
	return *at ? at + 1 : NULL;
}

static const char *skip_line(const char *at)
{
	at += strcspn(at, "\n");
	return *at ? at + 1 : at;
}

/* One "NAME = VALUE"; behind it, or NULL with *bad. */
static const char *read_statement(const char *at, struct statement *found, const char **bad)
{
	struct statement statement = {.start = at};
	size_t length;

	*bad = at;
	if (!isalpha((unsigned char)*at) && *at != '_')
		return NULL;
	while (isalnum((unsigned char)*at) || *at == '_' || *at == '-' || *at == '.')
		at++;
	length = (size_t)(at - statement.start);
	at = skip_blank(at);
	if (*at != '=')
		return NULL;
	at = skip_blank(at + 1);
	*bad = at;
	at = *at == '[' ? skip_list(at, &statement, bad) : skip_plain(at);
	if (!at)
		return NULL;
	at = skip_blank(at);
	*bad = at;
	if (*at && *at != '\n' && *at != '\r' && *at != '#')
		return NULL;
	if (statement.inside && length == strlen(NAME) && !strncmp(statement.start, NAME, length))
		*found = statement;
	return skip_line(at);
}

/* The last setting of the list into *found. */
static int parse(const char *text, struct statement *found, unsigned int *line)
{
	const char *at = text, *bad = text;

	*found = (struct statement){0};
	while (*(at = skip_space(at))) {
		at = *at == '#' ? skip_line(at) : read_statement(at, found, &bad);
		if (at)
			continue;
		if (line) {
			*line = 1;
			for (at = text; at < bad; at++)
				*line += *at == '\n';
		}
		return -EINVAL;
	}
	return 0;
}

int conf_look(const char *text, bool *allowed, unsigned int *line)
{
	struct statement found;
	int r = parse(text, &found, line);

	if (!r)
		*allowed = found.element != NULL;
	return r;
}

/* The default that the file's comment shows, uncommented, without its brackets; or NULL. */
static char *commented_default(const char *text)
{
	const char *start = strstr(text, "\n#" NAME " = [\n");
	const char *end = start ? strstr(start, "\n#]\n") : NULL;
	_cleanup_free_ char *list = end ? malloc((size_t)(end - start) + 1) : NULL;
	char *to = list;
	const char *at;

	if (!list)
		return NULL;
	for (at = start + 1 + strcspn(start + 1, "\n"); at < end; at++) {
		if (*at == '\n' && at[1] != '#')
			return NULL; /* not a comment all through */
		*to = *at;
		if (*at == '\n')
			at++;
		else if (*at == '#')
			return NULL; /* libvirt takes no comment in a list */
		to++;
	}
	*to = '\0';
	memmove(list, list + (*list == '\n'), strlen(list + (*list == '\n')) + 1);
	return TAKE_PTR(list);
}

/* Would libvirt take this inside of brackets, and is it more than nothing? */
static bool is_list(const char *inside)
{
	_cleanup_free_ char *whole = NULL;
	struct statement found;

	if (asprintf(&whole, NAME " = [\n%s\n]\n", inside) < 0)
		return false;
	return !parse(whole, &found, NULL) && !found.empty;
}

static int append(const char *text, char **edited)
{
	_cleanup_free_ char *list = commented_default(text);
	_cleanup_free_ char *body = NULL;
	const char *use = list && is_list(list) ? list : default_list;
	size_t length = strlen(use);

	while (length && strchr(" \t\n\r,", use[length - 1]))
		length--;
	if (asprintf(&body, NAME " = [\n%.*s,\n    " ELEMENT "\n]\n", (int)length, use) < 0)
		return -ENOMEM;
	return block_put(text, body, false, edited);
}

int conf_enable(const char *text, char **edited, unsigned int *line)
{
	struct statement found;
	int r = parse(text, &found, line);

	if (r)
		return r;
	if (found.element)
		return -EALREADY;
	if (!found.start)
		return append(text, edited);
	while (found.start > text && found.start[-1] != '\n')
		found.start--; /* blanks: a statement is the first of its line */
	r = asprintf(edited, "%.*s" MARK "%.*s" ELEMENT "%s%s", (int)(found.start - text), text,
		     (int)(found.inside - found.start), found.start, found.empty ? "" : ",",
		     found.inside);
	return r < 0 ? -ENOMEM : 0;
}

/* Without the mark and the element that conf_enable() put in. The element may have been moved, or
 * be gone: what is not there need not go. */
static int take_element(const char *text, const char *mark, char **edited)
{
	const char *rest = mark + strlen(MARK);
	struct statement found;
	const char *behind;
	int r = parse(rest, &found, NULL);

	if (r)
		return r;
	if (!found.element) {
		r = asprintf(edited, "%.*s%s", (int)(mark - text), text, rest);
		return r < 0 ? -ENOMEM : 0;
	}
	behind = found.element + strlen(ELEMENT);
	if (*behind == ',') {
		behind++;
	} else { /* the last one takes the comma before it along */
		const char *before = found.element;

		while (before > found.inside && strchr(" \t\r\n", before[-1]))
			before--;
		if (before > found.inside && before[-1] == ',')
			found.element = before - 1;
	}
	r = asprintf(edited, "%.*s%.*s%s", (int)(mark - text), text, (int)(found.element - rest),
		     rest, behind);
	return r < 0 ? -ENOMEM : 0;
}

int conf_disable(const char *text, char **edited, unsigned int *line)
{
	const char *mark = strstr(text, MARK);
	struct statement found;
	bool made;
	int r = parse(text, &found, line);

	if (r)
		return r;
	if (mark && (mark == text || mark[-1] == '\n'))
		return take_element(text, mark, edited);
	return block_take(text, edited, &made);
}
