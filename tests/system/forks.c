/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * forks: families of VMs under a hammer, and every byte of each of them.
 *
 * A fake VMM stands for QEMU: its guest writes, discards and counts at random all the time
 * (lib/hammer.h), and keeps a model of each byte outside of the memory that is managed. Pages go
 * out and come back meanwhile, so that a fork finds them in every state. A fork is what `pshare
 * fork` does: publish, the guest stands still, freeze, it goes on. A child gets its parent's model,
 * compares all of its memory with it, and goes on writing and discarding by itself. Whoever sees a
 * byte of another, or the content of a page that it has discarded, ends at once.
 *
 * Real guests are tests/guest/fork and tests/guest/forkpressed.
 */
#include "harness/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/api.h"
#include "lib/fakevmm.h"

#define PAGES 4096u
#define THREADS 2
#define KIN 6u
#define MS 30000
#define CHANGE_MS 700u
#define DISCARDS 40u
#define ROUNDS 3u

struct kin {
	struct fakevmm v;
	char name[32];
	char ram[256];
	uint64_t image; /* that it has, for more children */
};

static struct t_daemon d;
static struct kin kin[KIN];
static unsigned int born; /* names are given once */
static uint64_t rng;

static void daemon_start(void)
{
	const char *args[] = {"--swap-dir", "/var/tmp", "--set", "Mem.ShareQuarantineMs=100", NULL};

	t_daemon_start(&d, args, NULL, NULL);
	t_daemon_full_speed(&d);
}

static void start(void)
{
	t_need_product();
	t_daemon_init(&d);
	daemon_start();
	rng = test_seed();
}

static void finish(void)
{
	for (unsigned int i = 0; i < KIN; i++) {
		if (!kin[i].v.pid)
			continue;
		fv_do(&kin[i].v, FV_STOP, 0, 0, 0, 0, 0);
		fv_end(&kin[i].v);
	}
	t_daemon_free(&d);
}

/* ---- who is told what ---------------------------------------------------------------------- */

static int put(const struct kin *k, const char *what, const char *json)
{
	char path[128], body[64], answer[4096];

	snprintf(path, sizeof(path), "/v1/vms/%s/%s", k->name, what);
	snprintf(body, sizeof(body), "{\"value\": %s}", json);
	return t_http(&d, "PUT", path, body, answer, sizeof(answer));
}

static bool says(const struct kin *k, const char *what, const char *part)
{
	char path[128], answer[65536];

	snprintf(path, sizeof(path), "/v1/vms/%s%s", k->name, what);
	return t_http(&d, "GET", path, NULL, answer, sizeof(answer)) == 200 && strstr(answer, part);
}

/* So many of its pages are to go out, if they are there: they are staged, for a while. */
static void press(const struct kin *k, uint32_t pages)
{
	char json[32];

	snprintf(json, sizeof(json), "%lu", (unsigned long)pages * T_PAGE);
	(void)put(k, "reclaim", json);
}

/* All of them, and further at once: what is touched comes back. */
static void press_all(const struct kin *k)
{
	(void)put(k, "suspend", "true");
}

static const char *const states[] = {"SHRD", "memory/staged", "memory/twin", "memory/zipped",
				     "memory/SWCUR"};
#define STATES (sizeof(states) / sizeof(states[0]))
static double most[STATES]; /* bytes in each when somebody was frozen */

/* Pages that are out. note: the most in each state is kept. */
static double pages_out(const struct kin *k, bool note)
{
	double out = 0;
	char path[64];

	snprintf(path, sizeof(path), "/v1/vms/%s", k->name);
	for (size_t i = 0; i < STATES; i++) {
		double bytes = t_api_number(&d, path, states[i]);

		most[i] = note && bytes > most[i] ? bytes : most[i];
		out += i ? bytes : 0;
	}
	return out / T_PAGE;
}

/* ---- forks --------------------------------------------------------------------------------- */

static const char *salt = "forks"; /* of whoever starts next */

