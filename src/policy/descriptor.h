/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * descriptor: can what a process has open hold pages of its memory pinned, so that a device writes
 * into them later?
 */
#ifndef PSHARE_POLICY_DESCRIPTOR_H
#define PSHARE_POLICY_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

struct descriptor {
	const char *link; /* as in /proc/PID/fd: a path, "socket:[1]", "anon_inode:[eventpoll]" */
	const char *info; /* the text of /proc/PID/fdinfo */
	bool direct;	  /* O_DIRECT */
	bool is_char;	  /* a character device */
	uint64_t filesystem; /* magic number of statfs(); 0: none */
	int family;	     /* of a socket, AF_...; -1: it is none */
	bool locked;	     /* of a ring: its counts are read under its lock, or not at all */
};

enum descriptor_kind {
	DESCRIPTOR_HARMLESS, /* known never to have a device write into memory later */
	DESCRIPTOR_PINS,     /* may, but then the pages are pinned: the kernel can tell */
	DESCRIPTOR_UNKNOWN,  /* anything else: plain references, that nothing can tell */
};

enum descriptor_kind descriptor_kind(const struct descriptor *d);
/* Is that descriptor of a kind that is known never to pin memory for writing? What is not known is
 * not harmless. */
bool descriptor_is_harmless(const struct descriptor *d);

#endif
