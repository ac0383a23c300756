/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt-conf: the device list of libvirt's qemu.conf, with and without /dev/userfaultfd. Pure. */
#ifndef PSHARE_CLI_LIBVIRT_CONF_H
#define PSHARE_CLI_LIBVIRT_CONF_H

#include <stdbool.h>

#define CONF_DEVICE "/dev/userfaultfd"

/* Does the file, as libvirt reads it, give its VMs the device? -EINVAL: the file is not what
 * libvirt accepts; *line (may be NULL) is where. */
int conf_look(const char *text, bool *allowed, unsigned int *line);

/* The text with the device; -EALREADY where it is there, -EINVAL as above. 0: *edited, to be
 * freed. */
int conf_enable(const char *text, char **edited, unsigned int *line);

/* The text as it was before conf_enable(); -ENOENT where nothing in it is ours. */
int conf_disable(const char *text, char **edited, unsigned int *line);

#endif
