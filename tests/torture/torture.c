/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * torture: does any byte of any guest ever go wrong, and does sharing wear out?
 *
 * Several fake VMMs, each a process of its own with the agent preloaded, use guest memory in every
 * way that a VMM and its devices may, all at once (vm.c, hammer-ops.c, chaos.c, io.c, splice.c),
 * under a daemon of their own at full speed. Each keeps a model of every byte outside of the
 * managed memory and ends at the first byte that differs. This program watches from outside with
 * the kernel's eyes (pagemap, maps, status) and judges:
 *
 *  - no VM failed, none hung, at least --ops operations were done;
 *  - pages were shared, by the kernel's own count, or the run proves nothing;
 *  - pages were put away by every means: the budget swings between plenty and a quarter of what
 *    the VMs take;
 *  - mappings and memory come to a plateau while pages go round for ever (plateau.c);
 *  - memory that stands still comes to be shared; when then every page has been written with a
 *    content of its own, nothing is shared any more and the mappings have merged again, down to
 *    about as many as there were before; and a VM takes beside its guest memory what it took then;
 *  - when the last VM has gone, the daemon holds no page.
 *
 * With --bare, or where agent and daemon are not built, the same runs without them: it shows that
 * the model itself is right.
 */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vm.h"
#include "plateau.h"

#define PHASE_SECONDS 120.0  /* a VM that does not reach a phase by then hangs */
#define OPS_PATIENCE 5.0     /* times the seconds asked for, until the operations must be done */
#define UNSHARE_SECONDS 60.0 /* for mappings to merge and frames to go, on and on */
#define SHARE_SECONDS 40.0   /* for memory that stands still to be shared, on a busy machine */
#define MAPPINGS_SLACK 64
#define BESIDE_SLACK 8192 /* KiB: the agent's tables, and the room of its threads */
#define OUT_KINDS 4u	  /* staged, twin, zipped, swapped */
#define ARG(text) ((char *)(uintptr_t)(text)) /* exec changes none of them */

struct run {
	struct torture_opts o;
	struct torture_ctl *ctl;
	int ctl_fd;
	struct t_daemon daemon;
	pid_t pid[TORTURE_VMS];
	long first_mappings[TORTURE_VMS], first_beside[TORTURE_VMS];
	struct plateau plateau;
	uint32_t max_file;
	double started;
	uint64_t changes; /* of settings */
	volatile bool settled;
	/* by the budget's thread: pages that went out, by where to */
	uint64_t out[TORTURE_VMS][OUT_KINDS];
	uint32_t swings;
	volatile bool want; /* the budget is small */
};

static void die_with_children(struct run *run)
{
	for (uint32_t i = 0; i < run->o.vms; i++)
		if (run->pid[i] > 0)
			kill(run->pid[i], SIGKILL);
}

static void end_run(struct run *run, int status)
{
	die_with_children(run);
	if (!run->o.bare)
		t_daemon_free(&run->daemon);
	if (*run->o.file)
		unlink(run->o.file);
	_exit(status);
}

#define run_fail(run, ...)                   \
	do {                                 \
		t_note("FAIL " __VA_ARGS__); \
		end_run(run, 1);             \
	} while (0)

/* A file of pool contents beside this program, or where --file says: on a real file system, so
 * that O_DIRECT is possible. */
