/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * flow: one page's way through the daemon, with agents of paper: who is asked, who is told, when a
 * reference is taken and when it goes. What real agents make of it is tested elsewhere.
 */
#include "flow.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/pmap.h"

struct t_daemon d;

void start(const char *const *extra)
{
	(void)test_built("src/daemon/pshared");
	t_daemon_init(&d);
	t_daemon_start(&d, extra, NULL, NULL);
}

void fill(uint8_t page[T_PAGE], uint32_t key)
{
	for (uint32_t i = 0; i < T_PAGE; i++)
		page[i] = (uint8_t)(t_mix(key * 4096ull + i) | 1);
}

static uint64_t hash_of(const struct peer *p, uint32_t key)
{
	uint8_t page[T_PAGE];

	fill(page, key);
	return XXH3_64bits_withSeed(page, T_PAGE, p->domain.seed);
}

void join(struct peer *p, const char *name)
{
	peer_join(p, &d, name, SALT);
	REQUIRE_OK(peer_region(p, PS_MSG_REGION_ADD, 0, 4096, 0));
}

void hint(struct peer *p, uint32_t page, uint32_t key)
{
	REQUIRE(peer_up(p, PS_U_HINT, 0, 0, page, hash_of(p, key)));
	peer_ring(p);
}

/* One after the other: a's is the first. */
static void hint_both(struct peer *a, uint32_t page_a, struct peer *b, uint32_t page_b,
		      uint32_t key)
{
	hint(a, page_a, key);
	t_sleep(0.02);
	hint(b, page_b, key);
}

/* The next order must be that one. */
static struct ps_entry expect(struct peer *p, unsigned int op, uint32_t page)
{
	struct ps_entry order = {0};

	REQUIRE_WITHIN(ANSWER_MS, peer_down(p, &order));
	REQUIRE_EQ(order.op, op);
	REQUIRE_EQ(order.page, page);
	return order;
}

static void expect_nothing(struct peer *p)
{
	struct ps_entry order;

	t_sleep(0.3);
	CHECK(!peer_down(p, &order));
}

static void bring(struct peer *p, const struct ps_entry *want, uint32_t key)
{
	fill(p->map->content[want->slot], key);
	REQUIRE(peer_up(p, PS_U_CONTENT, 0, want->slot, want->page, hash_of(p, key)));
	peer_ring(p);
}

static void answer(struct peer *p, unsigned int op, unsigned int cause,
		   const struct ps_entry *share)
{
	REQUIRE(peer_up(p, op, cause, 0, share->page, share->arg));
	peer_ring(p);
}

void unshare(struct peer *p, uint32_t page)
{
	REQUIRE(peer_up(p, PS_U_UNSHARED, 0, 0, page, 0));
	peer_ring(p);
}

/* Both share a page with that content, and have said so. Returns the frame. */
uint64_t share_both(struct peer *a, uint32_t page_a, struct peer *b, uint32_t page_b, uint32_t key)
{
	struct ps_entry order;

	hint_both(a, page_a, b, page_b, key);
	order = expect(a, PS_D_WANT, page_a);
	bring(a, &order, key);
	order = expect(a, PS_D_SHARE, page_a);
	answer(a, PS_U_SHARED, 0, &order);
	order = expect(b, PS_D_SHARE, page_b);
	answer(b, PS_U_SHARED, 0, &order);
	return order.arg;
}

bool frame_is(const struct peer *p, uint64_t frame, uint32_t key)
{
	uint8_t want[T_PAGE], page[T_PAGE];

	fill(want, key);
	return pread(p->store_fd, page, T_PAGE, (off_t)(frame * T_PAGE)) == T_PAGE &&
	       memcmp(page, want, T_PAGE) == 0;
}

long long store_bytes(void)
{
	return pm_memfd_bytes(d.pid, "pshare-store");
}

static double common(void)
{
	return t_api_number(&d, "/v1/status", "pshare/common");
}

