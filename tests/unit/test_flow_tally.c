/* SPDX-License-Identifier: Apache-2.0 */
/* Counters per service and the retry budget; time is given. */
#include <criterion/criterion.h>

#include "flow/tally.h"

static int take_all(struct tally *tally, unsigned percent, uint64_t now_ms)
{
	int n = 0;

	while (n < 100000 && tally_take_retry(tally, percent, now_ms))
		n++;
	return n;
}

#define FREE 30 /* three a second, of ten seconds */

Test(flow_tally, budget)
{
	static const struct {
		int n_requests;
		unsigned percent;
		int n_retries;
	} rows[] = {
		{0, 20, FREE},
		{4, 20, FREE},
		{5, 20, FREE + 1},
		{1000, 20, FREE + 200},
		{1000, 0, FREE},
		{1000, 100, FREE + 1000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct tally tally = {0};
		int n;

		for (int k = 0; k < rows[i].n_requests; k++)
			tally_count_request(&tally, 50000);
		n = take_all(&tally, rows[i].percent, 50999);
		cr_expect(n == rows[i].n_retries, "%zu: %d", i, n);
		cr_expect(!tally_take_retry(&tally, rows[i].percent, 59999));
		/* Ten seconds on, both are forgotten. */
		n = take_all(&tally, rows[i].percent, 60000);
		cr_expect(n == FREE, "%zu: %d", i, n);
	}
}

/* What is risked comes out of one half; what is needed may use all. */
Test(flow_tally, to_spare)
{
	struct tally tally = {0};

	for (int i = 0; i < 100; i++)
		tally_count_request(&tally, 50000);
	cr_expect(tally_retries_to_spare(&tally, 20, 50000) == (FREE + 20) / 2);
	for (int i = 0; i < (FREE + 20) / 2; i++)
		cr_assert(tally_take_retry(&tally, 20, 50000));
	cr_expect(tally_retries_to_spare(&tally, 20, 50000) == 0);
	cr_expect(take_all(&tally, 20, 50000) == (FREE + 20) / 2);
	cr_expect(tally_retries_to_spare(&tally, 20, 50000) == 0);
	cr_expect(tally_retries_to_spare(&tally, 20, 60000) == FREE / 2);
}

/* The window moves second by second, and may be skipped as a whole. */
Test(flow_tally, budget_slides)
{
	struct tally tally = {0};

	for (uint64_t second = 100; second < 110; second++)
		for (int i = 0; i < 10; i++)
			tally_count_request(&tally, second * 1000);
	cr_expect(take_all(&tally, 50, 109000) == FREE + 50);
	/* Ten requests less, the retries are still there. */
	cr_expect(take_all(&tally, 50, 110000) == 0);
	cr_expect(take_all(&tally, 50, 118999) == 0);
	cr_expect(take_all(&tally, 50, 119000) == FREE);
	cr_expect(take_all(&tally, 50, 1000000) == FREE);
	for (int i = 0; i < 100; i++)
		tally_count_request(&tally, 1000000);
	cr_expect(take_all(&tally, 50, 1009999) == 50);
}

Test(flow_tally, histogram)
{
	struct tally tally = {0};
	uint64_t total = 0;

	for (int i = 0; i < TALLY_BUCKETS; i++) {
		uint64_t us = (uint64_t)(tally_bucket_seconds[i] * 1e6 + 0.5);

		cr_expect(
			i == 0 || tally_bucket_seconds[i] > tally_bucket_seconds[i - 1]);
		tally_count(&tally, 200, us);
		tally_count(&tally, 200, us + 1);
		total += us * 2 + 1;
	}
	tally_count(&tally, 200, 0);
	cr_expect(tally.buckets[0] == 2);
	for (int i = 1; i < TALLY_BUCKETS; i++)
		cr_expect(
			tally.buckets[i] == 2, "%d: %ju", i, (uintmax_t)tally.buckets[i]);
	cr_expect(tally.buckets[TALLY_BUCKETS] == 1);
	cr_expect(tally.total_us == total);
	cr_expect(tally.n_codes == 1 && tally.codes[0].n == 2 * TALLY_BUCKETS + 1);
	free(tally.codes);
}

Test(flow_tally, one_per_service_and_direction)
{
	struct list tallies;
	struct tally *a, *b, *c;

	list_init(&tallies);
	a = tally_of(&tallies, INBOUND, "shop/orders");
	b = tally_of(&tallies, OUTBOUND, "shop/orders");
	c = tally_of(&tallies, OUTBOUND, "shop/order");
	cr_expect(a && b && c && a != b && b != c);
	cr_expect(tally_of(&tallies, INBOUND, "shop/orders") == a);
	cr_expect(tally_of(&tallies, OUTBOUND, "shop/order") == c);
	for (uint16_t code = 0; code < 600; code++)
		tally_count(b, code, 1);
	tally_count(b, 404, 1);
	cr_expect(b->n_codes == 600 && b->codes[404].code == 404 && b->codes[404].n == 2);
	tally_destroy_all(&tallies);
	tally_destroy_all(&tallies);
}
