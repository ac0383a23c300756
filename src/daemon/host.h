/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host: what the daemon knows of the host it runs on. */
#ifndef PSHARE_DAEMON_HOST_H
#define PSHARE_DAEMON_HOST_H

#include "daemon/daemon.h"

/* Memory, clock, vm.max_map_count; what cannot be read gets a safe value and a warning. */
void host_read_facts(struct daemon *d);
/* Reads what is free, and takes one step of the state that the host's own memory says. */
void host_step(struct daemon *d);
/* Has somebody set vm.max_map_count, of which agents leave a part unused? */
bool host_maps_changed(struct daemon *d);
/* The thresholds of states, as they are set. */
struct memstate_levels host_levels(const struct daemon *d);
/* Pages that the host has; one block where that could not be read. */
uint64_t host_pages(const struct daemon *d);
/* Bytes that the daemon may have: the host's memory, or what its control group allows. */
uint64_t host_daemon_memory(const struct daemon *d);
/* Is the host so short of memory that no frame is to be made? Reads /proc/meminfo at most a few
 * times a second. */
bool host_memory_short(struct daemon *d);
/* Is so little left for the daemon itself that it is not to hold anything new? */
bool host_books_short(struct daemon *d);

#endif
