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
 * All are read before any counts: one bad line anywhere and nothing of it is taken. Files, and a
 * folder, that others may write are refused (trusted.c).
 *
 * Rejected: a file for each setting (sysfs style: no two settings change together), and writing
 * what was set into the administrator's own file (it would lose his comments and his order).
 */
#include "daemon/conffile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/trusted.h"
#include "sys/cleanup.h"
#include "sys/file.h"
#include "sys/path.h"
#include "sys/self.h"

#define KEPT_MODE 0644
#define HEADER                                                                             \
	"# Settings of the host that were made by 'pshare set'. Written anew by pshared\n" \
	"# each time: what else is put here is lost. See pshare-settings(5).\n"

static int refuse(char *err, int error, const char *path, const char *why)
{
	snprintf(err, CONFFILE_ERROR_MAX, "%s: %s", path, why);
	return error;
}

/* One file. -ENOENT: there is none, or as for all errors a line in err. */
static int read_one(const struct options *options, const char *path, struct conf *conf, char *err)
{
	_cleanup_free_ char *text = NULL;
	char why[POLICY_ERROR_MAX];
	size_t length;
	int r = trusted_read(options, path, CONF_FILE_MAX, &text, &length, why);

	if (r < 0)
		return refuse(err, r, path, why);
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
static int take_file(const struct options *options, struct conffile *all, const char *path,
		     bool must, char *err)
{
	struct conf conf;
	int r = read_one(options, path, &conf, err);

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

static int take_folder(const struct options *options, struct conffile *all, char *err)
{
	const char *folder = options->config_dir;
	_cleanup_free_ char **names = NULL;
	char path[CONFFILE_PATH_MAX], why[TRUSTED_WHY_MAX];
	int n = trusted_look(options, folder, why);

	if (n == -ENOENT)
		return 0;
	if (n < 0)
		return refuse(err, n, folder, why);
	n = sys_folder_names(folder, "", ".conf", &names);
	if (n < 0)
		return refuse(err, n, folder, strerror(-n));
	for (int i = 0; i < n; i++) {
		int r;

		if (names[i][0] == '.')
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", folder, names[i]) >= (int)sizeof(path))
			return refuse(err, -ENAMETOOLONG, folder, "a name in it is too long");
		r = take_file(options, all, path, false, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Was a set after b was? */
static bool is_later(const struct conffile *all, enum setting_id a, enum setting_id b)
{
	if (all->origin[a].kind != all->origin[b].kind)
		return all->origin[a].kind > all->origin[b].kind;
	if (all->origin[a].file != all->origin[b].file)
		return all->origin[a].file > all->origin[b].file;
	return all->origin[a].line > all->origin[b].line;
}

/* Two settings do not go together: the one that was set last broke it. The line names it, and says
 * where the other is set, if it is. */
static int blame(const struct conffile *all, struct setting_pair broken, char *err,
		 const char *line)
{
	bool first = is_later(all, broken.a, broken.b);
	enum setting_id id = first ? broken.a : broken.b, other = first ? broken.b : broken.a;
	char where[CONFFILE_PATH_MAX + 32] = "settings", also[CONFFILE_PATH_MAX + 16];

	if (all->origin[id].kind == CONF_FILE)
		snprintf(where, sizeof(where), "%s: line %u", all->file[all->origin[id].file],
			 all->origin[id].line);
	else if (all->origin[id].kind != CONF_DEFAULT)
		conffile_origin(all, id, where, sizeof(where));
	conffile_origin(all, other, also, sizeof(also));
	snprintf(err, CONFFILE_ERROR_MAX, "%s: %s (%s: %s)", where, line, setting_get(other)->name,
		 also);
	return -EINVAL;
}

int conffile_read(const struct options *options, const struct conf *set, struct conffile *out,
		  char *err)
{
	_cleanup_free_ struct conffile *all = calloc(1, sizeof(*all));
	char line[POLICY_ERROR_MAX];
	struct setting_pair broken;
	int r = 0;

	if (!all)
		return refuse(err, -ENOMEM, "settings", strerror(ENOMEM));
	settings_defaults(&all->settings);
	if (options->config)
		r = take_file(options, all, options->config, options->config_asked, err);
	if (r == 0 && options->config_dir)
		r = take_folder(options, all, err);
	if (r < 0)
		return r;
	take(all, &options->sets, CONF_COMMAND_LINE, 0);
	take(all, set, CONF_SET, 0);
	if (settings_check(&all->settings, &broken, line) < 0)
		return blame(all, broken, err, line);
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
	r = read_one(options, path, &conf, err);
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
