/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu-child: a child is the same machine on other files. Of its parent's command line these have
 * to differ: the folder of what `pshare run --forkable` added; sockets that it listens at, which
 * get the folder of the child; what it writes on a terminal or into a file; its name; disks that
 * are written. What can exist once on a host (a port that is forwarded, the name of a tap) is
 * dropped, and said. Who it is has to differ as well: the GUID of its generation counter, and the
 * system's UUID if its parent was given one. (A machine without any has zeros there, which software
 * takes for none: it stays so.) The firmware made its tables from the parent's: the guest sees its
 * own UUID after a reset, as an instant clone of ESX does.
 *
 * Limits: options in JSON are read by QEMU alone, so disks that are written must not be among them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/qemu-list.h"
#include "cli/qemu-words.h"

/* ---- child -------------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A path in a word, after '=' or ':' or at its beginning, is moved from one folder to another. */
static void move_folder(struct qemu_words *w, size_t i, const char *from, const char *to)
{
	size_t n = strlen(from);
	char *at = w->word[i];

	while ((at = strstr(at, from))) {
		bool begins = at == w->word[i] || at[-1] == '=' || at[-1] == ':';
		size_t before = (size_t)(at - w->word[i]);

		if (!begins || at[n] != '/') {
			at += n;
			continue;
		}
		qw_set_word(w, i, qw_text_of("%.*s%s%s", (int)before, w->word[i], to, at + n));
		if (w->no_memory)
			return;
		at = w->word[i] + before + strlen(to);
	}
}

/* A character device as an option has it (-serial and its like): where a child has it. NULL: as it
 * is. */
static char *child_chardev(const struct qw_change *c, const char *option, unsigned int nr,
			   const char *was)
{
	char *kind = qemu_prop(was, ""), *path = NULL;
	const char *rest = kind ? strchr(kind, ':') : NULL;

	if (!kind)
		return NULL;
	if (!strcmp(was, "stdio") || !strncmp(was, "mon:", 4) || !strcmp(was, "vc") ||
	    !strncmp(was, "pty", 3) || !strncmp(was, "tcp:", 4) || !strncmp(was, "telnet:", 7) ||
	    !strncmp(was, "udp:", 4))
		path = qw_text_of("unix:%s/%s%u.sock,server=on,wait=off", c->folder, option, nr);
	else if (!strncmp(kind, "unix:", 5) && rest)
		path = qw_text_of("unix:%s/%s,server=on,wait=off", c->folder, base_name(rest + 1));
	else if (!strncmp(kind, "file:", 5) && rest)
		path = qw_text_of("file:%s/%s", c->folder, base_name(rest + 1));
	free(kind);
	return path;
}

static void change_serial(const struct qw_change *c, const char *option)
{
	struct qemu_words *w = c->w;
	unsigned int nr = 0;

	for (size_t i = qw_find_option(w, 0, option); i < w->n;
	     i = qw_find_option(w, i + 1, option)) {
		char *now = child_chardev(c, option, nr++, w->word[i + 1]);

		if (!now)
			continue;
		qw_say(c, "-%s %s is %s", option, w->word[i + 1], now);
		qw_set_word(w, i + 1, now);
	}
}

/* -chardev: what listens, or writes a file, does so in the child's folder. */
static int change_chardev(const struct qw_change *c, size_t i)
{
	struct qemu_words *w = c->w;
	char *kind = qemu_prop(w->word[i], ""), *id = qemu_prop(w->word[i], "id");
	char *path = qemu_prop(w->word[i], "path"), *now = NULL;

	if (kind && id && !strcmp(kind, "socket") && path &&
	    (qw_prop_is(w->word[i], "server", "on") || strstr(w->word[i], ",server,") ||
	     !strcmp(w->word[i] + strlen(w->word[i]) - 7, ",server")))
		now = qw_text_of("%s/%s", c->folder, base_name(path));
	else if (kind && id && !strcmp(kind, "file") && path)
		now = qw_text_of("%s/%s", c->folder, base_name(path));
	if (now && strncmp(path, c->folder, strlen(c->folder)) != 0) {
		qw_set_prop(w, i, "path", now);
		qw_say(c, "-chardev %s is at %s", id, now);
	} else if (kind && id && !path &&
		   (!strcmp(kind, "stdio") || !strcmp(kind, "pty") ||
		    (!strcmp(kind, "socket") && qw_prop_is(w->word[i], "server", "on")))) {
		qw_set_word(w, i,
			    qw_text_of("socket,id=%s,path=%s/%s.sock,server=on,wait=off%s", id,
				       c->folder, id,
				       strstr(w->word[i], "mux=on") ? ",mux=on" : ""));
		qw_say(c, "-chardev %s is a socket, %s/%s.sock", id, c->folder, id);
	}
	free(kind);
	free(id);
	free(path);
	free(now);
	return 0;
}

