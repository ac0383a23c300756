/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt-salt: a VM's salt where its process can read it, and nobody else's.
 *
 * An administrator's salt file is root's, mode 0600, and stays so. Under libvirt the process that
 * needs it is libvirt-qemu's from its first instruction on, so it gets a copy: one a VM, named
 * libvirt-UUID.salt as AppArmor names the VM's profile, of root and the group of the VMs, which may
 * read it. libvirt runs all VMs as one user: only AppArmor keeps one from reading what is
 * another's, salts as well as disks; its rule (libvirt-host.c) lets each VM read the copy of its
 * own name alone.
 *
 * Rejected: to give the file itself to that group. It is used by several VMs, so no rule could tell
 * them apart, and to undo it exactly a record of the former mode would be needed.
 *
 * The copy ends with a newline that is not part of the salt, as in any salt file; "\r\n" where the
 * salt itself ends with "\r".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/libvirt.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/memfd.h"
#include "sys/path.h"
#include "sys/saltfile.h"
#include "wire/wire.h"

int libvirt_salt_path(const struct libvirt *libvirt, const struct domain *domain,
		      char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s/libvirt-%s.salt", libvirt->state_dir, domain->uuid) >=
	    PATH_MAX)
		return say_error(CLI_FAILED, "%.80s...: is too long", libvirt->state_dir);
	return 0;
}

/* The folder above is made too, for one user: ~/.config need not be there. */
int libvirt_state_folder(struct libvirt *libvirt)
{
	char above[PATH_MAX];
	int r;

	if (libvirt->journal.dry)
		return 0;
	snprintf(above, sizeof(above), "%s", libvirt->state_dir);
	*strrchr(above, '/') = '\0';
	r = sys_make_folder_if_none(above, libvirt->session ? 0700 : 0755);
	if (!r) /* may be entered, not listed */
		r = sys_make_folder(libvirt->state_dir, libvirt->session ? 0700 : 0711);
	if (r)
		return say_error(CLI_FAILED, "folder %s: %s", libvirt->state_dir, strerror(-r));
	return 0;
}

/* Is the copy what it should be? */
static bool is_same(const char *path, const struct salt *salt, const struct sys_file *as)
{
	struct salt have = {0};
	struct sys_file file;
	void *secret;
	bool locked, same;

	if (sys_file_look(path, &file) || file.uid != as->uid || file.gid != as->gid ||
	    file.mode != as->mode || sys_secret_new(PS_SALT_MAX, &secret, &locked))
		return false;
	have.bytes = secret;
	same = !sys_salt_read_file(path, have.bytes, &have.length) && have.length == salt->length &&
	       !memcmp(have.bytes, salt->bytes, salt->length);
	salt_wipe(&have);
	return same;
}

static int write_copy(struct libvirt *libvirt, const char *path, const struct salt *salt,
		      const struct sys_file *as)
{
	const char *end = salt->bytes[salt->length - 1] == '\r' ? "\r\n" : "\n";
	unsigned char text[PS_SALT_MAX + 2];
	int r = libvirt_state_folder(libvirt);

	if (r || libvirt->journal.dry)
		return r;
	memcpy(text, salt->bytes, salt->length);
	memcpy(text + salt->length, end, strlen(end));
	(void)sys_file_remove(path); /* its owner and mode are of no interest */
	r = sys_file_replace(path, text, salt->length + strlen(end), as);
	explicit_bzero(text, sizeof(text));
	return r ? say_error(CLI_FAILED, "%s cannot be written: %s", path, strerror(-r)) : 0;
}

static int put_copy(struct libvirt *libvirt, const char *path, const struct salt *salt)
{
	struct sys_file as = {.mode = libvirt->session ? 0600 : 0640,
			      .uid = libvirt->session ? libvirt->uid : 0,
			      .gid = libvirt->gid};
	int r;

	if (!salt->length)
		return say_error(CLI_FAILED, "the salt is empty: it would give a domain of its own "
					     "to each VM; leave it out, or give one");
	if (is_same(path, salt, &as))
		return 0;
	r = write_copy(libvirt, path, salt, &as);
	if (!r)
		journal_change(&libvirt->journal, path, "a copy of the salt, which %s",
			       libvirt->session ? "the VM reads" : "the VM may read, by its group");
	return r;
}

/* No salt is asked for and none is to be cleared: what there is stays. *path is NULL for no salt,
 * and else a string of the caller's domain or of this process. */
int libvirt_salt_enable(struct libvirt *libvirt, const struct domain *domain, const char **path)
{
	static char copy[PATH_MAX];
	_cleanup_salt_ struct salt salt = {0};
	int r = libvirt_salt_path(libvirt, domain, copy);

	if (!r)
		r = salt_read(&salt, libvirt->args);
	if (r)
		return r;
	*path = salt.bytes ? copy : libvirt->args->clear_salt ? NULL : domain->salt_file;
	if (salt.bytes)
		return put_copy(libvirt, copy, &salt);
	return libvirt->args->clear_salt ? libvirt_salt_disable(libvirt, domain) : 0;
}

int libvirt_salt_disable(struct libvirt *libvirt, const struct domain *domain)
{
	struct sys_file file;
	char path[PATH_MAX];
	int r = libvirt_salt_path(libvirt, domain, path);

	if (r || sys_file_look(path, &file))
		return r;
	return journal_write(&libvirt->journal, path, NULL, "the copy of the salt is removed");
}
