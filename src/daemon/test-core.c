/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of the daemon that need no agent: configuration, log gate, rings, salts. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/ring.h"
#include "daemon/secret.h"
#include "daemon/user.h"
#include "harness/harness.h"
#include "sys/events.h"
#include "sys/memfd.h"

TEST("a peer that causes line after line gets a burst into the log, then one in five seconds")
{
	struct log_gate gate = {0};
	unsigned int passed = 0;

	for (unsigned int i = 0; i < 1000; i++)
		passed += log_gate_pass(&gate, 1);
	CHECK_EQ(passed, 10);
	for (unsigned int i = 0; i < 1000; i++)
		passed += log_gate_pass(&gate, 1 + 6 * SEC);
	CHECK_EQ(passed, 11);
}

/* ---- rings ---- */

static void up(struct ring *ring, uint32_t page)
{
	struct ps_ring *r = &ring->map->up;

	r->entry[r->tail % PS_RING_ENTRIES] = (struct ps_entry){.op = PS_U_HINT, .page = page};
	r->tail++;
}

TEST("entries are taken in order, a slice at a time; the bell is waited for when none is left")
{
	struct ps_entry entries[8];
	struct ring ring;

	REQUIRE_OK(ring_init(&ring));
	CHECK(ring_sleep(&ring));
	CHECK_EQ(ring.map->up.sleeping, 1);
	for (uint32_t i = 0; i < 10; i++)
		up(&ring, i);
	CHECK(!ring_sleep(&ring));
	CHECK_EQ(ring.map->up.sleeping, 0);
	CHECK_EQ(ring_take(&ring, entries, 8), 8);
	CHECK_EQ(entries[7].page, 7);
	CHECK_EQ(ring_take(&ring, entries, 8), 2);
	CHECK_EQ(entries[1].page, 9);
	CHECK_EQ(ring.map->up.head, 10);
	CHECK(ring_sleep(&ring));
	ring_deinit(&ring);
}

TEST("a counter that is ahead of what is possible is a lie, each way")
{
	struct ps_entry entry = {.op = PS_D_WANT};
	struct ring ring;

	REQUIRE_OK(ring_init(&ring));
	ring.map->up.tail = PS_RING_ENTRIES + 1;
	CHECK_EQ(ring_take(&ring, &entry, 1), -EPROTO);
	ring.map->up.tail = 0u - 1;
	CHECK_EQ(ring_take(&ring, &entry, 1), -EPROTO);
	ring.map->down.head = 1;
	CHECK_EQ(ring_space(&ring), -EPROTO);
	CHECK_EQ(ring_put(&ring, &entry), -EPROTO);
	ring_deinit(&ring);
}

TEST("what the agent writes over the daemon's own counters changes nothing")
{
	struct ps_entry entry = {.op = PS_D_SHARE};
	struct ring ring;

	REQUIRE_OK(ring_init(&ring));
	up(&ring, 1);
	ring.map->up.head = 77;
	CHECK_EQ(ring_take(&ring, &entry, 1), 1);
	CHECK_EQ(ring.map->up.head, 1);
	ring.map->down.tail = 99;
	CHECK_OK(ring_put(&ring, &entry));
	CHECK_EQ(ring.map->down.tail, 1);
	CHECK_EQ(ring_space(&ring), (int)PS_RING_ENTRIES - 1);
	ring_deinit(&ring);
}

TEST("orders fill the ring, no further, and ring the bell of one who sleeps")
{
	struct ps_entry entry = {.op = PS_D_SHARE};
	struct ring ring;

	REQUIRE_OK(ring_init(&ring));
	for (uint32_t i = 0; i < PS_RING_ENTRIES; i++)
		REQUIRE_OK(ring_put(&ring, &entry));
	CHECK_EQ(ring_put(&ring, &entry), -EAGAIN);
	ring_flush(&ring);
	CHECK_EQ(sys_readable(ring.bell_down), 0);
	ring.map->down.sleeping = 1;
	ring.map->down.head = 1;
	CHECK_OK(ring_put(&ring, &entry));
	ring_flush(&ring);
	CHECK_EQ(sys_readable(ring.bell_down), 1);
	ring_deinit(&ring);
}

TEST("the memory of a ring cannot be taken away by who holds its descriptor")
{
	struct ring ring;

	REQUIRE_OK(ring_init(&ring));
	CHECK_EQ(ftruncate(ring.memfd, 0), -1);
	CHECK_EQ(ftruncate(ring.memfd, 1 << 30), -1);
	CHECK_EQ(sys_memfd_seal(ring.memfd, SYS_SEALS_FINAL), -EPERM);
	ring_deinit(&ring);
}

