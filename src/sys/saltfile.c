/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/saltfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/memfd.h"
#include "sys/salt.h"
#include "sys/secret.h"
#include "sys/self.h"
#include "wire/wire.h"

#define FILE_MAX (PS_SALT_MAX + 2u) /* with its newline */

/* Reads to the end; -EFBIG where room bytes are not enough. */
static long read_all(int fd, char *buf, size_t room)
{
	size_t length = 0;

	for (;;) {
		ssize_t n = read(fd, buf + length, room - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (long)length;
		length += (size_t)n;
		if (length == room)
			return -EFBIG;
	}
}

static size_t without_newline(const char *buf, size_t length)
{
	if (!length || buf[length - 1] != '\n')
		return length;
	length--;
	return length && buf[length - 1] == '\r' ? length - 1 : length;
}

static int read_salt(int fd, void *buf, size_t *length)
{
	char text[FILE_MAX + 1]; /* one byte to see that there is no more */
	long n = read_all(fd, text, sizeof(text));
	int r = 0;

	if (n >= 0)
		n = (long)without_newline(text, (size_t)n);
	if (n < 0) {
		r = (int)n;
	} else if (n == 0) {
		r = -ENODATA;
	} else if ((size_t)n > PS_SALT_MAX) {
		r = -EFBIG;
	} else {
		memcpy(buf, text, (size_t)n);
		*length = (size_t)n;
	}
	explicit_bzero(text, sizeof(text));
	return r;
}

int sys_salt_read_file(const char *path, void *buf, size_t *length)
{
	_cleanup_close_ int fd = -1;
	struct sys_secret_file file;
	int r;

	SYS_INJECT();
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	r = sys_secret_of(fd, &file);
	if (r)
		return r;
	if (file.plain && file.to != SYS_SECRET_KEPT)
		return -EPERM;
	return read_salt(fd, buf, length);
}

int sys_salt_read_found(int found, void *buf, size_t *length)
{
	_cleanup_close_ int fd = sys_secret_open(found, FILE_MAX);

	return fd < 0 ? fd : read_salt(fd, buf, length);
}

int sys_salt_memfd(const void *salt, size_t length)
{
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (!sys_self_may_write(length))
		return -EFBIG;
	fd = sys_memfd_new(SYS_SALT_NAME, length);

	if (fd < 0)
		return fd;
	if (length)
		r = sys_pwrite_full(fd, salt, length, 0);
	if (!r)
		r = sys_memfd_seal(fd, SYS_SEALS_FINAL);
	return r ? r : TAKE_FD(fd);
}
