/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One row for each setting; whoever shows, checks, documents or completes a setting walks the
 * rows. Names and meanings are ESX's (7.0 and 8.0). Where a range is wider than ESX's the
 * row keeps ESX's own, so that what is shown can say so:
 *
 *	Mem.ShareScanTime	from 0: no goal of time, for a host that wants sharing now
 *	Mem.ShareScanGHz	to 4096: as fast as a core hashes; ESX's 32 are 100 MB/s at 3 GHz
 *	Mem.ShareRateMax	to 4194304 pages/s, 16 GiB/s: a core hashes more than ESX's 32768
 *
 * A setting of a VM that takes from other VMs (shares, reservation and its like) is the
 * administrator's, whoever owns the VM.
 *
 * A secret goes in and never comes out: it is not formatted, and an error about it says its
 * length, not its content.
 */
#include "policy/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "policy/entitle.h"
#include "wire/wire.h"

#define NAME_MAX_LEN 48u /* of a name that is looked for: beyond it nothing is near */
#define NEAR_DISTANCE 4u /* letters to change for a name to be worth suggesting */

/* As ESX has it: from lo to hi. Wider: from least to most. */
#define INT_ROW(lo, hi, value) WIDER_ROW(lo, hi, value, lo, hi)
#define WIDER_ROW(least, most, value, lo, hi) \
	.type = SETTING_INT, RANGE(least, most, value), .esx_min = (lo), .esx_max = (hi)
#define RANGE(least, most, value) .min = (least), .max = (most), .def = (value)

#define OWN_ROW(least, most, value) INT_ROW(least, most, value), .own = true
#define VM_ROW(kind, least, most, value)                                                  \
	.type = (kind), RANGE(least, most, value), .esx_min = (least), .esx_max = (most), \
	.vm = true, .admin = true

#define STATE_ROW(title, value, after)                                                \
	{                                                                             \
		.name = (title), .unit = "percent",                                   \
		.text = "of minFree: below it the state is entered from above" after, \
		OWN_ROW(1, 1000, value),                                              \
	}

