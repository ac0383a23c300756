/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/salt.h"
#include "policy/test-random.h"

/* What a VM has, in the words of KB2097593: salt 0 is none, 1 is the empty one, others differ. */
struct vm {
	int salt;
	int uuid;
	uint64_t uid_group;
};

static struct domain_key key_of(int salting, struct vm vm)
{
	struct salt_input in = {
		.salting = salting,
		.has_salt = vm.salt > 0,
		.salt_empty = vm.salt == 1,
		.digest = {0xd1, vm.salt},
		.uuid = {0xd1, vm.uuid},
		.uid_group = vm.uid_group,
	};

	return domain_key_make(&in);
}

static bool meet(int salting, struct vm a, struct vm b)
{
	struct domain_key x = key_of(salting, a), y = key_of(salting, b);

	return domain_key_equal(&x, &y);
}

TEST("the table of KB2097593, row by row")
{
	static const struct {
		int salting, salt_a, salt_b;
		bool meet;
	} rows[] = {
		/* 0: salts are ignored, all VMs of the host share */
		{0, 0, 0, true},
		{0, 0, 5, true},
		{0, 5, 6, true},
		{0, 1, 1, true},
		{0, 1, 5, true},
		/* 1, salt present: only the same salt */
		{1, 5, 5, true},
		{1, 5, 6, false},
		/* 1, absent: salt 0, all such VMs; never with one that has a salt */
		{1, 0, 0, true},
		{1, 0, 5, false},
		/* 2, salt present: only the same salt */
		{2, 5, 5, true},
		{2, 5, 6, false},
		/* 2, absent: nobody */
		{2, 0, 0, false},
		{2, 0, 5, false},
		/* present but empty: a salt of its own */
		{1, 1, 1, false},
		{1, 1, 0, false},
		{1, 1, 5, false},
		{2, 1, 1, false},
		{2, 1, 0, false},
		{2, 1, 5, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vm a = {rows[i].salt_a, 100, 7}, b = {rows[i].salt_b, 101, 7};

		CHECK_EQ(meet(rows[i].salting, a, b), rows[i].meet);
		CHECK_EQ(meet(rows[i].salting, b, a), rows[i].meet);
	}
}

TEST("inside one VM pages are shared at every value, whatever its salt")
{
	for (int salting = 0; salting <= 2; salting++)
		for (int salt = 0; salt < 3; salt++)
			CHECK(meet(salting, (struct vm){salt, 100, 7}, (struct vm){salt, 100, 7}));
}

TEST("VMs of different uid groups never meet, at any value, with any salt")
{
	for (int salting = 0; salting <= 2; salting++)
		for (int salt = 0; salt < 3; salt++)
			CHECK(!meet(salting, (struct vm){salt, 100, 7}, (struct vm){salt, 100, 8}));
}

/* ESX's rule in its own words: which salt a VM uses; -1 - uuid stands for one of its own. */
static int salt_used(int salting, struct vm vm)
{
	if (salting == 0)
		return 0;
	if (vm.salt > 1)
		return vm.salt;
	if (vm.salt == 0 && salting == 1)
		return 0;
	return -1 - vm.uuid;
}

TEST("any two VMs get the same key exactly if ESX's rule and their uid groups allow it")
{
	struct rng rng = {7};

	for (int i = 0; i < 200000; i++) {
		int salting = rng_below(&rng, 3);
		struct vm a = {rng_below(&rng, 4), rng_below(&rng, 3), rng_below(&rng, 2)};
		struct vm b = {rng_below(&rng, 4), rng_below(&rng, 3), rng_below(&rng, 2)};
		bool allowed = salt_used(salting, a) == salt_used(salting, b) &&
			       a.uid_group == b.uid_group;

		CHECK_EQ(meet(salting, a, b), allowed);
	}
}

TEST("a salt whose digest is another VM's uuid does not meet it")
{
	struct salt_input with = {.salting = 2, .has_salt = true, .digest = {1, 2, 3}};
	struct salt_input own = {.salting = 2, .uuid = {1, 2, 3}};
	struct domain_key a = domain_key_make(&with), b = domain_key_make(&own);

	CHECK(!domain_key_equal(&a, &b));
}

TEST("a salt whose digest is all zeros is not the common domain")
{
	struct salt_input with = {.salting = 1, .has_salt = true};
	struct salt_input common = {.salting = 1};
	struct domain_key a = domain_key_make(&with), b = domain_key_make(&common);

	CHECK(!domain_key_equal(&a, &b));
}

TEST("an unknown value of salting isolates")
{
	CHECK_EQ(key_of(3, (struct vm){0, 1, 1}).kind, DOMAIN_OWN);
	CHECK_EQ(key_of(-1, (struct vm){0, 1, 1}).kind, DOMAIN_OWN);
	CHECK_EQ(key_of(3, (struct vm){5, 1, 1}).kind, DOMAIN_SALT);
}

TEST("each byte of the id counts, and equal keys have equal hashes")
{
	struct domain_key key = key_of(2, (struct vm){5, 1, 1}), same = key;

	CHECK_EQ(domain_key_hash(&key), domain_key_hash(&same));
	for (size_t i = 0; i < DOMAIN_ID_SIZE; i++) {
		struct domain_key other = key;

		other.id[i] ^= 0x80;
		CHECK(!domain_key_equal(&key, &other));
		CHECK_NE(domain_key_hash(&key), domain_key_hash(&other));
	}
	same.uid_group++;
	CHECK_NE(domain_key_hash(&key), domain_key_hash(&same));
	same = key;
	same.kind = DOMAIN_OWN;
	CHECK_NE(domain_key_hash(&key), domain_key_hash(&same));
}