static void vm_start(struct kin *k, const char *const *env)
{
	const char *all[8] = {0};
	char fork_ram[300], fake_ram[300];
	int n = 0;

	snprintf(k->name, sizeof(k->name), "v%u", born++);
	snprintf(k->ram, sizeof(k->ram), "%s/%s.ram", test_dir(), k->name);
	snprintf(fork_ram, sizeof(fork_ram), "PSHARE_FORK_RAM=%s", k->ram);
	snprintf(fake_ram, sizeof(fake_ram), "FAKEVMM_RAM=%s", k->ram);
	all[n++] = fork_ram;
	all[n++] = fake_ram;
	for (; env && *env; env++)
		all[n++] = *env;
	close(open(k->ram, O_CREAT | O_CLOEXEC | O_RDWR, 0600));
	fv_start(&k->v, &d, (struct t_vm_opts){.name = k->name, .salt = salt, .env = all});
	fv_map(&k->v, PAGES, FV_MAP_RAM);
	k->image = 0;
}

static void parent_start(struct kin *k)
{
	vm_start(k, NULL);
	fv_do(&k->v, FV_HAMMER, 0, 0, 0, 0, THREADS);
	REQUIRE_WITHIN(MS, says(k, "", "\"state\":\"sharing\""));
}

/* Its memory becomes an image; it runs on. */
static void freeze(struct kin *k)
{
	char path[64];

	if (t_below(&rng, 2)) { /* what is out comes back meanwhile; or it does not */
		REQUIRE_EQ(put(k, "fork", "\"publish\""), 200);
		test_sleep_ms(t_below(&rng, 1000));
	}
	fv_do(&k->v, FV_PAUSE, 0, 0, PAGES, born, 1);
	(void)pages_out(k, true);
	REQUIRE_EQ(put(k, "fork", "\"freeze\""), 200);
	REQUIRE_WITHIN(MS, says(k, "/fork", "\"running\":true") ||
				   says(k, "/fork", "\"state\":\"failed\""));
	fv_do(&k->v, FV_PAUSE, 0, 0, PAGES, 0, 0);
	REQUIRE_WITHIN(MS, says(k, "/fork", "\"state\":\"ready\""));
	snprintf(path, sizeof(path), "/v1/vms/%s/fork", k->name);
	k->image = (uint64_t)t_api_number(&d, path, "image");
}

static void child_begin(struct kin *c, const struct kin *parent, unsigned int model)
{
	char image[64], file[300];
	const char *env[] = {image, file, NULL};

	snprintf(image, sizeof(image), "PSHARE_FORK_IMAGE=%lu", (unsigned long)parent->image);
	snprintf(file, sizeof(file), "FAKEVMM_MODEL=%s.model%u", parent->ram, model);
	vm_start(c, env);
}

static void child_start(struct kin *c, const struct kin *parent, unsigned int model)
{
	child_begin(c, parent, model);
	REQUIRE_WITHIN(MS, says(c, "", "\"birth\":\"born\""));
	fv_do(&c->v, FV_LOAD, 0, 0, PAGES, 0, 0);
}

static struct kin *nobody(void)
{
	for (unsigned int i = 0; i < KIN; i++)
		if (!kin[i].v.pid)
			return &kin[i];
	return NULL;
}

static struct kin *somebody(void)
{
	struct kin *k = &kin[t_below(&rng, KIN)];

	while (!k->v.pid)
		k = k == &kin[KIN - 1] ? kin : k + 1;
	return k;
}

/* Two children of one image, in which pages are in whatever state they are in. */
static void fork_one(struct kin *parent)
{
	unsigned int model = born;
	struct kin *c;

	freeze(parent);
	for (unsigned int i = 0; i < 2; i++) {
		c = nobody();
		if (c)
			child_start(c, parent, model);
	}
	REQUIRE_EQ(put(parent, "fork", "\"drop\""), 200);
}

