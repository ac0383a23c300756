/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * balloon: the daemon's side of pshare-balloon (wire/balloon.h): what is wanted of each VM's
 * balloon goes out, what is known of it comes in. Nothing here knows QMP.
 */
#ifndef PSHARE_DAEMON_BALLOON_H
#define PSHARE_DAEMON_BALLOON_H

#include "daemon/daemon.h"
#include "daemon/vm.h"

/* Starts pshare-balloon. Where it cannot, that is said, and there are no balloons. */
void balloon_start(struct daemon *d);
/* Lets go of every VM. */
void balloon_stop(struct daemon *d);

/* ---- for whoever decides ---- */

/* MCTLTGT: how large the balloon of this VM is to be, in bytes. Until the first call it stays as
 * it is. limit: sched.mem.maxmemctl in bytes, UINT64_MAX for none. Cheap when nothing changes. */
void balloon_want(struct vm *vm, uint64_t target, uint64_t limit);
/* A fork's child has its parent's balloon: what was taken by us, or by hand, is known of it too, so
 * that it is given back. */
struct vm_balloon_wish balloon_wish_of(const struct vm *vm);
void balloon_inherit(struct vm *vm, const struct vm_balloon_wish *wish);
/* Of an administrator: at least that much, until it is called with 0. force: below the floor. */
void balloon_want_by_hand(struct vm *vm, uint64_t bytes, bool force);
/* The VM is to stand still (the state low), or to go on. */
void balloon_hold(struct vm *vm, bool hold);

/* Does it do what it is asked, so that another technique need not take its part? */
bool balloon_of_use(const struct vm *vm);
/* Can the VM be held by its monitor? */
bool balloon_can_hold(const struct vm *vm);
bool balloon_holds(const struct vm *vm);
/* MCTLSZ: bytes, as QEMU says. MCTLTGT, as wanted. MCTLMAX by the settings; most: as large as it
 * can get now without hurting the guest. 0 where nothing is known. */
uint64_t balloon_size(const struct vm *vm);
uint64_t balloon_target(const struct vm *vm);
uint64_t balloon_max(const struct vm *vm);
uint64_t balloon_most(const struct vm *vm);
/* enum ps_balloon_state; the words are policy/balloon.h's. */
enum ps_balloon_state balloon_state(const struct vm *vm);

/* ---- for the loop and the sessions ---- */

/* HELLO: its agent has a monitor to offer. held: an earlier daemon held the VM. */
void balloon_offered(struct vm *vm, bool held);
/* The agent's answer: fd (taken; -1: none) or a positive errno; and what it was told last that the
 * balloon was asked for: pages + 1, or 0. */
void balloon_connected(struct vm *vm, int error, int fd, uint32_t asked);
/* The process has ended. */
void balloon_vm_gone(struct vm *vm);
/* A report, or the end of a worker. */
void balloon_event(struct vm *vm);
/* The end of pshare-balloon itself. */
void balloon_keeper_event(struct daemon *d);
void balloon_tick(struct daemon *d);

#endif
