/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * isolation: page frames never cross a domain.
 *
 * Small VMs of several users, with and without salts, all with the same contents, so that every
 * page could be shared with every VM. The host's setting, the VMs' salts, the VMs themselves
 * change at random. Each time a change has returned, and again a while later, the frame numbers
 * of all pages are read from the kernel: two VMs may have one in common only if a model of ESX's
 * rule, some lines long and made of nothing of pshare's, says that they may meet. And those that
 * may meet must come to share, or the test would prove nothing.
 *
 * In rounds (`make isolation ROUNDS=1000`; some in `make check`) 'pshare audit' looks as well, when
 * each change has returned: two programs that have nothing in common must both find nothing.
 */
#include "harness/harness.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/audit.h"
#include "lib/fakevmm.h"

#define VMS 9u
#define PAGES 512u
#define KEYS 96u /* different contents: few, so each VM shares within itself too */
#define RUN_SECONDS 55.0
#define ROUNDS 10
#define WORKING 4 /* looks at a suspect pair before it is called a violation */

static const char *const SALTS[] = {NULL, "", "red", "blue", "red"};
static const uid_t UIDS[] = {0, 0, 1001, 1002};

struct member {
	struct fakevmm v;
	char name[32];
	const char *salt;
	uid_t uid;
	bool enable;
	uint64_t entry[PAGES];
};

struct world {
	struct t_daemon d;
	struct member m[VMS];
	int salting; /* Mem.ShareForceSalting */
	bool meet;   /* the policy lets users 1001 and 1002 meet */
	uint64_t rng;
	uint32_t born;
	uint64_t pairs, crossings_allowed, changes;
};

/* ---- the rule, said anew --------------------------------------------------------------------- */

static uid_t group_of(const struct world *w, uid_t uid)
{
	return w->meet && uid == 1002 ? 1001 : uid;
}

static bool may_meet(const struct world *w, const struct member *a, const struct member *b)
{
	if (group_of(w, a->uid) != group_of(w, b->uid))
		return false;
	if (w->salting == 0)
		return true;
	if (a->salt && b->salt)
		return *a->salt && !strcmp(a->salt, b->salt);
	return !a->salt && !b->salt && w->salting == 1;
}

/* ---- what the kernel says -------------------------------------------------------------------- */

static bool countable(uint64_t entry)
{
	return (entry & PM_PRESENT) && pm_pfn(entry) != pm_zero_pfn();
}

/* Frames move while they are read: only a pair that stays is one. */
static bool still_same(struct member *a, uint32_t page_a, struct member *b, uint32_t page_b)
{
	uint64_t pfn = fv_pfn(&a->v, 0, page_a);

	for (int i = 0; i < WORKING; i++)
		if (!pfn || fv_pfn(&b->v, 0, page_b) != pfn || fv_pfn(&a->v, 0, page_a) != pfn)
			return false;
	return true;
}

struct seen {
	uint64_t pfn;
	uint32_t vm, page;
};

static int by_pfn(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return x->pfn < y->pfn ? -1 : x->pfn > y->pfn;
}

static void judge_pair(struct world *w, const struct seen *a, const struct seen *b)
{
	struct member *x = &w->m[a->vm], *y = &w->m[b->vm];

	if (a->vm == b->vm)
		return;
	if (may_meet(w, x, y)) {
		w->crossings_allowed++;
		return;
	}
	if (still_same(x, a->page, y, b->page))
		FAIL("frame %lx is mapped by %s (uid %u, salt %s) and by %s (uid %u, salt %s), "
		     "Mem.ShareForceSalting %d, after %lu changes",
		     (unsigned long)a->pfn, x->name, x->uid, x->salt ? x->salt : "none", y->name,
		     y->uid, y->salt ? y->salt : "none", w->salting, (unsigned long)w->changes);
}

