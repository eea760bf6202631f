/* SPDX-License-Identifier: Apache-2.0 */
/* The life that a connection draws below its caps. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "flow/recycle.h"

static const struct {
	struct config config;
	uint32_t least, most;
	uint64_t least_ms, most_ms;
} rows[] = {
	{{.max_requests = 50, .recycle_jitter = 20, .max_connection_age_ms = 300000}, 40,
		50, 240000, 300000},
	{{.max_requests = 50, .recycle_jitter = 0, .max_connection_age_ms = 1000}, 50, 50,
		1000, 1000},
	{{.max_requests = 1, .recycle_jitter = 100, .max_connection_age_ms = 10}, 1, 1, 0,
		10},
	{{.max_requests = 3, .recycle_jitter = 100, .max_connection_age_ms = 0}, 1, 3, 0,
		0},
	{{.max_requests = 0, .recycle_jitter = 20, .max_connection_age_ms = 1000}, 0, 0,
		800, 1000},
};

Test(flow_recycle, drawn_below_the_caps)
{
	static struct worker worker;

	rng_init(&worker.loop.rng, 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint32_t least = UINT32_MAX, most = 0;

		worker.config = &rows[i].config;
		for (int round = 0; round < 500; round++) {
			struct lifetime life;
			uint64_t age;

			lifetime_begin(&life, &worker);
			least = life.cap < least ? life.cap : least;
			most = life.cap > most ? life.cap : most;
			if (rows[i].most_ms == 0) {
				cr_expect(life.retire_ms == 0);
				continue;
			}
			age = life.retire_ms - life.opened_ms;
			cr_expect(age >= rows[i].least_ms && age <= rows[i].most_ms,
				"%zu: %ju", i, (uintmax_t)age);
		}
		/* Both ends are drawn in 500 rounds. */
		cr_expect(least == rows[i].least && most == rows[i].most, "%zu: %u to %u",
			i, least, most);
	}
}

Test(flow_recycle, is_over)
{
	enum recycle_reason reason = RECYCLE_REASONS;
	uint64_t now = clock_ms();
	struct lifetime life = {.cap = 2, .opened_ms = now, .retire_ms = now + 3600000};

	life.n_requests = 1;
	cr_expect(!lifetime_is_over(&life, now, &reason) && reason == RECYCLE_REASONS);
	life.n_requests = 2;
	cr_expect(lifetime_is_over(&life, now, &reason) && reason == RECYCLE_requests);
	life.cap = 0;
	cr_expect(!lifetime_is_over(&life, now, &reason));
	life.retire_ms = now;
	cr_expect(lifetime_is_over(&life, now, &reason) && reason == RECYCLE_age);
	life.retire_ms = 0;
	life.n_requests = UINT32_MAX;
	cr_expect(!lifetime_is_over(&life, now, &reason));
	life.due_ms = now + 3600000;
	cr_expect(!lifetime_is_over(&life, now, &reason) && reason == RECYCLE_age);
	life.due_ms = now;
	cr_expect(lifetime_is_over(&life, now, &reason) && reason == RECYCLE_rebalance);
}

Test(flow_recycle, each_reason_has_a_name)
{
	for (int i = 0; i < RECYCLE_REASONS; i++)
		cr_expect(recycle_names[i] != NULL);
	cr_expect(recycle_names[RECYCLE_REASONS] == NULL);
}
