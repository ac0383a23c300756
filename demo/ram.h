/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ram: a VM's memory as the kernel shows it from outside, for programs that trust nobody's books.
 *
 * Nothing here asks the agent or the daemon. A VM is named on the command line as
 *
 *	GROUP:PID[:NAME]
 *
 * GROUP is the trust domain that it is said to be in. Its guest RAM is found in /proc/PID/maps:
 * the stretch of private writable mappings, without a gap, of exactly the size that was asked
 * for, at the end of such a stretch (QEMU puts a guard page behind guest RAM).
 */
#ifndef PSHARE_DEMO_RAM_H
#define PSHARE_DEMO_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE_BYTES 4096u
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_FRAME ((1ull << 55) - 1)

struct range {
	uint64_t start, end;
};

struct ranges {
	struct range *at;
	size_t count;
};

struct vm {
	char *group;
	const char *name;
	pid_t pid;
	int pagemap;	  /* /proc/PID/pagemap */
	struct range ram; /* of the guest */
};

/* Parses GROUP:PID[:NAME], opens it and finds ram_bytes of guest RAM (0: does not look).
 * 0, or -errno after one line on stderr. */
int vm_open(struct vm *vm, char *text, uint64_t ram_bytes);
void vm_close(struct vm *vm);

/* All memory of the process that is anonymous or of a memfd, private or shared, neighbours
 * joined: wherever memory of a guest could be. Files and devices are left out. The caller
 * frees ranges->at. 0 or -errno. */
int vm_memory(const struct vm *vm, struct ranges *ranges);

/* Reads pagemap entries of count pages from address on; returns how many, fewer (0) if the
 * process has gone or the range ends. */
size_t vm_pagemap(const struct vm *vm, uint64_t address, uint64_t *entries, size_t count);

/* The frame of a pagemap entry, 0: not present. */
static inline uint64_t entry_frame(uint64_t entry)
{
	return entry & PAGEMAP_PRESENT ? entry & PAGEMAP_FRAME : 0;
}

/* Takes "--ram MIB" and the VMs from a command line; allocates *vms (never freed: the programs
 * are short). Returns the number of VMs, or exits after one line that says what is wrong. */
size_t vms_from_arguments(int argc, char **argv, const char *what, struct vm **vms);

#endif
