/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/entitle.h"
#include "policy/settings.h"

#define PARSE(id, text, value, err) setting_parse(id, text, strlen(text), value, err)

TEST("names, defaults and ranges are ESX's, and where ours are wider the row says so")
{
	static const struct {
		enum setting_id id;
		const char *name;
		int64_t def, min, max, esx_min, esx_max;
	} rows[] = {
		{SETTING_SHARE_SCAN_TIME, "Mem.ShareScanTime", 60, 0, 600, 10, 600},
		{SETTING_SHARE_SCAN_GHZ, "Mem.ShareScanGHz", 4, 0, 4096, 0, 32},
		{SETTING_SHARE_RATE_MAX, "Mem.ShareRateMax", 1024, 0, 4194304, 0, 32768},
		{SETTING_SHARE_RATE_FIRST, "Mem.ShareRateFirst", 65536, 0, 4194304, 0, 4194304},
		{SETTING_SHARE_FORCE_SALTING, "Mem.ShareForceSalting", 2, 0, 2, 0, 2},
		{SETTING_ALLOC_GUEST_LARGE_PAGE, "Mem.AllocGuestLargePage", 1, 0, 1, 0, 1},
		{SETTING_SHARE_QUARANTINE_MS, "Mem.ShareQuarantineMs", 2000, 100, 60000, 100,
		 60000},
		{SETTING_SHARE_ZERO_ONLY, "Mem.ShareZeroOnly", 0, 0, 1, 0, 1},
		{SETTING_SHARE_MAP_RESERVE, "Mem.ShareMapReserve", 25, 5, 90, 5, 90},
		{SETTING_SHARE_VERIFY_RATE, "Mem.ShareVerifyRate", 256, 0, 1048576, 0, 1048576},
		{SETTING_CTL_MAX_PERCENT, "Mem.CtlMaxPercent", 65, 0, 99, 0, 99},
		{SETTING_CTL_UP_TIME, "Mem.CtlUpTime", 30, 0, 3600, 0, 3600},
		{SETTING_MEM_MIN_FREE_PCT, "Mem.MemMinFreePct", 0, 0, 50, 0, 50},
		{SETTING_MANAGED_MB, "Mem.ManagedMB", 0, 0, 1 << 30, 0, 1 << 30},
		{SETTING_STATE_HIGH_PCT, "Mem.StateHighPct", 400, 1, 1000, 1, 1000},
		{SETTING_STATE_CLEAR_PCT, "Mem.StateClearPct", 100, 1, 1000, 1, 1000},
		{SETTING_STATE_SOFT_PCT, "Mem.StateSoftPct", 64, 1, 1000, 1, 1000},
		{SETTING_STATE_HARD_PCT, "Mem.StateHardPct", 32, 1, 1000, 1, 1000},
		{SETTING_STATE_LOW_PCT, "Mem.StateLowPct", 16, 1, 1000, 1, 1000},
		{SETTING_PSI_BRAKE_PCT, "Mem.PsiBrakePct", 10, 0, 100, 0, 100},
		{SETTING_BALANCE_PERIOD, "Mem.BalancePeriod", 15, 1, 120, 1, 120},
		{SETTING_SAMPLE_PERIOD, "Mem.SamplePeriod", 60, 0, 180, 0, 180},
		{SETTING_IDLE_TAX, "Mem.IdleTax", 75, 0, 99, 0, 99},
		{SETTING_IDLE_TAX_TYPE, "Mem.IdleTaxType", 1, 0, 1, 0, 1},
		{SETTING_MEM_ZIP_ENABLE, "Mem.MemZipEnable", 1, 0, 1, 0, 1},
		{SETTING_MEM_ZIP_MAX_PCT, "Mem.MemZipMaxPct", 10, 5, 100, 5, 100},
		{SETTING_MEM_SWAP_ENABLE, "Mem.MemSwapEnable", 1, 0, 1, 0, 1},
		{SETTING_PAGE_IN_RATE_MAX, "Mem.PageInRateMax", 1000, 0, 1 << 20, 0, 1 << 20},
		{SETTING_LPAGE_DEFRAG, "LPage.LPageDefragEnable", 1, 0, 1, 0, 1},
		{SETTING_LPAGE_DEFRAG_AFTER, "LPage.LPageDefragAfter", 300, 0, 86400, 0, 86400},
		{SETTING_PSHARE_ENABLE, "sched.mem.pshare.enable", 1, 0, 1, 0, 1},
		{SETTING_PSHARE_SALT, "sched.mem.pshare.salt", 0, 0, 1024, 0, 1024},
		{SETTING_MEM_SHARES, "sched.mem.shares", SHARES_NORMAL, 1, SHARES_MAX, 1,
		 SHARES_MAX},
		{SETTING_MEM_MIN, "sched.mem.min", 0, 0, 1 << 30, 0, 1 << 30},
		{SETTING_MEM_MAX, "sched.mem.max", -1, -1, 1 << 30, -1, 1 << 30},
		{SETTING_MAXMEMCTL, "sched.mem.maxmemctl", -1, -1, 1 << 30, -1, 1 << 30},
		{SETTING_SWAP_DIR, "sched.swap.dir", 0, 0, 255, 0, 255},
	};

	CHECK_EQ(sizeof(rows) / sizeof(rows[0]), (size_t)SETTING_END);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct setting *s = setting_get(rows[i].id);

		CHECK_STR(s->name, rows[i].name);
		CHECK_EQ(s->def, rows[i].def);
		CHECK_EQ(s->min, rows[i].min);
		CHECK_EQ(s->max, rows[i].max);
		CHECK_EQ(s->esx_min, rows[i].esx_min);
		CHECK_EQ(s->esx_max, rows[i].esx_max);
		CHECK_EQ(s->vm, rows[i].id >= SETTING_HOST_END);
		CHECK(s->unit);
		CHECK(s->text && *s->text && !strchr(s->text, '\n') && strlen(s->text) < 90);
	}
}

