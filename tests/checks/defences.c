// SPDX-License-Identifier: LGPL-2.1-or-later
/* scripts/check-defences sees a defence that nothing takes out, or that no test misses. */
#include "checks/tree.h"

#define ENTRY "\tX(DEFENCE_GATE, \"no-gate\", \"4\", \"agent\", \\\n\t  \"there is none\")\n"
#define USE "int f(void)\n{\n\treturn ps_without(DEFENCE_GATE);\n}\n"
#define TESTED "WITHOUT(\"no-gate\", \"4 nobody reads zeros\", \"wrong\")\n"

static void defences(const char *table, const char *source, const char *tests, int status,
		     const char *said)
{
	tree_write("src/sys/unsafe.h", table);
	tree_write("src/agent/share.c", source);
	tree_write("tests/system/dangers-unsafe.c", tests);
	CHECK_EQ(TREE_CHECK("check-defences", test_dir()), status);
	CHECK_IN(said, tree_out);
}

TEST("check-defences lets a defence through that is used and tested")
{
	defences(ENTRY, USE, TESTED, 0, "");
	defences(ENTRY, USE, "WITHOUT_IN(BROKEN, \"slow,no-gate\", \"a\", \"b\")\n", 1,
		 "\"slow\" is not in the table");
	defences(ENTRY, USE, "\tmust_pass(BROKEN, \"no-gate\", sentence);\n", 0, "");
}

TEST("check-defences sees a defence that nothing takes out")
{
	defences(ENTRY, "/* nothing */\n", TESTED, 1,
		 "DEFENCE_GATE is used nowhere in src/: take it out");
}

TEST("check-defences sees a defence without a test")
{
	defences(ENTRY, USE, "/* nothing */\n", 1,
		 "no test of tests/system/dangers-unsafe.c runs without \"no-gate\"");
}

TEST("check-defences sees a test of what is not in the table, and two entries of one name")
{
	defences(ENTRY, USE, TESTED "WITHOUT(\"no-fence\", \"x\", \"y\")\n", 1,
		 "\"no-fence\" is not in the table of src/sys/unsafe.h");
	defences(ENTRY ENTRY, USE, TESTED, 1, "there are two entries \"no-gate\"");
	defences("", USE, "", 1, "no entry of PS_DEFENCES was found");
}