double shrd(const char *vm)
{
	char path[64];

	snprintf(path, sizeof(path), "/v1/vms/%s", vm);
	return t_api_number(&d, path, "SHRD");
}

TEST("two equal pages come to one frame: the first is asked, both are told")
{
	struct peer a, b;
	uint64_t frame;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	CHECK_EQ(a.domain.generation, b.domain.generation);
	frame = share_both(&a, 7, &b, 9, 1);
	CHECK(frame_is(&b, frame, 1));
	REQUIRE_WITHIN(ANSWER_MS, shrd("a") == T_PAGE && shrd("b") == T_PAGE);
	CHECK_EQ(common(), T_PAGE);
	CHECK_EQ(store_bytes(), T_PAGE);
	CHECK_EQ(t_api_number(&d, "/v1/status", "pshare/saving"), T_PAGE);
	t_daemon_free(&d);
}

TEST("a third equal page is told of the frame at once, within a VM too")
{
	struct ps_entry order;
	struct peer a, b;
	uint64_t frame;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	frame = share_both(&a, 7, &b, 9, 1);
	hint(&b, 100, 1);
	order = expect(&b, PS_D_SHARE, 100);
	CHECK_EQ(order.arg, frame);
	expect_nothing(&a);
	t_daemon_free(&d);
}

TEST("two equal pages inside one VM come to one frame")
{
	struct ps_entry order;
	struct peer a;

	start(NULL);
	join(&a, "a");
	hint(&a, 1, 5);
	hint(&a, 2, 5);
	order = expect(&a, PS_D_WANT, 1);
	bring(&a, &order, 5);
	order = expect(&a, PS_D_SHARE, 1);
	answer(&a, PS_U_SHARED, 0, &order);
	order = expect(&a, PS_D_SHARE, 2);
	answer(&a, PS_U_SHARED, 0, &order);
	REQUIRE_WITHIN(ANSWER_MS, shrd("a") == 2 * T_PAGE);
	t_daemon_free(&d);
}

TEST("neighbouring pages get neighbouring frames")
{
	uint64_t first, frame;
	struct peer a, b;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	first = share_both(&a, 64, &b, 900, 100);
	for (uint32_t i = 1; i < 32; i++) {
		frame = share_both(&a, 64 + i, &b, 900 + i, 100 + i);
		CHECK_EQ(frame, first + i);
	}
	t_daemon_free(&d);
}

/* A VM can read where no frame is: the file keeps a page of zeros for each such look. */
TEST_SECONDS("what is read where no frame is goes back to the host", 60)
{
	const long long bytes = 64 << 20;
	struct peer a, b;
	uint64_t frame;
	volatile uint8_t *store;
	unsigned int sum = 0;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	frame = share_both(&a, 64, &b, 900, 100);
	store = mmap(NULL, (size_t)a.domain.frames * T_PAGE, PROT_READ, MAP_SHARED, a.store_fd, 0);
	REQUIRE(store != MAP_FAILED);
	for (long long at = 0; at < bytes; at += T_PAGE)
		sum += store[(size_t)frame * T_PAGE + (size_t)at];
	CHECK_GE(pm_memfd_bytes(d.pid, "pshare-store"), bytes);
	REQUIRE_WITHIN(30000, pm_memfd_bytes(d.pid, "pshare-store") <= 1 << 20);
	/* the frame itself is not touched */
	CHECK_GE(pm_memfd_bytes(d.pid, "pshare-store"), T_PAGE);
	CHECK(sum || store[(size_t)frame * T_PAGE] == 0);
	munmap((void *)(uintptr_t)store, (size_t)a.domain.frames * T_PAGE);
	t_daemon_free(&d);
}

