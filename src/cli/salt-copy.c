/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * salt-copy: libvirt and Proxmox VE start VMs as they like, so a VM's salt has to lie where its
 * process may read it: a copy a VM, owned as whoever starts it wants it.
 *
 * The copy ends with a newline that is not part of the salt, as in any salt file; "\r\n" where the
 * salt itself ends with "\r".
 */
#include "cli/salt-copy.h"

#include <string.h>

#include "sys/file.h"
#include "sys/memfd.h"
#include "sys/saltfile.h"
#include "wire/wire.h"

int salt_copy_check(const struct salt *salt)
{
	if (salt->length)
		return 0;
	return say_error(CLI_FAILED, "the salt is empty: it would give a domain of its own to each "
				     "VM; leave it out, or give one");
}

bool salt_copy_is(const char *path, const struct salt *salt)
{
	struct salt have = {0};
	void *secret;
	bool locked, same;

	if (sys_secret_new(PS_SALT_MAX, &secret, &locked))
		return false;
	have.bytes = secret;
	same = !sys_salt_read_file(path, have.bytes, &have.length) && have.length == salt->length &&
	       !memcmp(have.bytes, salt->bytes, salt->length);
	salt_wipe(&have);
	return same;
}

int salt_copy_write(const char *path, const struct salt *salt, const struct sys_file *as)
{
	const char *end = salt->bytes[salt->length - 1] == '\r' ? "\r\n" : "\n";
	unsigned char text[PS_SALT_MAX + 2];
	int r;

	memcpy(text, salt->bytes, salt->length);
	memcpy(text + salt->length, end, strlen(end));
	r = sys_file_replace(path, text, salt->length + strlen(end), as);
	explicit_bzero(text, sizeof(text));
	return r ? say_error(CLI_FAILED, "%s cannot be written: %s", path, strerror(-r)) : 0;
}
