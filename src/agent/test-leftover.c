/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/leftover.h"

#include <sys/mman.h>

#include "agent/agent.h"
#include "harness/harness.h"

#define AT(page) (0x10000000ul + (page)*PS_PAGE_SIZE)

static struct agent agent;
static uint8_t state[1 << 13];

/* A region at AT(0), of n pages, of which those that stuck() names are stuck. */
static void noted(uint32_t n, bool (*stuck)(uint32_t page))
{
	struct region r = {.start = AT(0), .origin = AT(0), .end = n, .state = state};

	for (uint32_t i = 0; i < n; i++)
		state[i] = stuck(i) ? PAGE_BROKEN : PAGE_NEW;
	leftover_note(&agent, &r);
}

static bool some(uint32_t page)
{
	return page >= 10 && page < 20;
}

static bool every_third(uint32_t page)
{
	return page % 3 == 0;
}

static bool knows(uint32_t page)
{
	struct leftover l;

	return leftover_first(&agent, AT(page), AT(page + 1), &l);
}

TEST("what is unmapped is forgotten, and the rest of it is not")
{
	struct leftover l;

	noted(100, some);
	CHECK(!knows(9));
	CHECK(knows(10));
	CHECK(knows(19));
	CHECK(!knows(20));
	leftover_drop(&agent, AT(12), AT(15));
	CHECK(knows(11));
	CHECK(!knows(12));
	CHECK(!knows(14));
	CHECK(knows(15));
	REQUIRE(leftover_first(&agent, AT(0), AT(11), &l));
	CHECK_EQ(l.start, AT(10));
	CHECK_EQ(l.end, AT(11));
	CHECK(spans_touch(&agent.spans, AT(19), 1));
	leftover_drop(&agent, AT(0), AT(100));
	CHECK_EQ(agent.leftovers.n, 0);
	CHECK(!spans_touch(&agent.spans, AT(0), 100 * PS_PAGE_SIZE));
}

TEST("what moves is known where it is, on top of what was there, and with its protection")
{
	struct leftover l;

	noted(100, some); /* 10 to 19 */
	leftover_protect(&agent, AT(15), AT(100), PROT_READ);
	leftover_move(&agent, AT(14), AT(50), AT(204));
	for (uint32_t page = 0; page < 300; page++)
		CHECK_EQ(knows(page), (page >= 10 && page < 14) || (page >= 204 && page < 210));
	REQUIRE(leftover_first(&agent, AT(205), AT(206), &l));
	CHECK_EQ(l.prot, PROT_READ);
	REQUIRE(leftover_first(&agent, AT(204), AT(205), &l));
	CHECK_EQ(l.prot, PROT_READ | PROT_WRITE);
	leftover_move(&agent, AT(200), AT(300), AT(0)); /* over the others, which are gone */
	for (uint32_t page = 0; page < 300; page++)
		CHECK_EQ(knows(page), page >= 4 && page < 10);
}

TEST("a full table forgets nothing: it takes more for left over than is")
{
	noted(sizeof(state), every_third);
	CHECK_LE(agent.leftovers.n, LEFTOVERS_MAX);
	for (uint32_t page = 0; page < sizeof(state); page += 3)
		CHECK(knows(page));
	for (uint32_t i = 1; i < agent.leftovers.n; i++)
		CHECK_GE(agent.leftovers.of[i].start, agent.leftovers.of[i - 1].end);
}

/* As many pieces as there is room for, the first two of three pages and nearest to each other. */
#define PIECES_END (12u + 6u * (LEFTOVERS_MAX - 3u))

static bool in_pieces(uint32_t page)
{
	return page < 3 || (page > 3 && page < 7) || (page > 10 && page % 6 == 5);
}

TEST("of a full table a piece is cut out of the middle of one, and is gone")
{
	noted(PIECES_END, in_pieces);
	REQUIRE_EQ(agent.leftovers.n, LEFTOVERS_MAX);
	leftover_drop(&agent, AT(1), AT(2)); /* what is left of it on both sides is not joined */
	CHECK(knows(0));
	CHECK(!knows(1));
	CHECK(knows(2));
	for (uint32_t i = 0; i + 1 < agent.leftovers.n; i++)
		CHECK(agent.leftovers.of[i].end <= agent.leftovers.of[i + 1].start);
	leftover_drop(&agent, AT(0), AT(PIECES_END));
	CHECK_EQ(agent.leftovers.n, 0);
}
