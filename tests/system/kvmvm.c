/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kvmvm: a VMM with real vCPUs, small. Two virtual machines in one process, each with one vCPU in
 * real mode and 1 MiB of RAM, in memory offered for sharing. The host tells a guest what to do to
 * a range of its pages (set, count up, add up) and what it does is checked against a model; between
 * two orders the host writes and discards pages of the same guest, as devices and balloons do.
 * The guest's own code lies in its page 0, which is shared like any other.
 *
 * What this shows and nothing else here does: faults taken by KVM on behalf of a vCPU, on pages
 * that are shared, taken out, gone. Arguments: seconds, and 1 if pages must come to be shared.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/hammer.h"
#include "lib/pmap.h"

#define GUESTS 2u
#define GUEST_PAGES 256u /* what real mode reaches */
#define FIRST_PAGE 16u	 /* below: the guest's code */
#define GUEST_PORT 0x10
#define SECOND_WORD 0x800u /* the guest keeps two words of a page in step */
#define POOL 24u

enum order { ORDER_SUM, ORDER_ADD, ORDER_SET };

/* ax: order, si: first segment, cx: pages, ebx: value. Ends with OUT; edx: sum of the first words,
 * edi: not 0 if the two words of a page differed by other than they should. */
__asm__(".pushsection .rodata\n"
	"	.code16\n"
	"guest_code:\n"
	"	xorl %edx, %edx\n"
	"	cmpb $1, %al\n"
	"	je 2f\n"
	"	ja 3f\n"
	"1:	movw %si, %ds\n"
	"	addl 0, %edx\n"
	"	addw $0x100, %si\n"
	"	loop 1b\n"
	"	jmp 4f\n"
	"2:	movw %si, %ds\n"
	"	lock incl 0\n"
	"	incl 0x800\n"
	"	addw $0x100, %si\n"
	"	loop 2b\n"
	"	jmp 4f\n"
	"3:	movw %si, %ds\n"
	"	movl %ebx, 0\n"
	"	movl %ebx, 0x800\n"
	"	addw $0x100, %si\n"
	"	loop 3b\n"
	"4:	outb %al, $0x10\n"
	"	jmp guest_code\n"
	"guest_end:\n"
	"	.code64\n"
	"	.popsection\n");
extern const uint8_t guest_code[], guest_end[];

static size_t code_bytes(void)
{
	/* cppcheck-suppress comparePointers ; both are labels of the one object above */
	return (size_t)(guest_end - guest_code);
}

struct gpage {
	uint64_t key;
	uint32_t first, second; /* the two words the guest writes to */
};

struct guest {
	uint32_t id;
	uint8_t *ram;
	struct gpage page[GUEST_PAGES];
	int vm, vcpu;
	struct kvm_run *run;
	uint64_t rng, orders, discards, shared_seen;
	int pagemap;
	pthread_t thread;
};

static double end_time;

static void page_written(struct guest *g, uint32_t p, uint64_t key)
{
	g->page[p] =
		(struct gpage){key, (uint32_t)key, (uint32_t)content_word(key, SECOND_WORD / 8)};
}

static void host_write(struct guest *g, uint32_t p, uint64_t key)
{
	content_fill(g->ram + (size_t)p * T_PAGE, key);
	page_written(g, p, key);
}

static void check_page(struct guest *g, uint32_t p, const char *when)
{
	uint8_t want[T_PAGE], *got = g->ram + (size_t)p * T_PAGE;

	content_fill(want, g->page[p].key);
	memcpy(want, &g->page[p].first, 4);
	memcpy(want + SECOND_WORD, &g->page[p].second, 4);
	if (!p)
		memcpy(want, guest_code, code_bytes());
	for (uint32_t i = 0; i < T_PAGE; i++)
		if (want[i] != got[i])
			t_fail("%s: guest %u, page %u: byte %u is %02x, must be %02x", when, g->id,
			       p, i, got[i], want[i]);
}

static void guest_new(struct guest *g, int kvm)
{
	struct kvm_userspace_memory_region slot = {.memory_size = GUEST_PAGES * T_PAGE,
						   .userspace_addr = (uintptr_t)g->ram};
	struct kvm_sregs sregs;
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	g->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (g->vm < 0)
		t_skip("KVM_CREATE_VM: %m");
	t_sys(ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &slot));
	g->vcpu = t_sys(ioctl(g->vm, KVM_CREATE_VCPU, 0));
	g->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	t_check(g->run != MAP_FAILED, "%m");
	t_sys(ioctl(g->vcpu, KVM_GET_SREGS, &sregs));
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	t_sys(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
}

