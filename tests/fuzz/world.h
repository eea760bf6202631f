/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the proxy of the proxy target is configured with and knows: made once, then the
 * same for each run. */
#include "flow/discovery.h"
#include "flow/worker.h"

#define WORLD_FRONTS 6

extern struct config world_configs[2]; /* usual, and with caps and deadlines */
extern struct topo *world_topos[2];
extern const struct front world_fronts[WORLD_FRONTS];
extern const struct topo_policy world_policy;
extern const struct discovery world_discovery; /* whoever is asked for is never known */

void world_init(void);