static const struct setting settings[SETTING_END] = {
	[SETTING_SHARE_SCAN_TIME] =
		{
			.name = "Mem.ShareScanTime",
			.unit = "minutes",
			.text = "time in which to look at all memory of a VM; 0: as fast as the other two allow",
			WIDER_ROW(0, 600, 60, 10, 600),
		},
	[SETTING_SHARE_SCAN_GHZ] =
		{
			.name = "Mem.ShareScanGHz",
			.unit = "MB/s per GHz",
			.text = "memory looked at each second, for each GHz of host CPU; 0: none",
			WIDER_ROW(0, 4096, 4, 0, 32),
		},
	[SETTING_SHARE_RATE_MAX] =
		{
			.name = "Mem.ShareRateMax",
			.unit = "pages/s",
			.text = "most pages looked at each second in one VM; 0: none",
			WIDER_ROW(0, 4194304, 1024, 0, 32768),
		},
	[SETTING_SHARE_RATE_FIRST] =
		{
			.name = "Mem.ShareRateFirst",
			.unit = "pages/s",
			.text = "pages looked at each second while a VM's first pass is under way; 0: as later",
			INT_ROW(0, 4194304, 65536),
			.own = true,
		},
	[SETTING_SHARE_FORCE_SALTING] =
		{
			.name = "Mem.ShareForceSalting",
			.unit = "",
			.text = "who shares: 0 all VMs; 1 VMs of one salt, and all without one; 2 VMs of one salt",
			INT_ROW(0, 2, 2),
		},
	[SETTING_ALLOC_GUEST_LARGE_PAGE] =
		{
			.name = "Mem.AllocGuestLargePage",
			.unit = "",
			.text = "1: huge pages stay whole while memory is plentiful; 0: share at 4 KiB at once",
			INT_ROW(0, 1, 1),
		},
	[SETTING_SHARE_QUARANTINE_MS] =
		{
			.name = "Mem.ShareQuarantineMs",
			.unit = "ms",
			.text = "time that a page taken out is kept, in case a device still writes to it",
			INT_ROW(100, 60000, 2000),
			.own = true,
		},
	[SETTING_SHARE_ZERO_ONLY] =
		{
			.name = "Mem.ShareZeroOnly",
			.unit = "",
			.text = "1: give back only pages of zeros, so that no write tells who else has a page",
			INT_ROW(0, 1, 0),
			.own = true,
		},
	[SETTING_SHARE_MAP_RESERVE] =
		{
			.name = "Mem.ShareMapReserve",
			.unit = "percent",
			.text = "part of vm.max_map_count that sharing leaves unused in a VM's process",
			INT_ROW(5, 90, 25),
			.own = true,
		},
	[SETTING_SHARE_VERIFY_RATE] =
		{
			.name = "Mem.ShareVerifyRate",
			.unit = "pages/s",
			.text = "shared pages read again each second, to find memory that has changed by itself; 0: none",
			INT_ROW(0, 1048576, 256),
			.own = true,
		},
	[SETTING_MEM_MIN_FREE_PCT] =
		{
			.name = "Mem.MemMinFreePct",
			.unit = "percent",
			.text = "of memory to be kept free (minFree); 0: 6 % of 4 GB, 4 % of the next 8, ...",
			INT_ROW(0, 50, 0),
		},
	[SETTING_MANAGED_MB] =
		{
			.name = "Mem.ManagedMB",
			.unit = "MB",
			.text = "memory that all VMs together may have; 0: what the host has",
			OWN_ROW(0, 1 << 30, 0),
		},
	[SETTING_STATE_HIGH_PCT] =
		{
			.name = "Mem.StateHighPct",
			.unit = "percent",
			.text = "of minFree: from there on the state is high again",
			OWN_ROW(1, 1000, 400),
		},
	[SETTING_STATE_CLEAR_PCT] = STATE_ROW("Mem.StateClearPct", 100, ": large pages are broken"),
	[SETTING_STATE_SOFT_PCT] = STATE_ROW("Mem.StateSoftPct", 64, ": balloons"),
	[SETTING_STATE_HARD_PCT] = STATE_ROW("Mem.StateHardPct", 32, ": pages go out"),
	[SETTING_STATE_LOW_PCT] = STATE_ROW("Mem.StateLowPct", 16, ": VMs are held back"),
	[SETTING_PSI_BRAKE_PCT] =
		{
			.name = "Mem.PsiBrakePct",
			.unit = "percent",
			.text = "of time that all tasks stall for memory: no better state then; 0: not looked at",
			OWN_ROW(0, 100, 10),
		},
	[SETTING_BALANCE_PERIOD] =
		{
			.name = "Mem.BalancePeriod",
			.unit = "s",
			.text = "time between two reckonings of the VMs' targets",
			INT_ROW(1, 120, 15),
		},
	[SETTING_SAMPLE_PERIOD] =
		{
			.name = "Mem.SamplePeriod",
			.unit = "s",
			.text = "time in which a VM's working set is sampled once; 0: it is not",
			INT_ROW(0, 180, 60),
		},
	[SETTING_IDLE_TAX] =
		{
			.name = "Mem.IdleTax",
			.unit = "percent",
			.text = "part of its idle memory that may be taken from a VM first",
			INT_ROW(0, 99, 75),
		},
	[SETTING_IDLE_TAX_TYPE] =
		{
			.name = "Mem.IdleTaxType",
			.unit = "",
			.text = "0: one rate for all; 1: it rises with the part that is idle",
			INT_ROW(0, 1, 1),
		},
	[SETTING_CTL_MAX_PERCENT] =
		{
			.name = "Mem.CtlMaxPercent",
			.unit = "percent",
			.text = "part of a VM's memory that its balloon may take; 0: no balloon is used",
			INT_ROW(0, 99, 65),
		},
	[SETTING_CTL_UP_TIME] =
		{
			.name = "Mem.CtlUpTime",
			.unit = "s",
			.text = "how long a guest's balloon driver has to answer before its balloon grows",
			INT_ROW(0, 3600, 30),
			.own = true,
		},
	[SETTING_MEM_ZIP_ENABLE] =
		{
			.name = "Mem.MemZipEnable",
			.unit = "",
			.text = "1: pages that are to be swapped are compressed first, if that helps",
			INT_ROW(0, 1, 1),
		},
	[SETTING_MEM_ZIP_MAX_PCT] =
		{
			.name = "Mem.MemZipMaxPct",
			.unit = "percent",
			.text = "part of a VM's memory that its compressed pages may take",
			INT_ROW(5, 100, 10),
		},
	[SETTING_MEM_SWAP_ENABLE] =
		{
			.name = "Mem.MemSwapEnable",
			.unit = "",
			.text = "0: no page is written to a swap file",
			OWN_ROW(0, 1, 1),
		},
	[SETTING_PAGE_IN_RATE_MAX] =
		{
			.name = "Mem.PageInRateMax",
			.unit = "pages/s",
			.text = "pages of a VM that come back: reclaim slows down beyond it; 0: it does not",
			OWN_ROW(0, 1 << 20, 1000),
		},
	[SETTING_LPAGE_DEFRAG] =
		{
			.name = "LPage.LPageDefragEnable",
			.unit = "",
			.text = "1: blocks become huge pages again when memory has been plentiful for long",
			INT_ROW(0, 1, 1),
		},
	[SETTING_LPAGE_DEFRAG_AFTER] =
		{
			.name = "LPage.LPageDefragAfter",
			.unit = "s",
			.text = "how long the state has to be high for that",
			OWN_ROW(0, 86400, 300),
		},
	[SETTING_PSHARE_ENABLE] =
		{
			.name = "sched.mem.pshare.enable",
			.unit = "",
			.text = "FALSE: this VM shares nothing",
			.type = SETTING_BOOL,
			.min = 0,
			.max = 1,
			.def = 1,
			.esx_min = 0,
			.esx_max = 1,
			.vm = true,
		},
	[SETTING_PSHARE_SALT] =
		{
			.name = "sched.mem.pshare.salt",
			.unit = "",
			.text = "secret that VMs have to have in common to share; empty: share with nobody",
			.type = SETTING_STRING,
			.min = 0,
			.max = PS_SALT_MAX,
			.def = 0,
			.esx_min = 0,
			.esx_max = PS_SALT_MAX,
			.vm = true,
			.secret = true,
		},
	[SETTING_MEM_SHARES] =
		{
			.name = "sched.mem.shares",
			.unit = "",
			.text = "its part where memory is short: low, normal, high (5, 10, 20 a MB), or a number",
			VM_ROW(SETTING_SHARES, 1, SHARES_MAX, SHARES_NORMAL),
		},
	[SETTING_MEM_MIN] =
		{
			.name = "sched.mem.min",
			.unit = "MB",
			.text = "reservation: what it has of it is never taken",
			VM_ROW(SETTING_INT, 0, 1 << 30, 0),
		},
	[SETTING_MEM_MAX] =
		{
			.name = "sched.mem.max",
			.unit = "MB",
			.text = "limit of the host's memory that it may have; -1: none",
			VM_ROW(SETTING_INT, -1, 1 << 30, -1),
		},
	[SETTING_MAXMEMCTL] =
		{
			.name = "sched.mem.maxmemctl",
			.unit = "MB",
			.text = "the most that its balloon may take; -1: by Mem.CtlMaxPercent",
			VM_ROW(SETTING_INT, -1, 1 << 30, -1),
		},
	[SETTING_SWAP_DIR] =
		{
			.name = "sched.swap.dir",
			.unit = "",
			.text = "folder for its swap file; empty: that of the daemon",
			VM_ROW(SETTING_STRING, 0, SETTING_PATH_MAX, 0),
		},
};

