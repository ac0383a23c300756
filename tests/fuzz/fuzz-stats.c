// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Guest statistics: whatever a guest's driver says, look after look, a balloon stays within the
 * guest, within what may be taken, and makes no sense of what cannot be true. And the reports that
 * the daemon has of it.
 */
#include "fuzz/fuzz.h"
#include "policy/balloon.h"

/* Sizes that are plausible, or at a border, or anything. */
static uint64_t figure(struct fuzz_input *in)
{
	uint8_t kind = fuzz_u8(in);

	if (kind < 160)
		return (uint64_t)fuzz_u16(in) << 20;
	if (kind < 200)
		return BALLOON_UNKNOWN;
	if (kind < 220)
		return 0;
	return fuzz_u64(in);
}

static void look_again(struct fuzz_input *in, struct balloon *balloon, uint64_t *now)
{
	struct balloon_look look = {0};
	struct balloon_wish wish = {0};
	struct balloon_next next;

	*now += fuzz_u16(in);
	look.now_ms = *now;
	look.size = figure(in);
	look.actual = figure(in);
	look.resident = figure(in);
	look.paused = fuzz_u8(in) & 1;
	look.figures = (struct balloon_figures){.stamp = fuzz_u8(in),
						.total = figure(in),
						.available = figure(in),
						.free = figure(in),
						.swap_in = figure(in),
						.major_faults = figure(in),
						.stalls = figure(in)};
	wish = (struct balloon_wish){.target = figure(in),
				     .max = figure(in),
				     .max_percent = fuzz_u8(in) % 101,
				     .up_s = fuzz_u8(in),
				     .force = fuzz_u8(in) & 1};
	balloon_step(balloon, &look, &wish, &next);
	fuzz_check(next.state < PS_BALLOON_STATE_END);
	fuzz_check(*balloon_state_text(next.state));
	(void)balloon_state_mend(next.state);
	(void)balloon_usable(next.state);
	if (next.set)
		fuzz_check(next.value <= look.size);
	/* it grows no further than it may */
	if (next.set && look.actual <= look.size)
		fuzz_check(next.value >= look.actual || look.size - next.value <= next.max);
	if (fuzz_u8(in) == 1)
		balloon_refused(balloon, *now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct ps_balloon_report report;
	struct balloon balloon;
	uint64_t now = 1000;

	if (size >= sizeof(report)) {
		memcpy(&report, data, sizeof(report));
		(void)ps_balloon_check(data, (uint32_t)size, PS_BALLOON_START);
		(void)ps_balloon_check(data, (uint32_t)size, PS_BALLOON_ORDER);
		(void)ps_balloon_check(data, (uint32_t)size, PS_BALLOON_REPORT);
		if (ps_balloon_report_check(&report) == 0) {
			fuzz_check(report.state < PS_BALLOON_STATE_END);
			fuzz_check(memchr(report.text, 0, sizeof(report.text)));
		}
	}
	balloon_init(&balloon, now);
	while (in.left)
		look_again(&in, &balloon, &now);
	return 0;
}
