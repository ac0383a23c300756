/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu-list: an option is a word that begins with '-'; all but those of flags[] have a value, the
 * next word. What is not known is left as it is: whether QEMU takes it is QEMU's to say. A list is
 * "a=1,b=2"; a comma inside is written twice.
 */
#include "cli/qemu-list.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const flags[] = {
	"S",
	"alt-grab",
	"audio-help",
	"ctrl-grab",
	"daemonize",
	"enable-kvm",
	"full-screen",
	"h",
	"help",
	"mem-prealloc",
	"no-acpi",
	"no-fd-bootchk",
	"no-frame",
	"no-hpet",
	"no-kvm",
	"no-quit",
	"no-reboot",
	"no-shutdown",
	"no-user-config",
	"nodefaults",
	"nographic",
	"nouserconfig",
	"only-migratable",
	"portrait",
	"preconfig",
	"s",
	"semihosting",
	"singlestep",
	"snapshot",
	"usb",
	"version",
	"win2k-hack",
	"xen-attach",
	"xen-domid-restrict",
};

/* ---- words -------------------------------------------------------------------------------- */

int qemu_words_copy(struct qemu_words *words, const char *const *argv)
{
	size_t n = 0;

	while (argv[n])
		n++;
	*words = (struct qemu_words){.word = calloc(n + 1, sizeof(char *))};
	if (!words->word)
		return -ENOMEM;
	for (words->n = 0; words->n < n; words->n++) {
		words->word[words->n] = strdup(argv[words->n]);
		if (!words->word[words->n]) {
			qemu_words_free(words);
			return -ENOMEM;
		}
	}
	return 0;
}

void qemu_words_free(struct qemu_words *words)
{
	for (size_t i = 0; i < words->n; i++)
		free(words->word[i]);
	free(words->word);
	*words = (struct qemu_words){0};
}

void qw_add_word(struct qemu_words *w, const char *text)
{
	char **more = realloc(w->word, (w->n + 2) * sizeof(char *));
	char *copy = strdup(text);

	if (more)
		w->word = more;
	if (!more || !copy) {
		free(copy);
		w->no_memory = true;
		return;
	}
	w->word[w->n++] = copy;
	w->word[w->n] = NULL;
}

/* Takes the value. */
void qw_set_word(struct qemu_words *w, size_t i, char *value)
{
	if (!value) {
		w->no_memory = true;
		return;
	}
	free(w->word[i]);
	w->word[i] = value;
}

void qw_drop_words(struct qemu_words *w, size_t i, size_t n)
{
	for (size_t k = i; k < i + n; k++)
		free(w->word[k]);
	memmove(&w->word[i], &w->word[i + n], (w->n - i - n + 1) * sizeof(char *));
	w->n -= n;
}

char *qw_text_of(const char *format, ...)
{
	char *text = NULL;
	va_list list;
	int n;

	va_start(list, format);
	n = vasprintf(&text, format, list);
	va_end(list);
	return n < 0 ? NULL : text;
}

/* ---- options ------------------------------------------------------------------------------ */

const char *qw_option_at(const struct qemu_words *w, size_t i)
{
	const char *word = w->word[i];

	if (word[0] != '-' || !word[1])
		return NULL;
	return word + 1 + (word[1] == '-');
}

bool qw_is_flag(const char *option)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (!strcmp(option, flags[i]))
			return true;
	return false;
}

/* The option after the one at i; 1: the first. */
size_t qw_next_option(const struct qemu_words *w, size_t i)
{
	const char *option = i ? qw_option_at(w, i) : NULL;

	return i + (option && !qw_is_flag(option) && i + 1 < w->n ? 2 : 1);
}

bool qw_option_is(const struct qemu_words *w, size_t i, const char *name)
{
	const char *option = qw_option_at(w, i);

	return option && !strcmp(option, name) && (qw_is_flag(name) || i + 1 < w->n);
}

/* The first -name from i on; w->n: none. */
size_t qw_find_option(const struct qemu_words *w, size_t i, const char *name)
{
	for (i = i ? i : 1; i < w->n; i = qw_next_option(w, i))
		if (qw_option_is(w, i, name))
			return i;
	return w->n;
}