/* What can be on a host once is dropped, and said. */
static void change_netdev(const struct qw_change *c, const struct qemu_child *child, size_t i)
{
	static const char *const once[] = {"hostfwd", "ifname", "fd", "fds"};
	struct qemu_words *w = c->w;
	char *id = qemu_prop(w->word[i], "id");
	char *given = id && child->netdev ? child->netdev(id, child->netdev_arg) : NULL;

	if (given) {
		qw_say(c, "-netdev %s is %s", id, given);
		qw_set_word(w, i, qw_text_of("%s,id=%s", given, id));
	}
	for (size_t k = 0; !given && k < sizeof(once) / sizeof(once[0]); k++) {
		char *value;

		while ((value = qemu_prop(w->word[i], once[k]))) {
			qw_say(c,
			       "-netdev %s: without %s=%s, which one VM of a host can have; "
			       "\"netdev\" in --personality gives it another",
			       id ? id : "?", once[k], value);
			free(value);
			qw_set_prop(w, i, once[k], NULL);
			if (w->no_memory)
				break;
		}
	}
	free(given);
	free(id);
}

static struct qemu_disk *disk_of(const struct qemu_child *child, const char *file)
{
	for (size_t i = 0; file && i < child->ndisks; i++)
		for (size_t k = 0; child->disks[i].names[k]; k++)
			if (!strcmp(child->disks[i].names[k], file))
				return &child->disks[i];
	return NULL;
}

static void change_drive(const struct qw_change *c, const struct qemu_child *child, size_t i)
{
	char *file = qemu_prop(c->w->word[i], "file");
	struct qemu_disk *disk = disk_of(child, file);

	if (disk) {
		disk->found = true;
		qw_set_prop(c->w, i, "file", disk->file);
		qw_set_prop(c->w, i, "format", "qcow2");
	}
	free(file);
}

/* -blockdev: a node of format and file in one, or a format's that names the file's node. */
static void change_blockdev(const struct qw_change *c, const struct qemu_child *child, size_t i)
{
	struct qemu_words *w = c->w;
	const char *key = "file.filename";
	char *file = qemu_prop(w->word[i], key), *node = NULL;
	struct qemu_disk *disk;

	if (!file) {
		key = "filename";
		file = qemu_prop(w->word[i], key);
		node = qemu_prop(w->word[i], "node-name");
	}
	disk = disk_of(child, file);
	free(file);
	if (!disk) {
		free(node);
		return;
	}
	disk->found = true;
	qw_set_prop(w, i, key, disk->file);
	if (!node) {
		qw_set_prop(w, i, "driver", "qcow2");
		return;
	}
	for (size_t k = qw_find_option(w, 0, "blockdev"); k < w->n;
	     k = qw_find_option(w, k + 1, "blockdev"))
		if (qw_prop_is(w->word[k + 1], "file", node))
			qw_set_prop(w, k + 1, "driver", "qcow2");
	free(node);
}

static void change_plain_disk(const struct qw_change *c, const struct qemu_child *child)
{
	static const char *const names[] = {"hda", "hdb", "hdc", "hdd", "sd", "mtdblock", "pflash"};
	struct qemu_words *w = c->w;

	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
		for (size_t i = qw_find_option(w, 0, names[k]); i < w->n;
		     i = qw_find_option(w, i + 1, names[k])) {
			struct qemu_disk *disk = disk_of(child, w->word[i + 1]);

			if (!disk)
				continue;
			disk->found = true;
			qw_set_word(w, i + 1, strdup(disk->file));
		}
	for (size_t i = 1; i < w->n; i = qw_next_option(w, i)) {
		struct qemu_disk *disk = qw_option_at(w, i) ? NULL : disk_of(child, w->word[i]);

		if (!disk)
			continue;
		disk->found = true;
		qw_set_word(w, i, strdup(disk->file));
	}
}

static void drop_all(struct qemu_words *w, const char *name)
{
	size_t i;

	while ((i = qw_find_option(w, 0, name)) < w->n)
		qw_drop_words(w, i, qw_is_flag(name) ? 1 : 2);
}

static void add_quietly(const struct qw_change *c, const char *option, const char *value)
{
	qw_add_word(c->w, option);
	qw_add_word(c->w, value);
}

/* -nographic is: no display, and serial port and monitor on the terminal. */
static void change_display(const struct qw_change *c)
{
	struct qemu_words *w = c->w;
	bool had_serial = qw_find_option(w, 0, "serial") < w->n;
	size_t i = qw_find_option(w, 0, "nographic");

	if (i < w->n) {
		drop_all(w, "nographic");
		if (!had_serial)
			qw_add_option(c, "-serial", "unix:%s/serial0.sock,server=on,wait=off",
				      c->folder);
		if (qw_find_option(w, 0, "monitor") == w->n)
			qw_add_option(c, "-monitor", "none");
	}
	for (i = qw_find_option(w, 0, "vnc"); i < w->n; i = qw_find_option(w, i + 1, "vnc")) {
		qw_set_word(w, i + 1, qw_text_of("unix:%s/vnc.sock", c->folder));
		qw_say(c, "-vnc is %s", w->word[i + 1]);
	}
	drop_all(w, "display");
	if (qw_find_option(w, 0, "vnc") == w->n)
		add_quietly(c, "-display", "none");
}