static const struct {
	const char *text;
	int64_t num;
} bools[] = {{"TRUE", 1}, {"FALSE", 0}, {"on", 1}, {"off", 0},
	     {"yes", 1},  {"no", 0},	{"1", 1},  {"0", 0}};

static const struct {
	const char *text;
	int64_t num;
} levels[] = {{"low", SHARES_LOW}, {"normal", SHARES_NORMAL}, {"high", SHARES_HIGH}};

const struct setting *setting_get(enum setting_id id)
{
	return &settings[id];
}

void settings_defaults(struct host_settings *host)
{
	for (int id = 0; id < SETTING_HOST_END; id++)
		host->value[id] = settings[id].def;
}

int settings_check(const struct host_settings *host, struct setting_pair *broken, char *err)
{
	for (int id = SETTING_STATE_CLEAR_PCT; id <= SETTING_STATE_LOW_PCT; id++) {
		if (host->value[id] < host->value[id - 1])
			continue;
		if (broken)
			*broken = (struct setting_pair){(enum setting_id)id,
							(enum setting_id)(id - 1)};
		return policy_error(err,
				    "%s cannot be %" PRId64 ": it has to be less than %s, "
				    "which is %" PRId64,
				    settings[id].name, host->value[id], settings[id - 1].name,
				    host->value[id - 1]);
	}
	return 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Letters to add, drop or change to make b of a (Levenshtein), both shorter than NAME_MAX_LEN. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[NAME_MAX_LEN + 1], n = strlen(b);

	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned int i = 1; a[i - 1]; i++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= n; j++) {
			unsigned int best = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));

			diagonal = row[j];
			if (diagonal + 1 < best)
				best = diagonal + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

