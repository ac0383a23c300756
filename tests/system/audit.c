/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit: 'pshare audit' finds each kind of violation that there is, planted one at a time, names
 * the process that it is in, and finds none where there is none.
 *
 * Other tests run at the same time, with VMs of their own, good and bad: so what counts here is
 * what is found of this test's processes, with the daemon of this test.
 */
#include "harness/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/audit.h"
#include "lib/fakevmm.h"
#include "lib/peer.h"
#include "lib/plant.h"

#define PSHARE test_built("src/cli/pshare")
#define PAGES 512u
#define SHARE_SECONDS 20
#define OUT_BYTES (4u << 20)

static struct t_daemon d;
static char out[OUT_BYTES];

static void start(void)
{
	t_daemon_fresh(&d);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareQuarantineMs", "100"), 200);
}

static void vm_up(struct fakevmm *v, const char *name, const char *salt, uid_t uid)
{
	struct t_vm_opts opts = {.name = name, .salt = salt, .uid = uid};

	fv_start(v, &d, opts);
	fv_map(v, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_pool(v, 0, 0, PAGES, 0);
	fv_pool(v, 0, 0, PAGES / 2, PAGES / 2); /* each page has a twin in the VM itself */
}

static void wait_shared(struct fakevmm *v)
{
	REQUIRE(fv_wait_shared(v, 0, PAGES * 9 / 10, SHARE_SECONDS));
}

/* ---- audits --------------------------------------------------------------------------------- */

static void must_find(const char *check, pid_t pid, const char *part)
{
	t_audit_must_find(&d, check, pid, part);
}

static void must_be_clean(const pid_t *pids, size_t n)
{
	json_t *whole = t_audit(&d);

	for (size_t i = 0; i < n; i++) {
		const char *text = t_audit_found(whole, NULL, "violation", pids[i], NULL);

		if (text)
			FAIL("violation: %s", text);
	}
	json_decref(whole);
}

/* ---- plants ---------------------------------------------------------------------------------- */

/* The path of the daemon's own descriptor of the n-th store. */
static void store_path(char path[64], unsigned int n)
{
	char link[256];

	for (int fd = 3; fd < 256; fd++) {
		ssize_t len;

		snprintf(path, 64, "/proc/%d/fd/%d", d.pid, fd);
		len = readlink(path, link, sizeof(link) - 1);
		link[len > 0 ? len : 0] = '\0';
		if (strstr(link, "pshare-store") && !n--)
			return;
	}
	FAIL("the daemon has no such store");
}

/* ---- a host where all is well --------------------------------------------------------------- */

TEST_SECONDS("where VMs of two salts and two users share as they may, nothing is found", 90)
{
	struct fakevmm v[4];
	double shared;
	json_t *whole;
	pid_t pids[4];

	start();
	vm_up(&v[0], "red1", "red", 0);
	vm_up(&v[1], "red2", "red", 0);
	vm_up(&v[2], "blue", "blue", 0);
	vm_up(&v[3], "other", "red", 1001);
	for (int i = 0; i < 4; i++) {
		wait_shared(&v[i]);
		pids[i] = v[i].pid;
	}
	must_be_clean(pids, 4);
	whole = t_audit(&d);
	CHECK_GE(json_integer_value(json_object_get(whole, "common_frames")), PAGES / 2 - 1);
	CHECK(t_audit_found(whole, "books", "ok", 0, NULL) != NULL);
	CHECK(t_audit_found(whole, "stores", "ok", 0, NULL) != NULL ||
	      t_audit_found(whole, "stores", "violation", 0, NULL) != NULL);
	json_decref(whole);
	/* written on, brought back, shared anew: still nothing */
	shared = t_api_number(&d, "/v1/status", "pshare/shared");
	fv_do(&v[0], FV_PATCH, 0, 0, PAGES / 2, 1, 0);
	/* references are given back when the quarantine is over */
	REQUIRE_WITHIN(20000, t_api_number(&d, "/v1/status", "pshare/shared") <=
				      shared - PAGES / 4 * T_PAGE);
	must_be_clean(pids, 4);
	whole = t_audit(&d);
	CHECK(t_audit_found(whole, "books", "ok", 0, NULL) != NULL);
	json_decref(whole);
	for (int i = 0; i < 4; i++)
		fv_end(&v[i]);
	t_daemon_free(&d);
}

TEST("who is not root is told in one line, with status 3")
{
	char path[512];

	t_need_root();
	snprintf(path, sizeof(path), "%s/pshare", test_dir());
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "cp", PSHARE, path), 0);
	REQUIRE_SYS(chmod(test_dir(), 0755));
	CHECK_EQ(TEST_RUN(out, sizeof(out), "setpriv", "--reuid", "1001", "--clear-groups", path,
			  "audit"),
		 3);
	CHECK_IN("as root", out);
}

