/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unsafe: the one table of all that stands between a guest and the ways to lose, leak, hang or slow
 * it down, and how each is taken out, to see that the test of its danger then fails. A build with
 * -Dinject=true takes out what $PSHARE_TEST_UNSAFE names:
 *
 *   PSHARE_TEST_UNSAFE=name,name
 *
 * In any other build ps_without() is false and the compiler drops what it guards. Where a defence
 * closes a window of microseconds, the seam widens it (some milliseconds), so that the test meets
 * it. A HOOK takes nothing out: it brings about what is rare.
 *
 * Each entry is used in the source, and by a test of tests/system/dangers-unsafe.c that fails
 * without it: scripts/check-defences.
 *
 * Not here: dangers 11 and 13 (one thread that acts and reads events; MOVE of a part of a huge
 * page) have no defence that could be taken out of a finished build; their tests must not hang. 17
 * (drops of second-level tables) cannot be seen from user space.
 */
#ifndef PSHARE_SYS_UNSAFE_H
#define PSHARE_SYS_UNSAFE_H

#include <stdbool.h>
#include <stddef.h>

// clang-format off
/* X(constant, name, danger, where, what is so without it) */
#define PS_DEFENCES(X) \
	X(DEFENCE_COMPARE_AFTER, "compare-before", "1", "agent", \
	  "a page is compared, time passes, it is taken out and mapped without another look") \
	X(DEFENCE_LEAVE_PINNED, "copy-pinned", "2", "agent", \
	  "a page that MOVE refuses (EBUSY) is copied and mapped over") \
	X(DEFENCE_QUARANTINE, "no-quarantine", "2", "agent", \
	  "a page taken out is given back at once") \
	X(DEFENCE_DISCARD, "no-discard", "3", "agent", \
	  "MADV_DONTNEED goes to the kernel alone") \
	X(DEFENCE_GATE_UNTIL_MAPPED, "unregister-early", "4", "agent", \
	  "the gate goes while pages are out, time passes") \
	X(DEFENCE_LAST_REFERENCE, "punch-early", "5", "daemon", \
	  "a frame is given back when the first of its users leaves it") \
	X(DEFENCE_FORK_WAITS, "no-fork", "6", "agent", \
	  "fork() does not wait for what is out; pages are out for long") \
	X(DEFENCE_REMAP, "no-remap", "6", "agent", \
	  "mremap() and munmap() go to the kernel alone") \
	X(DEFENCE_CLOSE, "no-close", "6b", "agent", \
	  "pages of a batch are not closed while they are copied") \
	X(DEFENCE_FAULT_LATE, "stale-fault", "6b", "agent", \
	  "a write fault is settled as if its page were still what it was then") \
	X(DEFENCE_PIN_TEST, "no-pin-test", "6b", "agent", \
	  "pinned pages are brought back like others") \
	X(DEFENCE_KEEP_BROKEN, "no-keep", "6b", "agent", \
	  "what a broken page had is not kept for late writes") \
	X(DEFENCE_FORK_ALLOWED, "fork-anyway", "6b", "agent", \
	  "a VMM whose seccomp filter or tracer may not know of a fork is forked") \
	X(DEFENCE_OWN_STORE, "one-store", "7", "daemon", \
	  "all domains share one store") \
	X(DEFENCE_STORE_READ_ONLY, "writable-store", "8", "both", \
	  "agents get a store that they can write to") \
	X(DEFENCE_SALT_WIPED, "keep-salt", "9", "daemon", \
	  "the salt stays in memory") \
	X(DEFENCE_SALT_OF_USER, "any-user", "10", "daemon", \
	  "a salt is believed from whoever says it") \
	X(DEFENCE_STORE_LEFT, "keep-store", "12", "daemon", \
	  "who remains keeps the store of who was made to leave") \
	X(DEFENCE_GRANT, "believe-claims", "-", "daemon", \
	  "a VM has as much memory as it claims, for rates and for hints") \
	X(DEFENCE_SETTLER_NO_MALLOC, "settler-mallocs", "12", "agent", \
	  "the thread that settles faults calls malloc() and free()") \
	X(DEFENCE_SETTLER_ASKS_NOBODY, "ask-daemon", "14", "agent", \
	  "a write fault waits until the daemon has answered") \
	X(DEFENCE_REGISTER_LATE, "register-early", "16", "agent", \
	  "a region is registered for missing pages at once") \
	X(DEFENCE_DISCARD_OUT, "keep-out", "3", "agent", \
	  "MADV_DONTNEED leaves what is staged, zipped or swapped where it is") \
	X(DEFENCE_GATE_COLD, "no-cold-gate", "4", "agent", \
	  "pages go out of blocks that are not behind the gate") \
	X(DEFENCE_STAGE_RESTS, "no-stage-rest", "2", "agent", \
	  "a staged page goes on at once") \
	X(DEFENCE_TWIN_COMPARE, "twin-unseen", "1", "agent", \
	  "a page that is out is taken for equal to the frame that it is told of") \
	X(DEFENCE_TWINS_IN, "leave-early", "5", "agent", \
	  "LEFT is said while a page comes in from a frame of the domain that is left") \
	X(DEFENCE_OUTDATE, "old-note", "1", "agent", \
	  "a page that was compressed anew is taken for the one that is being written") \
	X(DEFENCE_HELD_COPIED, "wait-held", "-", "agent", \
	  "a staged huge page that cannot be split is waited for, however long") \
	X(DEFENCE_STOP_DAMAGED, "show-damaged", "-", "agent", \
	  "what cannot be read back is shown to the guest as it is") \
	X(DEFENCE_FDS_HELD, "fds-unheld", "-", "agent", \
	  "the userfaultfds go when the VMM closes their descriptors; a touch is served late") \
	X(DEFENCE_MOVE_UNTOLD, "believe-move", "4", "agent", \
	  "what UFFDIO_MOVE says that it has not moved is taken for not moved") \
	X(DEFENCE_DISK_APART, "one-reader", "14", "agent", \
	  "who listens for accesses reads the disk himself") \
	X(DEFENCE_READER_ASKS_NOBODY, "reader-asks", "14", "agent", \
	  "an access to a page that is out waits for settle, and until the daemon has answered") \
	X(DEFENCE_FREEZE_OUT, "freeze-stale", "4", "agent", \
	  "what came back while a fork looked at its block is taken for not there") \
	X(DEFENCE_BIRTH_TIED, "any-birth", "5", "both", \
	  "a child's memory that was offered anew is born as what it was before") \
	X(DEFENCE_MAP_LIMIT, "no-map-limit", "18", "agent", \
	  "mappings are counted by nobody") \
	X(HOOK_GUARD_ALL, "all-guarded", "-", "agent", \
	  "first writes wait for the settler, as where pins cannot be told") \
	X(HOOK_MOVE_UNTOLD, "move-untold", "-", "agent", \
	  "UFFDIO_MOVE moves pages and says EEXIST, as Linux 6.18 may") \
	X(HOOK_SLOW_SETTLER, "slow-settler", "-", "agent", \
	  "the settler hears of a fault when its page has been opened") \
	X(HOOK_SLOW_DISK, "slow-disk", "-", "agent", \
	  "each read of the swap file takes half a second") \
	X(HOOK_SLOW_WRITE, "slow-write", "-", "agent", \
	  "each batch for the swap file takes four seconds more") \
	X(HOOK_SLOW_TWIN, "slow-twin", "-", "agent", \
	  "half a second passes before a cold twin is read from its frame") \
	X(HOOK_PAUSE_BATCH, "pause-batch", "-", "agent", \
	  "time passes between the steps of a batch")
