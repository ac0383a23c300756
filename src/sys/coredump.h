/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel puts into a core dump of this process. */
#ifndef PSHARE_SYS_COREDUMP_H
#define PSHARE_SYS_COREDUMP_H

/* Private mappings of files are dumped as well, where they are not MADV_DONTDUMP: guest memory that
 * is shared lies in such. Program texts come along. 0 or -errno. */
int sys_coredump_private_files(void);

#endif