static unsigned int alive(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < KIN; i++)
		n += kin[i].v.pid != 0;
	return n;
}

/* ---- tests --------------------------------------------------------------------------------- */

TEST_SECONDS(
	"a child begins with every byte of its parent's, and no write of one is seen by another",
	120)
{
	start();
	parent_start(&kin[0]);
	test_sleep_ms(1500);
	fork_one(&kin[0]);
	test_sleep_ms(CHANGE_MS);
	fork_one(&kin[1]);
	fv_kill(&kin[0].v);
	test_sleep_ms(CHANGE_MS);
	finish();
}

static void discard_some(struct kin *c)
{
	for (unsigned int i = 0; i < DISCARDS; i++) {
		uint32_t page = t_below(&rng, PAGES), n = 1 + t_below(&rng, 200);

		n = n > PAGES - page ? PAGES - page : n;
		fv_do(&c->v, FV_DISCARD, 0, page, n, 0, 0);
		fv_do(&c->v, FV_CHECK, 0, page, n, 0, 0);
		if (i % 3 == 0)
			fv_do(&c->v, FV_PATCH, 0, page, n, 64, i + 1);
		if (i % 8 == 0)
			press(c, PAGES / 16);
	}
	fv_check(&c->v, 0);
}

static bool all_seen(void)
{
	bool all = true;

	for (size_t i = 0; i < STATES; i++)
		all &= most[i] > 0;
	return all;
}

/* Until so many pages are out. What was just written, or is being shared, is passed over once. */
static void press_until(struct kin *k, uint32_t pages)
{
	double start = t_now();

	do {
		REQUIRE(!t_late(start, MS * 0.001));
		press_all(k);
		test_sleep_ms(CHANGE_MS);
	} while (pages_out(k, false) < pages);
}

/* A parent that stands still, with pages out by every means, some of them just come back. */
static void press_states(struct kin *parent)
{
	uint32_t back = t_below(&rng, PAGES / 2);

	parent_start(parent);
	test_sleep_ms(CHANGE_MS);
	fv_do(&parent->v, FV_STOP, 0, 0, 0, 0, 0);
	fv_do(&parent->v, FV_UNIQUE, 0, PAGES / 2, PAGES / 4, 0, 0);
	press_until(parent, PAGES / 4);
	test_sleep_ms(t_below(&rng, CHANGE_MS));
	if (t_below(&rng, 2))
		(void)put(parent, "resume", "true");
	fv_do(&parent->v, FV_READ, 0, back, PAGES / 8, 0, 0);
	fv_do(&parent->v, FV_PATCH, 0, back + 16, 64, 8, 1);
	press(parent, t_below(&rng, PAGES));
}

TEST_SECONDS("pages of every state are forked, and what a child discards reads as zeros", 600)
{
	struct kin *parent = &kin[0], *child = &kin[1];

	start();
	for (unsigned int round = 0; round < ROUNDS || (!all_seen() && round < 5 * ROUNDS);
	     round++) {
		unsigned int model;

		press_states(parent);
		model = born;
		freeze(parent);
		child_start(child, parent, model);
		fv_do(&parent->v, FV_UNIQUE, 0, 0, PAGES / 2, 0, 0);
		fv_do(&child->v, FV_UNIQUE, 0, PAGES / 4, PAGES / 2, 0,
		      0); /* its own: may go out */
		press_until(child, PAGES / 4);
		discard_some(child);
		fv_do(&child->v, FV_DISCARD, 0, 0, PAGES, 0, 0);
		fv_check(&child->v, 0);
		fv_end(&child->v);
		fv_check(&parent->v, 0);
		fv_end(&parent->v);
	}
	for (size_t i = 0; i < STATES; i++)
		printf("at most %.0f KiB %s when one was frozen\n", most[i] / 1024, states[i]);
	CHECK(all_seen());
	finish();
}

