/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * proxmox-salt: a VM's salt, where its process finds it on every node of the cluster.
 *
 * /etc/pve/priv is the cluster's folder of secrets: on each node, root's alone, which QEMU runs as.
 * A VM that migrates so has its salt on the other node too. pmxcfs allows no owner and mode there
 * but its own (root, the group that all of it has, 0600), so these are asked for and no others.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/proxmox.h"
#include "cli/salt-copy.h"
#include "sys/file.h"
#include "sys/path.h"

void proxmox_salt_path(const char *vmid, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, PVE_SALTS "/%s.salt", vmid);
}

static int write_copy(const char *path, const struct salt *salt)
{
	struct sys_file folder, as = {.mode = 0600};
	int r = sys_file_look(PVE_PRIVATE, &folder);

	if (!r)
		r = sys_make_folders(PVE_SALTS, 0700);
	if (r)
		return say_error(CLI_FAILED, PVE_SALTS ": %s", strerror(-r));
	as.gid = folder.gid;
	return salt_copy_write(path, salt, &as);
}

int proxmox_salt_enable(struct proxmox *proxmox, const char *vmid)
{
	_cleanup_salt_ struct salt salt = {0};
	char path[PATH_MAX];
	int r = salt_read(&salt, proxmox->args);

	if (r)
		return r;
	proxmox_salt_path(vmid, path);
	if (!salt.bytes)
		return proxmox->args->clear_salt ? proxmox_salt_disable(proxmox, vmid) : 0;
	r = salt_copy_check(&salt);
	if (r || salt_copy_is(path, &salt))
		return r;
	r = proxmox->journal.dry ? 0 : write_copy(path, &salt);
	if (!r)
		journal_change(&proxmox->journal, path, "a copy of the salt, on every node");
	return r;
}

int proxmox_salt_disable(struct proxmox *proxmox, const char *vmid)
{
	struct sys_file file;
	char path[PATH_MAX];
	int r;

	proxmox_salt_path(vmid, path);
	if (sys_file_look(path, &file))
		return 0;
	r = journal_write(&proxmox->journal, path, NULL, "the copy of the salt is removed");
	if (!r && !proxmox->journal.dry)
		(void)sys_folder_remove(PVE_SALTS);
	return r;
}
