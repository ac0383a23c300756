/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dangers-leaks: one domain sees what another has, or anybody sees a salt (dangers.c). */
#include "dangers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* How often the secret is found behind frames of this VM. Where frames lie in the store follows
 * from who came first, so one that lies behind the secret would show nothing: several are tried. */
static int64_t find_by_growing(struct fakevmm *v, uint64_t secret)
{
	int64_t found = 0, tried = 0;

	for (uint32_t page = 0; page < PAGES && tried < 5; page += PAGES / 16) {
		if (!page_shared(v, page))
			continue;
		found += (int64_t)fv_do(v, FV_GROW, 0, page, 1, secret, 8192);
		tried++;
	}
	REQUIRE_GT(tried, 0);
	return found;
}

TEST_SECONDS("7 no mapping of one domain can be grown over pages of another", 60)
{
	struct t_vm_opts red = called("red"), same = called("same"), blue = called("blue");
	struct fakevmm a, b, c;
	uint64_t secret = pool_key(333);

	start();
	red.salt = same.salt = "red";
	blue.salt = "blue";
	/* The first frames of both domains; then the secret. Blue is the first of the two: what
	 * follows its frames in a common file is of the other. */
	vm_up(&b, blue, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	REQUIRE_WITHIN(SHARED_MS, in_api("/v1/vms", "\"blue\""));
	vm_up(&c, same, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_pool(&b, 0, 0, PAGES, 0);
	for (uint32_t p = 0; p < PAGES; p += 64) {
		fv_pool(&b, 0, p, 64, 0);
		fv_pool(&c, 0, p, 64, 0);
	}
	wait_shared(&b);
	wait_shared(&c);
	fv_start(&a, &d, red);
	fv_map(&a, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&a, FV_POOL, 0, 0, PAGES, 333, 0);
	wait_shared(&a);
	CHECK_EQ(find_by_growing(&b, secret), 0);
	/* who is of the domain finds it: the way of looking works */
	CHECK_GT(find_by_growing(&c, secret), 0);
	fv_kill(&b);
	fv_kill(&c);
	finish(&a, NULL);
}

/* Every descriptor of a memfd that backs a private mapping, in a process: can it be written to? */
static uint32_t writable_stores(pid_t pid)
{
	char dir[64], path[384], link[256], info[1024];
	uint32_t n = 0;
	struct dirent *e;
	DIR *fds;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	fds = opendir(dir);
	while (fds && (e = readdir(fds))) {
		ssize_t len;
		char *flags;

		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		len = readlink(path, link, sizeof(link) - 1);
		if (len <= 0)
			continue;
		link[len] = '\0';
		/* the rings are written by both sides */
		if (!strstr(link, "memfd:") || !strstr(link, "store"))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", (int)pid, e->d_name);
		t_slurp(path, info, sizeof(info));
		flags = strstr(info, "flags:");
		n += flags && (strtoul(flags + 6, NULL, 8) & O_ACCMODE) != O_RDONLY;
	}
	if (fds)
		closedir(fds);
	return n;
}

TEST_SECONDS("8 no descriptor outside of the daemon can write to a store", 60)
{
	struct fakevmm a, b;
	char path[64], line[512];
	uint32_t shared_writable = 0, stores = 0;
	FILE *f;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	CHECK_EQ(writable_stores(a.pid), 0);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)a.pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		stores += strstr(line, "memfd:") && strstr(line, "store");
		shared_writable += strstr(line, "memfd:") && strstr(line, "store") &&
				   strstr(line, "w-s") != NULL;
	}
	if (f)
		fclose(f);
	CHECK_GT(stores, 0); /* else the name has changed and nothing was looked at */
	CHECK_EQ(shared_writable, 0);
	finish(&a, &b);
}

static bool in_range(int mem, uintptr_t at, uintptr_t end, const char *text)
{
	static char buf[65 * T_PAGE];
	size_t len = strlen(text), step = sizeof(buf) - T_PAGE;

	for (; at < end; at += step) {
		size_t want = end - at < sizeof(buf) ? end - at : sizeof(buf);
		ssize_t n = pread(mem, buf, want, (off_t)at);

		if (n > 0 && memmem(buf, (size_t)n, text, len))
			return true;
	}
	return false;
}

