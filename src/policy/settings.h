/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * settings: what can be set, for the host and for a VM, under ESX's names.
 *
 * One table says everything about a setting; the daemon, the command and the manual read it there.
 */
#ifndef PSHARE_POLICY_SETTINGS_H
#define PSHARE_POLICY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/error.h"

enum setting_id {
	/* host */
	SETTING_SHARE_SCAN_TIME,	/* Mem.ShareScanTime, minutes */
	SETTING_SHARE_SCAN_GHZ,		/* Mem.ShareScanGHz, MB/s per GHz */
	SETTING_SHARE_RATE_MAX,		/* Mem.ShareRateMax, pages/s */
	SETTING_SHARE_RATE_FIRST,	/* Mem.ShareRateFirst, pages/s; pshare's own */
	SETTING_SHARE_FORCE_SALTING,	/* Mem.ShareForceSalting */
	SETTING_ALLOC_GUEST_LARGE_PAGE, /* Mem.AllocGuestLargePage */
	SETTING_SHARE_QUARANTINE_MS,	/* Mem.ShareQuarantineMs, ms; pshare's own */
	SETTING_SHARE_ZERO_ONLY,	/* Mem.ShareZeroOnly; pshare's own */
	SETTING_SHARE_MAP_RESERVE,	/* Mem.ShareMapReserve, percent; pshare's own */
	SETTING_SHARE_VERIFY_RATE,	/* Mem.ShareVerifyRate, pages/s; pshare's own */
	SETTING_CTL_MAX_PERCENT,	/* Mem.CtlMaxPercent */
	SETTING_CTL_UP_TIME,		/* Mem.CtlUpTime, s; pshare's own */
	SETTING_MEM_MIN_FREE_PCT,	/* Mem.MemMinFreePct, percent; 0: the sliding scale */
	SETTING_MANAGED_MB,		/* Mem.ManagedMB; 0: the host's; pshare's own */
	SETTING_STATE_HIGH_PCT,		/* Mem.StateHighPct ..., in the order of enum memstate */
	SETTING_STATE_CLEAR_PCT,
	SETTING_STATE_SOFT_PCT,
	SETTING_STATE_HARD_PCT,
	SETTING_STATE_LOW_PCT,
	SETTING_PSI_BRAKE_PCT,	    /* Mem.PsiBrakePct; pshare's own */
	SETTING_BALANCE_PERIOD,	    /* Mem.BalancePeriod, s */
	SETTING_SAMPLE_PERIOD,	    /* Mem.SamplePeriod, s */
	SETTING_IDLE_TAX,	    /* Mem.IdleTax, percent */
	SETTING_IDLE_TAX_TYPE,	    /* Mem.IdleTaxType: 0 flat, 1 variable */
	SETTING_MEM_ZIP_ENABLE,	    /* Mem.MemZipEnable */
	SETTING_MEM_ZIP_MAX_PCT,    /* Mem.MemZipMaxPct */
	SETTING_MEM_SWAP_ENABLE,    /* Mem.MemSwapEnable; pshare's own */
	SETTING_PAGE_IN_RATE_MAX,   /* Mem.PageInRateMax, pages/s; pshare's own */
	SETTING_LPAGE_DEFRAG,	    /* LPage.LPageDefragEnable */
	SETTING_LPAGE_DEFRAG_AFTER, /* LPage.LPageDefragAfter, s; pshare's own */
	SETTING_HOST_END,
	/* VM */
	SETTING_PSHARE_ENABLE = SETTING_HOST_END, /* sched.mem.pshare.enable */
	SETTING_PSHARE_SALT,			  /* sched.mem.pshare.salt: write-only */
	SETTING_MEM_SHARES,			  /* sched.mem.shares: a level or a number */
	SETTING_MEM_MIN,			  /* sched.mem.min, MB: reservation */
	SETTING_MEM_MAX,			  /* sched.mem.max, MB: limit; -1: none */
	SETTING_MAXMEMCTL,			  /* sched.mem.maxmemctl, MB; -1: by percent */
	SETTING_SWAP_DIR,			  /* sched.swap.dir: a folder; "": the host's */
	SETTING_END
};

enum setting_type { SETTING_INT, SETTING_BOOL, SETTING_STRING, SETTING_SHARES };

#define SETTING_PATH_MAX 255u /* bytes of a folder's name */

struct setting {
	const char *name;
	const char *unit; /* "" if it has none */
	const char *text; /* one line, no full stop */
	enum setting_type type;
	bool vm;		  /* a VM's setting; else the host's */
	bool own;		  /* pshare's own: ESX has none of this name */
	bool secret;		  /* write-only: never formatted, never repeated in an error */
	bool admin;		  /* not for the VM's owner: it takes from others */
	int64_t min, max, def;	  /* BOOL: 0, 1; STRING: length in bytes, def 0 */
	int64_t esx_min, esx_max; /* what ESX accepts; equal to min, max where ours is not wider */
};

/* INT, BOOL and SHARES use num (SHARES: SHARES_LOW ... of policy/entitle.h, or > 0); STRING borrows
 * str, len from the text that was parsed. */
struct setting_value {
	int64_t num;
	const char *str;
	size_t len;
};

/* All values of the host. settings_defaults() fills it. Index: enum setting_id. */
struct host_settings {
	int64_t value[SETTING_HOST_END];
};

void settings_defaults(struct host_settings *host);

/* Do they go together? Each alone may be right, and two be wrong: thresholds of states have to
 * fall. 0, or -EINVAL with a line in err, and which two (broken may be NULL). */
struct setting_pair {
	enum setting_id a, b;
};
int settings_check(const struct host_settings *host, struct setting_pair *broken, char *err);

/* The table's row. id < SETTING_END; to iterate: for (id = 0; id < SETTING_END; id++). */
const struct setting *setting_get(enum setting_id id);

/* The id of a whole name, upper or lower case; -ENOENT with a line in err (which also says the
 * nearest name there is). vm: look among a VM's settings, else among the host's. */
int setting_find(const char *name, bool vm, char *err);

/* Checks len bytes of text as a value of the setting. 0, or -EINVAL with a line in err and *value
 * untouched. BOOL takes TRUE/FALSE, on/off, yes/no, 1/0 in any case; STRING any bytes. */
int setting_parse(enum setting_id id, const char *text, size_t len, struct setting_value *value,
		  char *err);

/* The same check for a number that came as a number (JSON). BOOL takes 0 and 1. */
int setting_check(enum setting_id id, int64_t num, char *err);

/* Writes num as setting_parse() would read it ("60", "TRUE") into out. Returns its length, -EPERM
 * for a secret and for any STRING (out is ""), -ENOSPC. */
int setting_format(enum setting_id id, int64_t num, char *out, size_t size);

#endif