/* ---- what is planted ------------------------------------------------------------------------ */

TEST_SECONDS("a process that maps a store that is not its own is found by frames and by stores", 60)
{
	struct fakevmm a, b;
	char path[64];
	struct plant p;

	start();
	vm_up(&a, "a", "red", 0);
	vm_up(&b, "b", "red", 0);
	wait_shared(&a);
	wait_shared(&b);
	store_path(path, 0);
	p = plant(NULL, "map", path);
	must_find("frames", p.pid, "frames in common");
	must_find("stores", p.pid, "is no VM of its domain");
	uproot(&p);
	p = plant(NULL, "store", path);
	must_find("stores", p.pid, "is no VM of its domain");
	uproot(&p);
	p = plant(NULL, "write", path);
	must_find("stores", p.pid, "can write");
	uproot(&p);
	must_be_clean((pid_t[]){a.pid, b.pid}, 2);
	fv_end(&a);
	fv_end(&b);
	t_daemon_free(&d);
}

TEST_SECONDS("a store is found in a thread with descriptors of its own, or without a first thread",
	     60)
{
	struct fakevmm v;
	struct plant p;
	char path[64];

	start();
	vm_up(&v, "v", "salt", 0);
	wait_shared(&v);
	store_path(path, 0);
	p = plant(NULL, "apart", path);
	must_find("stores", p.pid, "is no VM of its domain");
	uproot(&p);
	p = plant(NULL, "ended", path);
	must_find("stores", p.pid, "can write to store");
	uproot(&p);
	fv_end(&v);
	t_daemon_free(&d);
}

TEST_SECONDS("a VM that holds the store of another domain is found", 60)
{
	struct fakevmm a;
	char path[64];
	struct peer p;
	int fd;

	start();
	vm_up(&a, "a", "red", 0);
	wait_shared(&a);
	store_path(path, 0);
	peer_join(&p, &d, "thief", "blue"); /* this process is that VM */
	must_be_clean((pid_t[]){getpid()}, 1);
	fd = t_sys(open(path, O_RDONLY | O_CLOEXEC));
	must_find("stores", getpid(), "no stake");
	close(fd);
	peer_close(&p);
	fv_end(&a);
	t_daemon_free(&d);
}

TEST_SECONDS("pages of a store without a reference, and frames that are free, are found mapped", 60)
{
	struct fakevmm a;
	volatile uint8_t *view;
	struct peer p;
	uint64_t size;
	struct stat st;

	start();
	vm_up(&a, "a", "red", 0);
	wait_shared(&a);
	peer_join(&p, &d, "cheat", "red");
	REQUIRE_SYS(fstat(p.store_fd, &st));
	size = (uint64_t)st.st_size;
	view = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, p.store_fd, 0);
	REQUIRE(view != MAP_FAILED);
	/* the last block of the window: nobody has a frame there */
	(void)view[size - T_PAGE];
	must_find("books", getpid(), "holds for free");
	munmap((void *)(uintptr_t)view, size);
	view = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, p.store_fd,
		    (off_t)lseek(p.store_fd, 0, SEEK_DATA));
	REQUIRE(view != MAP_FAILED);
	(void)*view;
	must_find("books", getpid(), "has references for 0");
	munmap((void *)(uintptr_t)view, T_PAGE);
	must_be_clean((pid_t[]){getpid(), a.pid}, 2);
	peer_close(&p);
	fv_end(&a);
	t_daemon_free(&d);
}