// clang-format on

#define PS_DEFENCE_CONSTANT(constant, name, danger, where, without) constant,
enum ps_defence { PS_DEFENCES(PS_DEFENCE_CONSTANT) PS_DEFENCES_END };
#undef PS_DEFENCE_CONSTANT

#ifdef PSHARE_INJECT

/* Is that defence out? */
bool ps_without(enum ps_defence defence);
/* Some milliseconds: makes a window that a defence closes wide enough to be met. */
void ps_unsafe_pause(void);
/* Half a second. */
void ps_unsafe_slow(void);
/* malloc() and free() of a block that no cache of the thread serves. */
void ps_unsafe_malloc(void);
/* A duplicate of fd. */
int ps_unsafe_dup(int fd);
/* Waits until the daemon of that agent.sock has answered a question, or is not there. */
void ps_unsafe_ask(const char *agent_sock);
/* Keeps a copy of a secret for ever. */
void ps_unsafe_keep(const void *secret, size_t len);

#else

static inline bool ps_without(enum ps_defence defence)
{
	(void)defence;
	return false;
}

static inline void ps_unsafe_pause(void)
{
}

static inline void ps_unsafe_slow(void)
{
}

static inline void ps_unsafe_malloc(void)
{
}

static inline int ps_unsafe_dup(int fd)
{
	(void)fd;
	return -1;
}

static inline void ps_unsafe_ask(const char *agent_sock)
{
	(void)agent_sock;
}

static inline void ps_unsafe_keep(const void *secret, size_t len)
{
	(void)secret;
	(void)len;
}

#endif

/* Without that defence some milliseconds pass here. */
static inline void ps_pause_without(enum ps_defence defence)
{
	if (ps_without(defence))
		ps_unsafe_pause();
}

/* Is that hook set? */
static inline bool ps_hook(enum ps_defence hook)
{
	return ps_without(hook);
}

/* If it is, some milliseconds pass here. */
static inline void ps_pause_at(enum ps_defence hook)
{
	ps_pause_without(hook);
}

#endif
