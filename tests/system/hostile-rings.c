/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hostile-rings: lies in the rings; floods, stalls, ends. */
#include "hostile.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIE_KEY 250u
#define CROWD_PAGES 220000u /* hints that wait: more than a VM may have before it is told to rest */

/* ---- rings ----------------------------------------------------------------------------------- */

TEST_SECONDS("ring counters that cannot be end the session", 120)
{
	static const uint32_t AHEAD[] = {PS_RING_ENTRIES + 1, 0x7fffffff, 0x80000000, 0xffffffff};
	struct peer p;

	start();
	for (size_t i = 0; i < sizeof(AHEAD) / sizeof(AHEAD[0]); i++) {
		peer_join(&p, &d, "liar", SALT);
		peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
		__atomic_store_n(&p.map->up.tail, p.map->up.head + AHEAD[i], __ATOMIC_RELEASE);
		peer_ring(&p);
		must_cut(&p, "a tail that runs ahead");
	}
	peer_join(&p, &d, "liar", SALT);
	peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
	p.map->down.head = 0xdeadbeef;
	p.map->up.head = 0xdeadbeef;
	p.map->down.tail = 0x12345678;
	for (uint32_t i = 0; i < 64; i++) {
		__atomic_store_n(&p.map->up.entry[i].op, (uint8_t)PS_U_HINT, __ATOMIC_RELAXED);
		p.map->up.entry[i].page = i;
		p.map->up.entry[i].arg = i;
	}
	__atomic_store_n(&p.map->up.tail, 64, __ATOMIC_RELEASE);
	peer_ring(&p);
	peer_is_cut(&p, 500);
	peer_close(&p);
	others_fine();
}

static struct ps_entry nonsense(uint64_t *rng, uint32_t npages)
{
	struct ps_entry e;
	uint64_t r = t_rand(rng);

	e.op = (uint8_t)(t_below(rng, 50) ? 1 + r % (PS_U_END - 1) : r);
	e.cause = (uint8_t)(t_below(rng, 4) ? r >> 8 & 15 : r >> 8);
	e.slot = (uint16_t)(t_below(rng, 4) ? (r >> 16) % PS_CONTENT_SLOTS : r >> 16);
	e.page = (uint32_t)(t_below(rng, 30) ? (r >> 20) % npages : r >> 20);
	e.arg = t_below(rng, 3) ? t_below(rng, 2048) : t_rand(rng);
	return e;
}

static void talk_nonsense(void)
{
	uint64_t rng = test_seed(), said = 0, sessions = 0;
	double end = t_now() + 20;

	while (t_now() < end) {
		struct peer p;

		peer_join(&p, &d, "liar", SALT);
		peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
		sessions++;
		while (!p.over && t_now() < end) {
			struct ps_entry e = nonsense(&rng, 4096), order;

			if (!peer_up(&p, e.op, e.cause, e.slot, e.page, e.arg)) {
				peer_ring(&p);
				peer_hear(&p, 0, 1);
				continue;
			}
			said++;
			for (int i = 0; i < 8 && peer_down(&p, &order); i++)
				if (t_rand(&rng) & 1) /* answers, some of them true */
					peer_up(&p,
						order.op == PS_D_WANT ? PS_U_CONTENT : PS_U_SHARED,
						0, order.slot, order.page, order.arg);
			if (said % 512 == 0) {
				peer_ring(&p);
				peer_hear(&p, 0, 0);
			}
		}
		check_refusal(&p);
		peer_close(&p);
	}
	t_note("%lu entries in %lu sessions", said, sessions);
}

TEST_SECONDS("millions of entries of nonsense harm nobody else", 150)
{
	start();
	attack(talk_nonsense);
	others_fine();
}

/* The liar knows the domain's seed, as every agent does, and so the hash of a page that the honest
 * VMs have. It offers that hash and gives other content, or changes it while the daemon looks. */
static volatile int flip_stop;

static void *flipper(void *arg)
{
	struct peer *p = arg;

	for (uint64_t n = 0; !flip_stop; n++)
		for (uint32_t slot = 0; slot < PS_CONTENT_SLOTS; slot++)
			__atomic_store_n((uint64_t *)(void *)p->map->content[slot], n,
					 __ATOMIC_RELAXED);
	return NULL;
}

static void answer(struct peer *p, uint32_t *wanted)
{
	struct ps_entry order;

	while (peer_down(p, &order)) {
		if (order.op != PS_D_WANT) {
			peer_up(p, PS_U_SHARED, 0, 0, order.page, order.arg);
			continue;
		}
		++*wanted;
		/* the hash that it promised, whatever is in the slot now */
		peer_up(p, PS_U_CONTENT, 0, order.slot, order.page,
			key_hash(p, LIE_KEY + order.page % KEYS));
	}
}