/* Whatever comes, for so many seconds. */
static void live(double seconds, bool daemon_dies)
{
	double end = t_now() + seconds;

	parent_start(&kin[0]);
	while (t_now() < end) {
		switch (t_below(&rng, daemon_dies ? 7 : 6)) {
		case 0:
		case 1:
			if (nobody())
				fork_one(somebody());
			break;
		case 2:
			if (alive() > 2)
				fv_kill(&somebody()->v);
			break;
		case 3:
			(void)put(somebody(), "resume", "true");
			break;
		case 4:
			press(somebody(), 1 + t_below(&rng, PAGES));
			break;
		case 5:
			press_all(somebody());
			break;
		default:
			t_daemon_kill(&d, SIGKILL);
			test_sleep_ms(t_below(&rng, 300));
			daemon_start();
			for (unsigned int i = 0; i < KIN; i++)
				if (kin[i].v.pid)
					REQUIRE_WITHIN(MS,
						       says(&kin[i], "", "\"state\":\"sharing\""));
			break;
		}
		test_sleep_ms(t_below(&rng, 1500));
	}
}

/* FORKS_SECONDS: how long, instead of a few (make test-fork). */
static double how_long(double usual)
{
	const char *text = getenv("FORKS_SECONDS");

	return text ? atof(text) : usual;
}

/* Its salt is another, so it waits until it may have a copy: long enough to meet it. */
TEST_SECONDS("5 a child whose memory is offered anew while it is born is not born as what it was",
	     120)
{
	unsigned int model = born;
	struct kin *c = &kin[1];
	char what[64];

	start();
	parent_start(&kin[0]);
	test_sleep_ms(500);
	freeze(&kin[0]);
	salt = "another";
	child_begin(c, &kin[0], model);
	REQUIRE_WITHIN(MS, says(c, "", "\"birth\":\"waiting\""));
	fv_do(&c->v, FV_PROTECT, 0, 0, PAGES, 0, PROT_READ);
	fv_do(&c->v, FV_PROTECT, 0, 0, PAGES, 0, PROT_READ | PROT_WRITE);
	test_sleep_ms(2000); /* adopted again, under another number */
	snprintf(what, sizeof(what), "\"copy %d\"", (int)c->v.pid);
	REQUIRE_EQ(put(&kin[0], "fork", what), 200);
	REQUIRE_WITHIN(MS,
		       says(c, "", "\"birth\":\"born\"") || says(c, "", "\"birth\":\"failed\""));
	CHECK(says(c, "", "EBUSY"));
	fv_kill(&c->v);
	finish();
}

TEST("root forks nobody else's VM: what a record says would be done as root")
{
	/* as `pshare run --forkable` leaves it, and as anybody can */
	static const char *const env[] = {"PSHARE_VM_DIR=/nonexistent", NULL};
	struct fakevmm v;
	char out[2048];

	start();
	fv_start(&v, &d, (struct t_vm_opts){.name = "theirs", .uid = 4321, .env = env});
	fv_map(&v, PAGES, 0);
	REQUIRE_WITHIN(MS, t_api_number(&d, "/v1/vms/theirs", "pid") == v.pid);
	CHECK_EQ(TEST_RUN(out, sizeof(out), test_built("src/cli/pshare"), "fork", "theirs",
			  "--runtime-dir", d.dir),
		 1);
	CHECK_IN("user 4321", out);
	CHECK_EQ(TEST_RUN(out, sizeof(out), test_built("src/cli/pshare"), "fork", "--undo",
			  "theirs", "--runtime-dir", d.dir),
		 1);
	CHECK_IN("user 4321", out);
	fv_end(&v);
	finish();
}

TEST_WITH("forks of forks, pressed while they are forked and after, and killed: no byte is wrong",
	  .seconds = 1200, .load = 150)
{
	start();
	live(how_long(8), false);
	finish();
}

TEST_WITH("the same, while the daemon dies and another one comes", .seconds = 1200, .load = 150)
{
	start();
	live(how_long(6), true);
	finish();
}
