// SPDX-License-Identifier: LGPL-2.1-or-later
/* Files of settings, read together; what is set is kept. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/conffile.h"
#include "harness/harness.h"
#include "sys/self.h"

static char dir[128], file[160], err[CONFFILE_ERROR_MAX];
static struct options options;
static struct conf none;
static struct conffile conf;

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	REQUIRE(f != NULL);
	fputs(text, f);
	REQUIRE_EQ(fclose(f), 0);
	REQUIRE_SYS(chmod(path, 0644));
}

static void dropin(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	write_text(path, text);
}

static void begin(void)
{
	snprintf(dir, sizeof(dir), "%s/conf.d", test_dir());
	snprintf(file, sizeof(file), "%s/conf", test_dir());
	REQUIRE_SYS(mkdir(dir, 0755));
	options = (struct options){.config = file, .config_dir = dir};
	none = (struct conf){0};
	memset(&conf, 0, sizeof(conf));
}

static const char *origin(enum setting_id id)
{
	static char text[CONFFILE_PATH_MAX + 16];

	conffile_origin(&conf, id, text, sizeof(text));
	return text;
}

TEST("each layer is over those before it, and says where it is")
{
	struct conf set = {0};
	char said[256];

	begin();
	CHECK_OK(conffile_read(&options, &none, &conf, err));
	CHECK_EQ(conf.settings.value[SETTING_SHARE_SCAN_TIME], 60);
	CHECK_STR(origin(SETTING_SHARE_SCAN_TIME), "default");

	write_text(file, "Mem.ShareScanTime = 1\nMem.ShareRateMax = 1\nMem.ShareScanGHz = 1\n"
			 "Mem.ShareZeroOnly = 1\nMem.ShareRateFirst = 1\n");
	dropin("20-b.conf",
	       "Mem.ShareRateMax = 2\n\nMem.ShareScanGHz = 2\nMem.ShareZeroOnly = 0\n");
	dropin("10-a.conf", "Mem.ShareScanGHz = 3\n");
	dropin("30-c.conf.off", "nothing\n");
	dropin(".30-c.conf", "nothing\n");
	REQUIRE_OK(conf_assign("Mem.ShareRateFirst=7", 20, 0, &options.sets, err));
	REQUIRE_OK(conf_assign("Mem.ShareZeroOnly=1", 19, 0, &set, err));
	REQUIRE_OK(conffile_read(&options, &set, &conf, err));
	CHECK_EQ(conf.settings.value[SETTING_SHARE_SCAN_TIME], 1);
	snprintf(said, sizeof(said), "%s:1", file);
	CHECK_STR(origin(SETTING_SHARE_SCAN_TIME), said);
	CHECK_EQ(conf.settings.value[SETTING_SHARE_RATE_MAX], 2);
	CHECK_EQ(conf.settings.value[SETTING_SHARE_SCAN_GHZ], 2);
	snprintf(said, sizeof(said), "%s/20-b.conf:3", dir);
	CHECK_STR(origin(SETTING_SHARE_SCAN_GHZ), said);
	CHECK_EQ(conf.settings.value[SETTING_SHARE_RATE_FIRST], 7);
	CHECK_STR(origin(SETTING_SHARE_RATE_FIRST), "command line of pshared");
	CHECK_EQ(conf.settings.value[SETTING_SHARE_ZERO_ONLY], 1);
	CHECK_STR(origin(SETTING_SHARE_ZERO_ONLY), "set, until pshared ends");
	CHECK_STR(origin(SETTING_SHARE_FORCE_SALTING), "default");
}

TEST("one bad line in any file and nothing of any of them is taken; the line is named")
{
	struct conffile before;

	begin();
	write_text(file, "Mem.ShareScanTime = 1\n");
	REQUIRE_OK(conffile_read(&options, &none, &conf, err));
	before = conf;
	write_text(file, "Mem.ShareScanTime = 2\n");
	dropin("10-a.conf", "# fine\nMem.ShareScanTime = never\n");
	CHECK_EQ(conffile_read(&options, &none, &conf, err), -EINVAL);
	CHECK_IN("/conf.d/10-a.conf: line 2: Mem.ShareScanTime cannot be 'never'", err);
	CHECK_MEM(&conf, &before, sizeof(conf));
}

TEST("a file that was named must be there; a default one, or a folder, need not")
{
	begin();
	options.config_dir = "/nowhere/at/all";
	CHECK_OK(conffile_read(&options, &none, &conf, err));
	options.config_asked = true;
	CHECK_EQ(conffile_read(&options, &none, &conf, err), -ENOENT);
	CHECK_IN("No such file", err);
}

TEST("a file that others may write, or of another user, is refused")
{
	begin();
	write_text(file, "Mem.ShareForceSalting = 0\n");
	REQUIRE_SYS(chmod(file, 0664));
	CHECK_EQ(conffile_read(&options, &none, &conf, err), -EPERM);
	CHECK_IN("chmod go-w", err);
	REQUIRE_SYS(chmod(file, 0600));
	CHECK_OK(conffile_read(&options, &none, &conf, err));
	if (sys_self_uid())
		SKIP("needs root: a file has to be given away");
	REQUIRE_SYS(chown(file, 4001, 4001));
	CHECK_EQ(conffile_read(&options, &none, &conf, err), -EPERM);
	CHECK_IN("belongs to user 4001", err);
}

TEST("a folder that others may write, or a link in it that leads nowhere, is refused")
{
	char path[256];

	begin();
	dropin("10-a.conf", "Mem.ShareScanTime = 1\n");
	REQUIRE_SYS(chmod(dir, 0777));
	CHECK_EQ(conffile_read(&options, &none, &conf, err), -EPERM);
	CHECK_IN("/conf.d: others than its owner may write it (mode 0777): chmod go-w", err);
	REQUIRE_SYS(chmod(dir, 0755));
	CHECK_OK(conffile_read(&options, &none, &conf, err));
	snprintf(path, sizeof(path), "%s/20-b.conf", dir);
	REQUIRE_SYS(symlink("/nowhere/at/all", path));
	CHECK_EQ(conffile_read(&options, &none, &conf, err), -ENOLINK);
	CHECK_IN("/20-b.conf: it is a link to what is not there", err);
	REQUIRE_SYS(unlink(path));
	REQUIRE_SYS(symlink("10-a.conf", path));
	CHECK_OK(conffile_read(&options, &none, &conf, err));
	if (sys_self_uid())
		SKIP("needs root: a folder has to be given away");
	REQUIRE_SYS(chown(dir, 4001, 4001));
	CHECK_EQ(conffile_read(&options, &none, &conf, err), -EPERM);
	CHECK_IN("belongs to user 4001", err);
}

TEST("settings that do not go together are told with file and line of the one that broke it")
{
	begin();
	write_text(file, "\n\nMem.StateSoftPct = 200\n");
	CHECK_EQ(conffile_read(&options, &none, &conf, err), -EINVAL);
	CHECK_IN("/conf: line 3: Mem.StateSoftPct cannot be 200", err);
	CHECK_IN("(Mem.StateClearPct: default)", err);
	write_text(file, "Mem.StateSoftPct = 90\n");
	dropin("10-a.conf", "# lower than that\nMem.StateClearPct = 80\n");
	CHECK_EQ(conffile_read(&options, &none, &conf, err), -EINVAL);
	CHECK_IN("/conf.d/10-a.conf: line 2: Mem.StateSoftPct cannot be 90", err);
	CHECK_IN("/conf:1)", err);
	dropin("10-a.conf", "");
	REQUIRE_OK(conf_assign("Mem.StateHardPct=95", 19, 0, &options.sets, err));
	CHECK_EQ(conffile_read(&options, &none, &conf, err), -EINVAL);
	CHECK_IN("command line of pshared: Mem.StateHardPct cannot be 95", err);
}

TEST("what is set is kept in one drop-in, with what was set before, and can be taken out again")
{
	int64_t ten = 10, one = 1;

	begin();
	write_text(file, "Mem.ShareScanTime = 1\n");
	CHECK(conffile_keeps(&options));
	REQUIRE_OK(conffile_keep(&options, SETTING_SHARE_SCAN_TIME, &ten, err));
	REQUIRE_OK(conffile_keep(&options, SETTING_SHARE_ZERO_ONLY, &one, err));
	REQUIRE_OK(conffile_read(&options, &none, &conf, err));
	CHECK_EQ(conf.settings.value[SETTING_SHARE_SCAN_TIME], 10);
	CHECK_EQ(conf.settings.value[SETTING_SHARE_ZERO_ONLY], 1);
	CHECK_IN("/conf.d/99-set.conf:", origin(SETTING_SHARE_SCAN_TIME));
	REQUIRE_OK(conffile_keep(&options, SETTING_SHARE_SCAN_TIME, NULL, err));
	REQUIRE_OK(conffile_read(&options, &none, &conf, err));
	CHECK_EQ(conf.settings.value[SETTING_SHARE_SCAN_TIME], 1);
	CHECK_EQ(conf.settings.value[SETTING_SHARE_ZERO_ONLY], 1);
}

TEST("where it cannot be kept nothing changes, and the line says why")
{
	int64_t ten = 10;

	begin();
	dropin("99-set.conf", "rubbish\n");
	CHECK_EQ(conffile_keep(&options, SETTING_SHARE_SCAN_TIME, &ten, err), -EINVAL);
	CHECK_IN("99-set.conf: line 1", err);
	options.config_dir = "/nowhere/at/all";
	CHECK_EQ(conffile_keep(&options, SETTING_SHARE_SCAN_TIME, &ten, err), -ENOENT);
	CHECK_IN("no such folder", err);
	options.config_dir = NULL;
	CHECK(!conffile_keeps(&options));
}