/* ---- salts ---- */

static int memfd_with(const void *bytes, size_t len, unsigned int seals)
{
	int fd = sys_memfd_new("salt", len);

	REQUIRE_OK(fd);
	REQUIRE_OK(sys_pwrite_full(fd, bytes, len, 0));
	if (seals)
		REQUIRE_OK(sys_memfd_seal(fd, seals));
	return fd;
}

TEST("a salt is read from a memfd that nobody can change, and from nothing else")
{
	static const char long_salt[PS_SALT_MAX + 1];
	void *salt = NULL;
	size_t len = 0;
	const char *why = "";
	int fd, ends[2];

	fd = memfd_with("a salt", 6, SYS_SEALS_FINAL);
	REQUIRE_OK(secret_read(fd, &salt, &len, &why));
	CHECK_EQ(len, 6);
	CHECK_MEM(salt, "a salt", 6);
	secret_free(salt);
	close(fd);
	fd = memfd_with("a salt", 6, SYS_SEALS_SIZE);
	CHECK_EQ(secret_read(fd, &salt, &len, &why), -EINVAL);
	CHECK_IN("sealed", why);
	close(fd);
	fd = memfd_with(long_salt, sizeof(long_salt), SYS_SEALS_FINAL);
	CHECK_EQ(secret_read(fd, &salt, &len, &why), -EINVAL);
	CHECK_IN("too long", why);
	close(fd);
	REQUIRE_SYS(pipe(ends));
	CHECK_EQ(secret_read(ends[0], &salt, &len, &why), -EINVAL);
	close(ends[0]);
	close(ends[1]);
}

TEST("equal salts have equal digests, and the fingerprint that anybody can compute")
{
	struct salt_digest a = {0}, b = {0}, c = {0};
	uint32_t fa = 0, fb = 0, fc = 0;
	struct user user = {0};

	REQUIRE_OK(secret_init());
	CHECK_OK(secret_digest(&user, 1, "a salt", 6, &a, &fa));
	CHECK_OK(secret_digest(&user, 1, "a salt", 6, &b, &fb));
	CHECK_OK(secret_digest(&user, 1, "a salu", 6, &c, &fc));
	/* hashlib.pbkdf2_hmac('sha256', b'a salt', b'pshare salt fingerprint 1', 20000, 4) */
	CHECK_EQ(fa, 0x8b5c1c8cu);
	CHECK_MEM(&a, &b, sizeof(a));
	CHECK_EQ(fa, fb);
	CHECK_NE(memcmp(&a, &c, sizeof(a)), 0);
	CHECK_NE(fa, fc);
}

TEST("a user who names new salts all the time has to wait, and one who names his own does not")
{
	struct user user = {0};
	struct salt_digest digest;
	uint32_t fingerprint;
	char salt[16];
	int r = 0, n;

	REQUIRE_OK(secret_init());
	for (n = 0; n < 200 && r == 0; n++) {
		snprintf(salt, sizeof(salt), "salt %d", n);
		r = secret_digest(&user, 5, salt, strlen(salt), &digest, &fingerprint);
	}
	CHECK_EQ(r, -EAGAIN);
	CHECK_EQ(n, 17);
	CHECK_OK(secret_digest(&user, 5, "salt 3", 6, &digest, &fingerprint));
	CHECK_OK(secret_digest(&user, 5 + SEC, salt, strlen(salt), &digest, &fingerprint));
}

TEST("who goes and comes again has not more salts to name than who stayed")
{
	struct daemon d = {.now = 5};
	struct salt_digest digest;
	uint32_t fingerprint;
	struct user *user;
	char salt[24];
	int r = 0;

	list_init(&d.users);
	REQUIRE_OK(secret_init());
	user = user_hold(&d, 1000);
	REQUIRE(user);
	for (int n = 0; n < 200 && r == 0; n++) {
		snprintf(salt, sizeof(salt), "again %d", n);
		r = secret_digest(user, d.now, salt, strlen(salt), &digest, &fingerprint);
	}
	CHECK_EQ(r, -EAGAIN);
	user_release(&d, user);
	user = user_hold(&d, 1000);
	CHECK_EQ(secret_digest(user, d.now, salt, strlen(salt), &digest, &fingerprint), -EAGAIN);
	user_release(&d, user);
	d.now += 61 * SEC; /* it is forgotten when everything rationed would be full again */
	users_tick(&d);
	CHECK(list_empty(&d.users));
}
