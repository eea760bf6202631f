/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The rebalance as a whole: looks at our own services in each snapshot, and when they
 * have grown tells the workers to recycle each inbound keep-alive connection once within
 * NIGH_REBALANCE. Main thread only; what counts as growth is topo/growth.h's to say.
 */
#include "flow/worker.h"
#include "topo/growth.h"

struct event;
struct event_base;

struct rebalance {
	struct growth growth;
	struct shared *shared;
	struct worker *workers;
	unsigned n_workers;
	struct event *begin; /* NULL: there is no rebalancing */
	struct event *end;   /* of the window */
};

/* Nothing is done without NIGH_SERVICE or with NIGH_REBALANCE=0. 0 or -errno. */
__attribute__((warn_unused_result)) int rebalance_init(struct rebalance *rebalance,
	struct event_base *base, struct shared *shared, struct worker *workers,
	unsigned n_workers);
void rebalance_fini(struct rebalance *rebalance);

/* A new snapshot. */
void rebalance_follow(struct rebalance *rebalance, const struct topo *topo);