TEST("the defaults of the host are those of its rows")
{
	struct host_settings host;

	settings_defaults(&host);
	for (int id = 0; id < SETTING_HOST_END; id++) {
		CHECK_EQ(host.value[id], setting_get(id)->def);
		CHECK_OK(setting_check(id, host.value[id], NULL));
	}
}

TEST("a name is found in any case, whole, and only where it applies")
{
	char err[POLICY_ERROR_MAX];

	for (int id = 0; id < SETTING_END; id++) {
		const struct setting *s = setting_get(id);

		CHECK_EQ(setting_find(s->name, s->vm, err), id);
		CHECK_EQ(setting_find(s->name, !s->vm, err), -ENOENT);
		CHECK_IN("--vm", err);
	}
	CHECK_EQ(setting_find("mem.sharescantime", false, err), SETTING_SHARE_SCAN_TIME);
	CHECK_EQ(setting_find("MEM.SHARESCANTIME", false, NULL), SETTING_SHARE_SCAN_TIME);
	CHECK_EQ(setting_find("Mem.ShareScanTim", false, err), -ENOENT);
	CHECK_EQ(setting_find("", false, err), -ENOENT);
}

TEST("a name with a slip gets the name it was meant to be; a strange one the way to the list")
{
	char err[POLICY_ERROR_MAX], huge[5000];

	setting_find("Mem.ShareScanTimes", false, err);
	CHECK_STR(err, "no host setting 'Mem.ShareScanTimes': did you mean Mem.ShareScanTime?");
	setting_find("mem.forcesalting", false, err);
	CHECK_STR(err, "no host setting 'mem.forcesalting': 'pshare get' shows those there are");
	setting_find("sched.mem.pshare.enabled", true, err);
	CHECK_IN("did you mean sched.mem.pshare.enable?", err);
	setting_find("x\ny\x1b[31m", false, err);
	CHECK_STR(err, "no host setting 'x?y?[31m': 'pshare get' shows those there are");
	memset(huge, 'M', sizeof(huge));
	huge[sizeof(huge) - 1] = '\0';
	CHECK_EQ(setting_find(huge, false, err), -ENOENT);
	CHECK_LT(strlen(err), 120u);
}

TEST("every whole number in range is taken, and formats back to itself")
{
	struct setting_value value;
	char text[24], err[POLICY_ERROR_MAX];

	for (int id = 0; id < SETTING_HOST_END; id++) {
		const struct setting *s = setting_get(id);

		for (int64_t n = s->min; n <= s->max; n += 1 + (s->max - s->min) / 700) {
			REQUIRE_OK(setting_format(id, n, text, sizeof(text)));
			REQUIRE_OK(PARSE(id, text, &value, err));
			CHECK_EQ(value.num, n);
		}
	}
}

TEST("what is no whole number in range is refused in one line, and nothing is changed")
{
	static const char *const bad[] = {"",
					  " ",
					  "-1",
					  "+1",
					  "1 ",
					  " 1",
					  "1.5",
					  "0x10",
					  "1e3",
					  "60m",
					  "601",
					  "4294967296",
					  "18446744073709551616",
					  "99999999999999999999999999999999999999999",
					  "ten",
					  "--1"};
	struct setting_value value = {.num = 77};
	char err[POLICY_ERROR_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(PARSE(SETTING_SHARE_SCAN_TIME, bad[i], &value, err), -EINVAL);
		CHECK_IN("Mem.ShareScanTime cannot be '", err);
		CHECK_IN("': give a whole number from 0 to 600 minutes", err);
		CHECK_EQ(value.num, 77);
	}
	CHECK_EQ(setting_parse(SETTING_SHARE_SCAN_TIME, "1\0", 2, &value, NULL), -EINVAL);
	CHECK_EQ(value.num, 77);
}

