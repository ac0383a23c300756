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
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/libvirt.h"
#include "cli/salt-copy.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/path.h"

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
	struct sys_file file;

	return !sys_file_look(path, &file) && file.uid == as->uid && file.gid == as->gid &&
	       file.mode == as->mode && salt_copy_is(path, salt);
}

static int write_copy(struct libvirt *libvirt, const char *path, const struct salt *salt,
		      const struct sys_file *as)
{
	int r = libvirt_state_folder(libvirt);

	if (r || libvirt->journal.dry)
		return r;
	(void)sys_file_remove(path); /* its owner and mode are of no interest */
	return salt_copy_write(path, salt, as);
}

static int put_copy(struct libvirt *libvirt, const char *path, const struct salt *salt)
{
	struct sys_file as = {.mode = libvirt->session ? 0600 : 0640,
			      .uid = libvirt->session ? libvirt->uid : 0,
			      .gid = libvirt->gid};
	int r = salt_copy_check(salt);

	if (r || is_same(path, salt, &as))
		return r;
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
