/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * proxmox-conf: /etc/pve/qemu-server/VMID.conf.
 *
 * Lines "key: value", sorted by key, are what a VM starts with next; then may come [PENDING],
 * [special:NAME] and a section for each snapshot, which hold the same keys for other times. '#'
 * begins a line of the description. (PVE::QemuServer, parse_vm_config and write_vm_config.)
 *
 * Which VM is ours is told by a tag, "pshare", in its list of tags. Nothing of Proxmox VE gives a
 * tag a meaning; it is kept through backup, clone, migration and every edit, is shown in the web
 * interface, and can be set there too. Rejected: a line of our own (unknown keys are dropped when
 * the file is written next), a word in args (QEMU would have to understand it, on hosts without us
 * too), a list elsewhere (a VM that migrates would leave it behind).
 *
 * Only the line of tags is touched, so that to tag and to untag gives the file back byte for byte.
 */
#include "cli/proxmox-conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS ";, \t"

/* A piece of the text. */
struct piece {
	const char *start, *end;
};

struct line {
	struct piece all; /* without its newline */
	struct piece key;
	struct piece value; /* without blanks around it */
};

static bool is(struct piece piece, const char *word)
{
	size_t length = strlen(word);

	return (size_t)(piece.end - piece.start) == length && !memcmp(piece.start, word, length);
}

static bool begins(struct piece piece, const char *word)
{
	size_t length = strlen(word);

	return (size_t)(piece.end - piece.start) >= length && !memcmp(piece.start, word, length);
}

/* Key and value are empty where the line has none. */
static struct line line_at(const char *at)
{
	const char *end = at + strcspn(at, "\n");
	const char *colon = memchr(at, ':', (size_t)(end - at));
	struct line line = {.all = {at, end}, .key = {at, at}, .value = {at, at}};

	if (!colon || *at == '#' || *at == '[')
		return line;
	line.key.end = colon;
	line.value = (struct piece){colon + 1, end};
	while (line.value.start < end && strchr(" \t", *line.value.start))
		line.value.start++;
	while (line.value.end > line.value.start && strchr(" \t\r", line.value.end[-1]))
		line.value.end--;
	return line;
}

/* The line behind this one; at the end of the text: its end. */
static const char *next_line(const struct line *line)
{
	return *line->all.end ? line->all.end + 1 : line->all.end;
}

/* Where the first section begins, or the text ends. */
static const char *main_end(const char *text)
{
	const char *at = text;

	while (*at && *at != '[') {
		struct line line = line_at(at);

		at = next_line(&line);
	}
	return at;
}

/* The tag in a list of them, with the separator before it (or else behind it). */
static bool find_tag(struct piece list, struct piece *found)
{
	const char *at = list.start;

	while (at < list.end) {
		struct piece tag = {at, at};

		while (tag.end < list.end && !strchr(SEPARATORS, *tag.end))
			tag.end++;
		if (is(tag, PVE_TAG)) {
			*found = tag;
			if (tag.start > list.start)
				found->start--;
			else if (tag.end < list.end)
				found->end++;
			return true;
		}
		at = tag.end + 1;
	}
	return false;
}

/* ---- looking --------------------------------------------------------------------------------- */

static enum pve_unfit unfit_of(const struct line *line)
{
	if (is(line->key, "allow-ksm") && is(line->value, "0"))
		return PVE_NO_KSM;
	if (is(line->key, "hugepages"))
		return PVE_HUGEPAGES;
	if (begins(line->key, "hostpci"))
		return PVE_HOSTPCI;
	if (begins(line->key, "virtiofs"))
		return PVE_VIRTIOFS;
	if (is(line->key, "amd-sev") || is(line->key, "intel-tdx"))
		return PVE_ENCRYPTED;
	if (is(line->key, "arch") && !is(line->value, "x86_64"))
		return PVE_FOREIGN;
	if (is(line->key, "args") &&
	    (memmem(line->value.start, (size_t)(line->value.end - line->value.start),
		    "memory-backend", strlen("memory-backend")) ||
	     memmem(line->value.start, (size_t)(line->value.end - line->value.start), "-mem-path",
		    strlen("-mem-path"))))
		return PVE_ARGS;
	return PVE_FIT;
}