static void change_name(const struct qw_change *c, const struct qemu_child *child)
{
	struct qemu_words *w = c->w;
	size_t i = qw_find_option(w, 0, "name");
	char *plain;

	if (i == w->n) {
		add_quietly(c, "-name", child->name);
		return;
	}
	plain = qemu_prop(w->word[i + 1], "");
	if (plain) {
		const char *rest = w->word[i + 1] + qw_part_length(w->word[i + 1]);

		qw_set_word(w, i + 1, qw_text_of("guest=%s%s", child->name, rest));
	} else {
		qw_set_prop(w, i + 1, "guest", child->name);
	}
	free(plain);
}

/* The system's UUID: of -uuid, and of SMBIOS's table 1, which is the stronger one. */
static void change_uuid(const struct qw_change *c, struct qemu_child *child)
{
	struct qemu_words *w = c->w;
	size_t i;

	for (i = qw_find_option(w, 0, "uuid"); i < w->n; i = qw_find_option(w, i + 1, "uuid")) {
		child->has_uuid = true;
		if (child->uuid)
			qw_set_word(w, i + 1, qw_text_of("%s", child->uuid));
	}
	for (i = qw_find_option(w, 0, "smbios"); i < w->n; i = qw_find_option(w, i + 1, "smbios")) {
		char *uuid = qemu_prop(w->word[i + 1], "uuid");

		if (uuid) {
			child->has_uuid = true;
			if (child->uuid)
				qw_set_prop(w, i + 1, "uuid", child->uuid);
		}
		free(uuid);
	}
}

/* A guest whose counter has its parent's GUID would not know that it is another. */
static void change_generation(const struct qw_change *c)
{
	struct qemu_words *w = c->w;

	for (size_t i = qw_find_option(w, 0, "device"); i < w->n;
	     i = qw_find_option(w, i + 1, "device")) {
		char *kind = qw_kind(w->word[i + 1], "driver");

		if (kind && !strcmp(kind, "vmgenid") && w->word[i + 1][0] == '{')
			qw_set_word(w, i + 1, strdup("vmgenid,guid=auto"));
		else if (kind && !strcmp(kind, "vmgenid"))
			qw_set_prop(w, i + 1, "guid", "auto");
		free(kind);
	}
}

static int check_disks(const struct qw_change *c, const struct qemu_child *child)
{
	for (size_t i = 0; i < child->ndisks; i++)
		if (!child->disks[i].found)
			return qw_refuse(c,
					 "disk %.120s is not on the command line as -drive file=, "
					 "-blockdev key=value or -hda has it; it was plugged in "
					 "later, or is in JSON",
					 child->disks[i].names[0]);
	return 0;
}

static void change_option(const struct qw_change *c, const struct qemu_child *child, size_t i)
{
	struct qemu_words *w = c->w;

	if (i + 1 >= w->n)
		return;
	if (qw_option_is(w, i, "netdev") || qw_option_is(w, i, "nic"))
		change_netdev(c, child, i + 1);
	else if (qw_option_is(w, i, "chardev"))
		change_chardev(c, i + 1);
	else if (qw_option_is(w, i, "drive"))
		change_drive(c, child, i + 1);
	else if (qw_option_is(w, i, "blockdev"))
		change_blockdev(c, child, i + 1);
}

int qemu_make_child(struct qemu_words *words, struct qemu_child *child, qemu_say said, void *arg,
		    char *why)
{
	struct qw_change c = {
		.w = words, .folder = child->folder, .say = said, .arg = arg, .why = why};
	static const char *const gone[] = {"daemonize", "pidfile", "incoming", "loadvm",
					   "S",		"D",	   "trace"};

	for (size_t i = 1; i < words->n; i++)
		move_folder(words, i, child->parent_folder, child->folder);
	for (size_t k = 0; k < sizeof(gone) / sizeof(gone[0]); k++)
		drop_all(words, gone[k]);
	for (size_t i = 1; i < words->n; i = qw_next_option(words, i))
		change_option(&c, child, i);
	change_plain_disk(&c, child);
	change_serial(&c, "serial");
	change_serial(&c, "monitor");
	change_serial(&c, "qmp");
	change_serial(&c, "qmp-pretty");
	change_serial(&c, "debugcon");
	change_serial(&c, "parallel");
	change_display(&c);
	change_name(&c, child);
	change_uuid(&c, child);
	change_generation(&c);
	qw_add_word(words, "-incoming");
	qw_add_word(words, "defer");
	return words->no_memory ? -ENOMEM : check_disks(&c, child);
}
