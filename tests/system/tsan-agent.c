/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tsan-agent: the agent under ThreadSanitizer in a real process: worker, settler and threads of a
 * VMM at their calls, under a daemon that has it too. A race ends the VM, and is shown.
 *
 * UFFDIO_MOVE and mremap() move pages beneath fixed addresses and leave the sanitizer's shadow
 * where it is: it follows addresses, so locks and the order of accesses to the agent's own memory
 * are seen as ever. Two things do need care:
 *  - the runtime is loaded before the agent. Its own mmap() comes through the agent's, and that
 *    must not happen before it is ready.
 *  - it may not symbolize. While it does it unmaps files, by the agent's munmap(): in a thread
 *    that holds `act` a report would wait for ever. So reports go to files as addresses, and are
 *    made readable here.
 * In calls that the runtime intercepts itself (munmap, mmap, mprotect, ioctl) accesses of the
 * agent are not looked at (tests/tsan.supp); madvise() and mremap(), not intercepted, lead to the
 * same code.
 */
#include "harness/harness.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fakevmm.h"

#define PAGES 4000u
#define THREADS 2
#define SHARED_MS 40000
#define STATUS 66 /* of a program that ThreadSanitizer ended */

static struct t_daemon d;
static char reports[160];

static void start(void)
{
	char options[512];

	t_need_product();
	t_mkdtemp(reports, sizeof(reports));
	snprintf(options, sizeof(options),
		 "symbolize=0:halt_on_error=1:exitcode=" T_STR(STATUS) ":log_path=%s/race:"
								       "suppressions=%s",
		 reports, test_source("tests/tsan.supp"));
	REQUIRE_SYS(setenv("TSAN_OPTIONS", options, 1));
	t_daemon_fresh(&d);
}

/* "    #0 <null> <null> (libpshare-agent.so+0x6c98)": with function, file and line instead. */
static void show_line(const char *line)
{
	const char *place = strstr(line, "libpshare-agent.so+0x");
	char text[512], address[32];

	if (!place || !strstr(line, "#")) {
		fputs(line, stderr);
		return;
	}
	snprintf(address, sizeof(address), "%.*s", (int)strcspn(strchr(place, '+') + 1, ")"),
		 strchr(place, '+') + 1);
	TEST_RUN(text, sizeof(text), "addr2line", "-pifse",
		 test_built("src/agent/libpshare-agent.so"), address);
	fprintf(stderr, "    %s", text);
}

static void show_report(const char *name)
{
	char path[512], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", reports, name);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		show_line(line);
	if (file)
		fclose(file);
}

static unsigned int count_reports(void)
{
	DIR *dir = opendir(reports);
	unsigned int n = 0;

	for (const struct dirent *e; dir && (e = readdir(dir));) {
		if (*e->d_name == '.')
			continue;
		show_report(e->d_name);
		n++;
	}
	if (dir)
		closedir(dir);
	return n;
}

/* No other call on a VM may fail because a race has ended it: that would be shown first, and the
 * report never. */
static uint64_t tell(struct fakevmm *v, enum fv_op op, uint32_t region, int64_t arg)
{
	if (count_reports())
		FAIL("ThreadSanitizer has something to say");
	return fv_do(v, op, region, 0, v->npages[region], 0, arg);
}

/* A VM whose threads are at work on two regions. */
static void up(struct fakevmm *v, const char *name)
{
	char path[64], *maps = malloc(1u << 20);

	REQUIRE(maps);
	fv_start(v, &d, (struct t_vm_opts){.name = name, .salt = "tsan"});
	fv_map(v, PAGES, FV_MAP_NOHUGE);
	fv_map(v, PAGES / 4, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)v->pid);
	t_slurp(path, maps, 1u << 20);
	REQUIRE_IN("libtsan", maps); /* or nobody watches */
	REQUIRE_IN("libpshare-agent", maps);
	free(maps);
	tell(v, FV_HAMMER, 0, THREADS);
}

static bool sharing(struct fakevmm *v)
{
	return count_reports() || fv_shared(v, 0) > PAGES / 10;
}

static void both_share(struct fakevmm v[2])
{
	REQUIRE_WITHIN(SHARED_MS, sharing(&v[0]));
	REQUIRE_WITHIN(SHARED_MS, sharing(&v[1]));
	REQUIRE_EQ(count_reports(), 0u);
}

static void finish(struct fakevmm v[2])
{
	for (int i = 0; i < 2; i++)
		tell(&v[i], FV_STOP, 0, 0);
	for (int i = 0; i < 2; i++)
		fv_end(&v[i]);
	t_daemon_kill(&d, SIGTERM);
	CHECK_EQ(count_reports(), 0u);
	t_daemon_free(&d);
	t_rmdir(reports);
}

TEST_SECONDS("worker, settler and vCPUs that write, read and discard do not race", 120)
{
	struct fakevmm v[2];

	start();
	up(&v[0], "a");
	up(&v[1], "b");
	both_share(v);
	t_sleep(5);
	/* or the settler had nothing to do */
	CHECK_GT(t_api_number(&d, "/v1/vms/a", "counters/unshared"), 100);
	finish(v);
}

TEST_SECONDS("memory is offered, advised and withdrawn while pages are shared, without a race", 120)
{
	static const int ADVICE[] = {MADV_DOFORK,      MADV_DONTDUMP, MADV_DODUMP,
				     MADV_UNMERGEABLE, MADV_DONTFORK, MADV_MERGEABLE,
				     MADV_NOHUGEPAGE};
	struct fakevmm v[2];

	start();
	up(&v[0], "a");
	up(&v[1], "b");
	both_share(v);
	for (uint32_t i = 0; i < 8 * sizeof(ADVICE) / sizeof(ADVICE[0]); i++) {
		tell(&v[i % 2], FV_MADVISE, i / 16 % 2, ADVICE[i / 2 % 7]);
		t_sleep(0.1);
	}
	finish(v);
}

TEST_SECONDS("a daemon that goes and comes, and a salt that changes, make no race", 120)
{
	struct fakevmm v[2];

	start();
	up(&v[0], "a");
	up(&v[1], "b");
	both_share(v);
	REQUIRE_EQ(t_vm_setting_put(&d, "a", "sched.mem.pshare.salt", "{\"salt\":\"other\"}"), 200);
	REQUIRE_EQ(t_vm_setting_put(&d, "a", "sched.mem.pshare.salt", "{\"salt\":\"tsan\"}"), 200);
	both_share(v);
	t_daemon_kill(&d, SIGKILL);
	t_sleep(1);
	t_daemon_start(&d, NULL, NULL, NULL);
	t_daemon_full_speed(&d);
	t_sleep(5);
	both_share(v);
	finish(v);
}

TEST_SECONDS("a region that moves, and a fork, find their pages without a race", 120)
{
	struct fakevmm v[2];

	start();
	up(&v[0], "a");
	up(&v[1], "b");
	both_share(v);
	for (int i = 0; i < 2; i++) {
		tell(&v[i], FV_STOP, 0, 0);
		v[i].base[1] = tell(&v[i], FV_MOVE, 1, 0);
		tell(&v[i], FV_FORK, 0, 0);
		tell(&v[i], FV_HAMMER, 0, THREADS);
	}
	t_sleep(4);
	finish(v);
}