static void look_at(const struct line *line, struct pve_conf *conf)
{
	struct piece tag;

	if (is(line->key, "tags"))
		conf->tagged = find_tag(line->value, &tag);
	if (is(line->key, "lock"))
		snprintf(conf->lock, sizeof(conf->lock), "%.*s",
			 (int)(line->value.end - line->value.start), line->value.start);
	if (!conf->unfit)
		conf->unfit = unfit_of(line);
}

/* [PENDING] says what tags will be at the next start. */
static bool changes_tags(const struct line *line)
{
	const char *at = line->value.start;

	if (is(line->key, "tags"))
		return true;
	if (!is(line->key, "delete"))
		return false;
	for (; at < line->value.end; at++) {
		struct piece rest = {at, line->value.end};

		if (begins(rest, "tags"))
			return true;
	}
	return false;
}

void pve_conf_look(const char *text, struct pve_conf *conf)
{
	const char *end = main_end(text), *at = text;
	bool pending = false;

	*conf = (struct pve_conf){.tagged = false};
	while (*at) {
		struct line line = line_at(at);

		if (at < end)
			look_at(&line, conf);
		else if (*at == '[')
			pending = !strncasecmp(at, "[PENDING]", strlen("[PENDING]"));
		else if (pending && changes_tags(&line))
			conf->tags_pending = true;
		at = next_line(&line);
	}
}

/* ---- editing --------------------------------------------------------------------------------- */

/* The text with something else in the place of a piece of it. */
static int replace(const char *text, struct piece piece, const char *with, char **edited)
{
	return asprintf(edited, "%.*s%s%s", (int)(piece.start - text), text, with, piece.end) < 0 ?
		       -ENOMEM :
		       0;
}

/* The line of tags that counts: the last before the sections. */
static bool find_tags(const char *text, struct line *found)
{
	const char *end = main_end(text), *at = text;
	bool any = false;

	while (at < end) {
		struct line line = line_at(at);

		if (is(line.key, "tags")) {
			*found = line;
			any = true;
		}
		at = next_line(&line);
	}
	return any;
}

/* A new line, where Proxmox VE would write it: before the first key behind "tags", or after the
 * last line of all. */
static int add_line(const char *text, char **edited)
{
	const char *end = main_end(text), *at = text, *place = text;

	while (at < end) {
		struct line line = line_at(at);
		size_t length = (size_t)(line.key.end - line.key.start);

		at = next_line(&line);
		if (length && strncmp(line.key.start, "tags", length) > 0)
			break;
		if (line.all.end > line.all.start)
			place = at;
	}
	if (place > text && place[-1] != '\n') /* the last line has no newline, and so it stays */
		return replace(text, (struct piece){place, place}, "\ntags: " PVE_TAG, edited);
	return replace(text, (struct piece){place, place}, "tags: " PVE_TAG "\n", edited);
}

int pve_conf_tag(const char *text, char **edited)
{
	struct line line;
	struct piece tag;

	if (!find_tags(text, &line))
		return add_line(text, edited);
	if (find_tag(line.value, &tag))
		return -EALREADY;
	tag = (struct piece){line.value.end, line.value.end};
	return replace(text, tag, line.value.end > line.value.start ? ";" PVE_TAG : " " PVE_TAG,
		       edited);
}

int pve_conf_untag(const char *text, char **edited)
{
	struct line line;
	struct piece tag;

	if (!find_tags(text, &line) || !find_tag(line.value, &tag))
		return -ENOENT;
	if (tag.start > line.value.start || tag.end < line.value.end)
		return replace(text, tag, "", edited);
	if (*line.all.end)
		line.all.end++;
	else if (line.all.start > text)
		line.all.start--;
	return replace(text, line.all, "", edited);
}
