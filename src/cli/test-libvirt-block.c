// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lines of ours in somebody else's file, and out of it again. */
#include "cli/libvirt-block.h"
#include "harness/harness.h"

#include <stdlib.h>

#include "sys/cleanup.h"

static const char *const texts[] = {
	"",
	"\n",
	"one\ntwo\n",
	"no newline at the end",
	"\n\n\n",
	"# pshare: nearly a mark\n",
	"x # pshare: end\n", /* not at the start of its line */
};

TEST("what a block was put into is given back byte for byte")
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		_cleanup_free_ char *with = NULL;
		_cleanup_free_ char *without = NULL;
		bool made = true;

		REQUIRE_OK(block_put(texts[i], "a\nb\n", false, &with));
		CHECK_EQ(strncmp(with, texts[i], strlen(texts[i])), 0);
		CHECK_IN("\na\nb\n", with);
		CHECK_EQ(block_look(with, "a\nb\n"), BLOCK_SAME);
		CHECK_EQ(block_look(with, "a\n"), BLOCK_OTHER);
		CHECK_EQ(block_look(texts[i], "a\n"), BLOCK_NONE);
		REQUIRE_OK(block_take(with, &without, &made));
		CHECK_STR(without, texts[i]);
		CHECK(!made);
	}
}

TEST("a block takes the place of an older one, and what others wrote around it stays")
{
	_cleanup_free_ char *first = NULL, *more = NULL, *second = NULL, *rest = NULL;
	bool made;

	REQUIRE_OK(block_put("above\n", "old\n", false, &first));
	REQUIRE(asprintf(&more, "top\n%sbelow\n", first) > 0);
	REQUIRE_OK(block_put(more, "new\nlines\n", false, &second));
	CHECK_EQ(block_look(second, "new\nlines\n"), BLOCK_SAME);
	CHECK(!strstr(second, "old"));
	REQUIRE_OK(block_take(second, &rest, &made));
	CHECK_STR(rest, "top\nabove\nbelow\n");
}

TEST("a file that was made for the block goes with it, unless somebody else wrote into it")
{
	_cleanup_free_ char *with = NULL, *rest = NULL, *more = NULL, *left = NULL;
	bool made = false;

	REQUIRE_OK(block_put("", "a\n", true, &with));
	REQUIRE_OK(block_take(with, &rest, &made));
	CHECK_STR(rest, "");
	CHECK(made);
	REQUIRE(asprintf(&more, "%smine\n", with) > 0);
	REQUIRE_OK(block_take(more, &left, &made));
	CHECK_STR(left, "mine\n");
	CHECK(!made);
}

TEST("marks that are broken are left alone")
{
	_cleanup_free_ char *with = NULL, *twice = NULL;
	static const char *const ends[] = {"# pshare: end\n", "x\n# pshare: end"};
	char *edited = NULL, *end;
	bool made;

	for (size_t i = 0; i < 2; i++) {
		CHECK_EQ(block_look(ends[i], ""), BLOCK_BROKEN);
		CHECK_EQ(block_put(ends[i], "a\n", false, &edited), -EINVAL);
		CHECK_EQ(block_take(ends[i], &edited, &made), -EINVAL);
	}
	REQUIRE_OK(block_put("", "a\n", false, &with));
	REQUIRE(asprintf(&twice, "%s%s", with, with) > 0);
	CHECK_EQ(block_take(twice, &edited, &made), -EINVAL);
	end = strstr(with, "# pshare: end");
	REQUIRE(end != NULL);
	*end = '\0'; /* a begin, and no end */
	CHECK_EQ(block_take(with, &edited, &made), -EINVAL);
	*strchr(with + 1, '\n') = '\0'; /* a begin that is the last line, and not ended */
	CHECK_EQ(block_take(with, &edited, &made), -EINVAL);
	CHECK_EQ(block_take("nothing\n", &edited, &made), -ENOENT);
	CHECK(edited == NULL);
}
