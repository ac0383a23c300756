/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu-words: QEMU gets what a fork needs: its RAM in files that the agent answers with private
 * memory, a monitor and a channel to the guest of our own, a generation counter. What is known to
 * make a fork impossible, or wrong, is refused with what would help.
 *
 * Limits: options in JSON are read by QEMU alone, so memory must not be among them.
 */
#include "cli/qemu-words.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/qemu-list.h"

#define DEFAULT_MIB 128u /* QEMU's own */

/* ---- forkable ----------------------------------------------------------------------------- */

/* Of -m: MiB where no unit is said. 0: it is none. */
static uint64_t memory_size(const char *text)
{
	char *end;
	double size = strtod(text, &end);
	uint64_t unit = 1ull << 20;

	switch (tolower((unsigned char)*end)) {
	case 'b':
		unit = 1;
		end++;
		break;
	case 'k':
		unit = 1ull << 10;
		end++;
		break;
	case 'm':
		end++;
		break;
	case 'g':
		unit = 1ull << 30;
		end++;
		break;
	case 't':
		unit = 1ull << 40;
		end++;
		break;
	default:
		break;
	}
	return *end || size <= 0 || size > 1e15 ? 0 : (uint64_t)(size * (double)unit);
}

static uint64_t ram_size(const struct qemu_words *w)
{
	uint64_t size = DEFAULT_MIB * 1048576ull;

	for (size_t i = qw_find_option(w, 0, "m"); i < w->n; i = qw_find_option(w, i + 1, "m")) {
		char *text = qemu_prop(w->word[i + 1], "size");

		if (!text)
			text = qemu_prop(w->word[i + 1], "");
		if (text)
			size = memory_size(text);
		free(text);
	}
	return size;
}

static bool has_device(const struct qemu_words *w, const char *prefix)
{
	for (size_t i = qw_find_option(w, 0, "device"); i < w->n;
	     i = qw_find_option(w, i + 1, "device")) {
		char *kind = qw_kind(w->word[i + 1], "driver");
		bool is = kind && !strncmp(kind, prefix, strlen(prefix));

		free(kind);
		if (is)
			return true;
	}
	return false;
}

/* What no fork can do, with what would help. */
static int check_obstacles(const struct qw_change *c)
{
	static const struct {
		const char *option, *part, *help;
	} rows[] = {
		{"device", "vfio-", "a device of the host cannot be in two VMs; use virtio"},
		{"netdev", "vhost-vdpa", "a device of the host cannot be in two VMs; use tap"},
		{"device", "vhost-vdpa", "a device of the host cannot be in two VMs; use virtio"},
		{"device", "vhost-user-", "a vhost-user back end serves one VM; use virtio"},
		{"netdev", "vhost-user", "a vhost-user back end serves one VM; use tap"},
		{"device", "vhost-vsock", "its address cannot be in two VMs; use virtio-serial"},
		{"device", "ivshmem", "memory shared with others cannot be forked"},
		{"device", "nvdimm", "its file is written by the guest; use a disk"},
		{"device", "qxl", "SPICE serves one VM; use -vga std"},
		{"spice", "", "SPICE serves one VM; use VNC"},
	};
	const struct qemu_words *w = c->w;
	size_t i;

	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
		for (i = qw_find_option(w, 0, rows[k].option); i < w->n;
		     i = qw_find_option(w, i + 1, rows[k].option)) {
			char *kind = qw_kind(w->word[i + 1],
					     rows[k].option[0] == 'n' ? "type" : "driver");
			bool is = !*rows[k].part ||
				  (kind && !strncmp(kind, rows[k].part, strlen(rows[k].part)));

			free(kind);
			if (is)
				return qw_refuse(c, "-%s %.60s: %s", rows[k].option, w->word[i + 1],
						 rows[k].help);
		}
	if (qw_find_option(w, 0, "snapshot") < w->n)
		return qw_refuse(c,
				 "-snapshot: its disks are files without a name; give an overlay "
				 "of your own");
	i = qw_find_option(w, 0, "mem-path");
	if (i < w->n)
		return qw_refuse(c,
				 "-mem-path %.60s: its memory is a file of its own, or huge pages, "
				 "which cannot be shared by the page; leave it out",
				 w->word[i + 1]);
	return 0;
}

static bool is_memory(const char *object)
{
	return !strncmp(object, "memory-backend-", strlen("memory-backend-"));
}

/* A backend of the user's becomes one that is a file, of ours. */
static int rewrite_backend(const struct qw_change *c, size_t i, unsigned int ram)
{
	static const char *const gone[] = {"share",	  "mem-path", "prealloc",     "hugetlb",
					   "hugetlbsize", "seal",     "discard-data", "pmem"};
	struct qemu_words *w = c->w;
	char *path = qemu_prop(w->word[i], "mem-path"), *tail;
	bool huge = qw_prop_is(w->word[i], "hugetlb", "on") || (path && strstr(path, "huge"));
	size_t kind = qw_part_length(w->word[i]);

	free(path);
	if (huge)
		return qw_refuse(c,
				 "-object %.60s: huge pages of the host cannot be shared by the "
				 "page; leave hugetlb out",
				 w->word[i]);
	for (size_t k = 0; k < sizeof(gone) / sizeof(gone[0]); k++)
		qw_set_prop(w, i, gone[k], NULL);
	tail = w->word[i] + (kind < strlen(w->word[i]) ? kind : strlen(w->word[i]));
	qw_set_word(w, i, qw_text_of("memory-backend-file%s", tail));
	path = qw_text_of("%s/ram%u", c->folder, ram);
	if (!path)
		w->no_memory = true;
	else
		qw_set_prop(w, i, "mem-path", path);
	free(path);
	qw_set_prop(w, i, "share", "on");
	qw_set_prop(w, i, "align", "2M");
	qw_say(c, "changed -object to %s", w->word[i]);
	return 0;
}