TEST("error lines say what would do, in the words of the setting")
{
	struct setting_value value;
	char err[POLICY_ERROR_MAX];

	PARSE(SETTING_ALLOC_GUEST_LARGE_PAGE, "2", &value, err);
	CHECK_STR(err, "Mem.AllocGuestLargePage cannot be '2': give 0 or 1");
	PARSE(SETTING_PSHARE_ENABLE, "maybe", &value, err);
	CHECK_STR(err, "sched.mem.pshare.enable cannot be 'maybe': give TRUE or FALSE");
	PARSE(SETTING_SHARE_FORCE_SALTING, "3", &value, err);
	CHECK_STR(err, "Mem.ShareForceSalting cannot be '3': give a whole number from 0 to 2");
	CHECK_EQ(setting_check(SETTING_SHARE_QUARANTINE_MS, 0, err), -EINVAL);
	CHECK_STR(err,
		  "Mem.ShareQuarantineMs cannot be '0': give a whole number from 100 to 60000 ms");
	CHECK_EQ(setting_check(SETTING_SHARE_SCAN_GHZ, INT64_MIN, err), -EINVAL);
	CHECK_EQ(setting_check(SETTING_PSHARE_SALT, 1, err), -EINVAL);
}

TEST("a long or dirty value is clipped and cleaned in the error line")
{
	struct setting_value value;
	char err[POLICY_ERROR_MAX], text[10000];

	memset(text, '7', sizeof(text));
	text[1] = '\n';
	text[2] = (char)0xff;
	CHECK_EQ(setting_parse(SETTING_SHARE_SCAN_TIME, text, sizeof(text), &value, err), -EINVAL);
	CHECK_IN("'7??7777", err);
	CHECK_IN("...'", err);
	CHECK(!strchr(err, '\n'));
}