TEST_SECONDS("a store that has lost the memory of frames in use is found", 60)
{
	struct fakevmm a;
	char path[64];
	int fd;

	start();
	vm_up(&a, "a", "red", 0);
	wait_shared(&a);
	store_path(path, 0);
	fd = t_sys(open(path, O_RDWR | O_CLOEXEC));
	REQUIRE_SYS(kill(a.pid, SIGSTOP)); /* who reads a hole fills it */
	REQUIRE_SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)lseek(fd, 0, SEEK_DATA), 64 * T_PAGE));
	must_find("books", d.pid, "memory for");
	close(fd);
	fv_kill(&a);
	t_daemon_free(&d);
}

TEST_SECONDS("one file as the memory of two VMs is found, and two copies are not", 60)
{
	char path[256], copy[256];
	struct plant a, b;
	int fd;

	start();
	snprintf(path, sizeof(path), "%s/snapshot", test_dir());
	snprintf(copy, sizeof(copy), "%s/copy", test_dir());
	fd = t_sys(open(path, O_RDWR | O_CREAT, 0600));
	REQUIRE_SYS(ftruncate(fd, 4 << 20));
	REQUIRE_EQ(pwrite(fd, "snapshot", 8, 0), 8);
	close(fd);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "cp", path, copy), 0);
	a = plant("qemu-system-one", "file", path);
	b = plant("qemu-system-two", "file", copy);
	must_be_clean((pid_t[]){a.pid, b.pid}, 2);
	uproot(&b);
	b = plant("qemu-system-two", "file", path);
	must_find("files", a.pid, "snapshot");
	must_find("files", b.pid, "one page cache");
	uproot(&b);
	b = plant("qemu-system-two", "shared", path);
	must_find("files", b.pid, "one page cache");
	uproot(&b);
	b = plant("qemu-system-two", "reader", path);
	must_find("files", b.pid, "one page cache");
	uproot(&b);
	b = plant("qemu-system-two", "code", path);
	must_find("files", b.pid, "one page cache");
	uproot(&b);
	b = plant("qemu-system-two", "ended", path);
	must_find("files", b.pid, "one page cache");
	uproot(&b);
	uproot(&a);
	t_daemon_free(&d);
}

/* The memory of two VMs is one file. A daemon of user 65534's says that they are VMs of its own
 * that may share, and that it is process 1, or the one that it is. */
static void must_find_with_liar(pid_t liar, pid_t one, pid_t two, const char *books)
{
	json_t *whole;
	FILE *file = fopen(books, "we");
	const char *part = liar == 1 ? "not believed" : NULL;

	REQUIRE(file != NULL);
	fprintf(file,
		"{\"pid\":%d,\"uid\":0,\"salting\":0,\"stores\":[],\"vms\":["
		"{\"name\":\"one\",\"pid\":%d,\"uid\":0,\"group\":\"0\",\"stakes\":[]},"
		"{\"name\":\"two\",\"pid\":%d,\"uid\":0,\"group\":\"0\",\"stakes\":[]}]}",
		(int)liar, (int)one, (int)two);
	fclose(file);
	(void)TEST_RUN(out, sizeof(out), "env", "-u", "PSHARE_RUNTIME_DIR", PSHARE, "audit",
		       "--json");
	whole = json_loads(out, 0, NULL);
	REQUIRE(whole != NULL);
	if (!t_audit_found(whole, "files", "violation", two, "one page cache") ||
	    (part && !t_audit_found(whole, "daemon", "unknown", liar, part))) {
		json_dumpf(whole, stdout, JSON_INDENT(1));
		FAIL("what a daemon of another user's says was believed");
	}
	json_decref(whole);
}

