/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "paper-vm.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURN_MS 10
#define READY_MS 20000

struct guest {
	struct peer peer;
	uint8_t *memory;
	uint32_t pages;
	uint32_t touched; /* of them, from the beginning */
	uint64_t zips;
	uint32_t to_break;    /* blocks that are still to be broken */
	unsigned int targets; /* TARGETs that were seen to */
};

static void look_at_swap(struct guest *g, struct paper_vm_board *b)
{
	struct stat st;

	b->swap_cap = g->peer.swap.cap;
	b->swap_links = UINT64_MAX;
	if (g->peer.swap_fd >= 0 && !fstat(g->peer.swap_fd, &st)) {
		b->swap_links = st.st_nlink;
		b->swap_is_file = S_ISREG(st.st_mode);
	}
}

/* What is resident: the first pages are those that are out. */
static void use_memory(struct guest *g, struct paper_vm_board *b)
{
	uint32_t use = b->use < g->pages ? b->use : g->pages;

	for (; g->touched < use; g->touched++)
		memset(g->memory + (size_t)g->touched * T_PAGE, 1 + (int)(g->touched % 250), 64);
	if (g->touched > use) {
		madvise(g->memory + (size_t)use * T_PAGE, (size_t)(g->touched - use) * T_PAGE,
			MADV_DONTNEED);
		g->touched = use;
	}
	if (b->out > use)
		b->out = use;
	b->resident = use - b->out;
}

static void give_up(struct guest *g, struct paper_vm_board *b)
{
	const struct ps_msg_target *t = &b->target;
	uint32_t want = t->flags & PS_TARGET_SUSPEND ? b->use : t->out_pages;
	uint32_t more = want > b->out ? want - b->out : 0;

	if (t->flags & PS_TARGET_RESUME) {
		memset(g->memory, 7, (size_t)b->out * T_PAGE);
		b->out = 0;
	}
	if (!(t->flags & PS_TARGET_STAGE))
		return;
	more = more < b->speed ? more : b->speed;
	more = more < b->resident ? more : b->resident;
	if (b->whole)
		more = more < b->broken * 512 - b->out ? more : b->broken * 512 - b->out;
	if (!more)
		return;
	if (!b->out)
		b->broke_before_out = !b->cowh || b->broken >= g->pages / 512;
	madvise(g->memory + (size_t)b->out * T_PAGE, (size_t)more * T_PAGE, MADV_DONTNEED);
	b->out += more;
	g->zips += more;
}

static void break_blocks(struct guest *g, struct paper_vm_board *b)
{
	if (g->peer.targets != g->targets) /* in the place of what was said before */
		g->to_break = b->target.break_blocks;
	g->targets = g->peer.targets;
	if (!b->breaks || !(b->target.flags & PS_TARGET_BREAK) || !b->target.break_blocks)
		return;
	if (b->whole && !g->to_break)
		return;
	/* one at a time, as its time is bounded */
	if (b->broken < g->pages / 512) {
		b->broken++;
		g->to_break -= g->to_break != 0;
	}
}

static void say(struct guest *g, struct paper_vm_board *b)
{
	struct ps_agent_stats *s = &g->peer.map->stats;
	uint32_t blocks = g->pages / 512, left = blocks > b->broken ? blocks - b->broken : 0;

	s->size = g->pages;
	s->grant = b->resident;
	s->pass = 10;
	s->zipped = b->out;
	s->zips = g->zips;
	s->large = b->cowh || b->whole ? left * 512 : 0;
	s->large_left = b->whole ? left * 512 : 0;
	s->cowh = blocks ? (uint64_t)b->cowh * left / blocks : 0;
	s->breaks = b->broken;
	s->sampled = b->active ? 1 : 0;
	s->active = (uint64_t)b->resident * b->active / 100;
	s->target_flags = b->target.flags;
	s->target_out = b->target.out_pages;
	s->moving_total = b->target.flags & PS_TARGET_SUSPEND ? b->use : 0;
	s->moving_todo = b->target.flags & PS_TARGET_SUSPEND ? b->use - b->out : 0;
	s->swap_error = b->refuse ? 28 : 0;
	if (b->boasts) {
		s->mappings = UINT32_MAX;
		s->zero = s->quarantined = g->pages;
		s->grant += g->pages;
	}
}

static void live(struct guest *g, struct paper_vm_board *b)
{
	while (!b->end && !g->peer.over) {
		peer_hear(&g->peer, PS_MSG_TARGET, TURN_MS);
		b->target = g->peer.target;
		if (b->target.out_pages > b->most_out)
			b->most_out = b->target.out_pages;
		b->config = g->peer.config;
		b->flags_seen |= b->target.flags;
		if (b->target.state < 8)
			b->flags_of[b->target.state] |= b->target.flags;
		look_at_swap(g, b);
		use_memory(g, b);
		break_blocks(g, b);
		give_up(g, b);
		use_memory(g, b);
		say(g, b);
		b->ready = true;
	}
	b->cut = g->peer.over;
}

void paper_vm_start(struct paper_vm *p, const struct t_daemon *d, const char *name, uint32_t pages,
		    uint32_t use)
{
	double start = t_now();
	struct guest g = {.pages = pages};
	pid_t parent = getpid();

	p->board = mmap(NULL, sizeof(*p->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	t_check(p->board != MAP_FAILED, "%m");
	p->board->use = use;
	p->board->speed = 1u << 20;
	p->board->swap_links = UINT64_MAX;
	p->pid = t_sys(fork());
	if (p->pid) {
		while (!p->board->ready && !t_late(start, READY_MS * 0.001))
			t_sleep(0.005);
		t_check(p->board->ready, "%s is not there", name);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	g.memory = mmap(NULL, (size_t)pages * T_PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	t_check(g.memory != MAP_FAILED, "%m");
	madvise(g.memory, (size_t)pages * T_PAGE, MADV_NOHUGEPAGE);
	peer_join(&g.peer, d, name, NULL);
	t_check(!peer_region(&g.peer, PS_MSG_REGION_ADD, 0, pages, 0), "%m");
	live(&g, p->board);
	_exit(0);
}

void paper_vm_end(struct paper_vm *p)
{
	int status;

	p->board->end = true;
	if (t_wait(p->pid, 5, &status))
		t_fail("an agent of paper does not end");
	munmap(p->board, sizeof(*p->board));
	p->pid = 0;
}
