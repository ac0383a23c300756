/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: an administrator can say where a value comes from, and a mistake in a file does nothing.
 *
 * Layers, each over those before it:
 *
 *   1. the defaults of the table (policy/settings.c)
 *   2. the file (--config)
 *   3. the drop-ins (--config-dir), in the order of their names; 'pshare set' has its own,
 *      99-set.conf, which is written anew in one step (rename), so no reader sees half of it
 *   4. the command line (--set)
 *   5. what was set while the daemon runs, where there is no folder to keep it in
 *
 * All are read before any counts: one bad line anywhere and nothing of it is taken. Files that
 * others than their owner may write, or that belong to somebody who is neither root nor this
 * daemon's user, are refused: who can write them could switch off what keeps VMs apart.
 *
 * Rejected: a file for each setting (sysfs style: no two settings change together), and writing
 * what was set into the administrator's own file (it would lose his comments and his order).
 */
#include "daemon/conffile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/cleanup.h"
#include "sys/file.h"
#include "sys/path.h"
#include "sys/self.h"

#define OTHERS_MAY_WRITE 022
#define KEPT_MODE 0644
#define HEADER                                                                             \
	"# Settings of the host that were made by 'pshare set'. Written anew by pshared\n" \
	"# each time: what else is put here is lost. See pshare-settings(5).\n"

static int refuse(char *err, int error, const char *path, const char *why)
{
	snprintf(err, CONFFILE_ERROR_MAX, "%s: %s", path, why);
	return error;
}

static int check_owner(const char *path, char *err)
{
	struct sys_file file;
	char why[128];
	int r = sys_file_look(path, &file);

	if (r < 0)
		return refuse(err, r, path, strerror(-r));
	if (file.mode & OTHERS_MAY_WRITE) {
		snprintf(why, sizeof(why),
			 "others than its owner may write it (mode %04o): chmod go-w", file.mode);
		return refuse(err, -EPERM, path, why);
	}
	if (file.uid != 0 && file.uid != sys_self_uid()) {
		snprintf(why, sizeof(why), "belongs to user %u: it must be root's, or user %u's",
			 file.uid, sys_self_uid());
		return refuse(err, -EPERM, path, why);
	}
	return 0;
}

/* One file. -ENOENT: there is none, or as for all errors a line in err. */
static int read_one(const char *path, struct conf *conf, char *err)
{
	_cleanup_free_ char *text = NULL;
	char why[POLICY_ERROR_MAX];
	size_t length;
	int r = check_owner(path, err);

	if (r < 0)
		return r;
	r = sys_read_bytes(path, CONF_FILE_MAX, &text, &length);
	if (r < 0)
		return refuse(err, r, path, strerror(-r));
	if (conf_parse(text, length, conf, why) < 0)
		return refuse(err, -EINVAL, path, why);
	return 0;
}

static void take(struct conffile *all, const struct conf *conf, enum conffile_kind kind,
		 unsigned int file)
{
	for (int id = 0; id < SETTING_HOST_END; id++) {
		if (!conf->line[id])
			continue;
		all->settings.value[id] = conf->value[id];
		all->origin[id].kind = kind;
		all->origin[id].file = file;
		all->origin[id].line = conf->line[id];
	}
}

/* A file that is not there is one that sets nothing, unless it was asked for. */
static int take_file(struct conffile *all, const char *path, bool must, char *err)
{
	struct conf conf;
	int r = read_one(path, &conf, err);

	if (r == -ENOENT && !must)
		return 0;
	if (r < 0)
		return r;
	if (all->files == CONFFILE_FILES_MAX)
		return refuse(err, -E2BIG, path, "too many files of settings: 64 would do");
	snprintf(all->file[all->files], CONFFILE_PATH_MAX, "%s", path);
	take(all, &conf, CONF_FILE, all->files++);
	return 0;
}

static int take_folder(struct conffile *all, const char *folder, char *err)
{
	_cleanup_free_ char **names = NULL;
	int n = sys_folder_names(folder, "", ".conf", &names);
	char path[CONFFILE_PATH_MAX];

	if (n == -ENOENT)
		return 0;
	if (n < 0)
		return refuse(err, n, folder, strerror(-n));
	for (int i = 0; i < n; i++) {
		int r;

		if (names[i][0] == '.')
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", folder, names[i]) >= (int)sizeof(path))
			return refuse(err, -ENAMETOOLONG, folder, "a name in it is too long");
		r = take_file(all, path, false, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int conffile_read(const struct options *options, const struct conf *set, struct conffile *out,
		  char *err)
{
	_cleanup_free_ struct conffile *all = calloc(1, sizeof(*all));
	char line[POLICY_ERROR_MAX];
	int r = 0;

	if (!all)
		return refuse(err, -ENOMEM, "settings", strerror(ENOMEM));
	settings_defaults(&all->settings);
	if (options->config)
		r = take_file(all, options->config, options->config_asked, err);
	if (r == 0 && options->config_dir)
		r = take_folder(all, options->config_dir, err);
	if (r < 0)
		return r;
	take(all, &options->sets, CONF_COMMAND_LINE, 0);
	take(all, set, CONF_SET, 0);
	if (settings_check(&all->settings, line) < 0)
		return refuse(err, -EINVAL, "settings", line);
	*out = *all;
	return 0;
}

void conffile_origin(const struct conffile *conf, enum setting_id id, char *text, size_t size)
{
	switch (conf->origin[id].kind) {
	case CONF_FILE:
		snprintf(text, size, "%s:%u", conf->file[conf->origin[id].file],
			 conf->origin[id].line);
		break;
	case CONF_COMMAND_LINE:
		snprintf(text, size, "command line of pshared");
		break;
	case CONF_SET:
		snprintf(text, size, "set, until pshared ends");
		break;
	case CONF_DEFAULT:
		snprintf(text, size, "default");
		break;
	}
}

bool conffile_keeps(const struct options *options)
{
	return options->config_dir != NULL;
}

int conffile_keep(const struct options *options, enum setting_id id, const int64_t *value,
		  char *err)
{
	const struct sys_file fresh = {sys_self_uid(), sys_self_gid(), KEPT_MODE, 0};
	char path[CONFFILE_PATH_MAX], text[CONF_FILE_MAX / 4] = HEADER;
	struct conf conf = {0};
	int r;

	snprintf(path, sizeof(path), "%s/" CONFFILE_KEPT, options->config_dir);
	r = read_one(path, &conf, err);
	if (r < 0 && r != -ENOENT)
		return r;
	conf.line[id] = value != NULL;
	conf.value[id] = value ? *value : 0;
	r = conf_format(&conf, text + sizeof(HEADER) - 1, sizeof(text) - sizeof(HEADER) + 1);
	if (r >= 0)
		r = sys_file_replace(path, text, sizeof(HEADER) - 1 + (size_t)r, &fresh);
	if (r == -ENOENT)
		return refuse(err, r, options->config_dir,
			      "there is no such folder: make it, and give it to pshared's user");
	return r < 0 ? refuse(err, r, path, strerror(-r)) : 0;
}
