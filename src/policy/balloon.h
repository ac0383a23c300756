/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * balloon: how large a guest's balloon is to be next, from what its driver says, what the host
 * sees, and what was asked. Sizes in bytes, times in ms of a clock that never goes back.
 *
 * A balloon is named by its size here: what it takes from the guest. QEMU names what is left
 * (actual = size - balloon).
 */
#ifndef PSHARE_POLICY_BALLOON_H
#define PSHARE_POLICY_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/balloon.h"

#define BALLOON_UNKNOWN UINT64_MAX

/* What the guest's driver says. All but stamp may be BALLOON_UNKNOWN. */
struct balloon_figures {
	uint64_t stamp; /* last-update: another number when there are new figures; 0: never any */
	uint64_t total, available, free;
	/* since the guest booted: bytes; counts */
	uint64_t swap_in, major_faults, stalls;
};

/* One look at a VM. */
struct balloon_look {
	uint64_t now_ms;
	uint64_t size;	   /* of what the balloon counts: what was plugged in too */
	uint64_t actual;   /* what QEMU says is left of it */
	uint64_t resident; /* what the host has of the VMM; 0: not known */
	bool paused;	   /* the guest stands still: it can say and do nothing */
	struct balloon_figures figures;
};

struct balloon_wish {
	uint64_t target;      /* MCTLTGT */
	uint64_t max;	      /* sched.mem.maxmemctl; UINT64_MAX: none */
	uint32_t max_percent; /* Mem.CtlMaxPercent */
	uint32_t up_s;	      /* Mem.CtlUpTime */
	bool force;
};

struct balloon_next {
	enum ps_balloon_state state;
	bool set; /* tell QEMU: value is what is to be left */
	uint64_t value;
	uint64_t goal, max, most; /* as in struct ps_balloon_report */
	bool fresh, guest_short;
	uint64_t swap_in, major_faults, stalls; /* a second; BALLOON_UNKNOWN */
	uint64_t age_ms;			/* of the figures; BALLOON_UNKNOWN: never any */
	uint32_t poll_s;			/* how often the guest is to be asked for figures */
};

struct balloon {
	uint64_t begun_ms;
	bool looked;
	/* figures */
	struct balloon_figures last;
	uint64_t last_ms;  /* when they came; of figures that were there at the first look: never */
	uint64_t first_ms; /* when the first live ones came; 0: none yet */
	uint32_t answers;  /* live figures */
	uint64_t swap_in, major_faults, stalls;
	uint32_t strange; /* looks in a row that cannot be true */
	/* the way down */
	uint64_t size;	     /* as it was at the last look */
	uint64_t goal;	     /* of this step */
	uint64_t goal_ms;    /* when it was set */
	uint64_t reached_ms; /* 0: not reached */
	uint64_t moved_ms;   /* when the balloon last came nearer to the goal */
	uint64_t nearest;    /* how far it was from the goal then */
	/* what the host got for it: since balloon was from_balloon and the VMM had from_resident */
	uint64_t from_balloon, from_resident;
	/* the guest's own needs */
	uint64_t learned, learned_until; /* not above this size until then */
	uint64_t quiet_until;		 /* nothing new is taken */
	/* what it is passed over for */
	uint64_t slow_until, not_freed_until, refused_until;
};

void balloon_init(struct balloon *b, uint64_t now_ms);
/* Looks, and says what is to be done now. */
void balloon_step(struct balloon *b, const struct balloon_look *look,
		  const struct balloon_wish *wish, struct balloon_next *next);
/* QEMU refused what the last step said. */
void balloon_refused(struct balloon *b, uint64_t now_ms);

/* MCTLMAX: how large the balloon of a guest of that size may be. */
uint64_t balloon_max_of(uint64_t size, uint64_t max, uint32_t max_percent);
/* What a guest of that size keeps free beyond what it uses: 64 MiB, or a 16th. */
uint64_t balloon_reserve(uint64_t size);
/* Is a balloon in this state of use? If not, another technique has to take its part. */
bool balloon_usable(enum ps_balloon_state state);
/* One line for a person: what the state means; and what would do, or NULL. Never empty. */
const char *balloon_state_text(unsigned int state);
const char *balloon_state_mend(unsigned int state);

#endif
