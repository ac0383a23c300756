/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest at work never comes to rest: something is always new, something always in quarantine. So
 * it has settled when what is under way is next to nothing (a 64th of what it has, and SLACK), all
 * of its memory has been looked at, and no hint is owed to it. What was looked at so far says what
 * the rest will give; it errs as much as the rest is another kind of memory.
 *
 * A page that is written all the time is never hashed and never shared: it counts as seen once it
 * was found so.
 */
#include "policy/progress.h"

#define NEARLY 0.999 /* while it has not settled */
#define SLACK_PART 64u
#define SLACK 64u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t expected(const struct progress_input *in, uint64_t seen)
{
	uint64_t more;

	if (!seen)
		return in->saved;
	more = (uint64_t)((double)in->saved * (double)in->unseen / (double)seen) + in->waiting;
	return min_u64(in->saved + more, in->present > in->saved ? in->present : in->saved);
}

/* Hashing what is unseen, two looks for it to become stable, and the quarantine of the last. */
static uint64_t left(const struct progress_input *in, bool settled)
{
	uint64_t ms = in->looks < PROGRESS_LOOKS ? (PROGRESS_LOOKS - in->looks) * in->look_ms : 0;

	if (settled)
		return 0;
	if (!in->active || (in->unseen && !in->rate))
		return PROGRESS_NEVER;
	if (in->unseen) {
		ms += in->unseen * 1000 / in->rate;
		ms += in->look_ms;
	}
	return ms + in->quarantine_ms;
}

double progress_done(uint64_t saved, uint64_t expected, double looked, bool settled)
{
	double part = expected ? (double)saved / (double)expected : looked / 100;

	if (settled)
		return 1;
	return part > NEARLY ? NEARLY : part;
}

struct progress progress_of(const struct progress_input *in)
{
	uint64_t unseen = min_u64(in->unseen, in->present), seen = in->present - unseen;
	uint64_t slack = in->present / SLACK_PART + SLACK;
	struct progress out = {
		.looked = in->present ? 100.0 * (double)seen / (double)in->present : 0,
		.saved = in->saved > in->quarantined ? in->saved - in->quarantined : 0,
		.expected = expected(in, seen),
	};

	if (!in->present && in->looks >= PROGRESS_LOOKS)
		out.looked = 100;
	out.settled = in->active && !in->lost && in->looks >= PROGRESS_LOOKS && unseen <= slack &&
		      in->waiting <= slack && in->quarantined <= slack;
	out.left_ms = left(in, out.settled);
	out.done = progress_done(out.saved, out.expected, out.looked, out.settled);
	if (!out.settled && out.expected > out.saved)
		out.remaining = out.expected - out.saved;
	return out;
}
