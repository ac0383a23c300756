/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* proxmox: what the parts of 'pshare proxmox' share. Functions return 0 or an exit code, said,
 * unless they say otherwise. */
#ifndef PSHARE_CLI_PROXMOX_H
#define PSHARE_CLI_PROXMOX_H

#include "cli/cli.h"
#include "cli/libvirt.h" /* its journal */
#include "cli/proxmox-conf.h"

#define PVE_CONFS "/etc/pve/qemu-server"
#define PVE_PRIVATE "/etc/pve/priv"
#define PVE_SALTS PVE_PRIVATE "/pshare"
#define PVE_KVM "/usr/bin/kvm"
/* Proxmox VE takes a process for a VM's only if its name ends with "kvm". */
#define PVE_REAL_KVM "/usr/bin/pshare-diverted-kvm"
#define PVE_QEMU "/usr/bin/qemu-system-x86_64"

struct proxmox {
	const struct args *args;
	char agent[PATH_MAX];
	struct runtime runtime;
	struct journal journal;
};

int proxmox_open(struct proxmox *proxmox, const struct args *args);
/* The configuration of a VM of this host; to be freed. */
int proxmox_read(const char *vmid, char **text);
void proxmox_conf_path(const char *vmid, char path[PATH_MAX]);
/* Calls each() for every VM of this host that is tagged. */
int proxmox_each_tagged(int (*each)(const char *vmid, void *arg), void *arg);
/* The process of a VM; 0: it does not run. */
uint64_t proxmox_pid(const char *vmid);

/* proxmox-host.c: /usr/bin/kvm, once for all VMs. */
int proxmox_host_enable(struct proxmox *proxmox);
int proxmox_host_disable(struct proxmox *proxmox);
enum proxmox_wrapper {
	WRAPPER_NONE,	/* kvm is QEMU's own */
	WRAPPER_OK,	/* ours, for this agent and daemon */
	WRAPPER_OTHER,	/* ours, for others */
	WRAPPER_BROKEN, /* ours, and what it runs is not there */
};
enum proxmox_wrapper proxmox_wrapper_look(const struct proxmox *proxmox);
bool proxmox_wrapper_is_older(void); /* than QEMU */

/* proxmox-salt.c */
void proxmox_salt_path(const char *vmid, char path[PATH_MAX]);
int proxmox_salt_enable(struct proxmox *proxmox, const char *vmid);
int proxmox_salt_disable(struct proxmox *proxmox, const char *vmid);

/* proxmox-check.c; vmid NULL: all that are tagged. */
int proxmox_check(struct proxmox *proxmox, const char *vmid);

#endif
