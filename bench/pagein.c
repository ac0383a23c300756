/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pagein: how long an access waits for a page that is out, beside one bare round trip of a
 * userfaultfd; what 1000 pages that were put away hold; what putting one away costs.
 *
 *	pagein [N [any]]	N accesses of each kind (2000), four turns
 *
 * The VMM is this program once more, under the agent; the daemon is one of paper (tests/lib), which
 * says what is to be out. In each turn all pages are put into one state, then N of them are read in
 * an order without order, US apart, and the bare round trip is measured before and after: memory
 * registered for missing pages, a thread that reads the event and copies a page in.
 *
 * All of it runs on one CPU, unless "any" is said. To wake another CPU that is idle takes four
 * times as long as the rest of a bare round trip where this machine is a VM itself; whether one has
 * to be woken is the scheduler's choice, which is not the same in the two that are compared.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/latency.h"
#include "lib/paper.h"
#include "lib/pmap.h"
#include "lib/vm.h"
#include "policy/memstate.h"
#include "sys/uffd.h"

#define PAGES 8192u
#define APART_US 30
#define TURNS 4
#define STAGE_MS 200u
#define WAIT_MS 60000

enum kind { STAGED, TWIN, ZIPPED, SWAPPED, KINDS };
static const char *const NAMES[KINDS] = {"staged", "twin", "zipped", "swapped"};

struct command {
	char op; /* f: fill, i: with what does not compress, r: read n, b: bare */
	uint32_t n;
};

struct answer {
	uint32_t n;
	double p50, p99;
};

/* ---- the VMM ------------------------------------------------------------------------------- */

static uint8_t *memory;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct answer judge(double *ns, uint32_t n)
{
	struct answer a = {.n = n};

	qsort(ns, n, sizeof(*ns), by_value);
	if (n) {
		a.p50 = ns[n / 2];
		a.p99 = ns[n - 1 - n / 100];
	}
	return a;
}

static bool is_present(int pagemap, uint32_t page)
{
	uint64_t entry = 0;

	pm_read(pagemap, (uintptr_t)memory + (size_t)page * T_PAGE, &entry, 1);
	return entry & PM_PRESENT;
}

static struct answer read_pages(uint32_t n)
{
	double *ns = calloc(n, sizeof(*ns));
	int pagemap = pm_open(0);
	uint64_t rng = 1;
	uint32_t got = 0;

	for (uint32_t tries = 0; got < n && tries < 8 * PAGES; tries++) {
		uint32_t page = t_below(&rng, PAGES);

		if (is_present(pagemap, page))
			continue;
		spin_ns(APART_US * 1000);
		ns[got++] =
			touch_read((volatile uint64_t *)(void *)(memory + (size_t)page * T_PAGE));
	}
	close(pagemap);
	return judge(ns, got);
}

static void *bare_handler(void *arg)
{
	static uint8_t content[T_PAGE] __attribute__((aligned(T_PAGE))) = {1};
	int fd = *(int *)arg;
	struct uffd_msg msg;

	while (uffd_read(fd, &msg, 1) == 1)
		uffd_copy(fd,
			  (void *)(uintptr_t)(msg.arg.pagefault.address & ~(uint64_t)(T_PAGE - 1)),
			  content, T_PAGE);
	return NULL;
}

static struct answer read_bare(uint32_t n)
{
	static int fd = -1;
	static uint8_t *bare;
	const size_t size = (size_t)PAGES * T_PAGE;
	double *ns = calloc(n, sizeof(*ns));
	pthread_t thread;

	if (fd < 0) {
		bare = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(bare, size, MADV_NOHUGEPAGE);
		fd = uffd_open(0);
		t_check(fd >= 0 && !uffd_register(fd, bare, size, UFFDIO_REGISTER_MODE_MISSING),
			"userfaultfd");
		pthread_create(&thread, NULL, bare_handler, &fd);
	}
	madvise(bare, size, MADV_DONTNEED);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t page = (i * 2654435761u) % PAGES;

		spin_ns(APART_US * 1000);
		ns[i] = touch_read((volatile uint64_t *)(void *)(bare + (size_t)page * T_PAGE));
	}
	return judge(ns, n);
}

static void fill(bool compresses)
{
	uint64_t rng = 7;

	for (uint32_t page = 0; page < PAGES; page++) {
		uint64_t *word = (uint64_t *)(void *)(memory + (size_t)page * T_PAGE);
		uint32_t random = compresses ? 150 : 512;

		/* a page of a guest: a part without order, a part that repeats */
		for (uint32_t i = 0; i < 512; i++)
			word[i] = i < random ? t_rand(&rng) : word[i - random] & 0xffff;
	}
}