TEST_SECONDS("a daemon of another user's is not believed, whoever it says it is", 90)
{
	char path[256], folder[256], books[300];
	struct plant a, b, liar;
	int fd;

	start();
	snprintf(path, sizeof(path), "%s/snapshot", test_dir());
	fd = t_sys(open(path, O_RDWR | O_CREAT, 0600));
	REQUIRE_SYS(ftruncate(fd, 4 << 20));
	close(fd);
	a = plant("qemu-system-one", "shared", path);
	b = plant("qemu-system-two", "shared", path);
	snprintf(folder, sizeof(folder), "%s/run", test_dir());
	REQUIRE_SYS(mkdir(folder, 0777));
	REQUIRE_SYS(chmod(folder, 0777));
	REQUIRE_SYS(chmod(test_dir(), 0755));
	snprintf(books, sizeof(books), "%s/books", folder);
	REQUIRE_SYS(setenv("PSHARE_RUNTIME_DIR", folder, 1)); /* where it is looked for */
	liar = plant("pshared", "daemon", folder);
	must_find_with_liar(1, a.pid, b.pid, books);
	must_find_with_liar(liar.pid, a.pid, b.pid, books);
	uproot(&liar);
	uproot(&b);
	uproot(&a);
	t_daemon_free(&d);
}

TEST_SECONDS("salts that others can read, and a salt on a command line, are found", 60)
{
	char path[256], word[300];
	const char *env[] = {word, NULL};
	struct t_vm_opts opts = {.name = "a", .env = env};
	struct fakevmm a;
	struct plant p;
	json_t *whole;
	int fd;

	start();
	snprintf(path, sizeof(path), "%s/audit.salt", test_dir());
	snprintf(word, sizeof(word), "PSHARE_SALT_FILE=%s", path);
	fd = t_sys(open(path, O_RDWR | O_CREAT, 0600));
	REQUIRE_EQ(write(fd, "salt-of-the-audit-test\n", 23), 23);
	fv_start(&a, &d, opts);
	fv_map(&a, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	REQUIRE_WITHIN(SHARE_SECONDS * 1000, t_api_number(&d, "/v1/vms/a", "pid") == a.pid);
	whole = t_audit(&d);
	CHECK(!t_audit_found(whole, "salts", "violation", 0, path));
	json_decref(whole);
	p = plant(NULL, "word", "--salt=salt-of-the-audit-test");
	must_find("salts", p.pid, "command line");
	uproot(&p);
	REQUIRE_SYS(fchmod(fd, 0644));
	must_find("salts", 0, path);
	close(fd);
	fv_end(&a);
	t_daemon_free(&d);
}

static void ksm_set(const char *name, const char *value)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/mm/ksm/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		SKIP("%s cannot be written here", path);
	close(fd);
}

static json_int_t ksm_of(json_t *whole, pid_t pid)
{
	json_t *vm;
	size_t i;

	json_array_foreach(json_object_get(whole, "vms"), i, vm)
	{
		if (json_integer_value(json_object_get(vm, "pid")) == pid)
			return json_integer_value(json_object_get(vm, "ksm"));
	}
	return -1;
}

static bool merged(pid_t pid)
{
	json_t *whole = t_audit(&d);
	json_int_t pages = ksm_of(whole, pid);

	json_decref(whole);
	return pages > 64;
}

TEST_WITH("KSM is found while it runs, what it has merged too, and when it has stopped with it",
	  .seconds = 120, .needs = "quiet")
{
	struct plant a, b;
	json_t *whole;
	double began;
	char was[16];
	bool both;

	if (t_slurp("/sys/kernel/mm/ksm/run", was, sizeof(was)) <= 0 || was[0] != '0')
		SKIP("KSM is not there, or in use");
	start();
	a = plant("qemu-system-one", "merge", "equal");
	b = plant("qemu-system-two", "merge", "equal");
	must_be_clean((pid_t[]){a.pid, b.pid}, 2);
	ksm_set("run", "1");
	began = t_now();
	while (!(both = merged(a.pid) && merged(b.pid)) && !t_late(began, 60))
		t_sleep(0.1);
	if (!both) { /* it is not left running */
		ksm_set("run", "2");
		ksm_set("run", "0");
		FAIL("KSM has not merged their pages in a minute");
	}
	whole = t_audit(&d);
	CHECK(t_audit_found(whole, "ksm", "violation", a.pid, "is running") != NULL);
	CHECK(t_audit_found(whole, "frames", "violation", a.pid, "merged by KSM") != NULL);
	CHECK(t_audit_found(whole, "frames", "violation", b.pid, "merged by KSM") != NULL);
	json_decref(whole);
	ksm_set("run", "0");
	must_find("ksm", b.pid, "has been stopped");
	ksm_set("run", "2");
	must_be_clean((pid_t[]){a.pid, b.pid}, 2);
	ksm_set("run", "0");
	uproot(&a);
	uproot(&b);
	t_daemon_free(&d);
}

