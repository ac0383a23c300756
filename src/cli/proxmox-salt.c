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
#include "sys/file.h"
#include "sys/path.h"
#include "sys/saltfile.h"
#include "wire/wire.h"

void proxmox_salt_path(const char *vmid, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, PVE_SALTS "/%s.salt", vmid);
}

static bool is_same(const char *path, const struct salt *salt)
{
	unsigned char have[PS_SALT_MAX];
	size_t length = 0;
	bool same = !sys_salt_read_file(path, have, &length) && length == salt->length &&
		    !memcmp(have, salt->bytes, length);

	explicit_bzero(have, sizeof(have));
	return same;
}

static int write_copy(const char *path, const struct salt *salt)
{
	const char *end = salt->bytes[salt->length - 1] == '\r' ? "\r\n" : "\n";
	unsigned char text[PS_SALT_MAX + 2];
	struct sys_file folder, as = {.mode = 0600};
	int r = sys_file_look(PVE_PRIVATE, &folder);

	if (!r)
		r = sys_make_folders(PVE_SALTS, 0700);
	if (r)
		return say_error(CLI_FAILED, PVE_SALTS ": %s", strerror(-r));
	as.gid = folder.gid;
	memcpy(text, salt->bytes, salt->length);
	memcpy(text + salt->length, end, strlen(end));
	r = sys_file_replace(path, text, salt->length + strlen(end), &as);
	explicit_bzero(text, sizeof(text));
	return r ? say_error(CLI_FAILED, "%s cannot be written: %s", path, strerror(-r)) : 0;
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
	if (!salt.length)
		return say_error(CLI_FAILED, "the salt is empty: it would give a domain of its own "
					     "to each VM; leave it out, or give one");
	if (is_same(path, &salt))
		return 0;
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