static bool machine_has(const struct qemu_words *w, const char *key)
{
	static const char *const names[] = {"machine", "M"};

	for (size_t k = 0; k < 2; k++)
		for (size_t i = qw_find_option(w, 0, names[k]); i < w->n;
		     i = qw_find_option(w, i + 1, names[k])) {
			char *value = qemu_prop(w->word[i + 1], key);

			free(value);
			if (value)
				return true;
		}
	return false;
}

/* Machines with neither ACPI as a PC has it nor a PCI bus as one. */
static bool is_microvm(const struct qemu_words *w)
{
	static const char *const names[] = {"machine", "M"};

	for (size_t k = 0; k < 2; k++)
		for (size_t i = qw_find_option(w, 0, names[k]); i < w->n;
		     i = qw_find_option(w, i + 1, names[k]))
			if (!strncmp(w->word[i + 1], "microvm", 7) ||
			    strstr(w->word[i + 1], "type=microvm"))
				return true;
	return false;
}

static int check_numa(const struct qw_change *c)
{
	const struct qemu_words *w = c->w;

	for (size_t i = qw_find_option(w, 0, "numa"); i < w->n;
	     i = qw_find_option(w, i + 1, "numa")) {
		char *node = qemu_prop(w->word[i + 1], ""), *dev;
		bool plain = node && !strcmp(node, "node");

		dev = qemu_prop(w->word[i + 1], "memdev");
		free(node);
		free(dev);
		if (plain && !dev)
			return qw_refuse(c, "-numa %.60s: give the node a memory backend (memdev=)",
					 w->word[i + 1]);
	}
	return 0;
}

static int make_memory(const struct qw_change *c, unsigned int *rams)
{
	struct qemu_words *w = c->w;
	size_t i;
	int r = check_numa(c);

	*rams = 0;
	for (i = qw_find_option(w, 0, "object"); !r && i < w->n;
	     i = qw_find_option(w, i + 1, "object")) {
		if (w->word[i + 1][0] == '{' && strstr(w->word[i + 1], "memory-backend-"))
			return qw_refuse(c,
					 "-object %.40s...: a memory backend in JSON; write it as "
					 "key=value",
					 w->word[i + 1]);
		if (!is_memory(w->word[i + 1]))
			continue;
		if (*rams == QEMU_RAMS_MAX)
			return qw_refuse(c, "more than %u memory backends", QEMU_RAMS_MAX);
		r = rewrite_backend(c, i + 1, (*rams)++);
	}
	while ((i = qw_find_option(w, 0, "mem-prealloc")) < w->n)
		qw_drop_words(w, i, 1);
	if (r || machine_has(w, "memory-backend") || qw_find_option(w, 0, "numa") < w->n)
		return r;
	if (!ram_size(w))
		return qw_refuse(c, "-m: a size is not understood");
	qw_add_option(
		c, "-object",
		"memory-backend-file,id=pshare-ram,size=%llu,mem-path=%s/ram%u,share=on,align=2M",
		(unsigned long long)ram_size(w), c->folder, *rams);
	qw_add_option(c, "-machine", "memory-backend=pshare-ram");
	++*rams;
	return 0;
}

int qemu_make_forkable(struct qemu_words *words, const char *folder, unsigned int *rams,
		       qemu_say said, void *arg, char *why)
{
	struct qw_change c = {.w = words, .folder = folder, .say = said, .arg = arg, .why = why};
	int r = check_obstacles(&c);

	if (!r && strchr(folder, ','))
		r = qw_refuse(&c, "the folder %.60s has a comma in its name", folder);
	if (!r)
		r = make_memory(&c, rams);
	if (r)
		return r;
	if (!has_device(words, "vmgenid") && !is_microvm(words))
		qw_add_option(&c, "-device", "vmgenid,id=pshare-genid,guid=auto");
	qw_add_option(&c, "-chardev", "socket,id=pshare-qmp,path=%s/qmp.sock,server=on,wait=off",
		      folder);
	qw_add_option(&c, "-mon", "chardev=pshare-qmp,mode=control");
	if (!is_microvm(words)) {
		qw_add_option(&c, "-device", "virtio-serial-pci,id=pshare-serial");
		qw_add_option(&c, "-chardev",
			      "socket,id=pshare-guest,path=%s/guest.sock,server=on,wait=off",
			      folder);
		qw_add_option(&c, "-device",
			      "virtserialport,bus=pshare-serial.0,nr=1,"
			      "chardev=pshare-guest,name=org.pshare.guest.0");
	}
	return words->no_memory ? -ENOMEM : 0;
}
