/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/tally.h"

#include <stdlib.h>
#include <string.h>

#define FREE_RETRIES_PER_SECOND ((uint64_t)3)

const double tally_bucket_seconds[TALLY_BUCKETS] = {
	0.0005,
	0.001,
	0.0025,
	0.005,
	0.01,
	0.025,
	0.05,
	0.1,
	0.25,
	0.5,
	1,
	2.5,
	5,
	10,
};

struct tally *tally_of(
	struct list *tallies, enum direction direction, const char *service)
{
	struct tally *tally;

	list_each_safe (node, next, tallies) {
		tally = container_of(node, struct tally, node);
		if (tally->direction == direction && strcmp(tally->service, service) == 0)
			return tally;
	}
	tally = calloc(1, sizeof(*tally));
	if (!tally)
		return NULL;
	tally->service = strdup(service);
	if (!tally->service) {
		free(tally);
		return NULL;
	}
	tally->direction = direction;
	list_push(tallies, &tally->node);
	return tally;
}

void tally_destroy_all(struct list *tallies)
{
	struct list *node;

	while ((node = list_pop(tallies))) {
		struct tally *tally = container_of(node, struct tally, node);

		free(tally->codes);
		free(tally->service);
		free(tally);
	}
}

static void count_code(struct tally *tally, uint16_t code)
{
	struct tally_code *more;

	for (size_t i = 0; i < tally->n_codes; i++) {
		if (tally->codes[i].code == code) {
			tally->codes[i].n++;
			return;
		}
	}
	more = realloc(tally->codes, (tally->n_codes + 1) * sizeof(*more));
	if (!more)
		return;
	tally->codes = more;
	more[tally->n_codes++] = (struct tally_code){code, 1};
}

void tally_count(struct tally *tally, uint16_t code, uint64_t duration_us)
{
	int i = 0;

	count_code(tally, code);
	while (i < TALLY_BUCKETS && (double)duration_us > tally_bucket_seconds[i] * 1e6)
		i++;
	tally->buckets[i]++;
	tally->total_us += duration_us;
}

/* Seconds that have passed since are emptied. */
static void turn_to(struct tally *tally, uint64_t second)
{
	if (second - tally->second >= TALLY_BUDGET_SECONDS)
		memset(tally->seconds, 0, sizeof(tally->seconds));
	else
		while (tally->second < second)
			memset(&tally->seconds[++tally->second % TALLY_BUDGET_SECONDS], 0,
				sizeof(tally->seconds[0]));
	tally->second = second;
}

void tally_count_request(struct tally *tally, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000;

	if (second != tally->second)
		turn_to(tally, second);
	tally->seconds[second % TALLY_BUDGET_SECONDS].n_requests++;
}

/* How many of them fit in a share of the budget. */
static uint64_t retries_left(
	struct tally *tally, unsigned percent, uint64_t now_ms, unsigned divisor)
{
	uint64_t second = now_ms / 1000, n_requests = 0, n_retries = 0, n_allowed;

	if (second != tally->second)
		turn_to(tally, second);
	for (int i = 0; i < TALLY_BUDGET_SECONDS; i++) {
		n_requests += tally->seconds[i].n_requests;
		n_retries += tally->seconds[i].n_retries;
	}
	n_allowed = (n_requests * percent / 100 +
			    FREE_RETRIES_PER_SECOND * TALLY_BUDGET_SECONDS) /
		    divisor;
	return n_allowed > n_retries ? n_allowed - n_retries : 0;
}

uint64_t tally_retries_to_spare(struct tally *tally, unsigned percent, uint64_t now_ms)
{
	return retries_left(tally, percent, now_ms, 2);
}

bool tally_take_retry(struct tally *tally, unsigned percent, uint64_t now_ms)
{
	if (retries_left(tally, percent, now_ms, 1) == 0)
		return false;
	tally->seconds[now_ms / 1000 % TALLY_BUDGET_SECONDS].n_retries++;
	return true;
}
