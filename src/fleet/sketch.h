/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sketch: a VM's likeness as the daemon's API says it, in JSON: read, and made smaller. */
#ifndef PSHARE_FLEET_SKETCH_H
#define PSHARE_FLEET_SKETCH_H

#include <jansson.h>

#include "policy/sketch.h"

/* It comes from somebody else, maybe by way of etcd: 0, or -EINVAL: it is none. */
int fleet_sketch_read(const json_t *likeness, struct sketch *sketch);
/* At most max tokens (sketch_thin). What is no sketch stays as it is. 0 or -ENOMEM. */
int fleet_sketch_thin(json_t *likeness, uint32_t max);

#endif
