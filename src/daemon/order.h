/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* order: what is put into the ring to an agent. */
#ifndef PSHARE_DAEMON_ORDER_H
#define PSHARE_DAEMON_ORDER_H

#include <stdint.h>

#include "daemon/member.h"

/* The order for a content of that hash which is under way, or NULL. */
struct want *order_wanted(struct domain *domain, uint64_t hash);
/* Orders the publisher to bring a page's content. 0, or -EAGAIN: no slot, no room in its ring. */
int order_content(struct member *publisher, uint32_t page, uint64_t hash,
		  const struct member *asker, uint32_t asker_page);
/* Orders a page to be mapped to a frame, and holds the reference for it. 0: done, or refused and
 * counted; -EAGAIN: no room in its ring. */
int order_share(struct member *m, uint32_t page, uint32_t frame);

#endif
