/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * userfaultfd: thin wrappers, one call of the kernel each. Addresses and lengths are bytes and
 * multiples of the page size. All return 0 (or what is said) or -errno.
 */
#ifndef PSHARE_SYS_UFFD_H
#define PSHARE_SYS_UFFD_H

#include <stddef.h>
#include <stdint.h>

#include <linux/userfaultfd.h>

#include "sys/uapi.h"

/* A userfaultfd of full mode (kernel faults too) with exactly these features, by the system call
 * or else by /dev/userfaultfd. Reads block; close-on-exec. Returns the fd; -EPERM where
 * neither way is allowed, -EINVAL where the kernel lacks a feature. */
int uffd_open(uint64_t features);
/* The device by which others may make them, and a userfaultfd by that. */
int uffd_device(void);
int uffd_open_by(int device, uint64_t features);

/* Registers with UFFDIO_REGISTER_MODE_* modes. Modes only ever add up on a range: to drop one,
 * unregister first (seen on 6.18: a register with fewer modes changes nothing). */
int uffd_register(int fd, void *addr, size_t len, uint64_t modes);
/* Wakes whoever waits in the range; drops every write-protection in it. */
int uffd_unregister(int fd, void *addr, size_t len);
int uffd_wake(int fd, void *addr, size_t len);
/* Write-protects (on) or frees (off, wakes) what is in the range. -EAGAIN: a REMAP event is
 * waiting to be read. */
int uffd_protect(int fd, void *addr, size_t len, int on);
/* Zero page at each page of the range; wakes. -EEXIST: something is there. */
int uffd_zeropage(int fd, void *addr, size_t len);
/* New pages with those contents; wakes. -EEXIST: something is there; -ENOENT: the range is not
 * registered. */
int uffd_copy(int fd, void *dst, const void *src, size_t len);
/* Moves pages. Returns the bytes moved, which may be fewer than len (then the page behind them is
 * the one that did not want to), or -errno when none was: see primitives 1 for the meaning.
 * -EEXIST may mean that pages have moved (Linux 6.18): see agent/move.h. */
long uffd_move(int fd, void *dst, void *src, size_t len, uint64_t mode);
/* Any ioctl, as its caller made it. The result or -errno. */
int sys_ioctl_as_it_came(int fd, unsigned long request, void *arg);
/* Waits for events and reads up to n. Returns their number, or -errno. */
int uffd_read(int fd, struct uffd_msg *msg, int n);

#endif
