/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/admit.h"
#include "policy/error.h"

#define MB (1024ull * 1024)

TEST("a reservation fits if all of them and minFree fit, and the line has the figures if not")
{
	struct admit admit = {1536 * MB, 92 * MB, 1000 * MB};
	char err[POLICY_ERROR_MAX];

	CHECK_EQ(admit_left(&admit), 444 * MB);
	CHECK(admit_fits(&admit, 444 * MB, err));
	CHECK(!admit_fits(&admit, 512 * MB, err));
	CHECK_STR(err, "a reservation of 512 MB does not fit: 444 MB are left (1536 MB managed, "
		       "less 92 MB minFree, less 1000 MB reserved)");
}

TEST("no reservation fits always, even where too much is promised already")
{
	struct admit admit = {100 * MB, 6 * MB, 200 * MB};

	CHECK_EQ(admit_left(&admit), 0);
	CHECK(admit_fits(&admit, 0, NULL));
	CHECK(!admit_fits(&admit, 1, NULL));
	admit.min_free = 1000 * MB;
	CHECK_EQ(admit_left(&admit), 0);
}
