/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The sums over all workers, taken when somebody asks. */
#include "admin/admin.h"

struct reply;

struct stats {
	struct counters counters;
	struct gauges gauges;
	struct list tallies;
};

/* By reply_ask_workers. */
void stats_take(struct stats *stats, const struct admin_host *host, struct reply *reply);
void stats_fini(struct stats *stats);

extern const char *const direction_names[DIRECTIONS];
extern const char *const side_names[SIDES];
extern const char *const retry_names[RETRY_REASONS];
