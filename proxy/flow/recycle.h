/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The life that a keep-alive connection gets when it is opened: so many requests, so much
 * time, both drawn below the configured caps so that connections of one moment do not end
 * in one moment. A rebalance may give it a moment that comes sooner.
 */
#include "flow/worker.h"

struct lifetime {
	uint32_t cap;        /* requests; 0 = no cap */
	uint32_t n_requests; /* so far, with the current one */
	uint64_t opened_ms;
	uint64_t retire_ms; /* 0 = no cap */
	uint64_t due_ms;    /* drawn in a rebalance; 0 = none */
};

/* By enum recycle_reason; NULL for RECYCLE_REASONS. */
extern const char *const recycle_names[RECYCLE_REASONS + 1];

void lifetime_begin(struct lifetime *life, struct worker *worker);

/* Whether the current request is to be the last one, and what says so. */
bool lifetime_is_over(
	const struct lifetime *life, uint64_t now_ms, enum recycle_reason *reason);