/* The name of a row that somebody who typed name may have meant, or NULL. */
static const char *nearest(const char *name, bool vm)
{
	unsigned int best = NEAR_DISTANCE + 1;
	const char *found = NULL;

	if (strlen(name) >= NAME_MAX_LEN)
		return NULL;
	for (int id = 0; id < SETTING_END; id++) {
		unsigned int d = distance(name, settings[id].name);

		if (settings[id].vm == vm && d < best) {
			best = d;
			found = settings[id].name;
		}
	}
	return found;
}

static int name_unknown(const char *name, bool vm, char *err)
{
	const char *near = nearest(name, vm);
	char shown[POLICY_SHOWN_MAX + 4];

	policy_shown(shown, name, strlen(name));
	if (near)
		policy_error(err, "no %s setting '%s': did you mean %s?", vm ? "VM" : "host", shown,
			     near);
	else
		policy_error(err, "no %s setting '%s': 'pshare get' shows those there are",
			     vm ? "VM" : "host", shown);
	return -ENOENT;
}

int setting_find(const char *name, bool vm, char *err)
{
	for (int id = 0; id < SETTING_END; id++) {
		if (strcasecmp(name, settings[id].name) != 0)
			continue;
		if (settings[id].vm == vm)
			return id;
		policy_error(err,
			     vm ? "%s is a setting of the host, not of a VM: leave out --vm" :
				  "%s is a setting of a VM: say which with --vm",
			     settings[id].name);
		return -ENOENT;
	}
	return name_unknown(name, vm, err);
}

/* What would do, for an error line. */
static void describe_range(const struct setting *s, char *out, size_t size)
{
	if (s->type == SETTING_BOOL)
		snprintf(out, size, "TRUE or FALSE");
	else if (s->type == SETTING_SHARES)
		snprintf(out, size,
			 "low, normal, high or a whole number from %" PRId64 " to %" PRId64, s->min,
			 s->max);
	else if (s->max - s->min == 1)
		snprintf(out, size, "%" PRId64 " or %" PRId64, s->min, s->max);
	else
		snprintf(out, size, "a whole number from %" PRId64 " to %" PRId64 "%s%s", s->min,
			 s->max, *s->unit ? " " : "", s->unit);
}