TEST("a hint that comes at once with its region is not lost")
{
	struct ps_entry order;
	struct peer a, b, *asked;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	for (uint32_t n = 1; n < 200; n++) {
		/* the bell first: the daemon is on its way to the ring when the region comes */
		peer_ring(&a);
		REQUIRE_OK(peer_region(&a, PS_MSG_REGION_ADD, n * 4096, 512, 0));
		hint(&a, n * 4096, n);
		REQUIRE(peer_up(&b, PS_U_HINT, 0, 0, n, hash_of(&b, n)));
		peer_ring(&b);
		REQUIRE_WITHIN(ANSWER_MS,
			       peer_down(asked = &a, &order) || peer_down(asked = &b, &order));
		peer_up(asked, PS_U_CONTENT, PS_CAUSE_CHANGED, order.slot, order.page, 0);
		peer_ring(asked);
		REQUIRE_OK(peer_region(&a, PS_MSG_REGION_DEL, n * 4096, 512, 0));
	}
	t_daemon_free(&d);
}

TEST("what two VMs have in common is counted page by page")
{
	char answer[4096];
	struct peer a, b;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	share_both(&a, 7, &b, 7, 1);
	share_both(&a, 4000, &b, 4000, 2);
	share_both(&a, 9, &b, 10, 3); /* not at the same place */
	hint(&a, 20, 4);
	REQUIRE_WITHIN(ANSWER_MS, shrd("b") == 3.0 * T_PAGE);
	REQUIRE_EQ(t_http(&d, "GET", "/v1/vms/a/family", NULL, answer, sizeof(answer)), 200);
	CHECK_IN("8192", answer);
	t_daemon_free(&d);
}

TEST("a page that was hinted twice is not shared with itself")
{
	struct peer a;

	start(NULL);
	join(&a, "a");
	hint(&a, 1, 5);
	hint(&a, 1, 5);
	expect_nothing(&a);
	CHECK_EQ(common(), 0);
	t_daemon_free(&d);
}

TEST("hints that come while a content is on its way wait for the frame")
{
	struct ps_entry order;
	struct peer a, b;
	uint64_t frame;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	hint(&a, 1, 5);
	t_sleep(0.02);
	for (uint32_t page = 10; page < 20; page++)
		hint(&b, page, 5);
	order = expect(&a, PS_D_WANT, 1);
	expect_nothing(&b);
	bring(&a, &order, 5);
	frame = expect(&a, PS_D_SHARE, 1).arg;
	for (uint32_t n = 0; n < 10; n++) {
		REQUIRE_WITHIN(ANSWER_MS, peer_down(&b, &order));
		CHECK_EQ(order.op, PS_D_SHARE);
		CHECK_EQ(order.arg, frame);
	}
	t_daemon_free(&d);
}

static void put_fork(const char *name, const char *what)
{
	char path[128], body[64], answer[4096];

	snprintf(path, sizeof(path), "/v1/vms/%s/fork", name);
	snprintf(body, sizeof(body), "{\"value\": \"%s\"}", what);
	REQUIRE_EQ(t_http(&d, "PUT", path, body, answer, sizeof(answer)), 200);
}

TEST("a content that comes when its VM publishes no more leaves the hint for a twin")
{
	struct ps_entry order;
	struct peer a, b;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	put_fork("a", "publish");
	t_sleep(0.1);
	hint(&a, 7, 1);
	order = expect(&a, PS_D_WANT, 7);
	put_fork("a", "drop");
	bring(&a, &order, 1);
	expect_nothing(&a);
	hint(&b, 9, 1);
	order = expect(&a, PS_D_WANT, 7);
	bring(&a, &order, 1);
	expect(&a, PS_D_SHARE, 7);
	expect(&b, PS_D_SHARE, 9);
	t_daemon_free(&d);
}

TEST("a content that changed makes no frame, and the other page becomes the hint")
{
	struct ps_entry order;
	struct peer a, b;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	hint_both(&a, 1, &b, 2, 5);
	order = expect(&a, PS_D_WANT, 1);
	REQUIRE(peer_up(&a, PS_U_CONTENT, PS_CAUSE_CHANGED, order.slot, 1, 0));
	peer_ring(&a);
	expect_nothing(&b);
	CHECK_EQ(store_bytes(), 0);
	hint(&a, 3, 5);
	expect(&b, PS_D_WANT, 2);
	t_daemon_free(&d);
}