/* Carries out one order; returns what the guest has in edx. */
static uint32_t guest_order(struct guest *g, enum order order, uint32_t page, uint32_t n,
			    uint32_t value)
{
	struct kvm_regs regs = {
		.rflags = 2, .rax = order, .rbx = value, .rcx = n, .rsi = page * (T_PAGE / 16)};

	t_sys(ioctl(g->vcpu, KVM_SET_REGS, &regs));
	for (;;) {
		if (ioctl(g->vcpu, KVM_RUN, 0) && errno != EINTR && errno != EAGAIN) {
			if (!g->orders)
				t_skip("KVM_RUN does not run a real-mode guest here: %m");
			t_fail("KVM_RUN: %m (a fault that nobody settled?)");
		}
		if (g->run->exit_reason == KVM_EXIT_IO && g->run->io.port == GUEST_PORT)
			break;
		if (g->run->exit_reason == KVM_EXIT_INTR)
			continue;
		if (!g->orders)
			t_skip("KVM_RUN does not run a real-mode guest here: exit reason %u",
			       g->run->exit_reason);
		t_fail("guest %u: exit reason %u", g->id, g->run->exit_reason);
	}
	g->orders++;
	t_sys(ioctl(g->vcpu, KVM_GET_REGS, &regs));
	return (uint32_t)regs.rdx;
}

static void range(struct guest *g, uint32_t *page, uint32_t *n)
{
	*page = FIRST_PAGE + t_below(&g->rng, GUEST_PAGES - FIRST_PAGE);
	*n = 1 + t_below(&g->rng, 32);
	if (*n > GUEST_PAGES - *page)
		*n = GUEST_PAGES - *page;
}

static void guest_step(struct guest *g)
{
	enum order order = t_below(&g->rng, 10) < 6 ? ORDER_SUM :
						      (enum order)(1 + (t_rand(&g->rng) & 1));
	uint32_t page, n, value = t_below(&g->rng, 4), want = 0, got;

	range(g, &page, &n);
	for (uint32_t p = page; p < page + n; p++) {
		want += order == ORDER_SUM ? g->page[p].first : 0;
		g->page[p].first = order == ORDER_SET ? value :
							g->page[p].first + (order == ORDER_ADD);
		g->page[p].second = order == ORDER_SET ? value :
							 g->page[p].second + (order == ORDER_ADD);
	}
	got = guest_order(g, order, page, n, value);
	if (got != want)
		t_fail("guest %u adds up pages %u..%u to %08x, must be %08x", g->id, page,
		       page + n - 1, got, want);
	for (uint32_t p = page; order != ORDER_SUM && p < page + n; p++)
		check_page(g, p, "after the guest wrote");
}

static void host_step(struct guest *g)
{
	uint32_t page, n;

	range(g, &page, &n);
	if (t_below(&g->rng, 3)) {
		for (uint32_t p = page; p < page + n; p++)
			host_write(g, p, pool_key(p % POOL));
		return;
	}
	t_sys(madvise(g->ram + (size_t)page * T_PAGE, (size_t)n * T_PAGE, MADV_DONTNEED));
	for (uint32_t p = page; p < page + n; p++)
		page_written(g, p, 0);
	g->discards += n;
}

static void *guest_main(void *arg)
{
	struct guest *g = arg;

	while (t_now() < end_time) {
		struct pm_count c;

		/* in bursts, with pauses in which pages become stable and are shared */
		for (uint32_t i = 0, n = t_below(&g->rng, 40); i < n; i++)
			guest_step(g);
		for (uint32_t i = 0, n = t_below(&g->rng, 3); i < n; i++)
			host_step(g);
		t_sleep(0.001 * t_below(&g->rng, 400));
		c = pm_count(g->pagemap, (uintptr_t)g->ram, GUEST_PAGES);
		g->shared_seen = c.file > g->shared_seen ? c.file : g->shared_seen;
	}
	for (uint32_t p = 0; p < GUEST_PAGES; p++)
		check_page(g, p, "at the end");
	return NULL;
}

/* Each guest has a region of its own of 2 MiB; the half that it does not reach holds twins. */
static void guest_memory(struct guest *g)
{
	struct hregion r = {.npages = 512, .dontfork = true, .nohuge = true};

	hammer_map(&r, NULL);
	g->ram = r.base;
	for (uint32_t p = 0; p < GUEST_PAGES; p++) {
		host_write(g, p, pool_key(p % POOL));
		content_fill(g->ram + (size_t)(GUEST_PAGES + p) * T_PAGE, pool_key(p % POOL));
	}
	memcpy(g->ram, guest_code, code_bytes());
	g->pagemap = pm_open(0);
}

int main(int argc, char **argv)
{
	static struct guest guest[GUESTS];
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	bool must_share = argc > 2 && *argv[2] == '1';

	if (kvm < 0)
		t_skip("/dev/kvm: %m");
	end_time = t_now() + (argc > 1 ? atof(argv[1]) : 5);
	for (uint32_t i = 0; i < GUESTS; i++) {
		guest[i].id = i;
		guest[i].rng = t_mix((uint64_t)getpid() + i);
		guest_memory(&guest[i]);
		guest_new(&guest[i], kvm);
	}
	for (uint32_t i = 0; i < GUESTS; i++)
		pthread_create(&guest[i].thread, NULL, guest_main, &guest[i]);
	for (uint32_t i = 0; i < GUESTS; i++) {
		pthread_join(guest[i].thread, NULL);
		t_note("guest %u: %lu orders, %lu pages discarded, at most %lu pages shared", i,
		       guest[i].orders, guest[i].discards, guest[i].shared_seen);
		if (must_share && !guest[i].shared_seen)
			t_fail("no page of guest %u was ever shared: the run proves nothing", i);
	}
	return 0;
}
