/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * salt: where a salt comes from on a command line, which never holds it.
 *
 * A file made with an editor or echo ends with a newline that nobody means: one is taken off. The
 * variable is wiped and removed as soon as it is read, so neither the VMM nor what reads this
 * process's memory or /proc/PID/environ finds it there. No message repeats a salt.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/salt-files.h"
#include "sys/entropy.h"
#include "sys/launch.h"
#include "sys/memfd.h"
#include "sys/saltfile.h"
#include "wire/wire.h"

#define SALT_MADE 32u

static int new_bytes(struct salt *salt)
{
	void *secret;
	bool locked;
	int r = sys_secret_new(PS_SALT_MAX, &secret, &locked);

	if (!r)
		salt->bytes = secret;
	return r;
}

void salt_wipe(struct salt *salt)
{
	if (salt->bytes)
		sys_secret_free(salt->bytes, PS_SALT_MAX);
	free(salt->path);
	*salt = (struct salt){0};
}

int salt_make(struct salt *salt)
{
	int r = new_bytes(salt);

	if (!r)
		r = sys_random(salt->bytes, SALT_MADE);
	salt->length = SALT_MADE;
	return r ? say_error(CLI_FAILED, "no random bytes for a salt: %s", strerror(-r)) : 0;
}

/* Others than its owner and group may read it: who, and what would do. */
static int say_open(const char *path)
{
	struct sys_secret_file is;
	struct salt_open open = {.text = "others may read or write it", .verb = "chmod o="};

	if (!sys_secret_look(path, &is))
		(void)salt_file_is_open(&is, &open);
	return say_error(CLI_FAILED, "salt file %s: %s: '%s %s' would do, and a new salt is better",
			 path, open.text, open.verb, path);
}

/* What the links on the way are now does not matter to who looks at it later. */
static int note_path(struct salt *salt, const char *path)
{
	struct sys_secret_file is;
	char whole[PATH_MAX];

	if (sys_whole_path(path, whole, sizeof(whole)) || sys_secret_look(whole, &is) || !is.plain)
		return 0; /* a pipe, say */
	salt->path = strdup(whole);
	return salt->path ? 0 : say_error(CLI_FAILED, "out of memory");
}

static int from_file(struct salt *salt, const char *path)
{
	int r = sys_salt_read_file(path, salt->bytes, &salt->length);

	if (r == -EFBIG)
		return say_error(CLI_FAILED, "salt file %s: a salt has at most %u bytes", path,
				 PS_SALT_MAX);
	if (r == -ENODATA)
		return say_error(CLI_FAILED,
				 "salt file %s is empty: a secret is needed, such as 'head -c 32 "
				 "/dev/urandom | base64' makes; a VM that shares with itself alone "
				 "needs no salt",
				 path);
	if (r == -EPERM)
		return say_open(path);
	return r ? say_error(CLI_FAILED, "salt file %s: %s", path, strerror(-r)) :
		   note_path(salt, path);
}

static int from_variable(struct salt *salt, const char *name)
{
	char *text = getenv(name);
	size_t length;

	if (!text)
		return say_error(CLI_FAILED, "salt variable %s is not set", name);
	length = strlen(text);
	if (!length)
		return say_error(CLI_FAILED,
				 "salt variable %s is empty: a secret is needed; a VM that shares "
				 "with itself alone needs no salt",
				 name);
	if (length <= PS_SALT_MAX) {
		memcpy(salt->bytes, text, length);
		salt->length = length;
	}
	explicit_bzero(text, length);
	unsetenv(name);
	if (length > PS_SALT_MAX)
		return say_error(CLI_FAILED, "salt variable %s: a salt has at most %u bytes", name,
				 PS_SALT_MAX);
	return 0;
}

int salt_read(struct salt *salt, const struct args *args)
{
	int r;

	*salt = (struct salt){0};
	if (args->salt_file && args->salt_env)
		return say_usage(args->command, "--salt-file and --salt-env exclude each other");
	if (!args->salt_file && !args->salt_env)
		return 0;
	if (new_bytes(salt))
		return say_error(CLI_FAILED, "out of memory");
	r = args->salt_file ? from_file(salt, args->salt_file) :
			      from_variable(salt, args->salt_env);
	if (r)
		salt_wipe(salt);
	return r;
}
