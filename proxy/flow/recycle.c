/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/recycle.h"

const char *const recycle_names[RECYCLE_REASONS + 1] = {
#define RECYCLE(name) #name,
#include "flow/reasons.def"
};

void lifetime_begin(struct lifetime *life, struct worker *worker)
{
	const struct config *config = worker->config;
	struct rng *rng = &worker->loop.rng;

	*life = (struct lifetime){.opened_ms = loop_ms(&worker->loop)};
	if (config->max_requests > 0)
		life->cap = (uint32_t)rng_jitter_below(
			rng, config->max_requests, config->recycle_jitter);
	if (config->max_requests > 0 && life->cap == 0)
		life->cap = 1;
	if (config->max_connection_age_ms > 0)
		life->retire_ms = life->opened_ms + rng_jitter_below(rng,
							    config->max_connection_age_ms,
							    config->recycle_jitter);
}

bool lifetime_is_over(
	const struct lifetime *life, uint64_t now_ms, enum recycle_reason *reason)
{
	if (life->cap > 0 && life->n_requests >= life->cap) {
		*reason = RECYCLE_requests;
		return true;
	}
	if (life->retire_ms > 0 && now_ms >= life->retire_ms) {
		*reason = RECYCLE_age;
		return true;
	}
	if (life->due_ms > 0 && now_ms >= life->due_ms) {
		*reason = RECYCLE_rebalance;
		return true;
	}
	return false;
}
