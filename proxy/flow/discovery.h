/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Services that are looked for when somebody calls them. A target whose name may be a
 * service's asks for it as long as it lives. Its first requests wait until whatever can
 * be known is, at most NIGH_DISCOVERY_WAIT; then they go to the name by DNS, until
 * something is known after all.
 */
#include <stdbool.h>

#include "net/mailbox.h"
#include "topo/topo.h"

struct target;
struct worker;

/* A service that is asked for. The letter of its end is there from the beginning, because
 * that must not fail for want of memory. */
struct hold {
	struct topo_name name;
	struct letter begin, end;
};

/* The source that is asked, from any worker's thread. Immutable. */
struct discovery {
	void (*hold)(void *arg, struct hold *hold);
	void (*release)(void *arg, struct hold *hold); /* takes it over */
	void *arg;
	/* One snapshot tells of every service. Only the first one is waited for, and only
	 * at the start: somebody may just be writing the file. */
	bool tells_all;
	uint64_t began_ms;
};

/* Nothing without a source that is to be asked. Copies the name. False without memory. */
__attribute__((warn_unused_result)) bool discovery_begin(
	struct target *target, const struct topo_name *name);
void discovery_end(struct target *target);

/* The worker's topology has changed: who has waited for it goes on. */
void discovery_follow_topo(struct worker *worker);
