/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/plain.h"

#include <stdio.h>
#include <string.h>

#include "harness/harness.h"

static const char *plain(const char *text)
{
	static char out[64];

	snprintf(out, sizeof(out), "%s", text);
	plain_text(out);
	return out;
}

TEST("what can be seen stays, in any language")
{
	CHECK_STR(plain(""), "");
	CHECK_STR(plain("a b~"), "a b~");
	CHECK_STR(plain("\xc2\xa0\xc3\x80\xdf\xbf"), "\xc2\xa0\xc3\x80\xdf\xbf");
	CHECK_STR(plain("\xe0\xa0\x80\xe2\x82\xac\xed\x9f\xbf\xef\xbf\xbd"),
		  "\xe0\xa0\x80\xe2\x82\xac\xed\x9f\xbf\xef\xbf\xbd");
	CHECK_STR(plain("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}

TEST("no control character is left, whatever its encoding")
{
	char nul[] = "a\0b";

	CHECK_STR(plain("a\n\r\t\033[2Jb\177"), "a????[2Jb?");
	CHECK_STR(plain("\xc2\x9b"
			"2J\xc2\x80"),
		  "??2J??");
	CHECK_STR(plain("\x9b"
			"2J"),
		  "?2J");
	CHECK_STR(plain("\xe0\x82\x9b|\xf0\x80\x82\x9b|\xc1\x9b"), "???|????|??"); /* overlong */
	plain_bytes(nul, 3);
	CHECK_STR(nul, "a?b");
}

TEST("what is no UTF-8 is no text")
{
	CHECK_STR(plain("caf\xe9"), "caf?");		      /* Latin-1 */
	CHECK_STR(plain("\xe2\x82"), "??");		      /* cut off */
	CHECK_STR(plain("\xe2\x82z\xc3\xa9"), "??z\xc3\xa9"); /* what follows is not swallowed */
	CHECK_STR(plain("\xed\xa0\x80|\xf4\x90\x80\x80"), "???|????"); /* surrogate; too large */
	CHECK_STR(plain("\xf5\x80\x80\x80\xff\xfe"), "??????");
}

TEST("what would be changed is told, and nothing else")
{
	CHECK(plain_is(""));
	CHECK(plain_is("f\xc3\xbcnf \xe2\x82\xac"));
	CHECK(!plain_is("a\tb"));
	CHECK(!plain_is("a\xc2\x9b"));
	CHECK(!plain_is("caf\xe9"));
	CHECK(!plain_is("\xe2\x82"));
}

/* Every string of up to three bytes: what is left is plain already, and as long. */
TEST("twice is once")
{
	unsigned char text[4] = {0}, once[4];

	for (unsigned int n = 0; n < 1u << 24; n += n < 1u << 16 ? 1 : 7) {
		text[0] = (unsigned char)n;
		text[1] = (unsigned char)(n >> 8);
		text[2] = (unsigned char)(n >> 16);
		plain_bytes((char *)text, 3);
		memcpy(once, text, 4);
		CHECK(plain_is((char *)text));
		plain_bytes((char *)text, 3);
		if (memcmp(once, text, 4) != 0 || strlen((char *)text) != 3) {
			CHECK(!"the same");
			break;
		}
	}
}
