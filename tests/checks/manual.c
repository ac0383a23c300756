// SPDX-License-Identifier: LGPL-2.1-or-later
/* scripts/check-manual sees what a program says and the manual does not, and the other way. */
#include "checks/tree.h"

#include <stdio.h>

#define MDOC(name, section)                                                \
	".Dd $Mdocdate$\n.Dt " name " " section "\n.Os\n.Sh NAME\n.Nm x\n" \
	".Nd a page\n"

static const char help_main[] =
	"#!/bin/sh\n"
	"case \"$1\" in\n"
	"--help) echo 'usage: pshare COMMAND'; echo 'commands:'\n"
	"  echo '  list       all'; echo 'options:'; echo '  --help  this' ;;\n"
	"list) echo 'usage: pshare list [--json]'; echo 'options:'\n"
	"  echo '  --json   x'; echo '  --help   this' ;;\n"
	"esac\n";
static const char help_daemon[] = "#!/bin/sh\necho '  --policy FILE  x'\necho '  --help  this'\n";

static const char page_main[] = MDOC("PSHARE", "1") ".Sh SYNOPSIS\n"
						    "pshare list [--json]\n"
						    ".Sh OPTIONS\n"
						    ".Bl -tag -width x\n"
						    ".It --json\nas JSON\n"
						    ".It --help\nhelp\n"
						    ".El\n"
						    ".\\\" reasons\nfile, locked.\n";
static const char wire[] = "cause_names[PS_CAUSE_END] = {\"none\", \"locked\", \"file\"};";
static const char page_daemon[] = MDOC("PSHARED", "8") ".Sh SYNOPSIS\n"
						       "pshared [--policy FILE]\n"
						       ".Sh OPTIONS\n"
						       ".Bl -tag -width x\n"
						       ".It --policy Ar FILE\nwho\n"
						       ".It --help\nhelp\n"
						       ".El\n";
static const char page_settings[] = MDOC("PSHARE-SETTINGS", "5") ".Sh DESCRIPTION\n"
								 "Mem.ShareScanTime is one.\n";

static void tree_agreeing(void)
{
	if (TEST_RUN(NULL, 0, "mandoc", test_source("COPYING")) == 127)
		SKIP("mandoc is not installed");
	tree_write("src/cli/pshare", help_main);
	tree_write("src/daemon/pshared", help_daemon);
	tree_write("man/pshare.1", page_main);
	tree_write("man/pshared.8", page_daemon);
	tree_write("man/pshare-settings.5", page_settings);
	tree_write("src/policy/settings.c", "\"Mem.ShareScanTime\"\n");
	tree_write("src/wire/wire.c", wire);
}

static void differs(const char *said)
{
	CHECK_EQ(TREE_CHECK("check-manual", test_dir(), test_dir()), 1);
	CHECK_IN(said, tree_out);
}

TEST("check-manual lets programs and pages through that agree")
{
	tree_agreeing();
	CHECK_EQ(TREE_CHECK("check-manual", test_dir(), test_dir()), 0);
	CHECK_STR(tree_out, "");
}

TEST("check-manual sees an option that the page lacks, and one that only the page has")
{
	tree_agreeing();
	tree_write("src/daemon/pshared",
		   "#!/bin/sh\necho ' --policy FILE --loud'\necho '--help'\n");
	differs("pshared(8), SYNOPSIS: --loud is missing");
	CHECK_IN("pshared(8), descriptions: --loud is missing", tree_out);
	tree_write("src/daemon/pshared", "#!/bin/sh\necho '--help'\n");
	differs("pshared(8), descriptions: --policy: there is no such");
}

TEST("check-manual sees a command without its place in the synopsis, and a wrong option there")
{
	tree_agreeing();
	tree_write("man/pshare.1", MDOC("PSHARE", "1") ".Sh SYNOPSIS\npshare list [--yaml]\n"
						       ".br\npshare top\n");
	differs("pshare(1), SYNOPSIS: top: there is no such");
	CHECK_IN("pshare(1), SYNOPSIS of list: --json is missing", tree_out);
	CHECK_IN("pshare(1), SYNOPSIS of list: --yaml: there is no such", tree_out);
}

TEST("check-manual sees a setting that is not described, and one that is not there")
{
	tree_agreeing();
	tree_write("src/policy/settings.c", "\"Mem.ShareScanGHz\"\n");
	differs("pshare-settings(5): Mem.ShareScanGHz is missing");
	CHECK_IN("pshare-settings(5): Mem.ShareScanTime: there is no such", tree_out);
}

TEST("check-manual sees a reason that is not listed, and one that is not there")
{
	tree_agreeing();
	tree_write("src/wire/wire.c",
		   "cause_names[PS_CAUSE_END] = {\"locked\", \"changed\", \"memfd\"};");
	differs("pshare(1), reasons: memfd is missing");
	CHECK_IN("pshare(1), reasons: file: there is no such", tree_out);
}

TEST("check-manual sees a page with a fault in it")
{
	tree_agreeing();
	tree_write("man/pshare-x.5", MDOC("PSHARE-X", "5") ".Sh DESCRIPTION\n.Xy nothing\n");
	differs("skipping unknown macro");
}
