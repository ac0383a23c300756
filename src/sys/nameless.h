/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nameless: files on a disk that have no name, and are gone with their last descriptor. */
#ifndef PSHARE_SYS_NAMELESS_H
#define PSHARE_SYS_NAMELESS_H

/* A new empty file in that folder, readable and writable by its owner alone. Its descriptor, or
 * -errno: -EMEDIUMTYPE if the folder is in memory (tmpfs, ramfs). */
int sys_nameless_file(const char *folder);

#endif
