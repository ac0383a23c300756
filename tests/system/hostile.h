/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hostile: agents that lie, flood, stall, vanish. The daemon may refuse them in one line or cut
 * them off; it may not die, hang, or believe them at another VM's cost. So two honest VMs of the
 * same domain live beside each attack, and after it: their memory is right, they still come to
 * share, and the daemon holds no more than before.
 */
#ifndef PSHARE_TEST_HOSTILE_H
#define PSHARE_TEST_HOSTILE_H

#include "harness/harness.h"
#include "lib/fakevmm.h"
#include "lib/peer.h"

#define PAGES 1024u /* of each honest VM */
#define KEYS 96u    /* different contents in them */
#define SALT "salt of the honest"
#define SHARED_MS 90000
#define CUT_MS 4000
#define ATTACK_SECONDS 80

extern struct t_daemon d;
extern struct fakevmm honest[2];
extern uint32_t fds_before; /* descriptors that the daemon had open before the attack */

void start(void); /* a daemon, two honest VMs that share */
uint32_t open_fds(pid_t pid);
/* The honest get KEYS contents from this one on, over and over, and share them. */
void share_anew(uint32_t key);
/* Runs it in a process of its own: what it maps, as the daemon has to think, ends with it. */
void attack(void (*body)(void));
/* After the attack, with the attacker's connections closed. Ends everything. */
void others_fine(void);
/* A refusal is one line that a person can read. */
void check_refusal(struct peer *p);
/* The daemon must refuse the peer, or cut it off. Closes it. */
void must_cut(struct peer *p, const char *what);
/* The hash of a pool content in the peer's domain. */
uint64_t key_hash(struct peer *p, uint32_t key);

#endif
