// SPDX-License-Identifier: LGPL-2.1-or-later
/* The access policy: refused with one line, or users meet only where it names them. */
#include <errno.h>

#include "fuzz/fuzz.h"
#include "policy/access.h"

static int find(const char *name, uint32_t *uid)
{
	if (strcmp(name, "root") != 0)
		return -ENOENT;
	*uid = 0;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct access_policy *policy = NULL;
	char err[POLICY_ERROR_MAX] = "";
	const uint32_t salt = 0x1f2e3d4c;
	uint64_t one, two;

	if (access_parse_names((const char *)data, size, find, &policy, err) < 0) {
		fuzz_check(!policy && *err);
		for (const char *c = err; *c; c++)
			fuzz_check((unsigned char)*c >= ' ' && *c != 0x7f);
		return 0;
	}
	/* a number that the text does not have in it anywhere meets nobody */
	if (!memmem(data, size, "77777", 5)) {
		one = access_uid_group(policy, 77777, NULL);
		two = access_uid_group(policy, 1000, NULL);
		fuzz_check(one != two);
		fuzz_check(access_uid_group(policy, 77777, &salt) !=
			   access_uid_group(policy, 1000, &salt));
	}
	(void)access_may_use(policy, 1000, salt);
	access_free(policy);
	return 0;
}
