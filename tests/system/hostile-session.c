/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hostile-session: lies in greetings and control messages, and what the daemon hands out. */
#include "hostile.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void no_such_cause(union peer_msg *m)
{
	m->hello.cause = PS_CAUSE_END;
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
	hello_with("a cause that there is not", no_such_cause, whole);
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

/* A picture is a claim: whatever is in it, an answer is JSON of known letters, or has no cells. */
TEST_SECONDS("a picture of nonsense is shown as none, and harms nobody", 60)
{
	static char body[1 << 18];
	struct peer p;
	union peer_msg m;
	int fd = peer_salt_fd(SALT);

	start();
	peer_connect(&p, &d);
	peer_hello_make(&p, &m, "painter");
	m.hello.flags = PS_HELLO_SALT | PS_HELLO_PICTURE;
	CHECK_EQ(peer_say(&p, PS_MSG_HELLO, &m, &fd, 1), 0);
	close(fd);
	CHECK_EQ(peer_hear(&p, PS_MSG_WELCOME, PEER_MS), PS_MSG_WELCOME);
	for (unsigned int i = 0; i < 64; i++) {
		uint32_t *word = (uint32_t *)&p.map->picture;

		memset(&p.map->picture, i % 3 ? 0xff : 0x5a, sizeof(p.map->picture));
		p.map->picture.cell_pages = 1u << i % 33;
		p.map->picture.nregions = i % 2 ? 1 : 64;
		if (i % 5 == 0)
			p.map->picture.region[0] =
				(struct ps_picture_region){.npages = 4 << i % 33, .cells = 4};
		word[i] = i;
		CHECK_EQ(t_http(&d, "GET", "/v1/vms/painter/picture", NULL, body, sizeof(body)),
			 200);
		CHECK(!strchr(body, '?'));
		CHECK_EQ(t_http(&d, "GET", "/v1/picture", NULL, body, sizeof(body)), 200);
	}
	peer_close(&p);
	others_fine();
}

/* So is a sample of pages: an answer is a sketch of what is claimed, or has no token. */
TEST_SECONDS("a sample of pages that cannot be is shown as none, and harms nobody", 60)
{
	static char body[1 << 16];
	struct peer p;
	union peer_msg m;
	int fd = peer_salt_fd(SALT);

	start();
	peer_connect(&p, &d);
	peer_hello_make(&p, &m, "sampler");
	m.hello.flags = PS_HELLO_SALT | PS_HELLO_LIKENESS;
	CHECK_EQ(peer_say(&p, PS_MSG_HELLO, &m, &fd, 1), 0);
	close(fd);
	CHECK_EQ(peer_hear(&p, PS_MSG_WELCOME, PEER_MS), PS_MSG_WELCOME);
	for (unsigned int i = 0; i < 64; i++) {
		bool sane = i % 4 == 0;

		memset(&p.map->likeness, (int)(i * 37), sizeof(p.map->likeness));
		p.map->likeness.seq = i % 8 == 1 ? 1 : 2;
		p.map->likeness.n = sane ? PS_LIKENESS_MAX : i % 3 ? UINT32_MAX : 5;
		p.map->likeness.below = sane ? 1u << 25 : i % 2 ? 0 : UINT64_MAX;
		CHECK_EQ(t_http(&d, "GET", "/v1/vms/sampler/likeness", NULL, body, sizeof(body)),
			 200);
		CHECK_EQ(t_api_number(&d, "/v1/vms/sampler/likeness", "tokens"), sane);
		CHECK_EQ(t_api_number(&d, "/v1/vms/sampler/likeness", "pages"),
			 sane ? PS_LIKENESS_MAX : 0); /* the claim of more is none */
	}
	peer_close(&p);
	others_fine();
}

/* Whoever says a living VM's uuid is not that VM. */
static void steal(const struct peer *victim)
{
	int fd = peer_salt_fd(SALT);
	struct peer thief;
	union peer_msg m;

	peer_connect(&thief, &d);
	memcpy(thief.uuid, victim->uuid, sizeof(thief.uuid));
	peer_hello_make(&thief, &m, "thief");
	m.hello.flags = PS_HELLO_SALT | PS_HELLO_HOLDS_OLD;
	peer_say(&thief, PS_MSG_HELLO, &m, &fd, 1);
	peer_hear(&thief, PS_MSG_DOMAIN, 1000);
	if (!thief.over) {
		peer_say(&thief, PS_MSG_OLD_GONE, &m, NULL, 0);
		peer_region(&thief, PS_MSG_REGION_ADD, 0, 4096, 0);
	}
	if (thief.map) {
		peer_up(&thief, PS_U_UNSHARED, 0, 0, 7, 0);
		peer_ring(&thief);
	}
	t_sleep(0.5);
	_exit(0);
}

/* Shares page 7 with whoever has that content; the frame. */
static uint64_t share_one(struct peer *p, uint32_t key)
{
	struct ps_entry order;

	for (double end = t_now() + 10; t_now() < end; t_sleep(0.05)) {
		peer_up(p, PS_U_HINT, 0, 0, 7, key_hash(p, key));
		peer_ring(p);
		t_sleep(0.05);
		while (peer_down(p, &order)) {
			if (order.op != PS_D_SHARE)
				continue;
			peer_up(p, PS_U_SHARED, 0, 0, order.page, order.arg);
			peer_ring(p);
			return order.arg;
		}
	}
	FAIL("no order to share came");
	return 0;
}

static void be_robbed(void)
{
	uint8_t seen[T_PAGE], later[T_PAGE], *frame;
	struct peer p;
	int status;
	pid_t pid;

	peer_join(&p, &d, "victim", SALT);
	peer_region(&p, PS_MSG_REGION_ADD, 0, 4096, 0);
	frame = mmap(NULL, T_PAGE, PROT_READ, MAP_PRIVATE, p.store_fd,
		     (off_t)share_one(&p, 5) * T_PAGE);
	REQUIRE(frame != MAP_FAILED);
	memcpy(seen, frame, T_PAGE);
	CHECK(content_is(seen, pool_key(5)));
	pid = fork();
	if (!pid)
		steal(&p);
	REQUIRE(!t_wait(pid, 20, &status));
	CHECK_EQ(status, 0);
	/* all others leave the frame: the victim alone holds it */
	share_anew(150);
	t_sleep(4);
	share_anew(280);
	memcpy(later, frame, T_PAGE);
	CHECK_MEM(later, seen, T_PAGE);
	munmap(frame, T_PAGE);
	peer_close(&p);
}

TEST_SECONDS("a uuid of another process takes over nothing", 120)
{
	start();
	attack(be_robbed);
	others_fine();
}
