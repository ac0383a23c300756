/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a file means what its writer thinks that it means, or it is refused with the line.
 *
 * So nothing is skipped: an unknown name, a value out of range, a name that is set twice, a NUL, a
 * line without an end in sight. Names may be written in upper or lower case. What is printed of a
 * bad line is cut and has no control characters.
 *
 * Rejected: INI sections, quotes and continued lines: no setting of the host needs them.
 */
#include "policy/conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Cuts white space off both ends. */
static void trim(const char **text, size_t *len)
{
	while (*len && isspace((unsigned char)(*text)[0])) {
		(*text)++;
		(*len)--;
	}
	while (*len && isspace((unsigned char)(*text)[*len - 1]))
		(*len)--;
}

static int bad_line(const char *text, size_t len, char *err)
{
	char shown[POLICY_SHOWN_MAX + 4];

	return policy_error(err, "\"%s\" is no setting: write NAME = VALUE",
			    policy_shown(shown, text, len));
}

int conf_assign(const char *text, size_t len, unsigned int line, struct conf *conf, char *err)
{
	const char *equals, *name = text, *value;
	char named[POLICY_ERROR_MAX / 2];
	struct setting_value parsed;
	size_t name_len, value_len;
	int id;

	equals = memchr(text, '=', len);
	if (!equals || memchr(text, '\0', len))
		return bad_line(text, len, err);
	name_len = (size_t)(equals - text);
	value = equals + 1;
	value_len = len - name_len - 1;
	trim(&name, &name_len);
	trim(&value, &value_len);
	if (!name_len || name_len >= sizeof(named))
		return bad_line(text, len, err);
	memcpy(named, name, name_len);
	named[name_len] = '\0';
	id = setting_find(named, false, err);
	if (id < 0)
		return -EINVAL;
	if (conf->line[id] && line)
		return policy_error(err, "%s is set in line %u already",
				    setting_get((enum setting_id)id)->name, conf->line[id]);
	if (setting_parse((enum setting_id)id, value, value_len, &parsed, err) < 0)
		return -EINVAL;
	conf->value[id] = parsed.num;
	conf->line[id] = line ? line : 1;
	return 0;
}

static int parse_line(const char *text, size_t len, unsigned int number, struct conf *conf,
		      char *err)
{
	const char *comment = memchr(text, '#', len);

	if (comment)
		len = (size_t)(comment - text);
	trim(&text, &len);
	if (len > CONF_LINE_MAX)
		return policy_error(err, "is %zu bytes long: at most %u would do", len,
				    CONF_LINE_MAX);
	return len ? conf_assign(text, len, number, conf, err) : 0;
}

int conf_parse(const char *text, size_t len, struct conf *conf, char *err)
{
	const char *at = text, *end = text + len;
	struct conf next = {0};
	unsigned int number = 0;

	if (len > CONF_FILE_MAX)
		return policy_error(err, "is longer than %u KiB", CONF_FILE_MAX >> 10);
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		char why[POLICY_ERROR_MAX];

		if (!stop)
			stop = end;
		if (parse_line(at, (size_t)(stop - at), ++number, &next, why) < 0)
			return policy_error(err, "line %u: %s", number, why);
		at = stop + 1;
	}
	*conf = next;
	return 0;
}

int conf_format(const struct conf *conf, char *out, size_t size)
{
	size_t len = 0;

	if (!size)
		return -ENOSPC;
	*out = '\0';
	for (int id = 0; id < SETTING_HOST_END; id++) {
		char value[32];
		int n;

		if (!conf->line[id])
			continue;
		if (setting_format((enum setting_id)id, conf->value[id], value, sizeof(value)) < 0)
			return -EINVAL;
		n = snprintf(out + len, size - len, "%s = %s\n",
			     setting_get((enum setting_id)id)->name, value);
		if (n < 0 || (size_t)n >= size - len)
			return -ENOSPC;
		len += (size_t)n;
	}
	return (int)len;
}