static void make_file(struct run *run)
{
	uint8_t page[T_PAGE];
	int fd;

	if (run->o.no_io && run->o.no_chaos)
		return;
	if (!*run->o.file) {
		char path[PATH_MAX];

		t_build_path("tests/torture.data", path, sizeof(path));
		snprintf(run->o.file, sizeof(run->o.file), "%.200s.%d", path, (int)getpid());
	}
	fd = open(run->o.file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	t_check(fd >= 0, "%s: %m", run->o.file);
	for (uint32_t i = 0; i < MODEL_POOL; i++) {
		content_fill(page, pool_key(i));
		t_check(write(fd, page, T_PAGE) == T_PAGE, "%s: %m", run->o.file);
	}
	t_sys(fsync(fd));
	close(fd);
}

static void spawn_vm(struct run *run, uint32_t i, char *const argv[])
{
	char name[32], fd[16], index[16], seed[32];
	struct t_vm_opts opts = {.name = name, .bare = run->o.bare, .keep_fd = run->ctl_fd};
	char *args[64];
	int n = 0;

	snprintf(name, sizeof(name), "torture-%u", i);
	snprintf(fd, sizeof(fd), "%d", run->ctl_fd);
	snprintf(index, sizeof(index), "%u", i);
	snprintf(seed, sizeof(seed), "%lu", run->o.seed);
	/* two domains: VMs of one must never see pages of the other */
	opts.salt = i % 2 ? "odd" : "even";
	args[n++] = ARG("/proc/self/exe");
	args[n++] = ARG("--vm");
	args[n++] = index;
	args[n++] = ARG("--ctl");
	args[n++] = fd;
	args[n++] = ARG("--file");
	args[n++] = run->o.file;
	args[n++] = ARG("--seed");
	args[n++] = seed;
	if (run->o.bare)
		args[n++] = ARG("--bare");
	for (argv++; *argv && n < 62; argv++)
		args[n++] = *argv;
	args[n] = NULL;
	run->pid[i] = t_vm_spawn(&run->daemon, &opts, args);
}

/* Ends the run if a VM has ended when it must not. */
static void look_after(struct run *run, bool may_end)
{
	for (uint32_t i = 0; i < run->o.vms; i++) {
		int status;

		if (run->pid[i] <= 0 || waitpid(run->pid[i], &status, WNOHANG) != run->pid[i])
			continue;
		run->pid[i] = 0;
		if (!may_end || !WIFEXITED(status) || WEXITSTATUS(status))
			run_fail(run, "VM %u ended, status 0x%x", i, status);
	}
}

static uint64_t total_ops(struct run *run)
{
	uint64_t ops = 0;

	for (uint32_t i = 0; i < run->o.vms; i++)
		ops += run->ctl->vm[i].ops_before + run->ctl->vm[i].stats.ops;
	return ops;
}

static struct pm_count count_vm(struct run *run, uint32_t i)
{
	struct torture_vm *vm = &run->ctl->vm[i];
	struct pm_count sum = {0}, c;
	int fd = pm_open(run->pid[i]);

	for (uint32_t r = 0; fd >= 0 && r < HAMMER_REGIONS; r++) {
		if (!vm->region[r].base)
			continue;
		c = pm_count(fd, vm->region[r].base, vm->region[r].npages);
		sum.present += c.present;
		sum.file += c.file;
		sum.zero += c.zero;
	}
	if (fd >= 0)
		close(fd);
	return sum;
}

/* Anonymous memory of a VM's process that is none of its guest's. */
static long beside_kib(struct run *run, uint32_t i)
{
	struct pm_count c = count_vm(run, i);

	return pm_field_kib(run->pid[i], "status", "RssAnon") -
	       (long)(c.present - c.file - c.zero) * (T_PAGE >> 10);
}

static struct sample take_sample(struct run *run)
{
	struct sample s = {0};

	for (uint32_t i = 0; i < run->o.vms; i++) {
		struct pm_count c = count_vm(run, i);

		s.file += c.file;
		s.present += c.present;
		s.mappings += pm_mappings(run->pid[i]);
		s.anon_kib += pm_field_kib(run->pid[i], "status", "RssAnon");
		s.beside_kib[i] = beside_kib(run, i);
	}
	run->plateau.vms = run->o.vms;
	plateau_add(&run->plateau, &s);
	run->max_file = s.file > run->max_file ? s.file : run->max_file;
	return s;
}

/* The administrator is at it too: settings and salts change while everything runs. A change that is
 * refused or not true in time is no error here; a wrong byte after it is. */
static void change_something(struct run *run, uint64_t *rng)
{
	static const char *const HOST[][2] = {
		{"Mem.ShareForceSalting", "0"},	   {"Mem.ShareForceSalting", "1"},
		{"Mem.ShareForceSalting", "2"},	   {"Mem.AllocGuestLargePage", "1"},
		{"Mem.AllocGuestLargePage", "0"},  {"Mem.AllocGuestLargePage", "0"},
		{"Mem.ShareZeroOnly", "1"},	   {"Mem.ShareZeroOnly", "0"},
		{"Mem.ShareZeroOnly", "0"},	   {"Mem.ShareQuarantineMs", "500"},
		{"Mem.ShareQuarantineMs", "3000"}, {"Mem.ShareMapReserve", "90"},
		{"Mem.ShareMapReserve", "25"},
	};
	static const char *const SALT[] = {"{\"salt\":\"odd\"}", "{\"salt\":\"even\"}",
					   "{\"salt\":null}"};
	static const char *const ENABLE[] = {"{\"value\":false}", "{\"value\":true}",
					     "{\"value\":true}"};
	uint32_t i = t_below(rng, sizeof(HOST) / sizeof(HOST[0]));
	char vm[32];

	snprintf(vm, sizeof(vm), "torture-%u", t_below(rng, run->o.vms));
	if (t_below(rng, 2))
		t_setting_put(&run->daemon, HOST[i][0], HOST[i][1]);
	else if (t_below(rng, 2))
		t_vm_setting_put(&run->daemon, vm, "sched.mem.pshare.salt", SALT[i % 3]);
	else
		t_vm_setting_put(&run->daemon, vm, "sched.mem.pshare.enable", ENABLE[i % 3]);
	run->changes++;
}

/* Sharing is on, whatever else may have been changed: or the run would torture little. */
static void share_again(struct run *run)
{
	char vm[32];

	t_setting_put(&run->daemon, "Mem.ShareZeroOnly", "0");
	t_setting_put(&run->daemon, "Mem.ShareMapReserve", "25");
	t_daemon_full_speed(&run->daemon);
	for (uint32_t i = 0; i < run->o.vms; i++) {
		snprintf(vm, sizeof(vm), "torture-%u", i);
		t_vm_setting_put(&run->daemon, vm, "sched.mem.pshare.enable", "{\"value\":true}");
	}
}

/* As everything was, so that sharing can be judged. */
static void settle_settings(struct run *run)
{
	char vm[32];

	t_setting_put(&run->daemon, "Mem.ShareForceSalting", "2");
	t_setting_put(&run->daemon, "Mem.ShareQuarantineMs", "2000");
	share_again(run);
	for (uint32_t i = 0; i < run->o.vms; i++) {
		snprintf(vm, sizeof(vm), "torture-%u", i);
		t_vm_setting_put(&run->daemon, vm, "sched.mem.pshare.salt",
				 i % 2 ? "{\"salt\":\"odd\"}" : "{\"salt\":\"even\"}");
	}
}

static void *administrator(void *arg)
{
	struct run *run = arg;
	uint64_t rng = run->o.seed ^ 0x61646d696e;

	while (!run->settled) {
		t_sleep(0.001 * (500 + t_below(&rng, 3000)));
		if (!run->settled && t_below(&rng, 2))
			change_something(run, &rng);
		else if (!run->settled)
			share_again(run);
	}
	settle_settings(run);
	return NULL;
}

/* ---- pressure ------------------------------------------------------------------------------ */

#define SWING_PART 12 /* of the run: every third of it sees plenty, and want */
#define WANT_PART 4   /* of what the VMs take: the least that the budget is */

static void count_out(struct run *run)
{
	static const char *const what[] = {"staged", "twin", "zipped", "swapped_out"};
	char path[64];

	for (uint32_t i = 0; i < run->o.vms; i++) {
		uint64_t *out = run->out[i];

		snprintf(path, sizeof(path), "/v1/vms/torture-%u", i);
		for (uint32_t k = 0; k < OUT_KINDS; k++) {
			char way[64];
			double n;

			snprintf(way, sizeof(way), "memory/pages/%s", what[k]);
			n = t_api_number(&run->daemon, path, way);
			out[k] = n > (double)out[k] ? (uint64_t)n : out[k];
		}
	}
}

/* The budget swings between plenty and a quarter of what the VMs take when they have all, in each
 * part of the run in the same way. */
static void *budget(void *arg)
{
	struct run *run = arg;
	uint64_t rng = run->o.seed ^ 0x627564676574;
	double all = 0, until = 0, extra[SWING_PART / PLATEAU_PARTS];
	char mb[32];

	for (uint32_t i = 0; i < SWING_PART / PLATEAU_PARTS; i++)
		extra[i] = t_below(&rng, 1001) * 0.001;

	while (!run->settled) {
		double takes = t_api_number(&run->daemon, "/v1/status", "memory/consumed");

		if (!run->want && takes > all)
			all = takes;
		if (t_now() >= until) {
			double least = all / WANT_PART / 1048576;
			double more = extra[run->swings % (SWING_PART / PLATEAU_PARTS)];

			run->want = !run->want;
			snprintf(mb, sizeof(mb), "%.0f", run->want ? least * (1 + more) + 1 : 0);
			t_setting_put(&run->daemon, "Mem.ManagedMB", mb);
			run->swings++;
			until = t_now() + run->o.seconds / SWING_PART;
		}
		count_out(run);
		t_sleep(0.5);
	}
	t_setting_put(&run->daemon, "Mem.ManagedMB", "0");
	return NULL;
}

/* By every means, or the run proves nothing of them. */
static void judge_out(struct run *run)
{
	uint64_t sum[OUT_KINDS] = {0};

	for (uint32_t i = 0; i < run->o.vms; i++)
		for (uint32_t k = 0; k < OUT_KINDS; k++)
			sum[k] += run->out[i][k];
	t_note("the budget was changed %u times; pages staged %lu, twin %lu, zipped %lu, swapped %lu",
	       run->swings, sum[0], sum[1], sum[2], sum[3]);
	if (run->swings < 4)
		return;
	for (uint32_t k = 0; k < OUT_KINDS; k++)
		if (!sum[k])
			run_fail(run, "the budget was a quarter of what VMs take, and no page was "
				      "put away by one of the means");
}

static void run_hammer(struct run *run)
{
	double last = t_now(), now = last, end = run->started + run->o.seconds;
	double patience = run->o.seconds * OPS_PATIENCE;

	while (now < end || (total_ops(run) < run->o.ops && !t_late(run->started, patience))) {
		struct sample s;

		t_sleep(1);
		look_after(run, false);
		s = take_sample(run);
		now = t_now();
		if (now - last < 5)
			continue;
		last = now;
		t_note("%3.0f s: %.2f million operations, %u of %u pages shared, %ld mappings, "
		       "%ld MiB private",
		       now - run->started, (double)total_ops(run) * 1e-6, s.file, s.present,
		       s.mappings, s.anon_kib >> 10);
	}
}

static void reach(struct run *run, int32_t phase)
{
	double end = t_now() + PHASE_SECONDS;
	uint32_t there = 0;

	run->ctl->phase = phase;
	while (there < run->o.vms) {
		there = 0;
		look_after(run, false);
		for (uint32_t i = 0; i < run->o.vms; i++)
			there += __atomic_load_n(&run->ctl->vm[i].phase, __ATOMIC_SEQ_CST) >= phase;
		if (t_now() > end)
			run_fail(run, "only %u of %u VMs stopped within %.0f s: one hangs", there,
				 run->o.vms, PHASE_SECONDS);
		t_sleep(0.02);
	}
}

static void judge_plateau(struct run *run)
{
	const char *what = plateau_judge(&run->plateau);

	if (what)
		run_fail(run, "%s", what);
}

/* Nobody writes, and most pages have twins: they must come to be shared. */
static void judge_shared(struct run *run)
{
	double end = t_now() + SHARE_SECONDS;

	for (uint32_t i = 0; i < run->o.vms; i++) {
		struct pm_count c = count_vm(run, i);

		while (c.file < c.present / 2 && t_now() < end) {
			t_sleep(0.1);
			c = count_vm(run, i);
		}
		t_note("VM %u: %u of %u pages shared when all stood still", i, c.file, c.present);
		if (c.file < c.present / 2)
			run_fail(run, "VM %u stands still, and is not shared within %.0f s", i,
				 SHARE_SECONDS);
	}
}

/* The mappings of a VM that has too many, for whoever looks into it. */
static void keep_maps(struct run *run, uint32_t i)
{
	static char text[1 << 20];
	char from[64], to[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(from, sizeof(from), "/proc/%d/smaps", (int)run->pid[i]);
	t_build_path("tests/torture.smaps", to, sizeof(to));
	n = t_slurp(from, text, sizeof(text));
	fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && n > 0 && write(fd, text, (size_t)n) == n)
		t_note("its mappings are in %s", to);
	if (fd >= 0)
		close(fd);
}

struct left {
	uint32_t file;
	long mappings, beside;
};

static struct left left_of(struct run *run, uint32_t i)
{
	return (struct left){.file = count_vm(run, i).file,
			     .mappings = pm_mappings(run->pid[i]),
			     .beside = beside_kib(run, i)};
}

static bool nothing_left(const struct run *run, uint32_t i, const struct left *left)
{
	return !left->file && left->mappings <= run->first_mappings[i] + MAPPINGS_SLACK &&
	       left->beside <= run->first_beside[i] + BESIDE_SLACK;
}

/* Until nothing is left, or nothing has changed for so long: batches are paced, and on a busy host
 * far apart. */
static struct left wait_unshared(struct run *run, uint32_t i)
{
	struct left left = left_of(run, i), least = left;
	double moved = t_now();

	while (!nothing_left(run, i, &left) && t_now() < moved + UNSHARE_SECONDS) {
		t_sleep(0.1);
		left = left_of(run, i);
		if (left.file >= least.file && left.mappings >= least.mappings)
			continue;
		least.file = left.file < least.file ? left.file : least.file;
		least.mappings = left.mappings < least.mappings ? left.mappings : least.mappings;
		moved = t_now();
	}
	return left;
}

/* Every page is unique now: sharing and its mappings must go. */
static void judge_unshared(struct run *run)
{
	for (uint32_t i = 0; i < run->o.vms; i++) {
		struct left left = wait_unshared(run, i);

		t_note("VM %u: %ld mappings before, %ld after everything was written, %u shared; "
		       "%ld and %ld KiB beside its guest",
		       i, run->first_mappings[i], left.mappings, left.file, run->first_beside[i],
		       left.beside);
		if (left.file)
			run_fail(run, "VM %u: every page was written, %u are shared", i, left.file);
		if (left.mappings > run->first_mappings[i] + MAPPINGS_SLACK) {
			keep_maps(run, i);
			run_fail(run,
				 "VM %u: %ld mappings at first, %ld when nothing is shared: "
				 "they do not merge",
				 i, run->first_mappings[i], left.mappings);
		}
		if (left.beside > run->first_beside[i] + BESIDE_SLACK)
			run_fail(run,
				 "VM %u: %ld KiB beside its guest's memory at first, %ld when "
				 "nothing is shared or out: some is not given back",
				 i, run->first_beside[i], left.beside);
	}
}

static void judge_empty(struct run *run)
{
	double end = t_now() + UNSHARE_SECONDS, shared, common;
	long long bytes;

	do {
		shared = t_api_number(&run->daemon, "/v1/status", "pshare/shared");
		common = t_api_number(&run->daemon, "/v1/status", "pshare/common");
		bytes = pm_memfd_bytes(run->daemon.pid, NULL);
		if (shared == 0 && common == 0 && bytes == 0)
			break;
		t_sleep(0.1);
	} while (t_now() < end);
	t_note("after the last VM: shared %.0f, common %.0f bytes; the daemon's memfds hold %lld",
	       shared, common, bytes);
	if (shared != 0 || common != 0 || bytes != 0)
		run_fail(run, "the last VM has gone, but frames are left");
}

static void report(struct run *run)
{
	for (uint32_t i = 0; i < run->o.vms; i++) {
		const struct torture_vm *v = &run->ctl->vm[i];

		t_note("VM %u: %.2f M operations, %.2f M pages verified, slowest batch %.0f ms; %lu "
		       "discards, %lu forks, %lu spawns, %u execs, %lu moves, %lu unmaps, %lu maps "
		       "over, %lu resizes, %lu advices, %lu collapses, %lu mlocks, %lu protects",
		       i, (double)(v->ops_before + v->stats.ops) * 1e-6,
		       (double)v->stats.verified * 1e-6, (double)v->stats.max_batch_ns * 1e-6,
		       v->stats.discards, v->forks, v->spawns, v->execs, v->moves, v->unmaps,
		       v->remaps, v->resizes, v->advices, v->collapses, v->locks, v->protects);
		t_note("VM %u: %lu O_DIRECT reads, %lu in flight, %lu fixed (%lu pages shared when "
		       "registered), %lu O_DIRECT writes; %lu splices (%lu of frames), %lu late "
		       "writes came back, %lu missed",
		       i, v->stats.direct_reads, v->async_reads, v->fixed_reads,
		       v->shared_when_registered, v->direct_writes, v->splices, v->splices_shared,
		       v->late_writes, v->late_missed);
	}
}

static void judge(struct run *run)
{
	uint64_t ops = total_ops(run);

	report(run);
	t_note("%lu operations; at most %u pages shared at a time; %lu changes of settings", ops,
	       run->max_file, run->changes);
	if (ops < run->o.ops)
		run_fail(run, "%lu operations in %.0f s, %lu wanted", ops, t_now() - run->started,
			 run->o.ops);
	if (run->o.bare)
		return;
	if (!run->o.no_budget)
		judge_out(run);
	if (!run->max_file)
		run_fail(run, "no page was ever shared: the run proves nothing");
	judge_plateau(run);
}

/* Mappings before anything was shared: the daemon starts after that. */
static void note_first(struct run *run)
{
	for (uint32_t i = 0; i < run->o.vms; i++) {
		double end = t_now() + PHASE_SECONDS;

		while (!run->ctl->vm[i].stats.ops && t_now() < end) {
			look_after(run, false);
			t_sleep(0.02);
		}
		run->first_mappings[i] = pm_mappings(run->pid[i]);
		run->first_beside[i] = beside_kib(run, i);
	}
}

static int torture(struct run *run, char *const argv[])
{
	pthread_t admin = 0, budgets = 0;

	t_need_root();
	if (!run->o.bare && !t_have_pshare()) {
		t_note("agent and daemon are not built: the model alone is tried");
		run->o.bare = true;
	}
	run->ctl_fd = t_sys(memfd_create("torture", MFD_CLOEXEC));
	t_sys(ftruncate(run->ctl_fd, sizeof(*run->ctl)));
	run->ctl =
		mmap(NULL, sizeof(*run->ctl), PROT_READ | PROT_WRITE, MAP_SHARED, run->ctl_fd, 0);
	t_check(run->ctl != MAP_FAILED, "%m");
	make_file(run);
	t_daemon_init(&run->daemon);
	for (uint32_t i = 0; i < run->o.vms; i++)
		spawn_vm(run, i, argv);
	note_first(run);
	if (!run->o.bare) {
		t_daemon_start(&run->daemon, NULL, NULL, NULL);
		t_daemon_full_speed(&run->daemon);
	}
	run->started = t_now();
	if (!run->o.bare && !run->o.no_settings)
		pthread_create(&admin, NULL, administrator, run);
	if (!run->o.bare && !run->o.no_budget)
		pthread_create(&budgets, NULL, budget, run);
	run_hammer(run);
	run->settled = true;
	if (budgets)
		pthread_join(budgets, NULL);
	if (admin)
		pthread_join(admin, NULL);
	reach(run, TORTURE_QUIET);
	take_sample(run);
	judge(run);
	reach(run, TORTURE_FRESH);
	if (!run->o.bare)
		judge_shared(run);
	reach(run, TORTURE_UNIQUE);
	if (!run->o.bare)
		judge_unshared(run);
	run->ctl->phase = TORTURE_END;
	for (uint32_t i = 0; i < run->o.vms; i++) {
		int status;

		if (t_wait(run->pid[i], PHASE_SECONDS, &status) || status)
			run_fail(run, "VM %u did not end well", i);
		run->pid[i] = 0;
	}
	if (!run->o.bare)
		judge_empty(run);
	t_note("not one byte wrong");
	end_run(run, 0);
	return 0;
}

static const struct option OPTIONS[] = {
	{"seconds", required_argument, NULL, 's'},
	{"minutes", required_argument, NULL, 'm'},
	{"ops", required_argument, NULL, 'o'},
	{"vms", required_argument, NULL, 'n'},
	{"threads", required_argument, NULL, 't'},
	{"mib", required_argument, NULL, 'M'},
	{"seed", required_argument, NULL, 'S'},
	{"file", required_argument, NULL, 'f'},
	{"bare", no_argument, NULL, 'b'},
	{"no-chaos", no_argument, NULL, 'c'},
	{"no-io", no_argument, NULL, 'i'},
	{"no-splice", no_argument, NULL, 'p'},
	{"no-exec", no_argument, NULL, 'x'},
	{"no-discard", no_argument, NULL, 'd'},
	{"no-fork", no_argument, NULL, 'k'},
	{"no-remap", no_argument, NULL, 'r'},
	{"no-settings", no_argument, NULL, 'a'},
	{"no-budget", no_argument, NULL, 'B'},
	{"vm", required_argument, NULL, 'V'},
	{"ctl", required_argument, NULL, 'C'},
	{0},
};

static void set_option(struct torture_opts *o, int c)
{
	switch (c) {
	case 's':
		o->seconds = strtod(optarg, NULL);
		break;
	case 'm':
		o->seconds = strtod(optarg, NULL) * 60;
		break;
	case 'o':
		o->ops = strtoull(optarg, NULL, 10);
		break;
	case 'n':
		o->vms = (uint32_t)strtoul(optarg, NULL, 10);
		break;
	case 't':
		o->threads = (uint32_t)strtoul(optarg, NULL, 10);
		break;
	case 'M':
		o->mib = (uint32_t)strtoul(optarg, NULL, 10);
		break;
	case 'S':
		o->seed = strtoull(optarg, NULL, 0);
		break;
	case 'f':
		snprintf(o->file, sizeof(o->file), "%s", optarg);
		break;
	case 'b':
		o->bare = true;
		break;
	case 'c':
		o->no_chaos = true;
		break;
	case 'i':
		o->no_io = true;
		break;
	case 'p':
		o->no_splice = true;
		break;
	case 'x':
		o->no_exec = true;
		break;
	case 'd':
		o->no_discard = true;
		break;
	case 'k':
		o->no_fork = true;
		break;
	case 'a':
		o->no_settings = true;
		break;
	case 'B':
		o->no_budget = true;
		break;
	case 'r':
		o->no_remap = true;
		break;
	default:
		t_fail("usage: torture [--seconds S | --minutes M] [--ops N] [--vms N] "
		       "[--threads N] [--mib N] [--seed N] [--file PATH] [--bare] [--no-chaos] "
		       "[--no-io] [--no-splice] [--no-exec] [--no-discard] [--no-fork] "
		       "[--no-remap] [--no-settings] [--no-budget]");
	}
}

int main(int argc, char **argv)
{
	static struct run run;
	int c, vm = -1, ctl = -1;

	run.o = (struct torture_opts){.vms = 4,
				      .threads = 3,
				      .mib = 64,
				      .seconds = 60,
				      .ops = 10000000,
				      .seed = (uint64_t)(t_now() * 1e9)};
	while ((c = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
		if (c == 'V')
			vm = atoi(optarg);
		else if (c == 'C')
			ctl = atoi(optarg);
		else
			set_option(&run.o, c);
	}
	if (!run.o.vms || run.o.vms > TORTURE_VMS || !run.o.threads ||
	    run.o.threads > HAMMER_THREADS || run.o.mib < 24)
		t_fail("1..%u VMs, 1..%u threads, at least 24 MiB", TORTURE_VMS, HAMMER_THREADS);
	if (vm >= 0)
		torture_vm_main(&run.o, ctl, (uint32_t)vm, argv);
	t_note("seed %lu", run.o.seed);
	return torture(&run, argv);
}
