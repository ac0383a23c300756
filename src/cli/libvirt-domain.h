/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt-domain: the XML of a domain, with and without the agent. Pure. */
#ifndef PSHARE_CLI_LIBVIRT_DOMAIN_H
#define PSHARE_CLI_LIBVIRT_DOMAIN_H

#include <stdbool.h>

#include "sys/cleanup.h"

/* What in a domain keeps its memory from being shared: the first that is found. */
enum domain_unfit {
	DOMAIN_FIT,
	DOMAIN_NO_MERGE,  /* <nosharepages/>: QEMU offers nothing */
	DOMAIN_HUGEPAGES, /* <hugepages/> */
	DOMAIN_SHARED,	  /* <access mode='shared'/>, <source type='file' or 'memfd'/> */
	DOMAIN_LOCKED,	  /* <locked/> */
	DOMAIN_HOSTDEV,	  /* a passed-through device: VFIO */
};

struct domain {
	char *type; /* "kvm", "qemu", ... */
	char *name;
	char uuid[37];
	bool enabled; /* LD_PRELOAD has the agent */
	char *agent;  /* its path there; these three NULL: not set */
	char *runtime_dir;
	char *salt_file;
	enum domain_unfit unfit;
};

struct domain *domain_free(struct domain *domain);
DEFINE_CLEANUP(struct domain *, domain, domain_free);
#define _cleanup_domain_ _cleanup_(cleanup_domain)

/* 0 and *out, -EINVAL: that is no domain, -ENOMEM. */
int domain_look(const char *xml, struct domain **out);

struct domain_wish {
	const char *agent;	 /* whole path */
	const char *runtime_dir; /* whole path */
	const char *salt_file;	 /* NULL: none */
};

/* The XML as wished; -EALREADY where it is so. 0: *edited, to be freed. */
int domain_enable(const char *xml, const struct domain_wish *wish, char **edited);

/* The XML without what domain_enable() put in; -ENOENT where nothing is there. */
int domain_disable(const char *xml, char **edited);

/* The host, as libvirt sees it: "virsh capabilities". */
struct host_caps {
	bool has_owner; /* VMs run as another user than libvirt: the DAC driver */
	unsigned int uid, gid;
	bool apparmor;
};
int domain_capabilities(const char *xml, struct host_caps *caps);

#endif