TEST("a content that is not what its hash says makes no frame")
{
	struct ps_entry order;
	struct peer a, b;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	hint_both(&a, 1, &b, 2, 5);
	order = expect(&a, PS_D_WANT, 1);
	fill(a.map->content[order.slot], 6);
	REQUIRE(peer_up(&a, PS_U_CONTENT, 0, order.slot, 1, hash_of(&a, 5)));
	peer_ring(&a);
	expect_nothing(&b);
	CHECK_EQ(store_bytes(), 0);
	t_daemon_free(&d);
}

TEST("zeros never become a frame")
{
	uint8_t zeros[T_PAGE] = {0};
	struct ps_entry order;
	uint64_t hash;
	struct peer a;

	start(NULL);
	join(&a, "a");
	hash = XXH3_64bits_withSeed(zeros, T_PAGE, a.domain.seed);
	REQUIRE(peer_up(&a, PS_U_HINT, 0, 0, 1, hash));
	REQUIRE(peer_up(&a, PS_U_HINT, 0, 0, 2, hash));
	peer_ring(&a);
	order = expect(&a, PS_D_WANT, 1);
	memset(a.map->content[order.slot], 0, T_PAGE);
	REQUIRE(peer_up(&a, PS_U_CONTENT, 0, order.slot, 1, hash));
	peer_ring(&a);
	expect_nothing(&a);
	CHECK_EQ(store_bytes(), 0);
	t_daemon_free(&d);
}

/* The daemon waits for a second. */
static struct ps_entry want_and_wait(struct peer *a, uint32_t page_a, struct peer *b,
				     uint32_t page_b, uint32_t key)
{
	struct ps_entry want;

	hint_both(a, page_a, b, page_b, key);
	want = expect(a, PS_D_WANT, page_a);
	t_sleep(1.5);
	return want;
}

TEST("an agent that does not bring what it was asked for is asked no more, and the twin goes on")
{
	struct ps_entry order, late;
	struct peer a, b, c;
	uint64_t frame;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	join(&c, "c");
	late = want_and_wait(&a, 1, &b, 2, 5);
	hint(&c, 3, 5);
	order = expect(&b, PS_D_WANT, 2);
	bring(&b, &order, 5);
	frame = expect(&b, PS_D_SHARE, 2).arg;
	CHECK_EQ(expect(&c, PS_D_SHARE, 3).arg, frame);
	bring(&a, &late, 5);
	CHECK_EQ(expect(&a, PS_D_SHARE, 1).arg, frame);
	t_daemon_free(&d);
}

/* On a busy host an agent is late each time, and so is its twin. */
TEST("what comes too late is a frame all the same, for its twin too")
{
	struct ps_entry late;
	struct peer a, b;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	late = want_and_wait(&a, 1, &b, 2, 5);
	bring(&a, &late, 5);
	CHECK_EQ(expect(&a, PS_D_SHARE, 1).arg, expect(&b, PS_D_SHARE, 2).arg);
	late = want_and_wait(&a, 3, &b, 4, 6);
	bring(&a, &late, 7); /* not what it was */
	expect_nothing(&a);
	t_daemon_free(&d);
}

TEST("a refused order gives its reference back, and the last one punches the frame")
{
	struct ps_entry order;
	struct peer a, b;
	uint64_t frame;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	frame = share_both(&a, 7, &b, 9, 1);
	hint(&b, 10, 1);
	order = expect(&b, PS_D_SHARE, 10);
	answer(&b, PS_U_REFUSED, PS_CAUSE_PINNED, &order);
	unshare(&a, 7);
	t_sleep(0.1);
	CHECK(frame_is(&b, frame, 1));
	CHECK_EQ(store_bytes(), T_PAGE);
	unshare(&b, 9);
	REQUIRE_WITHIN(ANSWER_MS, store_bytes() == 0 && common() == 0);
	t_daemon_free(&d);
}