static void lie_about_content(void)
{
	double end = t_now() + 12;
	uint32_t wanted = 0;
	pthread_t thread;
	struct peer p;

	peer_join(&p, &d, "liar", SALT);
	peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
	flip_stop = 0;
	pthread_create(&thread, NULL, flipper, &p);
	for (uint32_t n = 0; t_now() < end && !p.over; n++) {
		peer_up(&p, PS_U_HINT, 0, 0, n % 4096, key_hash(&p, LIE_KEY + n % 4096 % KEYS));
		answer(&p, &wanted);
		if (n % 64 == 63) {
			peer_ring(&p);
			peer_hear(&p, 0, 2);
		}
	}
	flip_stop = 1;
	pthread_join(thread, NULL);
	t_note("%u contents were asked for", wanted);
	REQUIRE_GT(wanted, 0);
	peer_close(&p);
}

TEST_SECONDS("content that is not what its hash says becomes nobody's page", 120)
{
	pid_t pid;
	int status;

	start();
	pid = fork();
	if (!pid) {
		lie_about_content();
		_exit(0);
	}
	/* meanwhile the honest come to have those very contents */
	for (int i = 0; i < 10; i++) {
		t_sleep(1);
		for (uint32_t k = 0; k < 2; k++)
			fv_pool(&honest[k], 0, (uint32_t)i * KEYS, KEYS, LIE_KEY);
	}
	REQUIRE(!t_wait(pid, ATTACK_SECONDS, &status));
	REQUIRE_EQ(status, 0);
	others_fine();
}

/* ---- floods, stalls, ends -------------------------------------------------------------------- */

TEST_SECONDS("hundreds of connections that say nothing keep nobody out for long", 120)
{
	enum { MANY = 400 };
	static struct peer p[MANY];
	int n = 0;

	start();
	for (; n < MANY; n++)
		peer_connect(&p[n], &d);
	share_anew(50);
	for (int i = 0; i < 2; i++)
		fv_check(&honest[i], 0);
	/* half-open sessions come to an end by themselves */
	REQUIRE_WITHIN(30000, peer_is_cut(&p[0], 50));
	for (int i = 0; i < n; i++)
		peer_close(&p[i]);
	others_fine();
}

static void be_deaf(void)
{
	double start_at;
	struct peer p;

	peer_join(&p, &d, "deaf", SALT);
	peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
	for (uint32_t i = 0; i < PS_RING_ENTRIES; i++)
		peer_up(&p, PS_U_HINT, 0, 0, i, 1 + i % 64);
	peer_ring(&p);
	/* it is told so often that its socket must overflow */
	for (int i = 0; i < 300; i++)
		t_setting_put(&d, "Mem.ShareQuarantineMs", i & 1 ? "1000" : "1001");
	start_at = t_now();
	/* it never leaves its domain: the call must come back and name it */
	{
		char body[1024] = "";
		int code = t_http(&d, "PUT", "/v1/vms/deaf/settings/sched.mem.pshare.salt",
				  "{\"salt\":\"another\"}", body, sizeof(body));

		t_note("changing the salt of a VM that does not answer: %d %s, %.1f s", code, body,
		       t_now() - start_at);
		CHECK_EQ(code, 504);
		CHECK_IN("deaf", body);
	}
	peer_close(&p);
}

static void hint_all(struct peer *p)
{
	for (uint32_t page = 0; page < CROWD_PAGES; page++) {
		while (!peer_up(p, PS_U_HINT, 0, 0, page, t_mix(page))) {
			peer_ring(p);
			t_sleep(0.001);
		}
	}
	peer_ring(p);
}

/* Has its rate become none, or become some again? */
static bool hears_rate(struct peer *p, bool none)
{
	double start = t_now();

	while ((p->config.pages_per_second == 0) != none && !t_late(start, PEER_MS * 0.001))
		peer_hear(p, PS_MSG_CONFIG, 100);
	return (p->config.pages_per_second == 0) == none;
}

/* One that gives no content keeps the twins of the other waiting. An agent hints a page that does
 * not change once: what is too much to wait must not be hinted now, rather than be lost. */
static void crowd(void)
{
	struct peer slow, other;

	peer_look_large(2ull * CROWD_PAGES * PS_PAGE_SIZE);
	peer_join(&slow, &d, "slow", "crowd");
	peer_join(&other, &d, "other", "crowd");
	peer_region(&slow, PS_MSG_REGION_ADD, 0, CROWD_PAGES, 0);
	peer_region(&other, PS_MSG_REGION_ADD, 0, CROWD_PAGES, 0);
	CHECK(hears_rate(&other, false));
	t_sleep(1.5); /* until it is known how much memory they have */
	hint_all(&slow);
	hint_all(&other);
	CHECK(hears_rate(&other, true));
	CHECK(hears_rate(&slow, false)); /* nothing of it waits */
	peer_close(&slow);
	CHECK(hears_rate(&other, false));
	peer_close(&other);
}

TEST_SECONDS("an agent whose twins have to wait is told to rest, and to go on", 120)
{
	start();
	attack(crowd);
	others_fine();
}

