/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who can write settings or the policy could switch off what keeps VMs apart. So each such file,
 * and a folder of them, is root's or the daemon's own user's, and nobody else may write it: what it
 * says is not even looked at before.
 *
 * Where root only asks whether the files are good (--check), he is not yet the user that the daemon
 * will be: that one's files are good too.
 */
#include "daemon/trusted.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sys/cleanup.h"
#include "sys/file.h"
#include "sys/path.h"
#include "sys/self.h"

#define OTHERS_MAY_WRITE 022

static uid_t daemon_user(const struct options *options)
{
	uint32_t uid;

	if (sys_self_uid() == 0 && options->user && !sys_user_id(options->user, &uid))
		return uid;
	return sys_self_uid();
}

static int refuse(char *why, int error, const char *text)
{
	snprintf(why, TRUSTED_WHY_MAX, "%s", text);
	return error;
}

static int judge(const struct options *options, const struct sys_file *file, char *why)
{
	uid_t self = daemon_user(options);

	if (file->mode & OTHERS_MAY_WRITE) {
		snprintf(why, TRUSTED_WHY_MAX,
			 "others than its owner may write it (mode %04o): chmod go-w", file->mode);
		return -EPERM;
	}
	if (file->uid != 0 && file->uid != self) {
		snprintf(why, TRUSTED_WHY_MAX,
			 "belongs to user %u: it must be root's, or user %u's: chown root",
			 file->uid, self);
		return -EPERM;
	}
	return 0;
}

static int say_missing(const char *path, int error, char *why)
{
	if (error == -ENOENT && sys_file_is_link(path))
		return refuse(why, -ENOLINK,
			      "it is a link to what is not there: make that, or remove the link");
	return refuse(why, error, strerror(-error));
}

int trusted_look(const struct options *options, const char *path, char why[TRUSTED_WHY_MAX])
{
	struct sys_file file;
	int r = sys_file_look(path, &file);

	return r < 0 ? say_missing(path, r, why) : judge(options, &file, why);
}

int trusted_read(const struct options *options, const char *path, size_t max, char **text,
		 size_t *length, char why[TRUSTED_WHY_MAX])
{
	_cleanup_free_ char *read = NULL;
	struct sys_file file;
	int r = sys_read_bytes_of(path, max, &read, length, &file);

	if (r == -EFBIG)
		snprintf(why, TRUSTED_WHY_MAX, "is longer than %zu KiB: that is the limit",
			 max >> 10);
	else if (r == -EMEDIUMTYPE || r == -EISDIR)
		snprintf(why, TRUSTED_WHY_MAX, "is no regular file: %s",
			 r == -EISDIR ? "it is a folder" : "give one that is");
	else if (r < 0)
		return say_missing(path, r, why);
	else
		r = judge(options, &file, why);
	if (r == 0)
		*text = TAKE_PTR(read);
	return r;
}