TEST("a bool is TRUE or FALSE, on or off, yes or no, 1 or 0, in any case, and nothing else")
{
	static const char *const yes[] = {"TRUE", "true", "True", "on", "ON", "yes", "1"};
	static const char *const no[] = {"FALSE", "false", "off", "Off", "no", "NO", "0"};
	static const char *const bad[] = {"", "t", "truee", "2", "-1", "tru", "none", "onoff"};
	struct setting_value value = {.num = 77};
	char text[8];

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		CHECK_OK(PARSE(SETTING_PSHARE_ENABLE, yes[i], &value, NULL));
		CHECK_EQ(value.num, 1);
		CHECK_OK(PARSE(SETTING_PSHARE_ENABLE, no[i], &value, NULL));
		CHECK_EQ(value.num, 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(PARSE(SETTING_PSHARE_ENABLE, bad[i], &value, NULL), -EINVAL);
	CHECK_EQ(setting_format(SETTING_PSHARE_ENABLE, 1, text, sizeof(text)), 4);
	CHECK_STR(text, "TRUE");
	CHECK_EQ(setting_format(SETTING_PSHARE_ENABLE, 0, text, sizeof(text)), 5);
	CHECK_STR(text, "FALSE");
}

TEST("a salt is any bytes up to 1024, empty too; it is borrowed, not copied")
{
	struct setting_value value = {0};
	char salt[1024] = "a\nb";

	CHECK_OK(setting_parse(SETTING_PSHARE_SALT, salt, sizeof(salt), &value, NULL));
	CHECK_EQ(value.len, sizeof(salt));
	CHECK(value.str == salt);
	CHECK_OK(setting_parse(SETTING_PSHARE_SALT, salt, 0, &value, NULL));
	CHECK_EQ(value.len, 0u);
}

TEST("a salt never comes out: not formatted, and not in an error")
{
	struct setting_value value = {.num = 77};
	char salt[2000], err[POLICY_ERROR_MAX], text[64] = "x";

	memset(salt, 'S', sizeof(salt));
	CHECK_EQ(setting_parse(SETTING_PSHARE_SALT, salt, sizeof(salt), &value, err), -EINVAL);
	CHECK_STR(err, "sched.mem.pshare.salt is 2000 bytes long: give at most 1024");
	CHECK_EQ(value.num, 77);
	CHECK_EQ(setting_format(SETTING_PSHARE_SALT, 1, text, sizeof(text)), -EPERM);
	CHECK_STR(text, "");
	CHECK(setting_get(SETTING_PSHARE_SALT)->secret);
}

TEST("formatting into too little room says so and stays inside it")
{
	char text[4] = "abc";

	CHECK_EQ(setting_format(SETTING_SHARE_RATE_MAX, 4194304, text, sizeof(text)), -ENOSPC);
	CHECK_LT(strlen(text), sizeof(text));
	CHECK_EQ(setting_format(SETTING_SHARE_RATE_MAX, 1, text, 0), -ENOSPC);
	CHECK_EQ(setting_format(SETTING_SHARE_RATE_MAX, 999, text, sizeof(text)), 3);
}

TEST("shares are low, normal, high or a number above 0, and format back to that")
{
	static const char *const words[] = {"low", "normal", "high", "1", "12345"};
	static const int64_t nums[] = {SHARES_LOW, SHARES_NORMAL, SHARES_HIGH, 1, 12345};
	static const char *const bad[] = {"", "0", "-1", "-2", "lo", "highest", "1000000001"};
	struct setting_value value = {.num = 77};
	char text[16], err[POLICY_ERROR_MAX];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		CHECK_OK(PARSE(SETTING_MEM_SHARES, words[i], &value, NULL));
		CHECK_EQ(value.num, nums[i]);
		REQUIRE_OK(setting_format(SETTING_MEM_SHARES, value.num, text, sizeof(text)));
		CHECK_STR(text, words[i]);
		CHECK_OK(setting_check(SETTING_MEM_SHARES, value.num, NULL));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(PARSE(SETTING_MEM_SHARES, bad[i], &value, err), -EINVAL);
	CHECK_STR(err, "sched.mem.shares cannot be '1000000001': give low, normal, high or a whole "
		       "number from 1 to 1000000000");
	CHECK_EQ(setting_check(SETTING_MEM_SHARES, 0, NULL), -EINVAL);
	CHECK_EQ(setting_check(SETTING_MEM_SHARES, SHARES_HIGH - 1, NULL), -EINVAL);
}

TEST("-1 is taken where a setting has it, and nowhere else")
{
	struct setting_value value;

	CHECK_OK(PARSE(SETTING_MEM_MAX, "-1", &value, NULL));
	CHECK_EQ(value.num, -1);
	value.num = 77;
	CHECK_OK(PARSE(SETTING_MEM_MAX, "None", &value, NULL));
	CHECK_EQ(value.num, -1);
	CHECK_EQ(PARSE(SETTING_MEM_MIN, "none", &value, NULL), -EINVAL);
	CHECK_EQ(PARSE(SETTING_MEM_MAX, "-2", &value, NULL), -EINVAL);
	CHECK_EQ(PARSE(SETTING_MEM_MAX, "-", &value, NULL), -EINVAL);
	CHECK_EQ(PARSE(SETTING_MEM_MIN, "-1", &value, NULL), -EINVAL);
}

TEST("a folder is a path from the root, or nothing")
{
	struct setting_value value;
	char err[POLICY_ERROR_MAX];

	CHECK_OK(PARSE(SETTING_SWAP_DIR, "", &value, NULL));
	CHECK_EQ(value.len, 0u);
	CHECK_OK(PARSE(SETTING_SWAP_DIR, "/var/tmp", &value, NULL));
	CHECK_EQ(PARSE(SETTING_SWAP_DIR, "tmp", &value, err), -EINVAL);
	CHECK_STR(err, "sched.swap.dir cannot be 'tmp': give a path from the root, or nothing");
}

TEST("thresholds of states have to fall, and the line says which does not")
{
	struct host_settings host;
	char err[POLICY_ERROR_MAX];

	settings_defaults(&host);
	CHECK_OK(settings_check(&host, NULL, err));
	host.value[SETTING_STATE_SOFT_PCT] = 100;
	CHECK_EQ(settings_check(&host, NULL, err), -EINVAL);
	CHECK_STR(err, "Mem.StateSoftPct cannot be 100: it has to be less than Mem.StateClearPct, "
		       "which is 100");
	host.value[SETTING_STATE_CLEAR_PCT] = 101;
	CHECK_OK(settings_check(&host, NULL, err));
}

TEST("what takes from other VMs is not for a VM's owner to set")
{
	CHECK(setting_get(SETTING_MEM_SHARES)->admin);
	CHECK(setting_get(SETTING_MEM_MIN)->admin);
	CHECK(setting_get(SETTING_SWAP_DIR)->admin);
	CHECK(!setting_get(SETTING_PSHARE_ENABLE)->admin);
	CHECK(!setting_get(SETTING_PSHARE_SALT)->admin);
}