TEST("what a VM says of pages that it does not have harms nobody")
{
	struct peer a, b, liar;
	uint64_t frame;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	join(&liar, "liar");
	frame = share_both(&a, 7, &b, 9, 1);
	for (unsigned int op = 0; op < 8; op++) {
		peer_up(&liar, op, 0, 3, 7, frame);
		peer_up(&liar, op, 200, 65535, 9, frame);
		peer_up(&liar, op, 0, 0, UINT32_MAX, UINT64_MAX);
	}
	peer_ring(&liar);
	t_sleep(0.2);
	CHECK(frame_is(&b, frame, 1));
	CHECK_EQ(common(), T_PAGE);
	CHECK_EQ(shrd("a"), T_PAGE);
	t_daemon_free(&d);
}

/* A VM in a process of its own, which shares page 7 with b's page 9 and then waits to be killed. */
static pid_t vm_process(struct peer *b)
{
	struct ps_entry order;
	struct peer a;
	pid_t pid;

	pid = fork();
	if (pid)
		goto parent;
	join(&a, "victim");
	hint(&a, 7, 1);
	order = expect(&a, PS_D_WANT, 7);
	bring(&a, &order, 1);
	order = expect(&a, PS_D_SHARE, 7);
	answer(&a, PS_U_SHARED, 0, &order);
	pause();
	_exit(0);
parent:
	REQUIRE_WITHIN(ANSWER_MS, shrd("victim") == 0);
	t_sleep(0.1);
	hint(b, 9, 1);
	order = expect(b, PS_D_SHARE, 9);
	answer(b, PS_U_SHARED, 0, &order);
	REQUIRE_WITHIN(ANSWER_MS, shrd("victim") == T_PAGE);
	return pid;
}

TEST("the end of a process gives all its references back")
{
	struct peer b;
	int status;
	pid_t pid;

	start(NULL);
	join(&b, "b");
	pid = vm_process(&b);
	kill(pid, SIGKILL);
	REQUIRE(!t_wait(pid, 5, &status));
	REQUIRE_WITHIN(ANSWER_MS, t_api_number(&d, "/v1/status", "vms") == 1);
	CHECK_EQ(common(), T_PAGE);
	unshare(&b, 9);
	REQUIRE_WITHIN(ANSWER_MS, store_bytes() == 0);
	t_daemon_free(&d);
}

TEST("a region that goes gives back the references of its pages, and of no others")
{
	struct peer a, b;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	REQUIRE_OK(peer_region(&a, PS_MSG_REGION_ADD, 8192, 512, 0));
	share_both(&a, 7, &b, 9, 1);
	share_both(&a, 8200, &b, 10, 2);
	REQUIRE_OK(peer_region(&a, PS_MSG_REGION_DEL, 8192, 512, 0));
	REQUIRE_WITHIN(ANSWER_MS, shrd("a") == T_PAGE);
	CHECK_EQ(common(), 2 * T_PAGE);
	CHECK_EQ(shrd("b"), 2 * T_PAGE);
	t_daemon_free(&d);
}

TEST("SHRDSVD is never more than SHRD, though it is counted once a second")
{
	struct peer a, b;

	start(NULL);
	join(&a, "a");
	join(&b, "b");
	share_both(&a, 7, &b, 9, 1);
	/* each of the two saves half a page */
	REQUIRE_WITHIN(ANSWER_MS, t_api_number(&d, "/v1/vms/a", "SHRDSVD") == T_PAGE);
	REQUIRE_OK(peer_region(&a, PS_MSG_REGION_DEL, 0, 4096, 0));
	REQUIRE_WITHIN(ANSWER_MS, shrd("a") == 0);
	CHECK_EQ(t_api_number(&d, "/v1/vms/a", "SHRDSVD"), 0);
	t_daemon_free(&d);
}
