/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pshare-agent.h"

#include "agent/offer.h"

#define PUBLIC __attribute__((visibility("default")))

PUBLIC int pshare_offer(void *addr, size_t len)
{
	return offer_memory(addr, len);
}

PUBLIC int pshare_withdraw(void *addr, size_t len)
{
	return withdraw_memory(addr, len);
}

PUBLIC const char *pshare_agent_version(void)
{
	return PSHARE_VERSION;
}