/* Is the text anywhere in the memory of a process? */
static bool in_memory(pid_t pid, const char *text)
{
	char path[64], line[512], perm[8];
	int mem, pagemap = pm_open(pid);
	struct page_region range[64];
	unsigned long start_at, end;
	bool found = false;
	FILE *maps;
	uint32_t n;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(maps && mem >= 0);
	while (!found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &start_at, &end, perm) != 3 || perm[0] != 'r')
			continue;
		/* present pages only: who reads a page that is out waits for the agent */
		for (uintptr_t at = start_at;
		     !found && (n = pm_present(pagemap, &at, end, range, 64));)
			for (uint32_t i = 0; !found && i < n; i++)
				found = in_range(mem, range[i].start, range[i].end, text);
	}
	fclose(maps);
	close(mem);
	close(pagemap);
	return found;
}

static bool in_file(const char *path, const char *text)
{
	static char buf[1 << 20];
	ssize_t n;

	n = t_slurp(path, buf, sizeof(buf));
	return n > 0 && memmem(buf, (size_t)n, text, strlen(text));
}

static bool in_proc(pid_t pid, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return in_file(path, text);
}

TEST_SECONDS("9 the salt is in no list of processes, no log, no answer and no memory", 60)
{
	/* made at run time: this program's own image is not what is looked for */
	char salt[64], other[64], json[128], log[192];
	struct t_vm_opts opts = called("a");
	struct fakevmm a;

	snprintf(salt, sizeof(salt), "first-%016lx%016lx", t_mix(test_seed()),
		 t_mix(test_seed() + 1));
	snprintf(other, sizeof(other), "other-%016lx%016lx", t_mix(test_seed() + 2),
		 t_mix(test_seed() + 3));
	start();
	opts.salt = salt;
	vm_up(&a, opts, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	snprintf(json, sizeof(json), "{\"salt\":\"%s\"}", other);
	REQUIRE_EQ(t_vm_setting_put(&d, "a", "sched.mem.pshare.salt", json), 200);
	snprintf(log, sizeof(log), "%s/log", d.dir);
	for (int i = 0; i < 2; i++) {
		const char *text = i ? other : salt;

		CHECK(!in_proc(a.pid, "cmdline", text));
		CHECK(!in_proc(a.pid, "environ", text));
		CHECK(!in_proc(d.pid, "cmdline", text));
		CHECK(!in_proc(d.pid, "environ", text));
		CHECK(!in_file(log, text));
		CHECK(!in_api("/v1/vms", text));
		CHECK(!in_api("/v1/status", text));
		CHECK(!in_api("/v1/vms/a/settings", text));
		CHECK(!in_api("/metrics", text));
		CHECK(!in_memory(a.pid, text));
		CHECK(!in_memory(d.pid, text));
	}
	finish(&a, NULL);
}

static uint32_t frames_in_common(struct fakevmm *a, struct fakevmm *b)
{
	static uint64_t of_a[PAGES], of_b[PAGES];
	uint32_t common = 0;

	pm_read(a->pagemap, a->base[0], of_a, PAGES);
	pm_read(b->pagemap, b->base[0], of_b, PAGES);
	for (uint32_t i = 0; i < PAGES; i++)
		for (uint32_t k = 0; k < PAGES; k++)
			common += pm_pfn(of_a[i]) && pm_pfn(of_a[i]) == pm_pfn(of_b[k]) &&
				  pm_pfn(of_a[i]) != pm_zero_pfn();
	return common;
}

TEST_SECONDS("10 another user who names the same salt joins nobody", 60)
{
	struct t_vm_opts other = called("other");
	struct fakevmm a, b, c;

	start();
	other.uid = 1001;
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&c, other, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	wait_shared(&b);
	wait_shared(&c);
	for (int salting = 2; salting >= 0; salting--) {
		char value[4];

		snprintf(value, sizeof(value), "%d", salting);
		REQUIRE_EQ(t_setting_put(&d, "Mem.ShareForceSalting", value), 200);
		REQUIRE_WITHIN(SHARED_MS, frames_in_common(&a, &b) > PAGES / 2);
		CHECK_EQ(frames_in_common(&a, &c), 0);
		CHECK_EQ(frames_in_common(&b, &c), 0);
	}
	fv_end(&c);
	finish(&a, &b);
}

TEST_SECONDS("10 a salt changed while pages are in a long quarantine is obeyed, and answered", 90)
{
	struct fakevmm a, b;
	double began;

	start();
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareQuarantineMs", "12000"), 200);
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	wait_shared(&b);
	began = t_now();
	REQUIRE_EQ(t_vm_setting_put(&d, "a", "sched.mem.pshare.salt", "{\"salt\":\"blue\"}"), 200);
	t_note("answered after %.1f s", t_now() - began);
	/* or it was not waited for, and nothing is shown */
	CHECK_GT(t_now() - began, 8);
	CHECK_EQ(frames_in_common(&a, &b), 0);
	fv_check(&a, 0);
	finish(&a, &b);
}
