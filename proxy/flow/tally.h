/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What one worker counts per service: responses by code, their durations, which domain
 * was picked; and the retry budget, which is a sum over the same requests. A tally lives
 * as long as its worker, so that counters never go back. No tally is shared between
 * threads: the admin port asks each worker and adds.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum direction { INBOUND, OUTBOUND, DIRECTIONS };

#define TALLY_BUCKETS        14
#define TALLY_BUDGET_SECONDS 10
#define TALLY_PROXIMITIES    4

extern const double tally_bucket_seconds[TALLY_BUCKETS];

struct tally_code {
	uint16_t code;
	uint64_t n;
};

struct tally {
	struct list node;
	char *service; /* label: NAMESPACE/NAME, the application's address, or passthrough
			*/
	enum direction direction;
	struct tally_code *codes;
	size_t n_codes;
	uint64_t buckets[TALLY_BUCKETS + 1];
	uint64_t total_us;
	uint64_t picks[TALLY_PROXIMITIES];
	struct {
		uint32_t n_requests, n_retries;
	} seconds[TALLY_BUDGET_SECONDS];
	uint64_t second; /* the newest one of them */
};

/* The tally of that service in the list, made at its first use; NULL without memory. */
struct tally *tally_of(
	struct list *tallies, enum direction direction, const char *service);
void tally_destroy_all(struct list *tallies);

/* A response of this code ended after so many microseconds; 0 is no code (TCP, client
 * gone). */
void tally_count(struct tally *tally, uint16_t code, uint64_t duration_us);

/* One request that the budget is a percentage of. */
void tally_count_request(struct tally *tally, uint64_t now_ms);

/*
 * How many more retries may be risked now on tries that are likely to fail: half of the
 * budget is kept for those that have no choice.
 */
uint64_t tally_retries_to_spare(struct tally *tally, unsigned percent, uint64_t now_ms);

/*
 * Whether one more retry fits: at most `percent` of the requests of the last ten seconds
 * and three a second beside. Takes it when it does.
 */
bool tally_take_retry(struct tally *tally, unsigned percent, uint64_t now_ms);
