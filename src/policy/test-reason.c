/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/reason.h"

#include <stddef.h>
#include <string.h>

#include "harness/harness.h"
#include "wire/wire.h"

TEST("every cause has a text of one line, without a full stop, and is found by its name")
{
	for (unsigned int cause = PS_CAUSE_NONE + 1; cause < PS_CAUSE_END; cause++) {
		const char *text = reason_text(cause);

		CHECK(text && strlen(text) > 8 && strlen(text) < 160);
		CHECK(!strchr(text, '\n') && text[strlen(text) - 1] != '.');
		CHECK_EQ(reason_find(ps_cause_name(cause)), cause);
	}
	CHECK_STR(reason_text(PS_CAUSE_NONE), "");
	CHECK(reason_text(PS_CAUSE_END) != NULL);
	CHECK(reason_mend(PS_CAUSE_END) == NULL);
	CHECK_EQ(reason_find("no such cause"), PS_CAUSE_END);
	CHECK_EQ(reason_find(""), PS_CAUSE_END);
}

/* What a person can change he is told how to: those are the causes of regions and VMs. */
TEST("every cause that somebody can do away with says what would do")
{
	static const enum ps_cause mendable[] = {
		PS_CAUSE_LARGE,	      PS_CAUSE_MAPPINGS, PS_CAUSE_FOREIGN,   PS_CAUSE_HUGETLB,
		PS_CAUSE_SHARED,      PS_CAUSE_LOCKED,	 PS_CAUSE_FILE,	     PS_CAUSE_MEMFD,
		PS_CAUSE_USERFAULTFD, PS_CAUSE_KERNEL,	 PS_CAUSE_RLIMIT_AS, PS_CAUSE_RLIMIT_FSIZE,
		PS_CAUSE_NOT_OFFERED, PS_CAUSE_DISABLED, PS_CAUSE_RATE,	     PS_CAUSE_SALT,
	};

	for (size_t i = 0; i < sizeof(mendable) / sizeof(mendable[0]); i++)
		CHECK(reason_mend(mendable[i]) != NULL);
}

TEST("a limit is named in its text, so that who reads one line knows which")
{
	CHECK(strstr(reason_text(PS_CAUSE_RLIMIT_AS), "RLIMIT_AS") != NULL);
	CHECK(strstr(reason_text(PS_CAUSE_RLIMIT_FSIZE), "RLIMIT_FSIZE") != NULL);
}
