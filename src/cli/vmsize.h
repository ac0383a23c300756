/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmsize: the memory of a VM, as its VMM's command line says it. Pure. */
#ifndef PSHARE_CLI_VMSIZE_H
#define PSHARE_CLI_VMSIZE_H

#include <stdint.h>

/* A size as QEMU's -m has it: MiB without a suffix, else B, K, M, G, T (any case). 0 or -EINVAL. */
int vm_size_parse(const char *text, uint64_t *bytes);

/* What a QEMU command line gives its guest: -m [size=]SIZE[,...], the last one; else what the
 * memory backend has that -machine memory-backend=ID names; else QEMU's default. 0, or -ENOENT: it
 * is no QEMU; -EINVAL: that is not understood, or a file (-readconfig) may say it. */
int vm_size_of_command(const char *const argv[], uint64_t *bytes);

#endif
