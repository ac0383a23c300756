/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * advice: what the agent has to do for each advice of madvise(), old and new.
 */
#ifndef PSHARE_AGENT_ADVICE_H
#define PSHARE_AGENT_ADVICE_H

enum advice_kind {
	/* Changes how memory is read ahead or reclaimed, or faults it in, and nothing that anybody
	 * could see in it: right on a frame's mapping too. The kernel's alone. */
	ADVICE_PASS,
	/* A flag of the mapping that ours must share. */
	ADVICE_FLAG,
	/* The content goes, zeros come. */
	ADVICE_DISCARD,
	/* The content goes, in the file behind the mapping: never so for private memory. */
	ADVICE_REMOVE,
	ADVICE_OFFER,	 /* MADV_MERGEABLE */
	ADVICE_WITHDRAW, /* MADV_UNMERGEABLE */
	ADVICE_HUGE,	 /* MADV_HUGEPAGE */
	ADVICE_SMALL,	 /* MADV_NOHUGEPAGE */
	/* Changes what a page is, in a way that has no meaning for a frame's mapping, or another
	 * one: the region is given up, then the kernel does it, then the region is looked at anew.
	 * So is every advice that this table does not know. */
	ADVICE_ANEW,
};

enum advice_kind advice_kind(int advice);

#endif