/* ---- lists -------------------------------------------------------------------------------- */

/* The length of the part that begins at text; a doubled comma is inside. */
size_t qw_part_length(const char *text)
{
	size_t n = 0;

	for (; text[n]; n++) {
		if (text[n] != ',')
			continue;
		if (text[n + 1] != ',')
			break;
		n++;
	}
	return n;
}

static bool part_is(const char *part, size_t len, const char *key)
{
	size_t n = strlen(key);

	if (!n)
		return !memchr(part, '=', len);
	return len > n && part[n] == '=' && !memcmp(part, key, n);
}

static char *unescape(const char *text, size_t len)
{
	char *out = malloc(len + 1), *at = out;

	for (size_t i = 0; out && i < len; i++) {
		*at++ = text[i];
		i += text[i] == ',';
	}
	if (out)
		*at = '\0';
	return out;
}

static char *escape(const char *text)
{
	char *out = malloc(2 * strlen(text) + 1), *at = out;

	for (; out && *text; text++) {
		*at++ = *text;
		if (*text == ',')
			*at++ = ',';
	}
	if (out)
		*at = '\0';
	return out;
}

char *qemu_prop(const char *list, const char *key)
{
	size_t skip = *key ? strlen(key) + 1 : 0, len;

	for (const char *at = list; *at; at += len, at += *at == ',') {
		len = qw_part_length(at);
		if (part_is(at, len, key))
			return unescape(at + skip, len - skip);
		if (!skip)
			break;
	}
	return NULL;
}

char *qw_kind(const char *value, const char *key)
{
	json_error_t error;
	json_t *object;
	const char *kind;
	char *plain = qemu_prop(value, key), *copy = NULL;

	if (plain || value[0] != '{')
		return plain ? plain : qemu_prop(value, "");
	object = json_loads(value, 0, &error);
	kind = json_string_value(json_object_get(object, key));
	if (kind)
		copy = strdup(kind);
	json_decref(object);
	return copy;
}

char *qemu_prop_set(const char *list, const char *key, const char *value)
{
	char *part = NULL, *out = NULL, *escaped = value ? escape(value) : NULL;
	size_t size = 0, len;
	bool done = !value, first = true;
	FILE *stream = open_memstream(&out, &size);

	if (!stream || (value && !escaped))
		goto failed;
	for (const char *at = list; *at; at += len, at += *at == ',') {
		len = qw_part_length(at);
		if (part_is(at, len, key)) {
			if (done)
				continue;
			fprintf(stream, "%s%s=%s", first ? "" : ",", key, escaped);
			done = true;
		} else {
			fprintf(stream, "%s%.*s", first ? "" : ",", (int)len, at);
		}
		first = false;
	}
	if (!done)
		fprintf(stream, "%s%s=%s", first ? "" : ",", key, escaped);
failed:
	free(part);
	free(escaped);
	if (stream && fclose(stream)) {
		free(out);
		out = NULL;
	}
	return out;
}

void qw_set_prop(struct qemu_words *w, size_t i, const char *key, const char *value)
{
	qw_set_word(w, i, qemu_prop_set(w->word[i], key, value));
}

/* Is the value of a key one of these? */
bool qw_prop_is(const char *list, const char *key, const char *value)
{
	char *had = qemu_prop(list, key);
	bool is = had && !strcmp(had, value);

	free(had);
	return is;
}

/* ---- what both need ----------------------------------------------------------------------- */

void qw_say(const struct qw_change *c, const char *format, ...)
{
	char text[QW_TEXT_MAX];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (c->say)
		c->say(text, c->arg);
}

int qw_refuse(const struct qw_change *c, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(c->why, QEMU_WHY, format, list);
	va_end(list);
	return -EINVAL;
}

/* Adds -option value, and says so. */
void qw_add_option(const struct qw_change *c, const char *option, const char *format, ...)
{
	char value[QW_TEXT_MAX];
	va_list list;

	va_start(list, format);
	vsnprintf(value, sizeof(value), format, list);
	va_end(list);
	qw_add_word(c->w, option);
	qw_add_word(c->w, value);
	qw_say(c, "added %s %s", option, value);
}
