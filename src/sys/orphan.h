/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * orphan: how a process that is nobody's child is made.
 *
 * The caller forks; the child calls sys_orphan(), which forks again and ends at once. So the
 * grandchild is the init process's, and no VMM that takes the caller's place ever sees the death of
 * a child that it did not start.
 */
#ifndef PSHARE_SYS_ORPHAN_H
#define PSHARE_SYS_ORPHAN_H

/* In the child, in a session of its own from here on. Writes the grandchild's pid (a pid_t) to
 * `tell` and ends with 0, or with 127 if that does not work. Returns in the grandchild only. */
void sys_orphan(int tell);

#endif
