/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * balloon: what pshared and pshare-balloon say to each other.
 *
 * pshare-balloon is one keeper and, for each VM that has a QMP socket, one worker. pshared talks to
 * the keeper on one socket (START), and to each worker on a channel of its own (ORDER, REPORT). All
 * of them are SOCK_SEQPACKET pairs; one message is one packet of its type's exact size.
 *
 *   pshared -> keeper   START  (+ fds: a QMP connection, the worker's end of a channel)
 *   keeper  -> pshared  nothing; a worker that cannot be made closes its channel
 *   pshared -> worker   ORDER  all that is wanted, again and again: each replaces the one before.
 *                              At least every PS_BALLOON_BEAT_MS while the VM is held.
 *   worker  -> pshared  REPORT all that is known, at each look and at each change
 *
 * Either end closes the channel. A worker whose channel is closed, or that holds its VM and hears
 * nothing for PS_BALLOON_HEAR_MS, lets the VM go on first. A worker whose QEMU lies, stalls, floods
 * or closes says so in its last REPORT and ends; pshared asks the VM's agent for another
 * connection, and starts another.
 *
 * pshared believes no REPORT: it comes from a process that a hostile QEMU may have taken over. Its
 * size and state are checked, and its figures are that VM's alone. A worker believes pshared.
 */
#ifndef PSHARE_WIRE_BALLOON_H
#define PSHARE_WIRE_BALLOON_H

#include <stdint.h>

#include "wire/wire.h"

#define PS_BALLOON_MAGIC 0x314c4250u /* "PBL1" */
#define PS_BALLOON_BEAT_MS 2000u
#define PS_BALLOON_HEAR_MS 10000u
#define PS_BALLOON_TEXT 120u
#define PS_BALLOON_KEEPER_FD 3 /* where pshare-balloon finds its socket to pshared */

enum ps_balloon_msg { PS_BALLOON_START = 1, PS_BALLOON_ORDER, PS_BALLOON_REPORT };

/* How it is with a VM's balloon. Names as JSON shows them: ps_balloon_state_name(). */
enum ps_balloon_state {
	PS_BALLOON_NONE,       /* the VM has named no QMP socket */
	PS_BALLOON_CONNECTING, /* no REPORT yet */
	PS_BALLOON_NO_SOCKET,  /* its agent cannot connect to the socket */
	PS_BALLOON_LOST,       /* QEMU closed the connection, or the worker ended */
	PS_BALLOON_STALLED,    /* QEMU does not answer; or another client has the socket */
	PS_BALLOON_LIES,       /* what it says is no QMP, too much of it, or cannot be true */
	PS_BALLOON_NO_DEVICE,  /* QEMU has no virtio-balloon */
	PS_BALLOON_NO_DRIVER,  /* the guest has never answered: no driver, or it still boots */
	PS_BALLOON_STALE,      /* it did, and does not any more */
	PS_BALLOON_NO_FIGURES, /* the driver says nothing of available memory */
	PS_BALLOON_EARLY,      /* the guest has not been up for long enough */
	PS_BALLOON_LOCKED,     /* guest memory is locked (mlock): nothing would be freed */
	PS_BALLOON_NOT_FREED,  /* QEMU says it shrank, and the host has not got the pages */
	PS_BALLOON_REFUSED,    /* QEMU refused the order */
	PS_BALLOON_SLOW,       /* the guest does not follow the target */
	/* from here on it is of use */
	PS_BALLOON_READY, /* nothing is asked of it */
	PS_BALLOON_INFLATING,
	PS_BALLOON_DEFLATING,
	PS_BALLOON_AT_TARGET,
	PS_BALLOON_AT_FLOOR, /* the guest needs the rest: its working set and a reserve */
	PS_BALLOON_AT_MAX,   /* Mem.CtlMaxPercent or sched.mem.maxmemctl */
	PS_BALLOON_SHORT,    /* the guest is short of memory: it is given back */
	PS_BALLOON_STATE_END
};

struct ps_balloon_head {
	uint32_t magic;
	uint16_t type;
	uint16_t size;
};

struct ps_balloon_start {
	struct ps_balloon_head head;
	uint32_t flags; /* PS_BALLOON_WAS_HELD */
	uint32_t reserved;
	char name[PS_NAME_MAX]; /* of the VM, for the log */
};

#define PS_BALLOON_WAS_HELD \
	1u /* an earlier worker held this VM: it is to be let go if it still is */

#define PS_BALLOON_HOLD 1u  /* the VM is to stand still (QMP stop) */
#define PS_BALLOON_FORCE 2u /* below the floor too, and not given back when the guest is short */
#define PS_BALLOON_KEEP 4u  /* target is not known yet: the balloon stays as it is */

struct ps_balloon_order {
	struct ps_balloon_head head;
	uint32_t flags;	      /* PS_BALLOON_HOLD, _FORCE, _KEEP */
	uint32_t max_percent; /* Mem.CtlMaxPercent: of the VM's size; 0: no ballooning */
	uint32_t up_s;	      /* Mem.CtlUpTime: seconds that a guest has to be up before */
	uint32_t reserved;
	uint64_t target;   /* MCTLTGT, bytes: how large the balloon is to be */
	uint64_t max;	   /* sched.mem.maxmemctl, bytes; UINT64_MAX: none */
	uint64_t resident; /* bytes that the host has of the VMM; 0: not known */
};

#define PS_BALLOON_DEVICE 1u	   /* there is a virtio-balloon */
#define PS_BALLOON_OOM 2u	   /* deflate-on-oom=on */
#define PS_BALLOON_REPORTING 4u	   /* free-page-reporting=on */
#define PS_BALLOON_FRESH 8u	   /* the statistics are of now */
#define PS_BALLOON_HELD 16u	   /* stopped by us */
#define PS_BALLOON_PAUSED 32u	   /* does not run, and not by us */
#define PS_BALLOON_GUEST_SHORT 64u /* of memory */

/* Bytes; rates a second. UINT64_MAX: not known. */
struct ps_balloon_report {
	struct ps_balloon_head head;
	uint32_t state; /* enum ps_balloon_state */
	uint32_t flags;
	uint64_t size;	 /* the guest's memory, what was plugged in too */
	uint64_t actual; /* what QEMU says that it has left: size - balloon */
	uint64_t goal;	 /* how large the balloon is to be at this step; steps lead to the target */
	uint64_t max;	 /* MCTLMAX: how large it may be by the settings */
	uint64_t most;	 /* how large it can be now, by the settings and by what the guest needs */
	/* statistics of the guest's driver: hints */
	uint64_t total, available, free;
	uint64_t swap_in, major_faults, stalls;
	uint64_t age_ms;	    /* of the statistics */
	char text[PS_BALLOON_TEXT]; /* what QEMU said, where state does not tell; NUL padded */
};

/* 0 if these are len bytes of a message of that type; -EPROTO. */
int ps_balloon_check(const void *buf, uint32_t len, enum ps_balloon_msg type);
struct ps_balloon_head ps_balloon_head(enum ps_balloon_msg type);
/* 0 if nothing in it is impossible: state, text, flags; -EPROTO. */
int ps_balloon_report_check(const struct ps_balloon_report *report);
/* "no-driver", ...; never NULL. */
const char *ps_balloon_state_name(unsigned int state);

#endif