static void judge(struct world *w)
{
	static struct seen seen[VMS * PAGES];
	uint32_t n = 0;

	for (uint32_t i = 0; i < VMS; i++) {
		struct member *m = &w->m[i];
		uint32_t got = pm_read(m->v.pagemap, m->v.base[0], m->entry, PAGES);

		REQUIRE_EQ(got, PAGES);
		for (uint32_t p = 0; p < PAGES; p++)
			if (countable(m->entry[p]))
				seen[n++] = (struct seen){pm_pfn(m->entry[p]), i, p};
	}
	qsort(seen, n, sizeof(seen[0]), by_pfn);
	for (uint32_t i = 0; i + 1 < n; i++)
		for (uint32_t k = i + 1; k < n && seen[k].pfn == seen[i].pfn; k++)
			judge_pair(w, &seen[i], &seen[k]);
	w->pairs += VMS * (VMS - 1) / 2;
}

/* ---- changes --------------------------------------------------------------------------------- */

static void bear(struct world *w, struct member *m)
{
	struct t_vm_opts opts = {.name = m->name};

	m->salt = SALTS[t_below(&w->rng, 5)];
	m->uid = UIDS[t_below(&w->rng, 4)];
	m->enable = true;
	snprintf(m->name, sizeof(m->name), "vm-%u", w->born++);
	opts.salt = m->salt;
	opts.uid = m->uid;
	fv_start(&m->v, &w->d, opts);
	fv_map(&m->v, PAGES, FV_MAP_DONTFORK | FV_MAP_NOHUGE);
	for (uint32_t p = 0; p < PAGES; p += KEYS)
		fv_pool(&m->v, 0, p, PAGES - p < KEYS ? PAGES - p : KEYS, 0);
}

static bool known(struct world *w, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/v1/vms/%s", name);
	return t_api_number(&w->d, path, "pid") > 0;
}

static void change_salt(struct world *w, struct member *m)
{
	const char *salt = SALTS[t_below(&w->rng, 5)];
	char json[64];

	if (salt)
		snprintf(json, sizeof(json), "{\"salt\":\"%s\"}", salt);
	else
		snprintf(json, sizeof(json), "{\"salt\":null}");
	REQUIRE_EQ(t_vm_setting_put(&w->d, m->name, "sched.mem.pshare.salt", json), 200);
	m->salt = salt;
}

static void change_salting(struct world *w, int salting)
{
	char value[16];

	snprintf(value, sizeof(value), "%d", salting);
	REQUIRE_EQ(t_setting_put(&w->d, "Mem.ShareForceSalting", value), 200);
	w->salting = salting;
}

static void change_vm(struct world *w, struct member *m)
{
	if (t_rand(&w->rng) & 1)
		fv_kill(&m->v);
	else
		fv_end(&m->v);
	bear(w, m);
	REQUIRE_WITHIN(20000, known(w, m->name));
}

static void change(struct world *w)
{
	struct member *m = &w->m[t_below(&w->rng, VMS)];
	uint32_t what = t_below(&w->rng, 100);

	if (what < 45)
		change_salting(w, (int)t_below(&w->rng, 3));
	else if (what < 82)
		change_salt(w, m);
	else if (what < 90)
		change_vm(w, m);
	else
		fv_pool(&m->v, 0, t_below(&w->rng, PAGES - KEYS), KEYS, 0);
	w->changes++;
}

/* Everything may meet that can: within some seconds it does. */
static void must_share(struct world *w)
{
	uint64_t before = w->crossings_allowed;

	change_salting(w, 0);
	REQUIRE_WITHIN(30000, (judge(w), w->crossings_allowed > before + PAGES));
}

static void start(struct world *w, const char *policy)
{
	const char *extra[3] = {0};
	char path[160];

	t_need_root();
	w->rng = test_seed();
	w->salting = 2;
	t_daemon_init(&w->d);
	if (policy) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/policy", w->d.dir);
		f = fopen(path, "w");
		REQUIRE(f);
		fputs(policy, f);
		fclose(f);
		extra[0] = "--policy";
		extra[1] = path;
	}
	t_daemon_start(&w->d, policy ? extra : NULL, NULL, NULL);
	t_daemon_full_speed(&w->d);
	/* a VM leaves its domain when its quarantine is empty */
	REQUIRE_EQ(t_setting_put(&w->d, "Mem.ShareQuarantineMs", "100"), 200);
	for (uint32_t i = 0; i < VMS; i++)
		bear(w, &w->m[i]);
	for (uint32_t i = 0; i < VMS; i++)
		REQUIRE_WITHIN(20000, known(w, w->m[i].name));
}

