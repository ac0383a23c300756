/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu-list: words, options and lists of QEMU's command line, for qemu-words.c and qemu-child.c. Of
 * what cannot be had for want of memory words->no_memory is told. Pure. */
#ifndef PSHARE_CLI_QEMU_LIST_H
#define PSHARE_CLI_QEMU_LIST_H

#include "cli/qemu-words.h"

#define QW_TEXT_MAX 4096u

/* One change of a command line, and who hears of it. */
struct qw_change {
	struct qemu_words *w;
	const char *folder;
	qemu_say say;
	void *arg;
	char *why;
};

void qw_add_word(struct qemu_words *w, const char *text);
/* Takes the value, which free() frees. */
void qw_set_word(struct qemu_words *w, size_t i, char *value);
void qw_drop_words(struct qemu_words *w, size_t i, size_t n);
/* To be freed; NULL: no memory. */
char *qw_text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The name of the option that word i is, without its dashes; NULL: it is none. */
const char *qw_option_at(const struct qemu_words *w, size_t i);
/* Is it one without a value? */
bool qw_is_flag(const char *option);
/* The option after the one at i; of 0: the first. */
size_t qw_next_option(const struct qemu_words *w, size_t i);
bool qw_option_is(const struct qemu_words *w, size_t i, const char *name);
/* The first -name from word i on; w->n: none. Its value is the next word. */
size_t qw_find_option(const struct qemu_words *w, size_t i, const char *name);

/* The length of the part of a list that begins at text. */
size_t qw_part_length(const char *text);
/* What an option's value is of, to be freed: its first part, or what it has as key, also in JSON.
 * NULL: it does not say. */
char *qw_kind(const char *value, const char *key);
void qw_set_prop(struct qemu_words *w, size_t i, const char *key, const char *value);
/* Has the key that value? */
bool qw_prop_is(const char *list, const char *key, const char *value);

void qw_say(const struct qw_change *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* -EINVAL, and c->why says it. */
int qw_refuse(const struct qw_change *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Adds -option value, and says so. */
void qw_add_option(const struct qw_change *c, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