TEST_SECONDS("an agent that reads nothing holds up nobody", 120)
{
	start();
	attack(be_deaf);
	t_setting_put(&d, "Mem.ShareQuarantineMs", "2000");
	others_fine();
}

/* One step of an honest session after the other; the connection ends after `steps` of them. */
static bool session_steps(int steps)
{
	struct ps_entry order;
	union peer_msg m;
	struct peer p;
	int fd;

	if (!steps--)
		return true;
	peer_connect(&p, &d);
	if (!steps--)
		goto cut;
	fd = peer_salt_fd(SALT);
	peer_hello_make(&p, &m, "brief");
	m.hello.flags = PS_HELLO_SALT;
	peer_say(&p, PS_MSG_HELLO, &m, &fd, 1);
	close(fd);
	if (!steps--)
		goto cut;
	peer_hear(&p, PS_MSG_WELCOME, PEER_MS);
	if (!steps--)
		goto cut;
	peer_hear(&p, PS_MSG_DOMAIN, PEER_MS);
	REQUIRE(p.map && p.store_fd >= 0);
	if (!steps--)
		goto cut;
	peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
	if (!steps--)
		goto cut;
	/* pairs of equal hashes: one of each is asked for its content */
	for (uint32_t i = 0; i < 64; i++)
		peer_up(&p, PS_U_HINT, 0, 0, i, key_hash(&p, 300 + i / 2));
	peer_ring(&p);
	for (double end = t_now() + 1; steps > 0 && t_now() < end;) {
		if (!peer_down(&p, &order)) {
			p.map->down.sleeping = 1;
			t_sleep(0.002);
			continue;
		}
		if (order.op == PS_D_WANT) {
			content_fill(p.map->content[order.slot % PS_CONTENT_SLOTS],
				     pool_key(300 + order.page / 2));
			peer_up(&p, PS_U_CONTENT, 0, order.slot, order.page, order.arg);
		} else {
			peer_up(&p, PS_U_SHARED, 0, 0, order.page, order.arg);
		}
		peer_ring(&p);
		steps--;
	}
	if (steps > 0) {
		peer_close(&p);
		return false;
	}
cut:
	peer_close(&p);
	return true;
}

static void vanish(void)
{
	int steps = 1;

	while (steps < 100 && session_steps(steps))
		steps++;
	t_note("a session has %d steps", steps);
	CHECK_GT(steps, 10);
}

TEST_SECONDS("an agent that vanishes after any step leaves nothing behind", 180)
{
	start();
	attack(vanish);
	others_fine();
}

/* A process that maps frames, says goodbye, and comes again as somebody else: the daemon has to
 * keep its frames, so there must be an end to how often. */
static void come_again(void)
{
	double end = t_now() + 25;
	uint32_t sessions = 0, refused = 0;

	for (; t_now() < end && sessions < 3000; sessions++) {
		struct peer p;
		union peer_msg m;
		struct ps_entry order;
		int fd = peer_salt_fd(SALT);

		peer_connect(&p, &d);
		peer_hello_make(&p, &m, "again");
		m.hello.flags = PS_HELLO_SALT;
		peer_say(&p, PS_MSG_HELLO, &m, &fd, 1);
		close(fd);
		if (peer_hear(&p, PS_MSG_DOMAIN, PEER_MS) != PS_MSG_DOMAIN) {
			refused++;
			check_refusal(&p);
			peer_close(&p);
			break;
		}
		peer_region(&p, PS_MSG_REGION_ADD, 0, 512, 0);
		for (uint32_t i = 0; i < 8; i++)
			peer_up(&p, PS_U_HINT, 0, 0, i, key_hash(&p, i));
		p.map->down.sleeping = 1;
		peer_ring(&p);
		for (int i = 0; i < 20 && !peer_down(&p, &order); i++)
			t_sleep(0.001);
		peer_up(&p, PS_U_SHARED, 0, 0, order.page, order.arg);
		peer_ring(&p);
		peer_close(&p);
	}
	t_note("%u sessions of one process, %s; the daemon holds %u descriptors, %ld KiB", sessions,
	       refused ? "then refused" : "none refused", open_fds(d.pid),
	       pm_field_kib(d.pid, "status", "VmRSS"));
	CHECK_LT(open_fds(d.pid), fds_before + 600);
	CHECK_LT(pm_field_kib(d.pid, "status", "VmRSS"), 128 << 10);
	/* others still get in */
	{
		struct fakevmm v;

		fv_start(&v, &d, (struct t_vm_opts){.name = "late", .salt = SALT});
		fv_map(&v, 512, FV_MAP_NOHUGE);
		fv_pool(&v, 0, 0, KEYS, 0);
		CHECK(fv_wait_shared(&v, 0, KEYS / 2, 15));
		fv_end(&v);
	}
}

TEST_SECONDS("a process that comes again and again as somebody else holds no more than its share",
	     180)
{
	start();
	attack(come_again);
	others_fine();
}
