/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit's rule, against the daemon's. */
#include <stdio.h>
#include <string.h>

#include "cli/audit-rule.h"
#include "harness/harness.h"
#include "policy/salt.h"

static struct audit_key known(uint32_t own, int salting, const char *group, const char *salt)
{
	struct audit_key key = {.own = own, .known = true, .daemon = 1, .salting = salting};

	snprintf(key.group, sizeof(key.group), "%s", group);
	key.has_salt = salt != NULL;
	key.salt_empty = salt && !*salt;
	snprintf(key.salt, sizeof(key.salt), "%s", salt && *salt ? salt : "-");
	return key;
}

TEST("a VM that no daemon knows may share with itself and with what it forked off, with nobody else")
{
	struct audit_key a = {.own = 1}, b = {.own = 2}, c = known(3, 0, "u", NULL);

	CHECK(audit_may_share(&a, &a));
	CHECK(!audit_may_share(&a, &b));
	CHECK(!audit_may_share(&a, &c));
	b.own = 1;
	CHECK(audit_may_share(&a, &b));
}

TEST("VMs of two daemons never share")
{
	struct audit_key a = known(1, 0, "u", "red"), b = known(2, 0, "u", "red");

	CHECK(audit_may_share(&a, &b));
	b.daemon = 2;
	CHECK(!audit_may_share(&a, &b));
}

static struct domain_key daemons(const struct audit_key *key)
{
	struct salt_input in = {
		.salting = (enum force_salting)key->salting,
		.has_salt = key->has_salt,
		.salt_empty = key->salt_empty,
		.uid_group = (uint64_t)key->group[0],
	};

	memcpy(in.digest, key->salt, sizeof(key->salt));
	in.uuid[0] = (uint8_t)key->own;
	return domain_key_make(&in);
}

TEST("for every setting, salt and group it says what the daemon's rule says")
{
	static const char *const salts[] = {NULL, "", "red", "blue"};
	static const char *const groups[] = {"u", "v"};
	unsigned int allowed = 0;

	for (int i = 0; i < 3 * 8 * 8; i++) {
		struct audit_key a = known(1, i / 64, groups[i / 8 % 2], salts[i / 16 % 4]);
		struct audit_key b = known(2, i / 64, groups[i % 2], salts[i / 2 % 4]);
		struct domain_key x = daemons(&a), y = daemons(&b);

		CHECK_EQ(audit_may_share(&a, &b), domain_key_equal(&x, &y));
		allowed += audit_may_share(&a, &b);
	}
	CHECK_GT(allowed, 32);
	CHECK_LT(allowed, 3 * 64 / 2);
}