static int value_bad(const struct setting *s, const char *text, size_t len, char *err)
{
	char shown[POLICY_SHOWN_MAX + 4], range[POLICY_ERROR_MAX / 2];

	describe_range(s, range, sizeof(range));
	return policy_error(err, "%s cannot be '%s': give %s", s->name,
			    policy_shown(shown, text, len), range);
}

int setting_check(enum setting_id id, int64_t num, char *err)
{
	const struct setting *s = &settings[id];
	char text[24];

	if (s->type == SETTING_STRING)
		return policy_error(err, "%s is a string, not a number", s->name);
	if ((num >= s->min && num <= s->max) ||
	    (s->type == SETTING_SHARES && num >= SHARES_HIGH && num <= SHARES_LOW))
		return 0;
	snprintf(text, sizeof(text), "%" PRId64, num);
	return value_bad(s, text, strlen(text), err);
}

/* Decimal digits only, at most 18 of them: no sign, no space, no overflow. */
static bool parse_digits(const char *text, size_t len, int64_t *num)
{
	int64_t n = 0;

	if (!len || len > 18)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (text[i] - '0');
	}
	*num = n;
	return true;
}

static bool parse_number(const struct setting *s, const char *text, size_t len, int64_t *num)
{
	if (s->min < 0 &&
	    ((len == 2 && !memcmp(text, "-1", 2)) || (len == 4 && !strncasecmp(text, "none", 4)))) {
		*num = -1;
		return true;
	}
	return parse_digits(text, len, num) && *num >= s->min && *num <= s->max;
}

static bool parse_shares(const struct setting *s, const char *text, size_t len, int64_t *num)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (len == strlen(levels[i].text) && !strncasecmp(text, levels[i].text, len)) {
			*num = levels[i].num;
			return true;
		}
	}
	return parse_number(s, text, len, num);
}

static bool parse_bool(const char *text, size_t len, int64_t *num)
{
	for (size_t i = 0; i < sizeof(bools) / sizeof(bools[0]); i++) {
		if (len == strlen(bools[i].text) && !strncasecmp(text, bools[i].text, len)) {
			*num = bools[i].num;
			return true;
		}
	}
	return false;
}

static int parse_string(const struct setting *s, const char *text, size_t len,
			struct setting_value *value, char *err)
{
	if (len > (uint64_t)s->max)
		return policy_error(err, "%s is %zu bytes long: give at most %" PRId64, s->name,
				    len, s->max);
	if (!s->secret && len && *text != '/') {
		char shown[POLICY_SHOWN_MAX + 4];

		return policy_error(err, "%s cannot be '%s': give a path from the root, or nothing",
				    s->name, policy_shown(shown, text, len));
	}
	*value = (struct setting_value){.str = text, .len = len};
	return 0;
}

int setting_parse(enum setting_id id, const char *text, size_t len, struct setting_value *value,
		  char *err)
{
	const struct setting *s = &settings[id];
	int64_t num;
	bool is_value;

	if (s->type == SETTING_STRING)
		return parse_string(s, text, len, value, err);
	is_value = s->type == SETTING_BOOL   ? parse_bool(text, len, &num) :
		   s->type == SETTING_SHARES ? parse_shares(s, text, len, &num) :
					       parse_number(s, text, len, &num);
	if (!is_value)
		return value_bad(s, text, len, err);
	*value = (struct setting_value){.num = num};
	return 0;
}

int setting_format(enum setting_id id, int64_t num, char *out, size_t size)
{
	const struct setting *s = &settings[id];
	int len;

	if (!size)
		return -ENOSPC;
	*out = '\0';
	if (s->secret || s->type == SETTING_STRING)
		return -EPERM;
	if (s->type == SETTING_BOOL)
		len = snprintf(out, size, "%s", num ? "TRUE" : "FALSE");
	else if (s->type == SETTING_SHARES && num < 0)
		len = snprintf(out, size, "%s",
			       num >= SHARES_HIGH ? levels[-1 - num].text : "normal");
	else
		len = snprintf(out, size, "%" PRId64, num);
	return (size_t)len < size ? len : -ENOSPC;
}