/* ---- memory that changes by itself ---------------------------------------------------------- */

/* Where the nth frame of a store begins. Between frames there may be holes: what was punched. */
static off_t nth_frame(int fd, unsigned int nth)
{
	off_t at = lseek(fd, 0, SEEK_DATA);

	while (nth--)
		at = lseek(fd, at + T_PAGE, SEEK_DATA);
	REQUIRE_LE(0, at);
	return at;
}

/* Flips bits of a frame of the first store, as worn memory does. */
static void flip(unsigned int bits, unsigned int nth)
{
	char path[64];
	uint8_t bytes[2];
	off_t at;
	int fd;

	store_path(path, 0);
	fd = t_sys(open(path, O_RDWR | O_CLOEXEC));
	at = nth_frame(fd, nth) + 1234;
	REQUIRE_EQ(pread(fd, bytes, 2, at), 2);
	bytes[0] ^= 4;
	bytes[1] ^= bits > 1 ? 0x40 : 0;
	REQUIRE_EQ(pwrite(fd, bytes, 2, at), 2);
	close(fd);
}

/* All shared, and out of quarantine, as far as the agents have said by now. */
static void wait_settled(void)
{
	static const char *const vms[] = {"/v1/vms/a", "/v1/vms/b"};

	for (int i = 0; i < 2; i++)
		REQUIRE_WITHIN(30000, t_api_number(&d, vms[i], "progress/settled") == 1 &&
					      t_api_number(&d, vms[i], "quarantined") == 0);
}

static double frames_figure(const char *name)
{
	char way[64];

	snprintf(way, sizeof(way), "frames/%s", name);
	return t_api_number(&d, "/v1/status", way);
}

static bool log_has(const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/log", d.dir);
	return t_slurp(path, out, sizeof(out)) > 0 && strstr(out, text);
}

TEST_SECONDS("a bit that flips in a frame is found, told and set right, and the frame retired", 90)
{
	struct fakevmm a, b, c;
	json_t *whole;

	start();
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareVerifyRate", "0"), 200);
	vm_up(&a, "a", "red", 0);
	vm_up(&b, "b", "red", 0);
	wait_shared(&a);
	wait_shared(&b);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareVerifyRate", "100000"), 200);
	REQUIRE_WITHIN(20000, frames_figure("verified") > PAGES);
	CHECK_EQ(frames_figure("damaged"), 0);
	wait_settled();
	flip(1, 0);
	REQUIRE_WITHIN(20000, frames_figure("damaged") == 1);
	CHECK_EQ(frames_figure("mended"), 1);
	fv_check(&a, 0);
	fv_check(&b, 0);
	REQUIRE_WITHIN(10000, log_has("is set right again"));
	CHECK(log_has("a has that frame") && log_has("b has that frame"));
	whole = t_audit(&d);
	CHECK(t_audit_found(whole, "damage", "note", 0, "was set right") != NULL);
	json_decref(whole);
	/* who comes now gets a frame of its own for that content, and all of it is right */
	vm_up(&c, "c", "red", 0);
	wait_shared(&c);
	fv_check(&c, 0);
	CHECK_EQ(frames_figure("damaged"), 1);
	must_be_clean((pid_t[]){a.pid, b.pid, c.pid}, 3);
	fv_end(&a);
	fv_end(&b);
	fv_end(&c);
	t_daemon_free(&d);
}