static void run(struct world *w, double seconds)
{
	double end = t_now() + seconds;

	must_share(w);
	while (t_now() < end) {
		change(w);
		judge(w);
		t_sleep(0.001 * t_below(&w->rng, t_below(&w->rng, 6) ? 150 : 1200));
		judge(w);
	}
	must_share(w);
	for (uint32_t i = 0; i < VMS; i++)
		fv_check(&w->m[i].v, 0);
	t_note("%lu changes, %lu pairs of VMs looked at, %lu frames in common where allowed",
	       w->changes, w->pairs, w->crossings_allowed);
	for (uint32_t i = 0; i < VMS; i++)
		fv_end(&w->m[i].v);
	t_daemon_free(&w->d);
}

TEST_SECONDS("no page frame crosses a domain through thousands of settings, salts, users and VMs",
	     150)
{
	static struct world w;

	start(&w, NULL);
	run(&w, RUN_SECONDS);
	CHECK_GT(w.pairs, 5000);
}

TEST_SECONDS("users whom the policy lets meet share, and nobody else does", 90)
{
	static struct world w = {.meet = true};

	start(&w, "[meet web]\nuid = 1001, 1002\n");
	run(&w, 15);
}

static void judge_by_audit(struct world *w, uint32_t round)
{
	json_t *whole = t_audit(&w->d);

	for (uint32_t i = 0; i < VMS; i++) {
		const char *text = t_audit_found(whole, NULL, "violation", w->m[i].v.pid, NULL);

		if (text)
			FAIL("round %u, Mem.ShareForceSalting %d: %s", round, w->salting, text);
	}
	json_decref(whole);
}

static bool audit_knows_all(struct world *w)
{
	json_t *whole = t_audit(&w->d);
	uint64_t managed = 0;
	json_t *vm;
	size_t i;

	json_array_foreach(json_object_get(whole, "vms"), i, vm)
	{
		managed += json_is_true(json_object_get(vm, "managed"));
	}
	json_decref(whole);
	return managed >= VMS;
}

TEST_WITH("in random rounds neither this test nor an audit finds a violation", .seconds = 120,
	  .load = 15)
{
	const char *asked = getenv("ISOLATION_ROUNDS");
	uint32_t rounds = asked ? (uint32_t)atoi(asked) : ROUNDS;
	static struct world w;

	start(&w, NULL);
	must_share(&w);
	REQUIRE(audit_knows_all(&w));
	for (uint32_t i = 0; i < rounds; i++) {
		change(&w);
		judge(&w);
		judge_by_audit(&w, i);
		t_sleep(0.001 * t_below(&w.rng, t_below(&w.rng, 4) ? 100 : 1500));
		judge(&w);
		if (i % 50 == 49)
			t_note("%u rounds, no violation; %lu frames in common where allowed", i + 1,
			       w.crossings_allowed);
	}
	for (uint32_t i = 0; i < VMS; i++)
		fv_check(&w.m[i].v, 0);
	for (uint32_t i = 0; i < VMS; i++)
		fv_end(&w.m[i].v);
	t_daemon_free(&w.d);
}

TEST("the rule as this test says it")
{
	struct world w = {.salting = 2};
	struct member none = {.uid = 1}, empty = {.uid = 1, .salt = ""},
		      red = {.uid = 1, .salt = "red"}, other = {.uid = 2, .salt = "red"};

	CHECK(!may_meet(&w, &none, &none) && may_meet(&w, &red, &red) &&
	      !may_meet(&w, &red, &other));
	w.salting = 1;
	CHECK(may_meet(&w, &none, &none) && !may_meet(&w, &none, &red) &&
	      !may_meet(&w, &empty, &empty));
	w.salting = 0;
	CHECK(may_meet(&w, &none, &red) && may_meet(&w, &empty, &red) &&
	      !may_meet(&w, &red, &other));
}