static int vm_main(int sock)
{
	const size_t size = (size_t)PAGES * T_PAGE;
	uint8_t *room = mmap(NULL, size + T_BLOCK, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct command c;

	memory = (uint8_t *)(((uintptr_t)room + T_BLOCK - 1) & ~(uintptr_t)(T_BLOCK - 1));
	t_check(mmap(memory, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     -1, 0) == memory,
		"%m");
	madvise(memory, size, MADV_NOHUGEPAGE);
	madvise(memory, size, MADV_DONTFORK);
	fill(true);
	t_sys(madvise(memory, size, MADV_MERGEABLE));
	tick_ns();
	while (recv(sock, &c, sizeof(c), 0) == sizeof(c)) {
		struct answer a = {0};

		if (c.op == 'r')
			a = read_pages(c.n);
		else if (c.op == 'b')
			a = read_bare(c.n);
		else
			fill(c.op == 'f');
		t_check(send(sock, &a, sizeof(a), 0) == sizeof(a), "%m");
	}
	return 0;
}

/* ---- the daemon ---------------------------------------------------------------------------- */

static struct paper p;
static pid_t vm;
static int sock;

static struct answer tell(char op, uint32_t n)
{
	struct command c = {op, n};
	struct answer a;

	t_check(send(sock, &c, sizeof(c), 0) == sizeof(c), "%m");
	while (recv(sock, &a, sizeof(a), MSG_DONTWAIT) != sizeof(a)) {
		paper_hear(&p);
		t_sleep(0.005);
	}
	return a;
}

static void put_away(enum kind kind)
{
	static const uint32_t flags[KINDS] = {PS_TARGET_STAGE | PS_TARGET_SWAP,
					      PS_TARGET_STAGE | PS_TARGET_ZIP | PS_TARGET_TWIN,
					      PS_TARGET_STAGE | PS_TARGET_ZIP,
					      PS_TARGET_STAGE | PS_TARGET_SWAP};
	uint32_t enough = PAGES * 9 / 10;

	p.config.stage_ms = p.config.quarantine_ms = kind == STAGED ? 60000 : STAGE_MS;
	paper_config(&p);
	paper_target(&p, flags[kind], PAGES, MEMSTATE_SOFT);
	switch (kind) {
	case STAGED:
		PAPER_WAIT(&p, WAIT_MS, s.staged >= enough);
		break;
	case TWIN:
		PAPER_WAIT(&p, WAIT_MS, s.zipped >= enough);
		p.shared = 0;
		for (uint32_t i = 0; i < PAPER_FRAMES; i++)
			paper_share(&p, p.base + i * (PAGES / PAPER_FRAMES), i, 1);
		PAPER_WAIT(&p, WAIT_MS, s.twin >= PAPER_FRAMES / 2);
		break;
	case ZIPPED:
		PAPER_WAIT(&p, WAIT_MS, s.zipped >= enough);
		break;
	default:
		PAPER_WAIT(&p, WAIT_MS, s.swapped >= enough);
	}
	t_sleep(0.4); /* the last figures */
}

static void all_back(void)
{
	paper_target(&p, PS_TARGET_RESUME, 0, MEMSTATE_HIGH);
	PAPER_WAIT(&p, WAIT_MS, s.staged + s.twin + s.zipped + s.swapped == 0);
	paper_target(&p, 0, 0, MEMSTATE_HIGH);
}

static long anonymous_kib(void)
{
	return pm_field_kib(vm, "status", "RssAnon");
}

static void measure(uint32_t n)
{
	for (int turn = 0; turn < TURNS; turn++) {
		for (enum kind k = STAGED; k < KINDS; k++) {
			uint64_t cpu = paper_stats(&p).cpu_ns, out;
			struct answer before, after, got;
			struct ps_agent_stats s;
			long kib = anonymous_kib();

			put_away(k);
			s = paper_stats(&p);
			out = k == STAGED ? s.staged : s.twin + s.zipped + s.swapped;
			kib -= anonymous_kib();
			cpu = s.cpu_ns - cpu;
			paper_target(&p, 0, 0, MEMSTATE_HIGH);
			before = tell('b', n);
			got = tell('r', k == TWIN ? n / 2 : n);
			after = tell('b', n);
			printf("ok %-8s n=%u p50=%.0f p99=%.0f bare=%.0f,%.0f ratio=%.2f away=%lu "
			       "held_per_1000=%.0fKiB cpu_per_page=%.2fus\n",
			       NAMES[k], got.n, got.p50, got.p99, before.p50, after.p50,
			       2 * got.p50 / (before.p50 + after.p50), out,
			       out ? ((double)out * 4 - (double)kib) * 1000 / (double)out : 0,
			       out ? (double)cpu * 1e-3 / (double)out : 0);
			fflush(stdout);
			all_back();
		}
	}
}

static void stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	t_sys(sched_setaffinity(0, sizeof(here), &here));
}

int main(int argc, char **argv)
{
	char self[] = "/proc/self/exe", word[] = "--vm", number[16];
	char *args[] = {self, word, number, NULL};
	struct t_daemon d;
	int pair[2], fd;

	if (argc == 3 && strcmp(argv[1], "--vm") == 0)
		return vm_main(atoi(argv[2]));
	if (argc < 3)
		stay_here();
	t_need_product();
	t_daemon_init(&d);
	paper_start(&p, &d, STAGE_MS);
	t_sys(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	snprintf(number, sizeof(number), "%d", pair[1]);
	vm = t_vm_spawn(&d, &(struct t_vm_opts){.name = "pagein", .keep_fd = pair[1]}, args);
	sock = pair[0];
	paper_meet(&p);
	fd = paper_swap_file();
	paper_swap(&p, fd, 1ull << 30);
	close(fd);
	measure(argc > 1 ? (uint32_t)atoi(argv[1]) : 2000);
	kill(vm, SIGKILL);
	paper_end(&p);
	t_rmdir(d.dir);
	return 0;
}
