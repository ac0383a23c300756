/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reason: what each enum ps_cause means to a person, and what he can do about it. */
#ifndef PSHARE_POLICY_REASON_H
#define PSHARE_POLICY_REASON_H

/* Why a region or a VM with that cause does not share: half a sentence, no full stop. Never NULL;
 * "" for PS_CAUSE_NONE. */
const char *reason_text(unsigned int cause);
/* What would do, or NULL where nothing has to be done or nobody knows what. */
const char *reason_mend(unsigned int cause);
/* The cause of that name (ps_cause_name()); PS_CAUSE_END if there is none. */
unsigned int reason_find(const char *name);

#endif
