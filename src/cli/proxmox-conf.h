/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* proxmox-conf: the configuration of a VM of Proxmox VE, with and without our tag. Pure. */
#ifndef PSHARE_CLI_PROXMOX_CONF_H
#define PSHARE_CLI_PROXMOX_CONF_H

#include <stdbool.h>

#define PVE_TAG "pshare"

/* What in a VM keeps its memory from being shared: the first that is found. */
enum pve_unfit {
	PVE_FIT,
	PVE_NO_KSM,    /* allow-ksm: 0: QEMU offers nothing */
	PVE_HUGEPAGES, /* hugepages: */
	PVE_HOSTPCI,   /* a passed-through device: VFIO */
	PVE_VIRTIOFS,  /* its memory is shared with virtiofsd */
	PVE_ENCRYPTED, /* amd-sev:, intel-tdx: */
	PVE_FOREIGN,   /* arch: another than the host's: QEMU is not started as kvm */
	PVE_ARGS,      /* args: gives it memory of another kind */
};

struct pve_conf {
	bool tagged;
	bool tags_pending; /* [PENDING] has tags too, or deletes them */
	char lock[32];	   /* "backup", "migrate", ...; empty: none */
	enum pve_unfit unfit;
};

/* Reads the current configuration: what stands before the first section. */
void pve_conf_look(const char *text, struct pve_conf *conf);

/* The text with the tag, or without; all else, sections of snapshots and of what is pending too,
 * byte for byte as it was. 0 and *edited, to be freed; -EALREADY, -ENOENT: it is so; -ENOMEM. */
int pve_conf_tag(const char *text, char **edited);
int pve_conf_untag(const char *text, char **edited);

#endif
