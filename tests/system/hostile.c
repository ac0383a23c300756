/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hostile: agents that lie, flood, stall, vanish. The daemon may refuse them in one line or cut
 * them off; it may not die, hang, or believe them at another VM's cost. So two honest VMs of the
 * same domain live beside each attack, and after it: their memory is right, they still come to
 * share, and the daemon holds no more than before.
 */
#include "harness/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/fakevmm.h"
#include "lib/peer.h"

#define PAGES 1024u
#define SHARED_MS 20000
#define CUT_MS 4000
#define SALT "salt of the honest"

static struct t_daemon d;
static struct fakevmm honest[2];
static uint32_t fds_before;

static uint32_t open_fds(pid_t pid)
{
	char path[64];
	uint32_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static void share_anew(uint32_t key)
{
	for (int i = 0; i < 2; i++)
		fv_pool(&honest[i], 0, 0, PAGES, key);
	for (int i = 0; i < 2; i++)
		REQUIRE_WITHIN(SHARED_MS, fv_shared(&honest[i], 0) > PAGES * 3 / 4);
}

static void start(void)
{
	static const char *const NAMES[] = {"honest-a", "honest-b"};

	t_need_root();
	(void)test_built("src/agent/libpshare-agent.so");
	(void)test_built("src/daemon/pshared");
	t_daemon_init(&d);
	t_daemon_start(&d, NULL, NULL, NULL);
	t_daemon_full_speed(&d);
	for (int i = 0; i < 2; i++) {
		fv_start(&honest[i], &d, (struct t_vm_opts){.name = NAMES[i], .salt = SALT});
		fv_map(&honest[i], PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	}
	share_anew(0);
	fds_before = open_fds(d.pid);
}

/* After the attack, with the attacker's connections closed. */
static void others_fine(void)
{
	REQUIRE_SYS(kill(d.pid, 0));
	fv_check(&honest[0], 0);
	fv_check(&honest[1], 0);
	share_anew(100);
	fv_do(&honest[0], FV_PATCH, 0, 0, PAGES / 2, 72, 9);
	fv_check(&honest[0], 0);
	fv_check(&honest[1], 0);
	REQUIRE_WITHIN(10000, t_api_number(&d, "/v1/status", "vms") == 2);
	REQUIRE_WITHIN(5000, open_fds(d.pid) <= fds_before);
	fv_end(&honest[0]);
	fv_end(&honest[1]);
	REQUIRE_WITHIN(10000, t_api_number(&d, "/v1/status", "pshare/common") == 0);
	REQUIRE_WITHIN(10000, pm_memfd_bytes(d.pid, NULL) == 0);
	t_daemon_free(&d);
}

/* A refusal is one line that a person can read. */
static void check_refusal(struct peer *p)
{
	const char *r = p->refuse.reason;

	if (!p->refuse.head.type)
		return;
	CHECK_GT(p->refuse.error, 0);
	CHECK(memchr(r, '\0', PS_REASON_MAX) && *r);
	for (; *r; r++)
		CHECK(*r >= ' ' && *r != 0x7f);
}

static void must_cut(struct peer *p, const char *what)
{
	if (!peer_is_cut(p, CUT_MS))
		NOTE_FAIL("%s: the daemon neither refuses it nor cuts it off", what);
	check_refusal(p);
	peer_close(p);
}

/* ---- HELLO ----------------------------------------------------------------------------------- */

static void hello_with(const char *what, void (*worse)(union peer_msg *m), size_t len)
{
	struct peer p;
	union peer_msg m;

	peer_connect(&p, &d);
	peer_hello_make(&p, &m, "liar");
	if (worse)
		worse(&m);
	peer_send(&p, &m, len, NULL, 0);
	must_cut(&p, what);
}

static void bad_magic(union peer_msg *m)
{
	m->head.magic ^= 1;
}

static void bad_type(union peer_msg *m)
{
	m->head.type = 0xffff;
}

static void bad_size(union peer_msg *m)
{
	m->head.size = 0xffff;
}

static void bad_version(union peer_msg *m)
{
	m->hello.version = 0xffffffff;
}

static void bad_page_size(union peer_msg *m)
{
	m->hello.page_size = 65536;
}

static void long_name(union peer_msg *m)
{
	memset(m->hello.name, 'x', sizeof(m->hello.name));
}

static void path_name(union peer_msg *m)
{
	strcpy(m->hello.name, "../../etc/passwd");
}

static void line_name(union peer_msg *m)
{
	strcpy(m->hello.name, "a\nb\x1b[2J");
}

static void hidden_name(union peer_msg *m)
{
	memcpy(m->hello.name, "fine\0hidden", 11);
}

static void salt_without_fd(union peer_msg *m)
{
	m->hello.flags = PS_HELLO_SALT;
}

TEST_SECONDS("a greeting with a lie in any field is refused in one line, or cut", 120)
{
	const size_t whole = sizeof(struct ps_msg_hello);

	start();
	hello_with("magic", bad_magic, whole);
	hello_with("type", bad_type, whole);
	hello_with("size", bad_size, whole);
	hello_with("version", bad_version, whole);
	hello_with("page size", bad_page_size, whole);
	hello_with("a name without end", long_name, whole);
	hello_with("a name that is a path", path_name, whole);
	hello_with("a name of two lines", line_name, whole);
	hello_with("a name with something behind its end", hidden_name, whole);
	hello_with("a salt that did not come", salt_without_fd, whole);
	hello_with("cut short", NULL, whole - 1);
	hello_with("one byte", NULL, 1);
	hello_with("too long", NULL, sizeof(union peer_msg));
	hello_with("nothing", NULL, 0);
	others_fine();
}

static void salt_with(const char *what, int fd, bool flag, unsigned int copies)
{
	struct peer p;
	union peer_msg m;
	int fds[16];

	for (unsigned int i = 0; i < copies; i++)
		fds[i] = fd;
	peer_connect(&p, &d);
	peer_hello_make(&p, &m, "liar");
	m.hello.flags = flag ? PS_HELLO_SALT : 0;
	peer_say(&p, PS_MSG_HELLO, &m, fds, copies);
	must_cut(&p, what);
	close(fd);
}

TEST_SECONDS("a salt that is no sealed memory of fair size is refused", 120)
{
	int fds[2], big = memfd_create("big", MFD_ALLOW_SEALING);

	start();
	salt_with("unsealed", memfd_create("salt", MFD_ALLOW_SEALING), true, 1);
	salt_with("a device", open("/dev/zero", O_RDWR), true, 1);
	salt_with("a folder", open("/", O_RDONLY | O_DIRECTORY), true, 1);
	salt_with("a path", open("/", O_PATH), true, 1);
	REQUIRE_SYS(pipe(fds));
	salt_with("a pipe", fds[0], true, 1);
	close(fds[1]);
	REQUIRE_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	salt_with("a socket", fds[0], true, 1);
	close(fds[1]);
	salt_with("an epoll", epoll_create1(0), true, 1);
	REQUIRE_SYS(ftruncate(big, 1l << 40));
	fcntl(big, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	salt_with("a terabyte", big, true, 1);
	salt_with("not announced", peer_salt_fd("x"), false, 1);
	salt_with("two of them", peer_salt_fd("x"), true, 2);
	salt_with("sixteen of them", peer_salt_fd("x"), true, 16);
	others_fine();
}

/* ---- control messages ------------------------------------------------------------------------ */

TEST_SECONDS("messages out of turn end the session", 120)
{
	static const unsigned int EARLY[] = {PS_MSG_REGION_ADD, PS_MSG_REGION_DEL, PS_MSG_LEFT,
					     PS_MSG_OLD_GONE, PS_MSG_REGION_REFUSED};
	static const unsigned int THEIRS[] = {PS_MSG_HELLO,  PS_MSG_WELCOME, PS_MSG_REFUSE,
					      PS_MSG_CONFIG, PS_MSG_DOMAIN,  PS_MSG_LEAVE};
	struct peer p;
	union peer_msg m;
	char what[64];

	start();
	for (size_t i = 0; i < sizeof(EARLY) / sizeof(EARLY[0]); i++) {
		memset(&m, 0, sizeof(m));
		m.region.npages = 512;
		peer_connect(&p, &d);
		peer_say(&p, EARLY[i], &m, NULL, 0);
		snprintf(what, sizeof(what), "message %u before HELLO", EARLY[i]);
		must_cut(&p, what);
	}
	for (size_t i = 0; i < sizeof(THEIRS) / sizeof(THEIRS[0]); i++) {
		peer_join(&p, &d, "liar", SALT);
		peer_hello_make(&p, &m, "liar");
		peer_say(&p, THEIRS[i], &m, NULL, 0);
		snprintf(what, sizeof(what), "message %u after HELLO", THEIRS[i]);
		must_cut(&p, what);
	}
	peer_join(&p, &d, "liar", SALT);
	m.leave.generation = p.domain.generation + 12345;
	peer_say(&p, PS_MSG_LEFT, &m, NULL, 0);
	peer_is_cut(&p, 500); /* to be cut or to be ignored: both are fine */
	peer_close(&p);
	others_fine();
}

static void regions(const char *what, uint32_t base, uint32_t npages, uint32_t base2,
		    uint32_t npages2)
{
	struct peer p;

	peer_join(&p, &d, "liar", SALT);
	peer_region(&p, PS_MSG_REGION_ADD, base, npages, 0);
	if (npages2)
		peer_region(&p, PS_MSG_REGION_ADD, base2, npages2, 0);
	must_cut(&p, what);
}

TEST_SECONDS("regions that cannot be end the session", 120)
{
	struct peer p;

	start();
	regions("a base between blocks", 7, 512, 0, 0);
	regions("no pages", 512, 0, 1024, 0);
	regions("beyond the last number", 0xfffffe00, 0xffffffff, 0, 0);
	regions("more than a VM may have", 0, PS_PAGES_MAX + 1, 0, 0);
	regions("twice", 0, 512, 0, 512);
	regions("one in the other", 0, 4096, 512, 512);
	regions("together too many pages", 0, PS_PAGES_MAX, PS_PAGES_MAX, 512);
	peer_join(&p, &d, "liar", SALT);
	for (uint32_t i = 0; i <= PS_REGIONS_MAX; i++)
		peer_region(&p, PS_MSG_REGION_ADD, i * 512, 512, 0);
	must_cut(&p, "too many regions");
	peer_join(&p, &d, "liar", SALT);
	peer_region(&p, PS_MSG_REGION_DEL, 512, 512, 0);
	peer_region(&p, PS_MSG_REGION_REFUSED, 512, 512, 0xffff);
	must_cut(&p, "a region that is not there, a cause that is none");
	/* the largest VM there may be costs the daemon no memory by its claim alone */
	peer_join(&p, &d, "large", SALT);
	peer_region(&p, PS_MSG_REGION_ADD, 0, PS_PAGES_MAX, 0);
	t_sleep(0.5);
	CHECK_LT(pm_field_kib(d.pid, "status", "VmRSS"), 256 << 10);
	peer_close(&p);
	others_fine();
}

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

TEST_SECONDS("a million entries of nonsense harm nobody else", 120)
{
	uint64_t rng = test_seed(), said = 0, sessions = 0;
	double end;

	start();
	end = t_now() + 20;
	while (t_now() < end && said < 1000000) {
		struct peer p;

		peer_join(&p, &d, "liar", SALT);
		peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
		sessions++;
		while (!p.over && t_now() < end) {
			struct ps_entry e = nonsense(&rng, 4096), order;

			if (!peer_up(&p, e.op, e.cause, e.slot, e.page, e.arg)) {
				peer_ring(&p);
				peer_hear(&p, 0, 1);
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

TEST_SECONDS("content that is not what its hash says becomes nobody's page", 120)
{
	uint8_t page[T_PAGE];
	struct ps_entry order;
	pthread_t thread;
	uint32_t wanted = 0;
	struct peer p;
	double end;

	start();
	peer_join(&p, &d, "liar", SALT);
	peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
	flip_stop = 0;
	pthread_create(&thread, NULL, flipper, &p);
	end = t_now() + 8;
	for (uint32_t n = 0; t_now() < end && !p.over; n++) {
		uint32_t key = 100 + n % 284;

		content_fill(page, pool_key(key));
		peer_up(&p, PS_U_HINT, 0, 0, n % 4096,
			XXH3_64bits_withSeed(page, T_PAGE, p.domain.seed));
		while (peer_down(&p, &order)) {
			wanted += order.op == PS_D_WANT;
			if (order.op == PS_D_WANT)
				peer_up(&p, PS_U_CONTENT, 0, order.slot, order.page, order.arg);
			else
				peer_up(&p, PS_U_SHARED, 0, 0, order.page, order.arg);
		}
		if (n % 64 == 63) {
			/* the honest ones come to have those contents meanwhile */
			fv_pool(&honest[n / 64 % 2], 0, n % 512, 256, key);
			peer_ring(&p);
			peer_hear(&p, 0, 1);
			t_sleep(0.02);
		}
	}
	flip_stop = 1;
	pthread_join(thread, NULL);
	t_note("%u contents were asked for", wanted);
	CHECK_GT(wanted, 0);
	peer_close(&p);
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
	REQUIRE(peer_is_cut(&p[0], 30000));
	for (int i = 0; i < n; i++)
		peer_close(&p[i]);
	others_fine();
}

TEST_SECONDS("an agent that reads nothing holds up nobody", 120)
{
	struct peer p;
	double start_at;

	start();
	peer_join(&p, &d, "deaf", SALT);
	peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
	for (uint32_t i = 0; i < PS_RING_ENTRIES; i++)
		peer_up(&p, PS_U_HINT, 0, 0, i, 1 + i % 64);
	peer_ring(&p);
	/* it is told so often that its socket must overflow */
	for (int i = 0; i < 300; i++)
		t_setting_put(&d, "Mem.ShareQuarantineMs", i & 1 ? "1000" : "1001");
	share_anew(30);
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
	t_setting_put(&d, "Mem.ShareQuarantineMs", "2000");
	peer_close(&p);
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
	for (uint32_t i = 0; i < 64; i++) {
		uint8_t page[T_PAGE];

		content_fill(page, pool_key(300 + i / 2));
		peer_up(&p, PS_U_HINT, 0, 0, i, XXH3_64bits_withSeed(page, T_PAGE, p.domain.seed));
	}
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

TEST_SECONDS("an agent that vanishes after any step leaves nothing behind", 180)
{
	int steps = 1;

	start();
	while (steps < 100 && session_steps(steps))
		steps++;
	t_note("a session has %d steps", steps);
	CHECK_GT(steps, 10);
	others_fine();
}

/* ---- what the daemon hands out --------------------------------------------------------------- */

TEST_SECONDS("the store that an agent gets can be read and nothing else", 60)
{
	uint8_t page[T_PAGE] = {1};
	char path[64];
	struct peer p;
	pid_t pid;

	start();
	peer_join(&p, &d, "liar", SALT);
	CHECK_EQ(fcntl(p.store_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK_EQ(pwrite(p.store_fd, page, T_PAGE, 0), -1);
	CHECK_EQ(ftruncate(p.store_fd, 0), -1);
	CHECK_EQ(fallocate(p.store_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, T_PAGE), -1);
	CHECK_EQ(fcntl(p.store_fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	CHECK(mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, p.store_fd, 0) == MAP_FAILED);
	/* another user cannot open it anew for writing */
	pid = fork();
	if (!pid) {
		if (setresuid(1001, 1001, 1001))
			_exit(2);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", p.store_fd);
		_exit(open(path, O_RDWR | O_CLOEXEC) >= 0);
	}
	{
		int status = -1;

		REQUIRE(!t_wait(pid, 5, &status));
		CHECK_EQ(status, 0);
	}
	peer_close(&p);
	others_fine();
}

TEST_SECONDS("rings cut short under the daemon do not kill it", 60)
{
	struct peer p;

	start();
	peer_join(&p, &d, "liar", SALT);
	peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
	if (ftruncate(p.ring_fd, 0) && ftruncate(p.ring_fd, T_PAGE))
		t_note("the ring cannot be cut: good");
	if (!fallocate(p.ring_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		       sizeof(struct ps_ring_map)))
		t_note("a hole can be punched: it reads as zeros");
	peer_ring(&p);
	peer_is_cut(&p, 500);
	peer_close(&p);
	others_fine();
}

/* Whoever says a living VM's uuid is not that VM. */
TEST_SECONDS("a uuid of another process takes over nothing", 60)
{
	struct ps_entry order;
	uint8_t seen[T_PAGE], later[T_PAGE], *frame;
	struct peer p, thief;
	uint64_t mine = UINT64_MAX;
	union peer_msg m;
	pid_t pid;
	int fd, status;

	start();
	peer_join(&p, &d, "victim", SALT);
	peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
	/* the victim shares a page that the honest VMs have */
	for (double end = t_now() + 10; mine == UINT64_MAX && t_now() < end; t_sleep(0.01)) {
		uint8_t page[T_PAGE];

		content_fill(page, pool_key(5));
		peer_up(&p, PS_U_HINT, 0, 0, 7, XXH3_64bits_withSeed(page, T_PAGE, p.domain.seed));
		peer_ring(&p);
		t_sleep(0.05);
		while (peer_down(&p, &order)) {
			if (order.op != PS_D_SHARE)
				continue;
			mine = order.arg;
			peer_up(&p, PS_U_SHARED, 0, 0, order.page, order.arg);
			peer_ring(&p);
		}
	}
	REQUIRE(mine != UINT64_MAX);
	frame = mmap(NULL, T_PAGE, PROT_READ, MAP_PRIVATE, p.store_fd, (off_t)mine * T_PAGE);
	REQUIRE(frame != MAP_FAILED);
	memcpy(seen, frame, T_PAGE);
	CHECK(content_is(seen, pool_key(5)));
	pid = fork();
	if (!pid) {
		peer_connect(&thief, &d);
		memcpy(thief.uuid, p.uuid, sizeof(p.uuid));
		peer_hello_make(&thief, &m, "thief");
		m.hello.flags = PS_HELLO_SALT | PS_HELLO_HOLDS_OLD;
		fd = peer_salt_fd(SALT);
		peer_say(&thief, PS_MSG_HELLO, &m, &fd, 1);
		peer_hear(&thief, PS_MSG_DOMAIN, 1000);
		if (!thief.over) {
			peer_say(&thief, PS_MSG_OLD_GONE, &m, NULL, 0);
			peer_region(&thief, PS_MSG_REGION_ADD, 0, 4096, 0);
			if (thief.map) {
				peer_up(&thief, PS_U_UNSHARED, 0, 0, 7, 0);
				peer_ring(&thief);
			}
		}
		t_sleep(0.5);
		_exit(0);
	}
	REQUIRE(!t_wait(pid, 20, &status));
	CHECK_EQ(status, 0);
	/* all others leave the frame: the victim alone holds it */
	fv_pool(&honest[0], 0, 0, PAGES, 150);
	fv_pool(&honest[1], 0, 0, PAGES, 150);
	t_sleep(5);
	fv_pool(&honest[0], 0, 0, PAGES, 250);
	fv_pool(&honest[1], 0, 0, PAGES, 250);
	t_sleep(3);
	memcpy(later, frame, T_PAGE);
	CHECK_MEM(later, seen, T_PAGE);
	munmap(frame, T_PAGE);
	peer_close(&p);
	others_fine();
}
