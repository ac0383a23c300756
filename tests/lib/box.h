/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * box: a host in the host, for a libvirt that a test may do with as it likes.
 *
 * A mount, a process and a network namespace: /etc is a copy; /run, /var/lib, /var/log, /var/cache
 * and /opt are empty; /dev has the few nodes that are needed, with Debian's modes; no network but
 * lo; the only libvirt in it is the one that is started there. Process 1 reaps, which libvirt waits
 * for with each of its probes, and whatever is left dies with it. The machine's own libvirt,
 * domains and settings are neither seen nor touched.
 *
 * Not of the box: cgroups, of which libvirt makes its own below the test's; they are removed.
 */
#ifndef PSHARE_TEST_BOX_H
#define PSHARE_TEST_BOX_H

#include <stdbool.h>
#include <stddef.h>

#define BOX_AGENT "/opt/pshare/libpshare-agent.so" /* a copy: a build folder may be private */

/* Ends the test, skipped: what a box with libvirt in it needs and this machine lacks. */
void box_need(void);

/* Runs body() in a box of its own, and fails the test if it fails. Returns when all is gone. */
void box_run(void (*body)(void));

/* In a box: starts and ends libvirtd (and virtlogd), with libvirt's own settings. */
void box_libvirt_start(void);
void box_libvirt_end(void);

/* virsh -c qemu:///system ARGS... with the domain's XML, or NULL, at its standard input. Its exit
 * status; what it printed is in box_out. */
int box_virsh(const char *input, const char *const args[]);
#define BOX_VIRSH(input, ...) box_virsh(input, (const char *const[]){__VA_ARGS__, NULL})
extern char box_out[1 << 20];

/* Everything below a folder, one line each: kind, mode, owner, size, and for files a checksum.
 * To be freed. */
char *box_listing(const char *folder);

#endif
