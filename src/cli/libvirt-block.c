/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt-block: a few lines between two marks, at the end of a file that belongs to somebody else.
 *
 * The marks are the whole record of the change: nothing is kept elsewhere that could differ from
 * the file. The block begins with the newline before its first mark, so the file may end without
 * one and still be given back byte for byte. Whatever is written before, behind or into the file
 * meanwhile stays; what stands between the marks is ours and goes.
 *
 * Limit: a mark that somebody changed is none any more. Then the file is left alone, and said so.
 */
#include "cli/libvirt-block.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/cleanup.h"

#define BEGIN "# pshare: begin, undone by 'pshare libvirt disable'"
#define BEGIN_MADE BEGIN " (made this file)"
#define END "# pshare: end"

struct block {
	const char *start; /* the newline before the mark, or the mark at the file's start */
	const char *body;
	const char *end; /* of the body */
	const char *rest;
	bool made;
};

/* A line that is exactly this, from there on. */
static const char *find_line(const char *text, const char *from, const char *line)
{
	size_t length = strlen(line);
	const char *at = from;

	while ((at = strstr(at, line))) {
		if ((at == text || at[-1] == '\n') && (at[length] == '\n' || !at[length]))
			return at;
		at += length;
	}
	return NULL;
}

static const char *find_begin(const char *text, const char *from, bool *made)
{
	const char *plain = find_line(text, from, BEGIN);
	const char *with_file = find_line(text, from, BEGIN_MADE);

	*made = with_file && (!plain || with_file < plain);
	return *made ? with_file : plain;
}

/* 0, -ENOENT, or -EINVAL. */
static int find_block(const char *text, struct block *block)
{
	bool made, again;
	const char *begin = find_begin(text, text, &made);
	const char *end = find_line(text, text, END);

	if (!begin)
		return end ? -EINVAL : -ENOENT;
	*block = (struct block){.made = made, .start = begin > text ? begin - 1 : begin};
	block->body = strchr(begin, '\n');
	if (!block->body)
		return -EINVAL;
	block->body++;
	if (!end || end < block->body)
		return -EINVAL;
	block->end = end;
	block->rest = end + strlen(END);
	if (*block->rest)
		block->rest++;
	if (find_begin(text, block->body, &again) || find_line(text, block->rest, END))
		return -EINVAL;
	return 0;
}

enum block_state block_look(const char *text, const char *body)
{
	struct block block;
	int r = find_block(text, &block);

	if (r)
		return r == -ENOENT ? BLOCK_NONE : BLOCK_BROKEN;
	return (size_t)(block.end - block.body) == strlen(body) &&
			       !strncmp(block.body, body, strlen(body)) ?
		       BLOCK_SAME :
		       BLOCK_OTHER;
}

int block_put(const char *text, const char *body, bool made, char **edited)
{
	struct block block;
	int r = find_block(text, &block);

	if (r == -EINVAL)
		return r;
	if (r == -ENOENT)
		r = asprintf(edited, "%s%s%s\n%s%s\n", text, made ? "" : "\n",
			     made ? BEGIN_MADE : BEGIN, body, END);
	else
		r = asprintf(edited, "%.*s%s%s", (int)(block.body - text), text, body, block.end);
	return r < 0 ? -ENOMEM : 0;
}

int block_take(const char *text, char **edited, bool *made)
{
	struct block block;
	int r = find_block(text, &block);

	if (r)
		return r;
	r = asprintf(edited, "%.*s%s", (int)(block.start - text), text, block.rest);
	if (r < 0)
		return -ENOMEM;
	/* somebody else wrote into it too: then it stays */
	*made = block.made && !**edited;
	return 0;
}
