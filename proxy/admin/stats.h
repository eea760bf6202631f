/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The sums over all workers, taken when somebody asks. */
#include "admin/admin.h"

struct stats {
	struct counters counters;
	struct gauges gauges;
	struct list tallies;
};

/* Asks the workers one after the other. False when one did not answer in time: without
 * its part counters would seem to have been set back. */
__attribute__((warn_unused_result)) bool stats_take(
	struct stats *stats, const struct admin_host *host);
void stats_fini(struct stats *stats);

extern const char *const direction_names[DIRECTIONS];
extern const char *const side_names[SIDES];
extern const char *const retry_names[RETRY_REASONS];
