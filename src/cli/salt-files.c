/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * salt-files: where salts lie on a host: in /etc/pshare and below, where the manual puts them; the
 * copies that `pshare libvirt` and `pshare proxmox` make; and the file that each VM was started
 * with, which its environment names: PSHARE_SALT_FILE, which tells the agent to read it, or
 * PSHARE_SALT_PATH, which only says what `pshare run` has read.
 *
 * A path in an environment is its user's choice, and it is root who looks: so nothing but a plain
 * file is opened (sys/secret.h), and it is looked for in the root folder of that process.
 *
 * Limits: a salt that was set later, or that came by a variable or a pipe, has no file that is
 * known.
 */
#include "cli/salt-files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/cleanup.h"
#include "sys/look.h"
#include "sys/saltfile.h"

static bool is_known(const struct salt_files *files, const struct salt_file *file)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct salt_file *have = &files->at[i];

		if (!have->error && !file->error && have->is.inode == file->is.inode &&
		    have->is.device == file->is.device)
			return true;
		if (have->error && have->of == file->of && !strcmp(have->path, file->path))
			return true;
	}
	return false;
}

static int look(struct salt_file *file)
{
	_cleanup_close_ int fd = sys_secret_find(file->path, file->of);

	return fd < 0 ? fd : sys_secret_of(fd, &file->is);
}

static int add(struct salt_files *files, const char *path, pid_t of)
{
	struct salt_file file = {.path = strdup(path), .of = of}, *grown;

	if (!file.path)
		return -ENOMEM;
	file.error = look(&file);
	if (file.error == -ENOENT || is_known(files, &file)) {
		free(file.path);
		return 0;
	}
	if (files->count == files->room) {
		files->room = files->room ? 2 * files->room : 16;
		grown = reallocarray(files->at, files->room, sizeof(*grown));
		if (!grown) {
			free(file.path);
			return -ENOMEM;
		}
		files->at = grown;
	}
	files->at[files->count++] = file;
	return 0;
}

static int take_path(const char *path, void *files)
{
	return add(files, path, 0);
}

int salt_files_find(struct salt_files *files)
{
	static const char *const folders[] = {"/etc/pshare", "/var/lib/pshare-libvirt",
					      "/etc/pve/priv"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (sys_each_below(folders[i], ".salt", take_path, files) == -ENOMEM)
			return -ENOMEM;
	return 0;
}

int salt_files_add_vm(struct salt_files *files, pid_t vm)
{
	static const char *const names[] = {"PSHARE_SALT_FILE", SALT_PATH_ENV};
	char path[PATH_MAX];
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(names) / sizeof(names[0]); i++)
		if (!sys_process_variable(vm, names[i], path, sizeof(path)) && path[0] == '/')
			r = add(files, path, vm);
	return r;
}

void salt_files_free(struct salt_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->at[i].path);
	free(files->at);
	*files = (struct salt_files){0};
}

int salt_file_read(const struct salt_file *file, void *salt, size_t *length)
{
	_cleanup_close_ int fd = sys_secret_find(file->path, file->of);
	struct sys_secret_file is;
	int r = fd < 0 ? fd : sys_secret_of(fd, &is);

	if (r)
		return r;
	if (is.inode != file->is.inode || is.device != file->is.device)
		return -ESTALE;
	return sys_salt_read_found(fd, salt, length);
}

bool salt_file_is_open(const struct sys_secret_file *is, struct salt_open *open)
{
	char user[64];

	switch (is->to) {
	case SYS_SECRET_KEPT:
		return false;
	case SYS_SECRET_ALL:
		snprintf(open->text, sizeof(open->text),
			 "every user of this host may read or write it (mode %04o)", is->mode);
		break;
	case SYS_SECRET_USER:
		sys_user_name(is->whom, user, sizeof(user));
		snprintf(open->text, sizeof(open->text),
			 "user %s may read or write it, by its access control list", user);
		break;
	case SYS_SECRET_GROUP:
		snprintf(open->text, sizeof(open->text),
			 "group %u may read or write it, by its access control list", is->whom);
		break;
	}
	open->verb = is->to == SYS_SECRET_ALL ? "chmod o=" : "setfacl -b";
	open->mend = is->to == SYS_SECRET_ALL ?
			     "chmod o= it, and make a new salt: the old one is known" :
			     "setfacl -b it, and make a new salt: the old one is known";
	return true;
}