/* Two bits of one frame after the other, until the audit names both VMs. While an agent still has
 * the page that it took out, in quarantine, it finds that frame and page differ and gives the guest
 * its own: then nobody has the frame, and what the guest has is right. */
static bool damaged_in_both(void)
{
	for (unsigned int i = 0; i < 8; i++) {
		json_t *whole;
		bool found;

		wait_settled();
		flip(2, i);
		REQUIRE_WITHIN(20000, frames_figure("damaged") == i + 1);
		CHECK_EQ(frames_figure("mended"), 0);
		whole = t_audit(&d);
		found = t_audit_found(whole, "damage", "violation", 0, "is damaged in a, b") ||
			t_audit_found(whole, "damage", "violation", 0, "is damaged in b, a");
		json_decref(whole);
		if (found)
			return true;
	}
	return false;
}

TEST_SECONDS("what cannot be set right is told loudly, reaches nobody else, and the audit says it",
	     90)
{
	struct fakevmm a, b, c;

	start();
	vm_up(&a, "a", "red", 0);
	vm_up(&b, "b", "red", 0);
	wait_shared(&a);
	wait_shared(&b);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareVerifyRate", "100000"), 200);
	REQUIRE(damaged_in_both());
	REQUIRE_WITHIN(10000, log_has("ITS MEMORY IS DAMAGED"));
	vm_up(&c, "c", "red", 0);
	wait_shared(&c);
	fv_check(&c, 0);
	fv_kill(&a);
	fv_kill(&b);
	fv_check(&c, 0);
	fv_end(&c);
	t_daemon_free(&d);
}

TEST_SECONDS("each damaged frame is told once, however many there are", 120)
{
	enum { FRAMES = 80 }; /* more than are kept to be shown */
	struct fakevmm a, b;
	double before;

	start();
	vm_up(&a, "a", "red", 0);
	vm_up(&b, "b", "red", 0);
	wait_shared(&a);
	wait_shared(&b);
	wait_settled();
	for (unsigned int i = 0; i < FRAMES; i++)
		flip(2, i);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareVerifyRate", "100000"), 200);
	REQUIRE_WITHIN(60000, frames_figure("damaged") >= FRAMES);
	before = frames_figure("verified");
	REQUIRE_WITHIN(20000, frames_figure("verified") > before + 4 * PAGES);
	CHECK_EQ(frames_figure("damaged"), FRAMES);
	fv_kill(&a);
	fv_kill(&b);
	t_daemon_free(&d);
}

/* ---- what guides want ----------------------------------------------------------------------- */

static int hardening(void)
{
	return TEST_RUN(out, sizeof(out), PSHARE, "doctor", "--hardening", "--runtime-dir", d.dir);
}

TEST_SECONDS(
	"doctor --hardening says what a guide would call a finding, and what is as it wants it", 60)
{
	struct fakevmm a, b;

	start();
	vm_up(&a, "a", "red", 0);
	(void)hardening();
	CHECK_IN("ok       Mem.ShareForceSalting", out);
	CHECK_IN("ok       Mem.ShareVerifyRate", out);
	CHECK_IN("ok       sched.mem.pshare.salt", out);
	CHECK_IN("missing  daemon's user", out); /* the test's daemon is root's */
	CHECK_IN("ok       daemon's filter", out);
	vm_up(&b, "b", "red", 0);
	REQUIRE_WITHIN(SHARE_SECONDS * 1000, t_api_number(&d, "/v1/vms/b", "pid") == b.pid);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareForceSalting", "0"), 200);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareVerifyRate", "0"), 200);
	CHECK_EQ(hardening(), 1);
	CHECK_IN("missing  Mem.ShareForceSalting", out);
	CHECK_IN("ESXI-80-000213", out);
	CHECK_IN("missing  Mem.ShareVerifyRate", out);
	CHECK_IN("note     sched.mem.pshare.salt", out);
	fv_end(&a);
	fv_end(&b);
	t_daemon_free(&d);
}
